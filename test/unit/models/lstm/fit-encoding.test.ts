import assert from 'node:assert/strict'
import { test } from 'node:test'

import { encodeBatch } from '#models/lstm/encode-batch.ts'
import { fitEncoding, fitForecastScale } from '#models/lstm/fit-encoding.ts'
import { SeededRandom } from '#models/lstm/seeded-random.ts'
import type { LstmShape } from '#models/lstm/weights.ts'
import { layoutOf, orderedPairRows } from '#test/support/training-rows.ts'

const LAYOUT = layoutOf(4, 3, 5)
const ROWS = orderedPairRows(3000, LAYOUT, 1)
const ENCODING = fitEncoding(ROWS, 8)
const SHAPE: LstmShape = {
  historyLength: 4,
  historyWidth: 3,
  currentWidth: 5,
  projectionUnits: 3,
  units: 4,
  currentUnits: 4,
  joinUnits: 4,
  bins: 8,
  binnedColumns: ENCODING.binColumns.length,
}
const ORDER = Int32Array.from({ length: ROWS.count }, (_, i) => i)

test('numeric columns are binned and flags are not', () => {
  assert.deepEqual(Array.from(ENCODING.binColumns), [0, 2, 3, 4])
})

test('an encoded column has mean about 0 and deviation about 1', () => {
  const { current } = encodeBatch(ROWS, ORDER, 0, ROWS.count, SHAPE, ENCODING)
  const column = Float64Array.from({ length: ROWS.count }, (_, row) => current[row * 5]!)
  const mean = column.reduce((sum, x) => sum + x, 0) / ROWS.count
  const variance = column.reduce((sum, x) => sum + (x - mean) ** 2, 0) / ROWS.count
  assert.ok(Math.abs(mean) < 0.05 && Math.abs(variance - 1) < 0.1)
})

test('one absurd value neither moves the scale of the others nor leaves the limits', () => {
  const wild = { ...ROWS, current: ROWS.current.slice() }
  wild.current[0] = 1e30
  const encoding = fitEncoding(wild, 8)
  assert.ok(Math.abs(encoding.currentScale[0]! / ENCODING.currentScale[0]! - 1) < 0.02)
  const { current, bins } = encodeBatch(wild, ORDER, 0, 1, SHAPE, encoding)
  assert.equal(current[0], encoding.limit)
  assert.ok(bins.every((value) => value >= 0 && value <= 1))
})

test('bins fill one after the other as a value grows', () => {
  const values = [0, 100, 300, 500, 700, 900, 1000]
  const batch = { ...ROWS, count: values.length, current: new Float32Array(values.length * 5) }
  for (const [row, value] of values.entries()) batch.current[row * 5] = value
  const { bins } = encodeBatch(batch, ORDER, 0, values.length, SHAPE, ENCODING)
  const slots = ENCODING.binColumns.length
  const filledOf = (row: number) => Array.from({ length: 8 }, (_, bin) => bins[row * 8 * slots + bin * slots]!)
  for (const row of values.keys()) {
    const filled = filledOf(row)
    // Full bins, at most one half-full, then empty ones.
    assert.deepEqual(
      filled,
      filled.toSorted((a, b) => b - a),
    )
    assert.ok(filled.filter((share) => share > 0 && share < 1).length <= 1)
  }
  assert.ok(filledOf(6).every((share) => share > 0.9))
})

test('a column with many zeros gets its bins where values differ', () => {
  const random = new SeededRandom(4)
  const current = ROWS.current.slice()
  for (let row = 0; row < ROWS.count; row++) current[row * 5] = random.next() < 0.9 ? 0 : random.next() * 50
  const encoding = fitEncoding({ ...ROWS, current }, 8)
  const slots = encoding.binColumns.length
  const scales = Array.from({ length: 8 }, (_, bin) => encoding.binScale[bin * slots]!)
  assert.equal(encoding.binColumns[0], 0)
  assert.ok(scales.every((scale) => scale > 0))
})

test('padding is encoded as zeros and real steps are marked', () => {
  const { history } = encodeBatch(ROWS, ORDER, 0, 50, SHAPE, ENCODING)
  for (let row = 0; row < 50; row++) {
    for (let step = 0; step < 4; step++) {
      const at = (step * 50 + row) * 4
      const isReal = step >= 4 - ROWS.historyLength[row]!
      assert.equal(history[at + 3], isReal ? 1 : 0)
      if (!isReal) assert.deepEqual(Array.from(history.subarray(at, at + 3)), [0, 0, 0])
    }
  }
})

test('unknown targets take no part in the scale of the forecast', () => {
  const unknown = { ...ROWS, nextLogGapMs: new Float32Array(ROWS.count).fill(Number.NaN) }
  const scale = fitForecastScale(unknown)
  assert.equal(scale.logGapMean, 0)
  assert.equal(scale.logGapDeviation, 1)
  assert.ok(scale.logAmountMean > 2 && scale.logAmountMean < 3)
})
