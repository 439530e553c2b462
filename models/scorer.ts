import type { FeatureBuffers, FeatureLayout } from './feature-buffers.ts'

/** Turns feature vectors into probabilities. A pure function of the vectors and the model file. */
export interface Scorer {
  /** Folder name of the model version, as written into decisions. */
  readonly modelVersion: string
  readonly layout: FeatureLayout
  /** What it runs on: 'cpu' or 'cuda'. */
  readonly provider: string
  /**
   * Calibrated probability of fraud for `count` rows: `rows[i]` names the row of the buffers, `scores[i]` gets the
   * answer. A row's score does not depend on the rows beside it.
   *
   * @throws WeirError SCORER_FAILED
   */
  score(input: FeatureBuffers, rows: Int32Array, count: number, scores: Float32Array): Promise<void>
  close(): Promise<void>
}
