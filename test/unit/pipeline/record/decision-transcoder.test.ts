import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { RowBuffer } from '#infra/clickhouse/row-binary.ts'
import { DecisionTranscoder } from '#pipeline/record/decision-transcoder.ts'
import { COLUMNS } from '#pipeline/record/rows.ts'
import { createCodec } from '#schemas/codec.ts'
import { createFileSchemas, type SchemaSource } from '#schemas/schema-source.ts'
import { decisionBytes, readRows } from '#test/support/clickhouse-rows.ts'
import { anyDecision, decisionOf } from '#test/support/decisions.ts'
import { testCodec } from '#test/support/transactions.ts'

const SCHEMAS = new URL('../../../../schemas/kafka', import.meta.url).pathname
const codec = testCodec()

test('the row of any decision is the one that its object gives, byte by byte', () => {
  const transcoder = new DecisionTranscoder(codec)
  fc.assert(
    fc.property(fc.array(anyDecision, { minLength: 1, maxLength: 4 }), (decisions) => {
      const rows = new RowBuffer()
      for (const decision of decisions) {
        transcoder.write(codec.decision.encode(decision), rows)
        assert.deepEqual([transcoder.line, transcoder.index], [decision.line, decision.index])
      }
      assert.deepEqual(rows.done(), decisionBytes(decisions))
    }),
  )
})

test('numbers at the ends of what Avro and the tables hold come out exactly', () => {
  const transcoder = new DecisionTranscoder(codec)
  for (const amount of [0, 1, 63, 64, 8_191, 8_192, 2 ** 27, 2 ** 31, 2 ** 32, 2 ** 34 + 1, 2 ** 48, 2 ** 52]) {
    for (const amount_base of [amount, -amount]) {
      const decision = decisionOf({ amount_base: amount_base + 0, line: amount }, { amount, event_time: amount })
      const rows = new RowBuffer()
      transcoder.write(codec.decision.encode(decision), rows)
      const [row] = readRows(COLUMNS['weir.scored_transactions'], rows.done())
      assert.deepEqual(
        [row!['amount'], row!['amount_base'], row!['event_time'], row!['line']],
        [amount, amount_base + 0, amount, amount],
      )
    }
  }
})

test('bytes that are cut off, or go on, are refused and leave no trace', () => {
  const transcoder = new DecisionTranscoder(codec)
  const decision = decisionOf(
    { rule_hits: ['a', 'b'] },
    { attributes: { a: 'b' }, signals: { s: 1 }, latitude: 1, longitude: 2 },
  )
  const value = codec.decision.encode(decision)
  const rows = new RowBuffer()
  rows.text('before')
  const { length } = rows
  for (let end = 0; end < value.length; end++) {
    assert.throws(() => transcoder.write(value.subarray(0, end), rows), { code: 'INPUT_INVALID' })
    assert.equal(rows.length, length)
  }
  assert.throws(() => transcoder.write(Buffer.concat([value, Buffer.from([0])]), rows), { code: 'INPUT_INVALID' })
  assert.equal(rows.length, length)
})

test('arrays and maps in several blocks, or with their size, are read as well', () => {
  const transcoder = new DecisionTranscoder(codec)
  const decision = decisionOf({ rule_hits: ['aa', 'bb'] })
  const value = codec.decision.encode(decision)
  // Two texts of two letters in one block: 04, 04 'aa', 04 'bb', 00.
  const at = value.indexOf(Buffer.from('\x04\x04aa\x04bb\x00', 'latin1'))
  assert.ok(at > 0)
  const head = value.subarray(0, at)
  const tail = value.subarray(at + 8)
  const twice = Buffer.concat([head, Buffer.from('\x02\x04aa\x02\x04bb\x00', 'latin1'), tail])
  const sized = Buffer.concat([head, Buffer.from('\x03\x0c\x04aa\x04bb\x00', 'latin1'), tail])
  for (const written of [twice, sized]) {
    const rows = new RowBuffer()
    transcoder.write(written, rows)
    assert.deepEqual(rows.done(), decisionBytes([decision]))
  }
})

test('a decision under another schema id takes the way over its object', () => {
  const own = createFileSchemas(SCHEMAS)
  const decisionSchema = JSON.parse(own.own('decision').json) as { fields: { name: string }[] }
  const transaction = JSON.parse(own.own('transaction').json) as object
  const whole = JSON.stringify({
    ...decisionSchema,
    fields: decisionSchema.fields.map((field) =>
      field.name === 'transaction' ? { ...field, type: transaction } : field,
    ),
  })
  const source: SchemaSource = { own: (name) => own.own(name), byId: (id) => (id === 77 ? whole : own.byId(id)) }
  const other = createCodec(source)
  const decision = decisionOf({ line: 9, index: 4 })
  const value = Buffer.from(other.decision.encode(decision))
  value.writeUInt32BE(77, 1)
  const transcoder = new DecisionTranscoder(other)
  const rows = new RowBuffer()
  transcoder.write(value, rows)
  assert.deepEqual(rows.done(), decisionBytes([decision]))
  assert.deepEqual([transcoder.line, transcoder.index], [9, 4])
})

test('a schema with a field that has no column is refused at once', () => {
  const own = createFileSchemas(SCHEMAS)
  const decision = JSON.parse(own.own('decision').json) as { fields: unknown[] }
  const longer = { ...decision, fields: [...decision.fields, { name: 'extra', type: 'string', default: '' }] }
  const source: SchemaSource = {
    own: (name) => (name === 'decision' ? { ...own.own(name), json: JSON.stringify(longer) } : own.own(name)),
    byId: (id) => own.byId(id),
  }
  assert.throws(() => new DecisionTranscoder(createCodec(source)), { code: 'INVARIANT', message: /extra/ })
})
