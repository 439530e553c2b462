import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createCodec } from '#schemas/codec.ts'
import { WeirError } from '#schemas/errors.ts'
import { checkEvolution, evolutionProblems } from '#schemas/evolution.ts'
import { createFileSchemas, type SchemaSource } from '#schemas/schema-source.ts'
import { anyTransaction, testCodec, transactionOf } from '#test/support/transactions.ts'

const codec = testCodec()

test('any transaction comes back as it was written', () => {
  fc.assert(
    fc.property(anyTransaction, (transaction) => {
      const read = codec.transaction.decode(codec.transaction.encode(transaction))
      assert.deepEqual({ ...read, attributes: { ...read.attributes }, signals: { ...read.signals } }, transaction)
    }),
  )
})

test('every truncation of a record is refused with a reason', () => {
  const whole = codec.transaction.encode(transactionOf())
  for (let length = 0; length < whole.length; length++) {
    assert.equal(codec.transaction.tryDecode(whole.subarray(0, length)), null)
    assert.equal(codec.transaction.failure.reason, 'NOT_DECODABLE')
  }
})

test('trailing bytes, random bytes and unknown schema ids are refused, each by its name', () => {
  const whole = codec.transaction.encode(transactionOf())
  assert.equal(codec.transaction.tryDecode(Buffer.concat([whole, Buffer.from([0])])), null)
  assert.equal(codec.transaction.failure.reason, 'TRAILING_BYTES')
  assert.equal(codec.transaction.tryDecode(Buffer.from([0, 0, 0, 1, 200, 1, 2, 3])), null)
  assert.equal(codec.transaction.failure.reason, 'UNKNOWN_SCHEMA_ID')
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const framed = Buffer.concat([Buffer.from([0, 0, 0, 0, 1]), bytes])
      const read = codec.transaction.tryDecode(framed)
      if (read === null) assert.match(codec.transaction.failure.reason, /^(NOT_DECODABLE|TRAILING_BYTES)$/)
    }),
  )
})

test('a record of an older schema is read with the defaults of the fields it lacks', () => {
  const older = {
    type: 'record',
    name: 'Transaction',
    namespace: 'weir',
    fields: [
      { name: 'transaction_id', type: 'string' },
      { name: 'event_time', type: 'long' },
      { name: 'card_id', type: 'string' },
      { name: 'amount', type: 'int' },
      { name: 'currency', type: 'string' },
    ],
  }
  const withOlder = createCodec(withWriter(77, JSON.stringify(older)))
  const body = Buffer.from([4, 0x74, 0x31, 20, 4, 0x63, 0x31, 200, 1, 6, 0x45, 0x55, 0x52])
  const read = withOlder.transaction.tryDecode(Buffer.concat([Buffer.from([0, 0, 0, 0, 77]), body]))
  assert.ok(read !== null)
  assert.deepEqual([read.transaction_id, read.event_time, read.card_id, read.amount], ['t1', 10, 'c1', 100])
  assert.deepEqual([read.kind, read.channel, read.merchant_id, read.latitude], ['authorization', 'UNKNOWN', '', null])
})

test('a schema the reader cannot read is refused by name, with the field', () => {
  const broken = {
    type: 'record',
    name: 'Transaction',
    namespace: 'weir',
    fields: [{ name: 'amount', type: 'string' }],
  }
  const problems = evolutionProblems(codec.transaction.type, JSON.stringify(broken))
  assert.deepEqual(problems.map((problem) => problem.field).sort(), [
    'amount',
    'card_id',
    'currency',
    'event_time',
    'transaction_id',
  ])
  assert.throws(
    () => checkEvolution('transactions-value', codec.transaction.type, JSON.stringify(broken)),
    (error: unknown) =>
      error instanceof WeirError &&
      error.code === 'SCHEMA_INCOMPATIBLE' &&
      error.message.includes('transactions-value') &&
      error.message.includes('field amount'),
  )
  const reading = createCodec(withWriter(78, JSON.stringify(broken)))
  assert.equal(reading.transaction.tryDecode(Buffer.from([0, 0, 0, 0, 78, 2, 65])), null)
  assert.equal(reading.transaction.failure.reason, 'INCOMPATIBLE_SCHEMA')
})

function withWriter(id: number, json: string): SchemaSource {
  const own = createFileSchemas(new URL('../../../schemas/kafka', import.meta.url).pathname)
  return { own: (name) => own.own(name), byId: (asked) => (asked === id ? json : own.byId(asked)) }
}
