import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { selectMedian } from '#models/features/median.ts'

const anyNumber = fc.oneof(
  fc.integer({ min: 0, max: 50 }),
  fc.integer({ min: 0, max: 2 ** 52 }),
  fc.double({ min: 0, max: 1e9, noNaN: true }),
)

test('the median is the middle of the numbers sorted', () => {
  fc.assert(
    fc.property(fc.array(anyNumber, { minLength: 1, maxLength: 40 }), (values) => {
      const sorted = values.toSorted((a, b) => a - b)
      const half = values.length >> 1
      const expected = values.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2
      assert.equal(selectMedian(Float64Array.from(values), values.length), expected)
    }),
    { numRuns: 2_000 },
  )
})
