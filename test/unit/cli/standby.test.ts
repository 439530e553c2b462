import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { expectOwnTerm, isStillOwner } from '#cli/standby.ts'
import { DEFAULT_TOPICS as TOPICS } from '#pipeline/topics.ts'
import { NOW_MS } from '#test/support/memory-path.ts'
import { input, RoleMember } from '#test/support/role-member.ts'
import { SharedMemory } from '#test/support/shared-memory-log.ts'
import { testCodec } from '#test/support/transactions.ts'

const codec = testCodec()

const termLine = (line: number, term: number, owner: string) => ({
  topic: TOPICS.journal,
  partition: 0,
  key: null,
  value: codec.journalLine.encode({
    line,
    term,
    clock: NOW_MS,
    pieces: [],
    control: { type: 'term', value: JSON.stringify({ term, owner }), sha256: '' },
    alerts: 0,
  }),
})

test('the first one takes an empty journal at once, and the next one waits and holds the same state', async () => {
  const memory = new SharedMemory()
  const first = new RoleMember(memory, 'a')
  assert.equal(await first.standBy(), true)
  const deciding = await first.decide()
  await memory.produce(input('t0', 't1', 't2', 't3'))
  assert.deepEqual((await first.decisions(4)).sort(), ['t0', 't1', 't2', 't3'])

  const second = new RoleMember(memory, 'b')
  const standing = second.standBy()
  await memory.produce(input('t4', 't5'))
  await first.decisions(6)
  assert.equal(first.prepared, 0)
  assert.ok(second.prepared > 0)
  second.giveUp()
  assert.equal(await standing, false)
  await deciding.stop()
  await second.follower.follow({ signal: new AbortController().signal })
  assert.equal(second.path.runtime.memory.hash(), first.path.runtime.memory.hash())
})

test('a term that is given up is taken without waiting, and nothing is decided twice', async () => {
  const memory = new SharedMemory()
  const first = new RoleMember(memory, 'a')
  await first.standBy()
  const deciding = await first.decide()
  await memory.produce(input('t0', 't1'))
  await first.decisions(2)
  const second = new RoleMember(memory, 'b')
  const standing = second.standBy()
  await deciding.stop()
  assert.equal(await standing, true)
  const next = await second.decide()
  await memory.produce(input('t2', 't3'))
  assert.deepEqual((await second.decisions(4)).sort(), ['t0', 't1', 't2', 't3'])
  await next.stop()
  assert.equal(second.path.engine.term, 2)
})

test('silence is answered by taking over, and the one that was frozen can write nothing when it wakes', async () => {
  const memory = new SharedMemory()
  const frozen = new RoleMember(memory, 'a')
  await frozen.standBy()
  // Takes its term and is heard of no more.
  await frozen.log.append([termLine(0, 1, 'a')])
  await memory.produce(input('t0'))
  const second = new RoleMember(memory, 'b')
  const standing = second.standBy(1_000)
  while (second.follower.standing.nextLine === 0) await nextTurn()
  second.nowMs = 2_000
  assert.equal(await standing, true)
  const deciding = await second.decide()
  assert.deepEqual(await second.decisions(1), ['t0'])
  await assert.rejects(frozen.log.append(input('never')), { code: 'LOG_FENCED' })
  const journal = { topic: TOPICS.journal, from: 0 }
  assert.equal(await isStillOwner(frozen.log, codec, journal, { term: 1, owner: 'a' }), false)
  assert.equal(await isStillOwner(second.log, codec, journal, { term: 2, owner: 'b' }), true)
  await deciding.stop()
})

test('silence while the log answers nobody does not count, and is waited for anew when it is back', async () => {
  const memory = new SharedMemory()
  const active = new RoleMember(memory, 'a')
  await active.standBy()
  await active.log.append([termLine(0, 1, 'a')])
  const second = new RoleMember(memory, 'b')
  const taking = { isDone: false }
  const standing = second.standBy(1_000).then((taken) => (taking.isDone = taken))
  while (second.follower.standing.nextLine === 0) await nextTurn()
  const lookAgain = async (nowMs: number): Promise<void> => {
    const { prepared } = second
    second.nowMs = nowMs
    while (second.prepared === prepared && !taking.isDone) await memory.produce(input(`at ${nowMs}`))
  }
  memory.isAway = true
  await lookAgain(5_000)
  assert.equal(taking.isDone, false)
  memory.isAway = false
  await lookAgain(5_900)
  assert.equal(taking.isDone, false)
  second.nowMs = 6_000
  assert.equal(await standing, true)
})

test('the same process after a crash does not wait for its own ghost', async () => {
  const memory = new SharedMemory()
  const before = new RoleMember(memory, 'a')
  await before.standBy()
  await (await before.decide()).stop()
  const { nextLine } = before.path.engine
  // The last line is the one of a process that was killed: its term was not given up.
  await before.log.append([termLine(nextLine, 2, 'a')])
  const ghost = new RoleMember(memory, 'a')
  assert.equal(await ghost.standBy(1e9), true)
})

test('a line that came between the fence and the own term ends the take-over', async () => {
  const memory = new SharedMemory()
  const first = new RoleMember(memory, 'a')
  await first.standBy()
  const deciding = await first.decide()
  await deciding.stop()
  const journal = { topic: TOPICS.journal, from: 0 }
  await expectOwnTerm(first.log, codec, journal, { line: 0, term: 1, owner: 'a' })
  await assert.rejects(expectOwnTerm(first.log, codec, journal, { line: 0, term: 2, owner: 'b' }), {
    code: 'LOG_FENCED',
  })
})

test('at least once: what a crash kept from being sent is sent by the next one, byte for byte', async () => {
  const memory = new SharedMemory()
  const whole = new RoleMember(memory, 'a', 'at-least-once')
  await whole.standBy()
  await whole.decide()
  await memory.produce(input('t0', 't1'))
  await whole.decisions(2)
  // From here on its decisions are lost between the journal and the topic.
  memory.lose(TOPICS.decisions)
  await memory.produce(input('t2', 't3'))
  const { engine } = whole.path
  while (engine.nextLine < 3 || !memory.hasLost) await nextTurn()
  whole.giveUp()

  const next = new RoleMember(memory, 'b', 'at-least-once')
  const standing = next.standBy(1_000)
  while (next.follower.standing.nextLine < engine.nextLine) await nextTurn()
  next.nowMs = 5_000
  assert.equal(await standing, true)
  const deciding = await next.decide()
  assert.deepEqual((await next.decisions(4)).sort(), ['t0', 't1', 't2', 't3'])
  assert.equal(next.path.runtime.memory.hash(), whole.path.runtime.memory.hash())
  await deciding.stop()
})

test('at least once: a line that the frozen owner still got in makes a term void, and the next one is taken behind it', async () => {
  const memory = new SharedMemory()
  const first = new RoleMember(memory, 'a')
  await first.standBy()
  await first.log.append([termLine(0, 1, 'a'), termLine(0, 2, 'b'), termLine(1, 3, 'b')])
  const second = new RoleMember(memory, 'b')
  await second.follower.follow({ signal: new AbortController().signal })
  assert.deepEqual(second.follower.standing, { nextLine: 2, term: 3, clock: NOW_MS })
})
