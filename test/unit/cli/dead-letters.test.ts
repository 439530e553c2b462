import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { newestDeadLetters } from '#cli/dead-letters.ts'
import { createMemoryLog } from '#infra/log/memory-log.ts'
import type { Log } from '#infra/log/log.ts'
import type { DeadLetterReason } from '#schemas/dead-letter.ts'
import { testCodec } from '#test/support/transactions.ts'

const codec = testCodec()
const TOPIC = 'dead'

async function logOf(letters: readonly { readonly reason: DeadLetterReason; readonly masked: Buffer }[]): Promise<Log> {
  const log = createMemoryLog({ gapAfterUnit: 1 })
  for (const [offset, { reason, masked }] of letters.entries()) {
    const value = codec.deadLetter.encode({
      topic: 'transactions',
      partition: 2,
      offset,
      reason,
      field: '',
      detail: 'why',
      masked,
      size_bytes: masked.length,
      refused_at: 1,
    })
    await log.append([{ topic: TOPIC, partition: 0, key: null, value }])
  }
  return log
}

describe('dead letters', () => {
  const text = Buffer.from('{"amount":"x"}')

  test('are none where there is no topic yet', async () => {
    assert.deepEqual(await newestDeadLetters(createMemoryLog(), codec, TOPIC, { last: 5 }), [])
  })

  test('are the newest, oldest first, wherever the offsets have gaps', async () => {
    const log = await logOf(Array.from({ length: 40 }, () => ({ reason: 'NOT_DECODABLE' as const, masked: text })))
    const found = await newestDeadLetters(log, codec, TOPIC, { last: 3 })
    assert.deepEqual(
      found.map(({ offset }) => offset),
      [37, 38, 39],
    )
    assert.equal(found[0]?.shown, '{"amount":"x"}')
    assert.ok(!('masked' in found[0]))
  })

  test('with one reason are found however far back they are', async () => {
    const log = await logOf([
      { reason: 'ID_EMPTY', masked: text },
      ...Array.from({ length: 60 }, () => ({ reason: 'NOT_DECODABLE' as const, masked: text })),
    ])
    const found = await newestDeadLetters(log, codec, TOPIC, { last: 2, reason: 'ID_EMPTY' })
    assert.deepEqual(
      found.map(({ offset, letter }) => [offset, letter]),
      [[0, 0]],
    )
  })

  test('that are no text are shown in hexadecimal', async () => {
    const log = await logOf([{ reason: 'NOT_DECODABLE', masked: Buffer.from([0, 1, 0xff]) }])
    assert.equal((await newestDeadLetters(log, codec, TOPIC, { last: 1 }))[0]?.shown, '0001ff')
  })
})
