import { encodeBatch } from './encode-batch.ts'
import type { VectorBatch } from './training-set.ts'
import type { LstmWeights } from './weights.ts'

/**
 * Largest answer of each projection unit over rows taken evenly from the batch, `[P]`; 1 for a unit that is always
 * zero. What the 8-bit recurrence takes as full scale; later inputs beyond it are cut off there.
 */
export function measureProjection(
  weights: Pick<LstmWeights, 'shape' | 'encoding' | 'parameters'>,
  batch: VectorBatch,
): Float32Array {
  const { shape, encoding, parameters } = weights
  const { historyLength, historyWidth, projectionUnits } = shape
  const { projectionKernel, projectionBias } = parameters
  const stride = Math.max(1, Math.floor(batch.count / ROWS_MEASURED))
  const rows = Int32Array.from({ length: Math.floor((batch.count + stride - 1) / stride) }, (_, i) => i * stride)
  const encoded = encodeBatch(batch, rows, 0, rows.length, shape, encoding).history
  const width = historyWidth + 1
  const largest = new Float32Array(projectionUnits)
  for (let at = 0; at < historyLength * rows.length * width; at += width) {
    // The last number says whether the step is real.
    if (encoded[at + historyWidth] === 0) continue
    for (let unit = 0; unit < projectionUnits; unit++) {
      let sum = projectionBias[unit]!
      for (let column = 0; column < historyWidth; column++) {
        sum += encoded[at + column]! * projectionKernel[column * projectionUnits + unit]!
      }
      if (sum > largest[unit]!) largest[unit] = sum
    }
  }
  return largest.map((value) => (value > 0 ? value : 1))
}

const ROWS_MEASURED = 8_192
