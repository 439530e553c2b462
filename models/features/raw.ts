import { CHANNELS, ENTRY_MODES } from '#schemas/transaction.ts'
import { AUTHORIZATION, type EventColumns, REFUND, VERIFICATION } from '#schemas/event-columns.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 86_400_000
const POS = CHANNELS.indexOf('POS')
const ECOM = CHANNELS.indexOf('ECOM')
const ATM = CHANNELS.indexOf('ATM')
const TRANSFER = CHANNELS.indexOf('TRANSFER')
const CHIP = ENTRY_MODES.indexOf('CHIP')
const CONTACTLESS = ENTRY_MODES.indexOf('CONTACTLESS')
const MANUAL = ENTRY_MODES.indexOf('MANUAL')
const WALLET = ENTRY_MODES.indexOf('WALLET')

/** Sine of every minute of the day, so that time of day costs two look-ups and is the same everywhere. */
export const DAY_MINUTES = 1_440
export const SINE_OF_MINUTE = Float64Array.from({ length: DAY_MINUTES }, (_, i) =>
  Math.sin((2 * Math.PI * i) / DAY_MINUTES),
)

/** Sine and cosine of the time of day of an epoch time in UTC, to the minute. */
export function daySine(timeMs: number): number {
  return SINE_OF_MINUTE[minuteOfDay(timeMs)]!
}

export function dayCosine(timeMs: number): number {
  return SINE_OF_MINUTE[(minuteOfDay(timeMs) + DAY_MINUTES / 4) % DAY_MINUTES]!
}

/** 0 Monday to 6 Sunday, UTC; the epoch was a Thursday. */
export function weekday(timeMs: number): number {
  return (Math.floor(timeMs / DAY_MS) + 3) % 7
}

export function minuteOfDay(timeMs: number): number {
  return Math.floor((timeMs % DAY_MS) / 60_000)
}

/**
 * Numbers of the event itself, in the order of RAW_FEATURES, all of them.
 *
 * @param baseCurrency ISO code that does not count as foreign; '' when it does not matter
 */
export function writeRaw(events: EventColumns, row: number, baseCurrency: string, into: Float64Array): void {
  const { text } = events
  const time = events.event_time[row]!
  const amount = events.amount_base[row]!
  const channel = events.channel[row]
  const mode = events.entry_mode[row]
  const day = weekday(time)
  const hour = (time % DAY_MS) / HOUR_MS
  const avs = text.avs.at(row)
  const cvv = text.cvv.at(row)
  const threeDs = text.three_ds.at(row)
  const country = text.country.at(row)
  const merchantCountry = text.merchant_country.at(row)
  let at = 0
  into[at++] = amount
  into[at++] = Math.log1p(amount)
  into[at++] = daySine(time)
  into[at++] = dayCosine(time)
  into[at++] = WEEK_SINE[day]!
  into[at++] = WEEK_COSINE[day]!
  into[at++] = day >= 5 ? 1 : 0
  into[at++] = hour < 6 ? 1 : 0
  into[at++] = events.kind[row] === VERIFICATION ? 1 : 0
  into[at++] = events.kind[row] === REFUND ? 1 : 0
  into[at++] = channel === POS ? 1 : 0
  into[at++] = channel === ECOM ? 1 : 0
  into[at++] = channel === ATM ? 1 : 0
  into[at++] = channel === TRANSFER ? 1 : 0
  into[at++] = mode === CHIP ? 1 : 0
  into[at++] = mode === CONTACTLESS ? 1 : 0
  into[at++] = mode === MANUAL ? 1 : 0
  into[at++] = mode === WALLET ? 1 : 0
  into[at++] = avs === 'Y' ? 1 : 0
  into[at++] = avs === 'N' ? 1 : 0
  into[at++] = cvv === 'M' ? 1 : 0
  into[at++] = cvv === 'N' ? 1 : 0
  into[at++] = threeDs === 'Y' ? 1 : 0
  into[at++] = threeDs === 'N' || threeDs === 'R' ? 1 : 0
  into[at++] = events.recurring[row]!
  into[at++] = country !== '' && merchantCountry !== '' && country !== merchantCountry ? 1 : 0
  into[at] = text.currency.at(row) !== baseCurrency && baseCurrency !== '' ? 1 : 0
}

/** Authorizations and zero-amount verifications count in the windows; refunds do not. */
export function countsInWindows(kind: number): boolean {
  return kind === AUTHORIZATION || kind === VERIFICATION
}

const WEEK_SINE = Float64Array.from({ length: 7 }, (_, i) => Math.sin((2 * Math.PI * i) / 7))
const WEEK_COSINE = Float64Array.from({ length: 7 }, (_, i) => Math.cos((2 * Math.PI * i) / 7))
