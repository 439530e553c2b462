import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createTokenizer } from '#infra/tokenizer.ts'
import { createDecode } from '#pipeline/decode.ts'
import { maskDigits } from '#pipeline/dead-letters.ts'
import { DEFAULT_GUARD } from '#pipeline/guard.ts'
import { ACCEPTED, type Received, REJECTED, reached, SliceBuffers } from '#pipeline/slice.ts'
import { DEFAULT_TOPICS } from '#pipeline/topics.ts'
import { LABEL } from '#schemas/event-columns.ts'
import type { Transaction } from '#schemas/transaction.ts'
import { FRAME_BYTES } from '#schemas/wire-type.ts'
import { TINY_LAYOUT } from '#test/support/layouts.ts'
import { labelOf, testCodec, transactionOf } from '#test/support/transactions.ts'

const codec = testCodec()
const PAN = '4111111111111111'
const CLOCK = Date.UTC(2026, 0, 16)

function decodeOne(value: Buffer | null, topic: string = DEFAULT_TOPICS.transactions): SliceBuffers {
  const decode = createDecode({
    codec,
    tokenizer: createTokenizer(Buffer.alloc(32, 1)),
    limits: DEFAULT_GUARD,
    rates: { version: '1', base: 'EUR', rates: { USD: 1.25, JPY: 160 } },
    topics: DEFAULT_TOPICS,
    recordBytesMax: 10_000,
  })
  const slice = new SliceBuffers(1, TINY_LAYOUT)
  slice.count = 1
  slice.clock = CLOCK
  slice.notAfterMs = CLOCK + DEFAULT_GUARD.aheadMs
  slice.topic[0] = topic
  slice.value[0] = value
  slice.outcome[0] = ACCEPTED
  return decode(reached<Received>(slice))
}

function bodyOf(slice: SliceBuffers): Buffer {
  return Buffer.from(slice.body[0]!).subarray(slice.bodyAt[0])
}

function reasonFor(fields: Partial<Transaction>): string {
  const slice = decodeOne(codec.transaction.encode(transactionOf(fields)))
  return `${slice.rejection[0]?.reason} ${slice.rejection[0]?.field}`
}

test('a readable transaction fills its row and keeps its body', () => {
  const value = codec.transaction.encode(transactionOf({ amount: 1_000, currency: 'USD' }))
  const slice = decodeOne(value)
  assert.equal(slice.outcome[0], ACCEPTED)
  assert.equal(slice.events.amount_base[0], 800)
  assert.equal(slice.events.text.card_id.at(0), 'card-1')
  assert.deepEqual(bodyOf(slice), value.subarray(FRAME_BYTES))
})

test('amounts of currencies without minor units are brought to the minor units of the base', () => {
  const slice = decodeOne(codec.transaction.encode(transactionOf({ amount: 1_600, currency: 'JPY' })))
  assert.equal(slice.events.amount_base[0], 1_000)
})

test('what makes no sense is rejected with its reason and field', () => {
  assert.equal(reasonFor({ transaction_id: '' }), 'ID_EMPTY transaction_id')
  assert.equal(reasonFor({ card_id: '' }), 'ID_EMPTY card_id')
  assert.equal(reasonFor({ merchant_id: 'x'.repeat(129) }), 'ID_TOO_LONG merchant_id')
  assert.equal(reasonFor({ device_id: 'ü'.repeat(65) }), 'ID_TOO_LONG device_id')
  assert.equal(reasonFor({ amount: -1 }), 'AMOUNT_OUT_OF_RANGE amount')
  assert.equal(reasonFor({ amount: 2 ** 52 }), 'AMOUNT_OUT_OF_RANGE amount')
  assert.equal(reasonFor({ event_time: 0 }), 'TIME_OUT_OF_RANGE event_time')
  assert.equal(reasonFor({ event_time: CLOCK + 86_400_001 }), 'TIME_OUT_OF_RANGE event_time')
  assert.equal(reasonFor({ currency: 'XXX' }), 'UNKNOWN_CURRENCY currency')
  assert.equal(reasonFor({ device_id: 'ü'.repeat(64) }), 'undefined undefined')
})

test('empty, oversized and JSON records of the wrong shape are rejected', () => {
  assert.equal(decodeOne(null).rejection[0]!.reason, 'EMPTY_RECORD')
  assert.equal(decodeOne(Buffer.alloc(0)).rejection[0]!.reason, 'EMPTY_RECORD')
  assert.equal(decodeOne(Buffer.alloc(10_001)).rejection[0]!.reason, 'RECORD_TOO_LARGE')
  assert.equal(decodeOne(Buffer.from('{')).rejection[0]!.reason, 'NOT_DECODABLE')
  const wrong = decodeOne(Buffer.from(JSON.stringify({ ...transactionOf(), amount: '12' }))).rejection[0]!
  assert.deepEqual([wrong.reason, wrong.field], ['WRONG_TYPE', 'amount'])
})

test('plain JSON gives the same row as Avro', () => {
  const transaction = transactionOf({ attributes: { segment: 'gold' } })
  const fromJson = decodeOne(Buffer.from(JSON.stringify(transaction)))
  const fromAvro = decodeOne(codec.transaction.encode(transaction))
  assert.deepEqual(bodyOf(fromJson), bodyOf(fromAvro))
})

test('a label becomes a row of its own kind', () => {
  const slice = decodeOne(codec.label.encode(labelOf({ known_at: CLOCK })), DEFAULT_TOPICS.labels)
  assert.deepEqual([slice.outcome[0], slice.events.kind[0], slice.events.label_fraud[0]], [ACCEPTED, LABEL, 1])
})

test('a card number in a field is a token before any later stage sees it', () => {
  const slice = decodeOne(codec.transaction.encode(transactionOf({ card_id: PAN, attributes: { note: PAN } })))
  assert.match(slice.events.text.card_id.at(0), /^tk_/)
  assert.ok(!bodyOf(slice).includes(PAN))
})

test('the bytes of a dead letter hold no card number, grouped or not', () => {
  const grouped = Buffer.from('x 4111 1111-1111 1111 y 12345 z')
  assert.equal(maskDigits(grouped).toString(), 'x ******************* y 12345 z')
  const rejected = codec.transaction.encode(transactionOf({ card_id: PAN, currency: 'XXX' }))
  assert.equal(decodeOne(rejected).outcome[0], REJECTED)
  assert.ok(!maskDigits(rejected).includes(PAN))
})
