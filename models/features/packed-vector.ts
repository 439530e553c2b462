import type { HistoryFeature } from '#schemas/feature-spec.ts'
import { CATEGORY_COSINES, CATEGORY_SINES } from './history-vector.ts'
import { DAY_MINUTES, minuteOfDay, SINE_OF_MINUTE } from './raw.ts'

/** What is 0 or 1 in the history. */
const FLAGS: ReadonlySet<HistoryFeature> = new Set([
  'weekend',
  'channel_pos',
  'channel_ecom',
  'channel_atm',
  'entry_contactless',
  'entry_wallet',
  'is_verification',
  'foreign',
  'avs_mismatch',
  'three_ds_passed',
  'new_merchant',
  'new_device',
  'new_category',
])
const ANGLES = ['hour_sin', 'hour_cos', 'category_sin', 'category_cos'] as const

/** The last word of a packed vector: flags from bit 0 on, then the place of the category on its circle, then the minute. */
const CATEGORY_BIT = 13
const CATEGORY_MASK = 0xff
const MINUTE_BIT = 21
const MINUTE_MASK = 0x7ff

/** The bits of 1 as a 32-bit float. */
const ONE = 0x3f80_0000
const MINUTE_SINES = bitsOf(Array.from({ length: DAY_MINUTES }, (_, minute) => SINE_OF_MINUTE[minute]!))
const MINUTE_COSINES = bitsOf(
  Array.from({ length: DAY_MINUTES }, (_, minute) => SINE_OF_MINUTE[(minute + DAY_MINUTES / 4) % DAY_MINUTES]!),
)
const CATEGORY_SINE_BITS = bitsOf(CATEGORY_SINES)
const CATEGORY_COSINE_BITS = bitsOf(CATEGORY_COSINES)

/** A number of the vector that is looked up by a few bits of the last word. */
interface Angle {
  readonly at: number
  readonly bit: number
  readonly mask: number
  readonly table: Uint32Array
}

/**
 * A history vector as it is kept: its numbers as 32-bit floats, then one word for all flags, the minute of the day and the
 * category, of which sines and cosines are tables. It gives back the bits of the vector, as 32-bit floats.
 */
export class PackedVector {
  /** 32-bit words it takes. */
  readonly words: number
  /** Numbers of the vector. */
  readonly width: number
  private readonly numberAt: readonly number[]
  private readonly flagAt: readonly number[]
  private readonly angles: readonly Angle[]

  constructor(features: readonly HistoryFeature[]) {
    const isAngle = (feature: HistoryFeature): boolean => (ANGLES as readonly string[]).includes(feature)
    const places = (isOne: (feature: HistoryFeature) => boolean): number[] =>
      features.flatMap((feature, i) => (isOne(feature) ? [i] : []))
    this.width = features.length
    this.numberAt = places((feature) => !FLAGS.has(feature) && !isAngle(feature))
    this.flagAt = places((feature) => FLAGS.has(feature))
    this.angles = places(isAngle).map((at) => angleOf(features[at]!, at))
    this.words = this.numberAt.length + 1
  }

  /**
   * @param timeMs of the event, and `category` its key: where the angles come from
   * @param f32 a view of the same memory as `u32`
   */
  pack(vector: Float64Array, timeMs: number, category: number, f32: Float32Array, u32: Uint32Array, to: number): void {
    const { numberAt, flagAt } = this
    let word = to
    for (let i = 0; i < numberAt.length; i++) f32[word++] = vector[numberAt[i]!]!
    let bits = ((category % CATEGORY_SINES.length) << CATEGORY_BIT) | (minuteOfDay(timeMs) << MINUTE_BIT)
    for (let i = 0; i < flagAt.length; i++) if (vector[flagAt[i]!] !== 0) bits |= 1 << i
    u32[word] = bits
  }

  /** Writes `[count, width]` vectors, one number after the other of all of them: so that inner loops are plain. */
  unpack(u32: Uint32Array, from: number, into: Uint32Array, to: number, count: number): void {
    const { numberAt, flagAt, angles, width, words } = this
    const last = from + numberAt.length
    for (let i = 0; i < numberAt.length; i++) unpackNumber(u32, from + i, words, into, to + numberAt[i]!, width, count)
    for (let i = 0; i < flagAt.length; i++) unpackFlag(u32, last, words, i, into, to + flagAt[i]!, width, count)
    for (let i = 0; i < angles.length; i++) {
      const { at, bit, mask, table } = angles[i]!
      unpackAngle(u32, last, words, bit, mask, table, into, to + at, width, count)
    }
  }
}

function angleOf(feature: HistoryFeature, at: number): Angle {
  switch (feature) {
    case 'hour_sin':
      return { at, bit: MINUTE_BIT, mask: MINUTE_MASK, table: MINUTE_SINES }
    case 'hour_cos':
      return { at, bit: MINUTE_BIT, mask: MINUTE_MASK, table: MINUTE_COSINES }
    case 'category_sin':
      return { at, bit: CATEGORY_BIT, mask: CATEGORY_MASK, table: CATEGORY_SINE_BITS }
    default:
      return { at, bit: CATEGORY_BIT, mask: CATEGORY_MASK, table: CATEGORY_COSINE_BITS }
  }
}

// Four at a time: a step of a loop costs more than what it does here.

function unpackNumber(
  u32: Uint32Array,
  from: number,
  step: number,
  into: Uint32Array,
  to: number,
  width: number,
  count: number,
): void {
  let source = from
  let target = to
  let left = count
  for (; left >= 4; left -= 4) {
    into[target] = u32[source]!
    into[target + width] = u32[source + step]!
    into[target + 2 * width] = u32[source + 2 * step]!
    into[target + 3 * width] = u32[source + 3 * step]!
    source += 4 * step
    target += 4 * width
  }
  if (left > 0) into[target] = u32[source]!
  if (left > 1) into[target + width] = u32[source + step]!
  if (left > 2) into[target + 2 * width] = u32[source + 2 * step]!
}

function unpackFlag(
  u32: Uint32Array,
  from: number,
  step: number,
  bit: number,
  into: Uint32Array,
  to: number,
  width: number,
  count: number,
): void {
  let source = from
  let target = to
  let left = count
  for (; left >= 4; left -= 4) {
    into[target] = -((u32[source]! >>> bit) & 1) & ONE
    into[target + width] = -((u32[source + step]! >>> bit) & 1) & ONE
    into[target + 2 * width] = -((u32[source + 2 * step]! >>> bit) & 1) & ONE
    into[target + 3 * width] = -((u32[source + 3 * step]! >>> bit) & 1) & ONE
    source += 4 * step
    target += 4 * width
  }
  if (left > 0) into[target] = -((u32[source]! >>> bit) & 1) & ONE
  if (left > 1) into[target + width] = -((u32[source + step]! >>> bit) & 1) & ONE
  if (left > 2) into[target + 2 * width] = -((u32[source + 2 * step]! >>> bit) & 1) & ONE
}

function unpackAngle(
  u32: Uint32Array,
  from: number,
  step: number,
  bit: number,
  mask: number,
  table: Uint32Array,
  into: Uint32Array,
  to: number,
  width: number,
  count: number,
): void {
  let source = from
  let target = to
  let left = count
  for (; left >= 4; left -= 4) {
    into[target] = table[(u32[source]! >>> bit) & mask]!
    into[target + width] = table[(u32[source + step]! >>> bit) & mask]!
    into[target + 2 * width] = table[(u32[source + 2 * step]! >>> bit) & mask]!
    into[target + 3 * width] = table[(u32[source + 3 * step]! >>> bit) & mask]!
    source += 4 * step
    target += 4 * width
  }
  if (left > 0) into[target] = table[(u32[source]! >>> bit) & mask]!
  if (left > 1) into[target + width] = table[(u32[source + step]! >>> bit) & mask]!
  if (left > 2) into[target + 2 * width] = table[(u32[source + 2 * step]! >>> bit) & mask]!
}

/** The bits of numbers as 32-bit floats. */
function bitsOf(numbers: ArrayLike<number>): Uint32Array {
  return new Uint32Array(Float32Array.from(numbers).buffer)
}
