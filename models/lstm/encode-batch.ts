import type { VectorBatch } from './training-set.ts'
import type { InputEncoding, LstmShape } from './weights.ts'

/** A batch as the network takes it in training: encoded, and with time first. */
export interface EncodedBatch {
  readonly count: number
  /** `[K, N, H + 1]`: the last number is 1 where the step is real; padding is zero throughout. */
  readonly history: Float32Array
  /** `[N, F]`. */
  readonly current: Float32Array
  /** `[N, B * C]`, bins before columns. */
  readonly bins: Float32Array
}

/**
 * Encodes `count` rows, `rows[from]` onwards, by the formulas that the ONNX graph holds as nodes: the golden batch
 * compares the two after every training.
 */
export function encodeBatch(
  source: VectorBatch,
  rows: Int32Array,
  from: number,
  count: number,
  shape: LstmShape,
  encoding: InputEncoding,
): EncodedBatch {
  const { historyLength: length, historyWidth: width, currentWidth, bins, binnedColumns } = shape
  const { historyCentre, historyScale, currentCentre, currentScale, limit, binColumns, binLower, binScale } = encoding
  const history = new Float32Array(length * count * (width + 1))
  const current = new Float32Array(count * currentWidth)
  const binned = new Float32Array(count * bins * binnedColumns)

  for (let i = 0; i < count; i++) {
    const row = rows[from + i]!
    for (let step = length - source.historyLength[row]!; step < length; step++) {
      const into = (step * count + i) * (width + 1)
      history[into + width] = 1
      const at = (row * length + step) * width
      for (let column = 0; column < width; column++) {
        const value = (source.history[at + column]! - historyCentre[column]!) * historyScale[column]!
        history[into + column] = value > limit ? limit : value < -limit ? -limit : value
      }
    }
    const at = row * currentWidth
    const into = i * currentWidth
    for (let column = 0; column < currentWidth; column++) {
      const value = (source.current[at + column]! - currentCentre[column]!) * currentScale[column]!
      current[into + column] = value > limit ? limit : value < -limit ? -limit : value
    }
    let slot = i * bins * binnedColumns
    for (let bin = 0; bin < bins; bin++) {
      const edge = bin * binnedColumns
      for (let column = 0; column < binnedColumns; column++) {
        const value = (source.current[at + binColumns[column]!]! - binLower[edge + column]!) * binScale[edge + column]!
        binned[slot++] = value > 1 ? 1 : value < 0 ? 0 : value
      }
    }
  }
  return { count, history, current, bins: binned }
}
