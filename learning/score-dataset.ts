import type { FeatureBuffers } from '#models/feature-buffers.ts'
import type { Scorer } from '#models/scorer.ts'
import type { Dataset } from './dataset.ts'

/** A dataset as a scorer takes it. */
export function buffersOf(dataset: Dataset): FeatureBuffers {
  return {
    capacity: dataset.count,
    history: dataset.history,
    historyLength: dataset.historyLength,
    current: dataset.current,
    inputHashHi: new Uint32Array(dataset.count),
    inputHashLo: new Uint32Array(dataset.count),
    counters: new Float64Array(0),
    counterCount: 0,
  }
}

const ROWS_AT_ONCE = 8_192

/** Probability of fraud for every row, by the code that serves it. */
export async function scoreDataset(scorer: Scorer, dataset: Dataset): Promise<Float32Array> {
  const input = buffersOf(dataset)
  const scores = new Float32Array(dataset.count)
  for (let from = 0; from < dataset.count; from += ROWS_AT_ONCE) {
    const count = Math.min(ROWS_AT_ONCE, dataset.count - from)
    const rows = Int32Array.from({ length: count }, (_, i) => from + i)
    const part = new Float32Array(count)
    await scorer.score(input, rows, count, part)
    scores.set(part, from)
  }
  return scores
}
