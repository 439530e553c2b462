import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Median, MEDIAN_MAX } from '#models/features/median.ts'

const anyNumber = fc.oneof(
  fc.integer({ min: 0, max: 50 }),
  fc.integer({ min: 0, max: 2 ** 30 }),
  fc.integer({ min: 0, max: 2 ** 52 }),
  fc.double({ min: 0, max: 1e9, noNaN: true }),
)

for (const [kind, numbers] of [
  ['whole numbers', fc.integer({ min: 0, max: 20_000 })],
  ['numbers of any size', anyNumber],
] as const) {
  test(`the median of ${kind} is the middle of them sorted`, () => {
    const median = new Median()
    fc.assert(
      fc.property(fc.array(numbers, { minLength: 1, maxLength: MEDIAN_MAX }), (values) => {
        const sorted = values.toSorted((a, b) => a - b)
        const half = values.length >> 1
        const expected = values.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2
        assert.equal(median.of(Float64Array.from(values), values.length), expected)
      }),
      { numRuns: 2_000 },
    )
  })
}
