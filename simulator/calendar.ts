import type { Random } from './random.ts'

export const SECOND_MS = 1_000
export const MINUTE_MS = 60 * SECOND_MS
export const HOUR_MS = 60 * MINUTE_MS
export const DAY_MS = 24 * HOUR_MS
/** A mean month. */
export const MONTH_MS = 30.44 * DAY_MS
export const QUARTER_MS = 15 * MINUTE_MS

/** Monday to Sunday. */
const WEEKDAYS = [0.92, 0.93, 0.95, 1, 1.18, 1.17, 0.85]
/** Days of the month on which wages come, and the share of accounts paid then. */
export const PAYDAYS = [1, 15, 25, 28] as const
export const PAYDAY_SHARES = [0.3, 0.2, 0.3, 0.2] as const
const PAYDAY_LIFT = 1.2
const PAYDAY_LENGTH_DAYS = 3
const SALE_LIFT = 2.5
/** Friday nearest to this day of the run, and of every further year. */
const SALE_AFTER_DAYS = 57

/** Weights of the hours, midnight first; the hours 0 to 5 are brought to their share of the day. */
const IN_STORE_HOURS = [
  0.8, 0.6, 0.45, 0.45, 0.7, 1.2, 2.5, 4.5, 5.5, 5.5, 5.8, 6.5, 8.7, 7.6, 5.5, 5.5, 6.5, 8.6, 8.8, 6.6, 4.5, 3.2, 2.2,
  1.4,
]
const ONLINE_HOURS = [
  3, 2, 1.1, 0.9, 1, 1.2, 1.8, 3, 4, 4.8, 5.2, 5.4, 6.6, 6.1, 5, 5, 5.2, 6.6, 6.8, 6.4, 6.1, 5.6, 4.8, 3.7,
]
const IN_STORE_NIGHT_SHARE = 0.03
const ONLINE_NIGHT_SHARE = 0.08

/** Hours that a person prefers or avoids: everyday, early, late, night; 1 is the most. */
const CHRONOTYPES: readonly (readonly number[])[] = [
  chronotype(() => 0.8),
  chronotype((hour) => (hour < 5 ? 0.4 : hour < 14 ? 1 : hour < 19 ? 0.7 : 0.35)),
  chronotype((hour) => (hour < 5 ? 0.9 : hour < 12 ? 0.45 : hour < 17 ? 0.8 : 1)),
  chronotype((hour) => (hour < 6 ? 1 : hour < 12 ? 0.3 : hour < 18 ? 0.6 : 1)),
]
export const CHRONOTYPE_SHARES = [0.4, 0.3, 0.22, 0.08] as const

/**
 * What the clock and the calendar do to spending. The world keeps one time zone, UTC.
 */
export class Calendar {
  private readonly startDay: number
  private readonly inStoreQuarters = quarterWeights(IN_STORE_HOURS, IN_STORE_NIGHT_SHARE)
  private readonly onlineQuarters = quarterWeights(ONLINE_HOURS, ONLINE_NIGHT_SHARE)
  private readonly inStoreCumulative = cumulative(this.inStoreQuarters)
  private readonly onlineCumulative = cumulative(this.onlineQuarters)
  private cachedDay = Number.NaN
  private dayFactor = 1
  private saleFactor = 1
  private readonly paydayFactors = new Float64Array(PAYDAYS.length)

  constructor(startMs: number) {
    this.startDay = Math.floor(startMs / DAY_MS)
  }

  /** How much more or less is spent now than on average; mean 1 over a year. */
  intensity(timeMs: number, online: boolean): number {
    this.toDay(timeMs)
    const quarter = Math.floor((timeMs % DAY_MS) / QUARTER_MS)
    return online
      ? this.dayFactor * this.saleFactor * this.onlineQuarters[quarter]!
      : this.dayFactor * this.inStoreQuarters[quarter]!
  }

  /** How likely this person is the one who buys now, 0 to 1. */
  personal(timeMs: number, chronotype: number, payday: number): number {
    this.toDay(timeMs)
    const hour = Math.floor((timeMs % DAY_MS) / HOUR_MS)
    return CHRONOTYPES[chronotype]![hour]! * this.paydayFactors[payday]!
  }

  /** A time of day, milliseconds since midnight, as people keep them. */
  drawTimeOfDay(random: Random, online: boolean): number {
    const cumulated = online ? this.onlineCumulative : this.inStoreCumulative
    const at = random.unit() * cumulated[cumulated.length - 1]!
    let quarter = 0
    while (cumulated[quarter]! < at) quarter++
    return (quarter + random.unit()) * QUARTER_MS
  }

  private toDay(timeMs: number): void {
    const day = Math.floor(timeMs / DAY_MS)
    if (day === this.cachedDay) return
    this.cachedDay = day
    this.saleFactor = this.isSaleDay(day) ? SALE_LIFT : 1
    let lift = 0
    for (let i = 0; i < PAYDAYS.length; i++) {
      const isPaid = isWithinPayday(day, PAYDAYS[i]!)
      this.paydayFactors[i] = isPaid ? 1 : 1 / PAYDAY_LIFT
      if (isPaid) lift += PAYDAY_SHARES[i]! * (PAYDAY_LIFT - 1)
    }
    const meanLift = (PAYDAY_LENGTH_DAYS / 30.44) * (PAYDAY_LIFT - 1)
    this.dayFactor = (WEEKDAYS[weekday(day)]! * (1 + lift)) / (1 + meanLift)
  }

  private isSaleDay(day: number): boolean {
    const first = this.startDay + SALE_AFTER_DAYS
    const friday = first + ((4 - weekday(first) + 7) % 7)
    return day >= friday && (day - friday) % 364 === 0
  }
}

/** Monday 0 to Sunday 6; 1970-01-01 was a Thursday. */
export function weekday(day: number): number {
  return (((day + 3) % 7) + 7) % 7
}

/** Day of the month, 1 to 31, of a day counted from 1970-01-01 (the usual civil-from-days arithmetic, eras of 400 years). */
export function dayOfMonth(day: number): number {
  const shifted = day + 719_468
  const dayOfEra = ((shifted % 146_097) + 146_097) % 146_097
  const year = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1_460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  )
  const dayOfYear = dayOfEra - (365 * year + Math.floor(year / 4) - Math.floor(year / 100))
  const month = Math.floor((5 * dayOfYear + 2) / 153)
  return dayOfYear - Math.floor((153 * month + 2) / 5) + 1
}

function isWithinPayday(day: number, payday: number): boolean {
  for (let back = 0; back < PAYDAY_LENGTH_DAYS; back++) if (dayOfMonth(day - back) === payday) return true
  return false
}

/** 96 weights with mean 1, linear between the middles of the hours. */
function quarterWeights(hours: readonly number[], nightShare: number): Float64Array {
  const weights = new Float64Array(96)
  for (let quarter = 0; quarter < 96; quarter++) {
    const at = (quarter + 0.5) / 4 - 0.5
    const hour = Math.floor(at)
    const part = at - hour
    weights[quarter] = hours[(hour + 24) % 24]! * (1 - part) + hours[(hour + 25) % 24]! * part
  }
  let night = 0
  let day = 0
  for (let quarter = 0; quarter < 96; quarter++) {
    if (quarter < 20) night += weights[quarter]!
    else day += weights[quarter]!
  }
  for (let quarter = 0; quarter < 96; quarter++) {
    weights[quarter] = 96 * weights[quarter]! * (quarter < 20 ? nightShare / night : (1 - nightShare) / day)
  }
  return weights
}

function cumulative(weights: Float64Array): Float64Array {
  let sum = 0
  return weights.map((weight) => (sum += weight))
}

function chronotype(weightOf: (hour: number) => number): number[] {
  return Array.from({ length: 24 }, (_, hour) => weightOf(hour))
}
