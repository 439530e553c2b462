import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { RowBuffer, rowBinaryHeader, valueWriter } from '#infra/clickhouse/row-binary.ts'
import { readRows } from '#test/support/clickhouse-rows.ts'

const whole = (min: number, max: number): fc.Arbitrary<number> => fc.integer({ min, max })
const SAFE = Number.MAX_SAFE_INTEGER

/** A type and any value of it. */
const typed: fc.Arbitrary<readonly [type: string, value: unknown]> = fc.oneof(
  ...(
    [
      ['String', fc.string({ unit: 'grapheme', maxLength: 400 })],
      ['LowCardinality(String)', fc.string()],
      ['Bool', fc.boolean()],
      ['UInt8', whole(0, 255)],
      ['UInt32', whole(0, 4_294_967_295)],
      ['UInt64', whole(0, SAFE)],
      ['Int64', whole(-SAFE, SAFE)],
      ["DateTime64(3, 'UTC')", whole(-4e12, 4e12)],
      ['Float32', fc.float({ noNaN: true })],
      ['Float64', fc.double({ noNaN: true })],
      ['Nullable(Float64)', fc.option(fc.double({ noNaN: true }))],
      ['Array(LowCardinality(String))', fc.array(fc.string(), { maxLength: 200 })],
      ['Array(Float64)', fc.array(fc.double({ noNaN: true }))],
      [
        'Map(LowCardinality(String), Float64)',
        fc.dictionary(key(), fc.double({ noNaN: true }), { noNullPrototype: true }),
      ],
      ['Map(LowCardinality(String), String)', fc.dictionary(key(), fc.string(), { noNullPrototype: true })],
    ] as const
  ).map(([type, values]) => (values as fc.Arbitrary<unknown>).map((value) => [type, value] as const)),
)

function key(): fc.Arbitrary<string> {
  return fc.string().filter((text) => text !== '__proto__')
}

test('any row comes back as it was written', () => {
  fc.assert(
    fc.property(fc.array(typed, { minLength: 1, maxLength: 30 }), (row) => {
      const columns = Object.fromEntries(row.map(([type], i) => [`c${i}`, type]))
      const rows = new RowBuffer(0)
      for (const [type, value] of row) valueWriter(type)(rows, value)
      assert.deepEqual(readRows(columns, rows.done()), [
        Object.fromEntries(row.map(([, value], i) => [`c${i}`, value])),
      ])
    }),
  )
})

test('what is taken back leaves what was written before as it was', () => {
  const rows = new RowBuffer(0)
  rows.text('kept')
  const { length } = rows
  rows.text('x'.repeat(100_000))
  rows.truncate(length)
  rows.text('and more')
  assert.deepEqual(readRows({ a: 'String', b: 'String' }, rows.done()), [{ a: 'kept', b: 'and more' }])
})

test('the header says how many columns there are, their names and their types', () => {
  const header = rowBinaryHeader({ line: 'UInt64', text: 'LowCardinality(String)' })
  assert.equal(header[0], 2)
  const texts = { a: 'String', b: 'String', c: 'String', d: 'String' }
  assert.deepEqual(readRows(texts, header.subarray(1)), [
    { a: 'line', b: 'text', c: 'UInt64', d: 'LowCardinality(String)' },
  ])
})

test('a type that no table has is refused', () => {
  assert.throws(() => valueWriter('Decimal(10, 2)'), { code: 'INVARIANT' })
})
