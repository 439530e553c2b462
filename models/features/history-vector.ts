import { HABIT_FEATURES, type HistoryFeature, RAW_FEATURES } from '#schemas/feature-spec.ts'
import { HABIT_AT } from './habit.ts'

/** Where a number comes from: an event's raw numbers, then its habit numbers, then what only the history has. */
const HABIT = RAW_FEATURES.length
const DERIVED = HABIT + HABIT_FEATURES.length
const MEDIAN_RATIO = DERIVED
const CATEGORY_SINE = DERIVED + 1
const CATEGORY_COSINE = DERIVED + 2
const CARD_COUNT = DERIVED + 3
const MERCHANT_COUNT = DERIVED + 4

/** Places categories on a circle, so that two numbers tell most of them apart. */
const CATEGORY_ANGLES = 251
const angle = (category: number): number => (2 * Math.PI * (category % CATEGORY_ANGLES)) / CATEGORY_ANGLES
export const CATEGORY_SINES = Float64Array.from({ length: CATEGORY_ANGLES }, (_, i) => Math.sin(angle(i)))
export const CATEGORY_COSINES = Float64Array.from({ length: CATEGORY_ANGLES }, (_, i) => Math.cos(angle(i)))

/** The compact numbers that are kept of an event once it is past: frozen as they were when it was current. */
export class HistoryVector {
  /** `[H]`, filled by `write`. */
  readonly numbers: Float64Array
  readonly wantsCardCount: boolean
  readonly wantsMerchantCount: boolean
  private readonly sources: Int32Array

  constructor(features: readonly HistoryFeature[]) {
    this.numbers = new Float64Array(features.length)
    this.sources = Int32Array.from(features, sourceOf)
    this.wantsCardCount = features.includes('log_card_count_1h')
    this.wantsMerchantCount = features.includes('log_merchant_count_1h')
  }

  /**
   * @param category key of the merchant category
   * @param cardCount events of the card's last hour, the current one included
   * @param merchantCount as much of the merchant
   */
  write(raw: Float64Array, habit: Float64Array, category: number, cardCount: number, merchantCount: number): void {
    const { sources, numbers } = this
    for (let i = 0; i < sources.length; i++) {
      const source = sources[i]!
      if (source < HABIT) numbers[i] = raw[source]!
      else if (source < DERIVED) numbers[i] = habit[source - HABIT]!
      else if (source === MEDIAN_RATIO) numbers[i] = Math.log1p(habit[HABIT_AT.amount_to_median]!)
      else if (source === CATEGORY_SINE) numbers[i] = CATEGORY_SINES[category % CATEGORY_ANGLES]!
      else if (source === CATEGORY_COSINE) numbers[i] = CATEGORY_COSINES[category % CATEGORY_ANGLES]!
      else numbers[i] = Math.log1p(source === CARD_COUNT ? cardCount : merchantCount)
    }
  }
}

function sourceOf(name: HistoryFeature): number {
  switch (name) {
    case 'amount_to_median':
      return MEDIAN_RATIO
    case 'category_sin':
      return CATEGORY_SINE
    case 'category_cos':
      return CATEGORY_COSINE
    case 'log_card_count_1h':
      return CARD_COUNT
    case 'log_merchant_count_1h':
      return MERCHANT_COUNT
    default: {
      const raw = (RAW_FEATURES as readonly string[]).indexOf(name)
      return raw >= 0 ? raw : HABIT + (HABIT_FEATURES as readonly string[]).indexOf(name)
    }
  }
}
