import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { EventColumns, writeTransaction } from '#schemas/event-columns.ts'
import { TEXT_FIELDS, type Transaction } from '#schemas/transaction.ts'
import { TransactionReader } from '#schemas/transaction-reader.ts'
import { anyTransaction, testCodec, transactionOf } from '#test/support/transactions.ts'

const codec = testCodec()
const reader = new TransactionReader()

const smallSignals = fc.dictionary(
  fc.string({ maxLength: 8 }).filter((key) => key !== '__proto__'),
  fc.double({ min: -1e9, max: 1e9, noNaN: true }),
  {
    maxKeys: 3,
    noNullPrototype: true,
  },
)

/** What a row holds, but for the amount in the base currency, which is not in the record. */
function rowOf(columns: EventColumns): unknown {
  const { kind, event_time, amount, channel, entry_mode, latitude, longitude, recurring } = columns
  const numbers = [kind, event_time, amount, channel, entry_mode, latitude, longitude, recurring].map((of) => of[0])
  const texts = TEXT_FIELDS.map((field) => [
    columns.text[field].at(0),
    columns.hashHi[field][0],
    columns.hashLo[field][0],
  ])
  return [numbers, texts, { ...columns.attributes[0] }, { ...columns.signals[0] }]
}

function read(bytes: Buffer, from = 0): EventColumns | null {
  const columns = new EventColumns(1)
  return reader.read(bytes, from, columns, 0) ? columns : null
}

function isPlain(fields: Partial<Transaction>): boolean {
  return read(codec.transaction.type.toBuffer(transactionOf(fields))) !== null
}

test('what is read plainly is what the library reads', () => {
  let plain = 0
  fc.assert(
    fc.property(anyTransaction, smallSignals, (from, signals) => {
      const transaction = { ...from, signals }
      const columns = read(codec.transaction.type.toBuffer(transaction))
      if (columns === null) return
      plain++
      const expected = new EventColumns(1)
      writeTransaction(expected, 0, transaction, 0)
      assert.deepEqual(rowOf(columns), rowOf(expected))
    }),
    { numRuns: 500 },
  )
  assert.ok(plain > 250)
})

test('a row is read from the middle of its record, and nothing of the row before stays', () => {
  const columns = new EventColumns(1)
  for (const transaction of [
    transactionOf({ device_id: 'd1', latitude: 1, attributes: { a: 'b' }, signals: { s: 1 }, recurring: true }),
    transactionOf({ kind: 'refund', original_id: 't0' }),
  ]) {
    const framed = codec.transaction.encode(transaction)
    assert.ok(reader.read(framed, framed.length - codec.transaction.type.toBuffer(transaction).length, columns, 0))
    const expected = new EventColumns(1)
    writeTransaction(expected, 0, transaction, 0)
    assert.deepEqual(rowOf(columns), rowOf(expected))
  }
})

test('what may hold a card number is not plain', () => {
  assert.ok(isPlain({ device_id: '411111111111' }))
  assert.ok(isPlain({ device_id: '4111-1111x1111-1111' }))
  for (const text of ['4111111111111', 'x4111 1111-1111 1111', '4111111111111111']) {
    for (const field of TEXT_FIELDS) assert.ok(!isPlain({ [field]: text }), `${field} ${text}`)
    assert.ok(!isPlain({ attributes: { note: text } }))
    assert.ok(!isPlain({ attributes: { [text]: 'x' } }))
    assert.ok(!isPlain({ signals: { [text]: 1 } }))
  }
  assert.ok(isPlain({ signals: { a: 1e11, b: -0.5 } }))
  for (const value of [4111111111111111, -4111111111111111, Number.NaN]) assert.ok(!isPlain({ signals: { a: value } }))
})

test('texts that are not ASCII, numbers beyond the whole ones of a double and long maps are not plain', () => {
  assert.ok(!isPlain({ country: 'Ö' }))
  assert.ok(!isPlain({ merchant_id: 'Bäckerei' }))
  const many = Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`a${i}`, 'b']))
  assert.ok(!isPlain({ attributes: many }))
  const body = codec.transaction.type.toBuffer(transactionOf({ transaction_id: 'a', event_time: 1 }))
  const far = Buffer.concat([body.subarray(0, 2), Buffer.from([0xfe, ...Array(7).fill(0xff), 0x7f]), body.subarray(3)])
  assert.equal(read(far), null)
})

test('a record that was cut, that has more behind it or that was changed is never read as something else', () => {
  const whole = codec.transaction.type.toBuffer(
    transactionOf({ latitude: 1, attributes: { a: 'b' }, signals: { s: 1 }, currency: 'EURO?', bin: '411111' }),
  )
  for (let length = 0; length < whole.length; length++) assert.equal(read(whole.subarray(0, length)), null)
  assert.equal(read(Buffer.concat([whole, Buffer.from([0])])), null)
  fc.assert(
    fc.property(fc.nat(whole.length - 1), fc.nat(255), (at, value) => {
      const changed = Buffer.from(whole)
      changed[at] = value
      const columns = read(changed)
      if (columns === null) return
      const decoded = codec.transaction.type.fromBuffer(changed) as Transaction
      const expected = new EventColumns(1)
      writeTransaction(expected, 0, decoded, 0)
      assert.deepEqual(rowOf(columns), rowOf(expected))
    }),
    { numRuns: 2_000 },
  )
})
