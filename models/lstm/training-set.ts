import type { FeatureLayout } from '../feature-buffers.ts'

/** Rows to learn from, in natural units, in any order. */
export interface TrainingSet {
  readonly layout: FeatureLayout
  readonly count: number
  /** `[N, K, H]`, left-padded: the newest event is at K - 1. */
  readonly history: Float32Array
  /** `[N]`. */
  readonly historyLength: Int32Array
  /** `[N, F]`. */
  readonly current: Float32Array
  /** 1 fraud, 0 genuine. */
  readonly label: Uint8Array
  /** How many rows of the stream this one stands for; thinned genuine rows are weighted back. */
  readonly weight: Float32Array
  readonly eventTimeMs: Float64Array
  /**
   * Target of the second head: the natural log of (1 + amount) of the event that came after the history. For a row with
   * a current event that is the current event itself: its surprise can then be told from history and event alone. NaN
   * when unknown.
   */
  readonly nextLogAmount: Float32Array
  /** Milliseconds between the last event of the history and that next event; NaN when unknown or the history is empty. */
  readonly nextLogGapMs: Float32Array
}

/** The part of it that a network reads. */
export type VectorBatch = Pick<TrainingSet, 'count' | 'history' | 'historyLength' | 'current'>
