import type { TrainingSet } from './training-set.ts'
import type { ForecastScale, InputEncoding } from './weights.ts'

/**
 * Learns the input encoding from the training rows. Centre and deviation come from values cut at the 1 % and 99 %
 * quantiles, so that a few huge amounts do not flatten everything else. Bins (piecewise-linear encoding, Gorishniy,
 * Rubachev and Babenko 2022) are cut at quantiles of a sample in which fraud has half the weight of genuine rows:
 * thresholds matter where the two part, and that is seldom where most rows are.
 */
export function fitEncoding(training: TrainingSet, bins: number): InputEncoding {
  const { historyWidth, currentWidth, historyLength } = training.layout
  const { history, current, historyLength: lengths } = training
  const rows = sampleRows(training)

  const steps: number[] = []
  for (const row of rows.rows) {
    for (let step = historyLength - lengths[row]!; step < historyLength; step++) steps.push(row * historyLength + step)
  }
  const historyStats = Array.from({ length: historyWidth }, (_, column) =>
    robustStats(Float64Array.from(steps, (step) => history[step * historyWidth + column]!)),
  )
  const columns = Array.from({ length: currentWidth }, (_, column) =>
    Float64Array.from(rows.rows, (row) => current[row * currentWidth + column]!),
  )
  const currentStats = columns.map(robustStats)

  const edges = columns.map((values) => binEdges(values, rows.weights, bins))
  const binned = edges.map((found, column) => ({ found, column })).filter(({ found }) => found.length > BIN_EDGES_MIN)
  const binLower = new Float32Array(bins * binned.length)
  const binScale = new Float32Array(bins * binned.length)
  for (const [slot, { found }] of binned.entries()) {
    for (let bin = 0; bin + 1 < found.length; bin++) {
      binLower[bin * binned.length + slot] = found[bin]!
      binScale[bin * binned.length + slot] = 1 / (found[bin + 1]! - found[bin]!)
    }
  }
  return {
    historyCentre: Float32Array.from(historyStats, (stats) => stats.centre),
    historyScale: Float32Array.from(historyStats, (stats) => stats.scale),
    currentCentre: Float32Array.from(currentStats, (stats) => stats.centre),
    currentScale: Float32Array.from(currentStats, (stats) => stats.scale),
    limit: ENCODED_LIMIT,
    binColumns: Int32Array.from(binned, ({ column }) => column),
    binLower,
    binScale,
  }
}

/** Mean and deviation of the second head's targets, rows without one left out. */
export function fitForecastScale(training: TrainingSet): ForecastScale {
  const amount = moments(training.nextLogAmount)
  const gap = moments(training.nextLogGapMs.map(logGap))
  return {
    logAmountMean: amount.mean,
    logAmountDeviation: amount.deviation,
    logGapMean: gap.mean,
    logGapDeviation: gap.deviation,
  }
}

/** Natural log of (1 + gap in ms). */
export function logGap(gapMs: number): number {
  return Math.log1p(Math.max(0, gapMs))
}

const ENCODED_LIMIT = 4
const SAMPLE_ROWS_MAX = 20_000
const FRAUD_SAMPLE_MIN = 50
/** A column with fewer distinct edges is a flag or close to one: its standardised value says it all. */
const BIN_EDGES_MIN = 3
/** Quantiles looked at before edges are thinned out to the number of bins. */
const QUANTILE_STEPS = 100

/** Evenly spaced rows of each class, and the weight of each row in the choice of bin edges. */
function sampleRows(training: TrainingSet): { rows: Int32Array; weights: Float64Array } {
  const genuine: number[] = []
  const fraud: number[] = []
  for (let row = 0; row < training.count; row++) (training.label[row] === 1 ? fraud : genuine).push(row)
  const thin = (from: number[], most: number) => {
    const stride = Math.max(1, from.length / most)
    return Array.from({ length: Math.min(from.length, most) }, (_, i) => from[Math.floor(i * stride)]!)
  }
  const genuineRows = thin(genuine, SAMPLE_ROWS_MAX)
  const fraudRows = thin(fraud, SAMPLE_ROWS_MAX / 2)
  const fraudWeight = fraudRows.length < FRAUD_SAMPLE_MIN ? 1 : Math.max(1, genuineRows.length / 2 / fraudRows.length)
  return {
    rows: Int32Array.from([...genuineRows, ...fraudRows]),
    weights: Float64Array.from([...genuineRows.map(() => 1), ...fraudRows.map(() => fraudWeight)]),
  }
}

function robustStats(values: Float64Array): { centre: number; scale: number } {
  if (values.length === 0) return { centre: 0, scale: 1 }
  const sorted = values.slice().sort()
  const low = sorted[Math.floor(0.01 * (sorted.length - 1))]!
  const high = sorted[Math.ceil(0.99 * (sorted.length - 1))]!
  // A rare flag (under 1 % of the rows) would be cut away whole: it keeps its full range.
  const cut = high > low ? values.map((value) => Math.min(high, Math.max(low, value))) : values
  const { mean, deviation } = moments(cut)
  return { centre: mean, scale: 1 / deviation }
}

/** NaN left out; a deviation of zero becomes one. */
function moments(values: ArrayLike<number>): { mean: number; deviation: number } {
  let count = 0
  let sum = 0
  for (let i = 0; i < values.length; i++) {
    if (Number.isNaN(values[i])) continue
    count++
    sum += values[i]!
  }
  const mean = count === 0 ? 0 : sum / count
  let squares = 0
  for (let i = 0; i < values.length; i++) {
    if (!Number.isNaN(values[i])) squares += (values[i]! - mean) ** 2
  }
  const deviation = count === 0 ? 0 : Math.sqrt(squares / count)
  return { mean, deviation: deviation > 1e-6 * Math.max(1, Math.abs(mean)) ? deviation : 1 }
}

/** Up to `bins` + 1 distinct edges at weighted quantiles, lowest and highest included. */
function binEdges(values: Float64Array, weights: Float64Array, bins: number): number[] {
  const order = Array.from({ length: values.length }, (_, i) => i).sort((a, b) => values[a]! - values[b]! || a - b)
  let total = 0
  for (const weight of weights) total += weight
  // Spikes (many zeros) repeat as quantiles and fall together here, so that the bins go where values differ.
  const candidates: number[] = []
  let seen = 0
  let wanted = 0
  for (const row of order) {
    seen += weights[row]!
    if (seen < (wanted / QUANTILE_STEPS) * total) continue
    const edge = Math.fround(values[row]!)
    if (candidates.length === 0 || edge > candidates.at(-1)!) candidates.push(edge)
    wanted = Math.floor((seen / total) * QUANTILE_STEPS) + 1
  }
  if (candidates.length <= bins + 1) return candidates
  return Array.from({ length: bins + 1 }, (_, i) => candidates[Math.round((i * (candidates.length - 1)) / bins)]!)
}
