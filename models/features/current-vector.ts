import type { EventColumns } from '#schemas/event-columns.ts'
import { type FeatureSpec, HABIT_FEATURES, RAW_FEATURES } from '#schemas/feature-spec.ts'
import { Hash64 } from '#schemas/hash64.ts'
import { textKey } from './keys.ts'

/** A text in hashed one-hot columns. */
interface Buckets {
  readonly count: number
  readonly at: number
  /** Null: the merchant's category. */
  readonly attribute: string | null
}

/** Writes what the current vector holds of the event itself: numbers, habits, hashed texts, signals. */
export class CurrentVector {
  private readonly rawAt: Int32Array
  private readonly habitAt: Int32Array
  private readonly buckets: readonly Buckets[]
  private readonly signals: readonly string[]
  private readonly signalsAt: number
  private readonly hash = new Hash64()

  /** @param column at which buckets and signals begin, behind the columns of the entities */
  constructor(spec: FeatureSpec, column: number) {
    this.rawAt = Int32Array.from(spec.raw, (name) => RAW_FEATURES.indexOf(name))
    this.habitAt = Int32Array.from(spec.habit, (name) => HABIT_FEATURES.indexOf(name))
    const texts = [
      ...(spec.categoryBuckets > 0 ? [{ attribute: null, count: spec.categoryBuckets }] : []),
      ...spec.attributes.map(({ name, buckets }) => ({ attribute: name, count: buckets })),
    ]
    let at = column
    this.buckets = texts.map((text) => {
      at += text.count
      return { ...text, at: at - text.count }
    })
    this.signals = spec.signals
    this.signalsAt = at
  }

  /** Columns before those of the entities. */
  static leadingColumns(spec: FeatureSpec): number {
    return spec.raw.length + spec.habit.length
  }

  /**
   * @param raw by RAW_FEATURES @param habit by HABIT_FEATURES
   * @param base where the row begins in `into`
   */
  write(
    events: EventColumns,
    row: number,
    raw: Float64Array,
    habit: Float64Array,
    into: Float32Array,
    base: number,
  ): void {
    const { rawAt, habitAt, buckets, signals, signalsAt } = this
    let at = base
    for (let i = 0; i < rawAt.length; i++) into[at++] = raw[rawAt[i]!]!
    for (let i = 0; i < habitAt.length; i++) into[at++] = habit[habitAt[i]!]!
    for (let b = 0; b < buckets.length; b++) this.writeBuckets(buckets[b]!, events, row, into, base)
    for (let i = 0; i < signals.length; i++) into[base + signalsAt + i] = events.signals[row]![signals[i]!] ?? 0
  }

  private writeBuckets(
    { attribute, at, count }: Buckets,
    events: EventColumns,
    row: number,
    into: Float32Array,
    base: number,
  ): void {
    for (let i = 0; i < count; i++) into[base + at + i] = 0
    const key =
      attribute === null
        ? events.hashLo.merchant_category[row]!
        : textKey(this.hash, events.attributes[row]![attribute] ?? '')
    if (key !== 0) into[base + at + (key % count)] = 1
  }
}
