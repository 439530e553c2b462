import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { DEFAULT_TOPICS as TOPICS } from '#pipeline/topics.ts'
import { NOW_MS } from '#test/support/memory-path.ts'
import { input, RoleMember } from '#test/support/role-member.ts'
import { SharedMemory } from '#test/support/shared-memory-log.ts'
import { testCodec } from '#test/support/transactions.ts'

const codec = testCodec()
const RULES = `
version: 1
rules:
  - { id: any, when: "amount > 1", action: review, reason: ANY, text: "any", owner: test }
`
const OUTPUTS = [TOPICS.decisions, TOPICS.alerts, TOPICS.deadLetters]
const unreadable = { topic: TOPICS.transactions, partition: 0, key: null, value: Buffer.from([0, 1, 2]) }

/** Decides two transactions and refuses one record; the unit of the next three loses what it has for a topic. */
async function crash(memory: SharedMemory, topic: string): Promise<RoleMember> {
  const before = new RoleMember(memory, 'a')
  await before.standBy()
  await before.decide()
  await before.path.engine.control('rules', { text: RULES, file: 'rules.yaml' })
  await memory.produce([...input('t0', 't1'), unreadable])
  await before.decisions(2)
  memory.forget(topic)
  await memory.produce([...input('t2', 't3'), unreadable])
  while (!memory.hasLost) await nextTurn()
  before.giveUp()
  return before
}

async function takesOver(memory: SharedMemory, owner: string): Promise<RoleMember> {
  const next = new RoleMember(memory, owner)
  assert.equal(await next.standBy(0), true)
  return next
}

async function recordsOf({ log }: RoleMember, topic: string): Promise<Buffer[]> {
  const records = await log.reader({ topic, partition: 0, offset: 0 }).read(100)
  return records.map(({ value }) => value!)
}

describe('when brokers and owner crash together, what a broker forgot of the last unit is written again', () => {
  for (const topic of [...OUTPUTS, TOPICS.journal]) {
    test(topic, async () => {
      const memory = new SharedMemory()
      const before = await crash(memory, topic)
      const forgotten = await before.log.takenBack({ topic, partition: 0, offset: 0 })
      assert.ok(forgotten.length > 0)
      const next = await takesOver(memory, 'b')
      const found = (await recordsOf(next, topic)).slice(-forgotten.length)
      assert.deepEqual(
        found,
        forgotten.map(({ value }) => value),
      )
      assert.equal(next.path.runtime.memory.hash(), before.path.runtime.memory.hash())
      assert.deepEqual(next.path.runtime.book.snapshot(), before.path.runtime.book.snapshot())

      // And a third one finds nothing to do, and goes on.
      const counts = async (): Promise<number[]> =>
        Promise.all([...OUTPUTS, TOPICS.journal].map(async (of) => (await recordsOf(next, of)).length))
      const whole = await counts()
      assert.deepEqual(whole.slice(0, 3), [4, 4, 2])
      const third = await takesOver(memory, 'c')
      assert.deepEqual(await counts(), whole)
      assert.deepEqual(third.path.runtime.book.snapshot(), before.path.runtime.book.snapshot())
      const deciding = await third.decide()
      await memory.produce(input('t4'))
      assert.deepEqual(await third.decisions(5), ['t0', 't1', 't2', 't3', 't4'])
      await deciding.stop()
    })
  }
})

test('a checkpoint that has the line which was forgotten goes on behind the second one', async () => {
  const memory = new SharedMemory()
  const { log, follower, path } = new RoleMember(memory, 'a')
  await log.take()
  const empty = (line: number) => ({
    topic: TOPICS.journal,
    partition: 0,
    key: null,
    value: codec.journalLine.encode({ line, term: 1, clock: NOW_MS, pieces: [], control: null, alerts: 0 }),
  })
  const [first] = await log.append([empty(0), empty(0), empty(1)])
  follower.standing = { nextLine: 1, term: 1, clock: NOW_MS }
  path.positions.set(TOPICS.journal, 0, first! + 1)
  await follower.follow({ signal: new AbortController().signal })
  assert.equal(follower.standing.nextLine, 2)
  // Where lines were followed without a gap, none of them comes again.
  await log.append([empty(2), empty(2)])
  await assert.rejects(follower.follow({ signal: new AbortController().signal }), { code: 'REPLAY_MISMATCH' })
})

test('outputs whose journal line is nowhere to be found end the take-over', async () => {
  const memory = new SharedMemory()
  const before = await crash(memory, TOPICS.journal)
  const [lost] = await before.log.takenBack({ topic: TOPICS.journal, partition: 0, offset: 0 })
  const { line } = codec.journalLine.decode(lost!.value!)
  const next = new RoleMember(memory, 'b')
  Object.assign(next.log, { takenBack: async () => [] })
  await assert.rejects(next.standBy(0), {
    code: 'LOG_DAMAGED',
    message: `outputs of journal line ${line} are there, the line is not`,
  })
})
