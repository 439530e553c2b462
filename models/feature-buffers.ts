/** What the features stage hands to scorers, rules and training: names, shapes and the numbers themselves. */

/** At most eight groups explain a score; each current feature belongs to one, the history is a group of its own. */
export const FEATURE_GROUPS = [
  'amount_habit',
  'card_velocity',
  'merchant',
  'device_address',
  'place_channel',
  'time',
  'known_fraud',
  'past_events',
] as const
export type FeatureGroup = (typeof FEATURE_GROUPS)[number]

export interface FeatureColumn {
  /** As rules and reports name it: `card_count_1h`, `amount_to_median`. */
  readonly name: string
  readonly group: FeatureGroup
  /** For people: 'count', 'minor units', 'ratio', 'log ms', ... */
  readonly unit: string
}

/** Shapes and names that follow from a feature spec. */
export interface FeatureLayout {
  readonly specName: string
  /** SHA-256 of the canonical spec, hex. */
  readonly specHash: string
  /** K: history events given to the model. */
  readonly historyLength: number
  /** H: numbers per history event. */
  readonly historyWidth: number
  readonly historyColumns: readonly FeatureColumn[]
  /** F: numbers of the current event. */
  readonly currentWidth: number
  readonly currentColumns: readonly FeatureColumn[]
}

/**
 * Vectors for up to `capacity` rows, reused from slice to slice. Rows that are not scored keep old values. Numbers are
 * in natural units (the model's graph normalises); a value that cannot be known is 0 with a flag column beside it where
 * the difference matters, never NaN.
 */
export interface FeatureBuffers {
  readonly capacity: number
  /**
   * `[N, K, H]`, the card's last K events before the current one by event time, left-padded with zeros: the newest is
   * at K - 1.
   */
  readonly history: Float32Array
  /** `[N]`, how many of the K are real. */
  readonly historyLength: Int32Array
  /** `[N, F]`. */
  readonly current: Float32Array
  /** `[N]` halves of the 64-bit hash over the row's history and current vectors. */
  readonly inputHashHi: Uint32Array
  readonly inputHashLo: Uint32Array
  /** `[N, C]` values of rule counters, in the order given to the featurizer; NaN while a counter is warming. */
  counters: Float64Array
  counterCount: number
}

export function createFeatureBuffers(layout: FeatureLayout, capacity: number, counterCount = 0): FeatureBuffers {
  return {
    capacity,
    history: new Float32Array(capacity * layout.historyLength * layout.historyWidth),
    historyLength: new Int32Array(capacity),
    current: new Float32Array(capacity * layout.currentWidth),
    inputHashHi: new Uint32Array(capacity),
    inputHashLo: new Uint32Array(capacity),
    counters: new Float64Array(capacity * counterCount),
    counterCount,
  }
}
