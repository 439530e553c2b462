import type { Metrics, Scorer } from './ports.ts'
import { isScoredKind } from '#schemas/event-columns.ts'
import { ACCEPTED, type AsyncStage, type Featurized, reached, type Scored } from './slice.ts'

export interface Score extends AsyncStage<Featurized, Scored> {
  /** The champion from the next slice on; null: rules decide alone. */
  setScorer(scorer: Scorer | null): void
  /** Overload: rules decide alone until it is lifted. */
  setOverload(overloaded: boolean): void
  champion(): Scorer | null
}

/** One probability for every accepted event of a scored kind. When the model cannot answer, the slice says why. */
export function createScore(first: Scorer | null, metrics: Metrics): Score {
  let scorer = first
  let overloaded = false
  let scores = new Float32Array(0)

  async function score(slice: Featurized): Promise<Scored> {
    if (scores.length < slice.capacity) scores = new Float32Array(slice.capacity)
    const count = collectScored(slice)
    slice.modelVersion = scorer?.modelVersion ?? ''
    slice.degraded = scorer === null ? 'no_model' : overloaded ? 'overload' : ''
    if (scorer !== null && slice.degraded === '' && count > 0) {
      try {
        await scorer.score(slice.features, slice.scoredRows, count, scores)
      } catch {
        slice.degraded = 'model_failed'
        metrics.count('weir_scorer_failures_total')
      }
    }
    slice.score.fill(Number.NaN, 0, slice.count)
    if (slice.degraded === '') {
      for (let i = 0; i < count; i++) slice.score[slice.scoredRows[i]!] = scores[i]!
    } else if (count > 0) {
      metrics.count('weir_events_unscored_total', count, { reason: slice.degraded })
    }
    return reached(slice)
  }

  return Object.assign(score, {
    setScorer(next: Scorer | null): void {
      scorer = next
    },
    setOverload(value: boolean): void {
      overloaded = value
    },
    champion: (): Scorer | null => scorer,
  })
}

function collectScored(slice: Featurized): number {
  let count = 0
  const { kind } = slice.events
  for (let row = 0; row < slice.count; row++) {
    if (slice.outcome[row] === ACCEPTED && isScoredKind(kind[row]!)) slice.scoredRows[count++] = row
  }
  slice.scoredCount = count
  return count
}
