import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AppendingIntake } from '#pipeline/appending-intake.ts'
import type { Settled } from '#pipeline/intake.ts'
import type { RecordToAppend } from '#pipeline/ports.ts'

const ACCEPTED: Settled = { outcome: 'accepted', decision: null, reason: '', field: '', detail: '' }

/** An intake whose appends are answered by the test. */
function intakeOf(capacity = 100) {
  const appended: { records: readonly RecordToAppend[]; done(): void; failed(error: unknown): void }[] = []
  let arrived = (): void => {}
  const intake = new AppendingIntake({
    append: (records) =>
      new Promise((resolve, failed) => {
        appended.push({ records, done: () => resolve(null), failed })
        arrived()
      }),
    partitions: () => 4,
    capacity,
  })
  const append = async () => {
    if (appended.length === 0) await new Promise<void>((resolve) => (arrived = resolve))
    return appended.shift()!
  }
  const ask = (value: string, key = value): Promise<Settled> =>
    new Promise((settle, fail) => {
      const taken = intake.push({ topic: 't', key, value: Buffer.from(value), waiter: { settle, fail } })
      if (!taken) fail(new Error('full'))
    })
  return { intake, append, ask }
}

test('a request is known again when it comes back with the stream, also before its append is acknowledged', async () => {
  const { intake, append, ask } = intakeOf()
  const answers = [ask('a'), ask('b')]
  const first = await append()
  assert.equal(first.records.length, 2)
  assert.equal(intake.claim('t', Buffer.from('somebody else')), null)
  assert.equal(intake.claim('u', Buffer.from('a')), null)
  intake.claim('t', Buffer.from('b'))!.settle(ACCEPTED)
  first.done()
  intake.claim('t', Buffer.from('a'))!.settle({ ...ACCEPTED, outcome: 'repeated' })
  assert.deepEqual(
    (await Promise.all(answers)).map(({ outcome }) => outcome),
    ['repeated', 'accepted'],
  )
  assert.equal(intake.claim('t', Buffer.from('a')), null)
  assert.equal(intake.length, 0)
})

test('two requests with the same bytes get an answer each, in the order in which they came back', async () => {
  const { intake, append, ask } = intakeOf()
  const answers = [ask('same'), ask('same')]
  ;(await append()).done()
  intake.claim('t', Buffer.from('same'))!.settle(ACCEPTED)
  intake.claim('t', Buffer.from('same'))!.settle({ ...ACCEPTED, outcome: 'repeated' })
  assert.equal(intake.claim('t', Buffer.from('same')), null)
  assert.deepEqual(
    (await Promise.all(answers)).map(({ outcome }) => outcome),
    ['accepted', 'repeated'],
  )
})

test('one card goes to one partition, and what comes while an append is under way goes with the next', async () => {
  const { append, ask } = intakeOf()
  const asked = ['1', '2', '3'].map((value) => ask(value, 'card'))
  const first = await append()
  const later = ask('4', 'card')
  first.done()
  const second = await append()
  const places = new Set([...first.records, ...second.records].map(({ partition }) => partition))
  assert.deepEqual([first.records.length, second.records.length, places.size], [3, 1, 1])
  for (const answer of [...asked, later]) answer.catch(() => {})
})

test('requests whose append failed are told why, and make room', async () => {
  const { intake, append, ask } = intakeOf(2)
  const answers = [ask('a'), ask('b')]
  await assert.rejects(ask('c'), /full/)
  const room = intake.room()
  ;(await append()).failed(new Error('no broker'))
  for (const answer of answers) await assert.rejects(answer, /no broker/)
  await room
  assert.equal(intake.length, 0)
})

test('when it is closed everybody who waits is told, and nothing more is taken', async () => {
  const { intake, append, ask } = intakeOf()
  const waiting = ask('a')
  ;(await append()).done()
  intake.close(new Error('stopping'))
  await assert.rejects(waiting, /stopping/)
  await assert.rejects(ask('b'), /full/)
  await assert.rejects(intake.room(), /stopping/)
})
