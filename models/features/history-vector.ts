import type { HistoryFeature } from '#schemas/feature-spec.ts'
import { HABIT_AT } from './habit.ts'
import { RAW_AT } from './raw.ts'

/** Counts of the event's last hour that its history vector keeps. */
export interface RecentCounts {
  readonly cardCount1h: number
  readonly merchantCount1h: number
}

type Read = (raw: Float64Array, habit: Float64Array, category: number, recent: RecentCounts) => number

/** The compact numbers that are kept of an event once it is past: frozen as they were when it was current. */
export class HistoryVector {
  /** `[H]`, filled by `write`. */
  readonly numbers: Float64Array
  private readonly reads: readonly Read[]

  constructor(features: readonly HistoryFeature[]) {
    this.reads = features.map((name) => READS[name])
    this.numbers = new Float64Array(features.length)
  }

  write(raw: Float64Array, habit: Float64Array, category: number, recent: RecentCounts): void {
    for (let i = 0; i < this.reads.length; i++) this.numbers[i] = this.reads[i]!(raw, habit, category, recent)
  }
}

const rawOf =
  (at: number): Read =>
  (raw) =>
    raw[at]!
const habitOf =
  (at: number): Read =>
  (_raw, habit) =>
    habit[at]!

/** Places categories on a circle, so that two numbers tell most of them apart. */
const CATEGORY_ANGLES = 251
const angle = (category: number): number => (2 * Math.PI * (category % CATEGORY_ANGLES)) / CATEGORY_ANGLES
const SINES = Float64Array.from({ length: CATEGORY_ANGLES }, (_, i) => Math.sin(angle(i)))
const COSINES = Float64Array.from({ length: CATEGORY_ANGLES }, (_, i) => Math.cos(angle(i)))

const READS: Readonly<Record<HistoryFeature, Read>> = {
  log_amount: rawOf(RAW_AT.log_amount),
  log_gap: habitOf(HABIT_AT.log_gap),
  hour_sin: rawOf(RAW_AT.hour_sin),
  hour_cos: rawOf(RAW_AT.hour_cos),
  weekend: rawOf(RAW_AT.weekend),
  channel_pos: rawOf(RAW_AT.channel_pos),
  channel_ecom: rawOf(RAW_AT.channel_ecom),
  channel_atm: rawOf(RAW_AT.channel_atm),
  entry_contactless: rawOf(RAW_AT.entry_contactless),
  entry_wallet: rawOf(RAW_AT.entry_wallet),
  is_verification: rawOf(RAW_AT.is_verification),
  foreign: rawOf(RAW_AT.foreign),
  avs_mismatch: rawOf(RAW_AT.avs_mismatch),
  three_ds_passed: rawOf(RAW_AT.three_ds_passed),
  amount_to_median: (_raw, habit) => Math.log1p(habit[HABIT_AT.amount_to_median]!),
  new_merchant: habitOf(HABIT_AT.new_merchant),
  new_device: habitOf(HABIT_AT.new_device),
  new_category: habitOf(HABIT_AT.new_category),
  category_sin: (_raw, _habit, category) => SINES[category % CATEGORY_ANGLES]!,
  category_cos: (_raw, _habit, category) => COSINES[category % CATEGORY_ANGLES]!,
  log_card_count_1h: (_raw, _habit, _category, recent) => Math.log1p(recent.cardCount1h),
  log_merchant_count_1h: (_raw, _habit, _category, recent) => Math.log1p(recent.merchantCount1h),
}
