import { PAGE_BYTES, type Region, type StateMemory } from '#infra/state-memory.ts'
import { HABIT_FEATURES, type HabitFeature } from '#schemas/feature-spec.ts'
import type { EntityStore } from './entity-store.ts'
import { HISTORY_HEADER_WORDS } from './history.ts'
import { dayCosine, daySine } from './raw.ts'
import { EXTRA_WORDS } from './row-layout.ts'
import { USUAL_MAX, USUAL_WORDS, UsualAmounts } from './usual-amounts.ts'

const LARGE_RATIO = 2.5
const FOURTEEN_DAYS_MS = 14 * 86_400_000
/** Events of the category that a young merchant's mean is held against. */
const PRIOR_EVENTS = 10
const HOUR_EVENTS_MIN = 10
const RATIO_MAX = 1_000
const SPEED_KMH_MAX = 20_000
const EARTH_KM = 6_371

/** Words of the card's header behind its history: seen categories and countries, and the last located event. */
const CATEGORIES = EXTRA_WORDS + HISTORY_HEADER_WORDS
const COUNTRIES = CATEGORIES + 4
const PLACE = (COUNTRIES + 2) / 2
const CARD_TRAIT_WORDS = 12
/** Doubles of the merchant's header. */
const HOUR_SINE = EXTRA_WORDS / 2
const HOUR_COSINE = HOUR_SINE + 1
const AMOUNTS = HOUR_SINE + 2
const EVENTS = HOUR_SINE + 3
export const MERCHANT_WORDS = 8
const CATEGORY_PRIORS = 256

export const HABIT_AT = Object.fromEntries(HABIT_FEATURES.map((name, i) => [name, i])) as Readonly<
  Record<HabitFeature, number>
>

/** What the habit figures need of the current event. */
export interface HabitEvent {
  timeMs: number
  amount: number
  merchantKey: number
  deviceKey: number
  categoryKey: number
  countryKey: number
  latitude: number
  longitude: number
}

/** Which columns of the card's rows hold the merchant and the device; -1 where there is none. */
export interface CardColumns {
  readonly merchant: number
  readonly device: number
}

/**
 * The event against the past of its card and merchant, the event itself left out of every "usual". Writes HABIT_FEATURES
 * in order; what the spec does not ask for is not computed.
 */
export class Habit {
  readonly hasTraits: boolean
  readonly needsMerchant: boolean
  /** Words it needs in the card's header, behind those of the history. */
  readonly cardWords: number
  /** Null: the spec does not ask for it. */
  readonly usual: UsualAmounts | null
  private readonly wantsMerchant: boolean
  private readonly wantsDevice: boolean
  private readonly wantsAge: boolean
  private readonly wantsDeviation: boolean
  private readonly wantsLarge: boolean
  private readonly columns: CardColumns
  private readonly priorRegion: Region
  /** [events, amounts] by hashed category. */
  private priors!: Float64Array
  private readonly amounts = new Float64Array(USUAL_MAX)

  constructor(memory: StateMemory, wants: ReadonlySet<HabitFeature>, columns: CardColumns) {
    const any = (...names: HabitFeature[]): boolean => names.some((name) => wants.has(name))
    this.hasTraits = any('new_category', 'new_country', 'speed_kmh')
    this.needsMerchant = any('merchant_hour_distance', 'amount_to_merchant_mean')
    this.wantsMerchant = any('new_merchant')
    this.wantsDevice = any('new_device')
    this.wantsAge = any('log_card_age')
    const wantsUsual = any('amount_to_median', 'amount_deviation', 'large_ratios_14d')
    const traitWords = this.hasTraits ? CARD_TRAIT_WORDS : 0
    this.usual = wantsUsual ? new UsualAmounts(CATEGORIES + traitWords) : null
    this.cardWords = traitWords + (wantsUsual ? USUAL_WORDS : 0)
    this.wantsDeviation = any('amount_deviation')
    this.wantsLarge = any('large_ratios_14d')
    this.columns = columns
    this.priorRegion = memory.region('habit.categories', PAGE_BYTES)
    this.priorRegion.addChunk()
    this.attach()
    memory.onRestore(() => this.attach())
  }

  /** @param end rows of the card at or before the event; 0 when it has no past */
  writeCard(card: EntityStore, end: number, event: HabitEvent, into: Float64Array): void {
    for (let i = 0; i < into.length; i++) into[i] = 0
    if (end === 0) {
      into[HABIT_AT.new_merchant] = event.merchantKey === 0 ? 0 : 1
      into[HABIT_AT.new_device] = event.deviceKey === 0 ? 0 : 1
      into[HABIT_AT.new_category] = event.categoryKey === 0 ? 0 : 1
      into[HABIT_AT.new_country] = event.countryKey === 0 ? 0 : 1
      return
    }
    into[HABIT_AT.log_gap] = Math.log1p(event.timeMs - card.timeOf(end - 1))
    if (this.wantsAge) into[HABIT_AT.log_card_age] = Math.log1p(Math.max(0, event.timeMs - card.firstSeenMs))
    if (this.usual !== null) this.writeAmounts(this.usual, card, end, event, into)
    const { merchant, device } = this.columns
    if (this.wantsMerchant) into[HABIT_AT.new_merchant] = isNew(card, end, merchant, event.merchantKey)
    if (this.wantsDevice) into[HABIT_AT.new_device] = isNew(card, end, device, event.deviceKey)
    if (!this.hasTraits) return
    into[HABIT_AT.new_category] = event.categoryKey !== 0 && !hasBit(card, CATEGORIES, 128, event.categoryKey) ? 1 : 0
    into[HABIT_AT.new_country] = event.countryKey !== 0 && !hasBit(card, COUNTRIES, 64, event.countryKey) ? 1 : 0
    into[HABIT_AT.speed_kmh] = speed(card, event)
  }

  /** @param merchant opened; null when it has no past */
  writeMerchant(merchant: EntityStore | null, event: HabitEvent, into: Float64Array): void {
    const prior = event.categoryKey % CATEGORY_PRIORS
    const priorEvents = this.priors[prior * 2]!
    const priorMean = priorEvents === 0 ? event.amount : this.priors[prior * 2 + 1]! / priorEvents
    let amounts = 0
    let events = 0
    let distance = 0
    if (merchant !== null) {
      const { headerF64: f64, headerF64At: at } = merchant
      amounts = f64[at + AMOUNTS]!
      events = f64[at + EVENTS]!
      const sine = f64[at + HOUR_SINE]!
      const cosine = f64[at + HOUR_COSINE]!
      const length = Math.sqrt(sine * sine + cosine * cosine)
      if (events >= HOUR_EVENTS_MIN && length > 0) {
        distance = 1 - (sine * daySine(event.timeMs) + cosine * dayCosine(event.timeMs)) / length
      }
    }
    const mean = (amounts + PRIOR_EVENTS * priorMean) / (events + PRIOR_EVENTS)
    into[HABIT_AT.merchant_hour_distance] = distance
    into[HABIT_AT.amount_to_merchant_mean] = Math.log((event.amount + 1) / (mean + 1))
  }

  /** Notes what the card has now been seen with. */
  takeCard(card: EntityStore, event: HabitEvent): void {
    if (!this.hasTraits) return
    card.touchHeader()
    if (event.categoryKey !== 0) setBit(card, CATEGORIES, 128, event.categoryKey)
    if (event.countryKey !== 0) setBit(card, COUNTRIES, 64, event.countryKey)
    if (Number.isNaN(event.latitude) || Number.isNaN(event.longitude)) return
    const at = card.headerF64At + PLACE
    if (event.timeMs < card.headerF64[at + 2]!) return
    card.headerF64[at] = event.latitude
    card.headerF64[at + 1] = event.longitude
    card.headerF64[at + 2] = event.timeMs
  }

  takeMerchant(merchant: EntityStore, event: HabitEvent): void {
    merchant.touchHeader()
    const { headerF64: f64, headerF64At: at } = merchant
    f64[at + HOUR_SINE]! += daySine(event.timeMs)
    f64[at + HOUR_COSINE]! += dayCosine(event.timeMs)
    f64[at + AMOUNTS]! += event.amount
    f64[at + EVENTS]! += 1
    const prior = (event.categoryKey % CATEGORY_PRIORS) * 2
    this.priorRegion.touch(0, prior * 8, 16)
    this.priors[prior]! += 1
    this.priors[prior + 1]! += event.amount
  }

  private writeAmounts(
    usual: UsualAmounts,
    card: EntityStore,
    end: number,
    event: HabitEvent,
    into: Float64Array,
  ): void {
    const median = usual.median(card, end)
    if (Number.isNaN(median)) return
    into[HABIT_AT.amount_to_median] = Math.min(RATIO_MAX, event.amount / median)
    if (this.wantsDeviation) into[HABIT_AT.amount_deviation] = this.deviation(card, end, event.amount)
    if (this.wantsLarge) {
      into[HABIT_AT.large_ratios_14d] = card.rowsAbove(end, event.timeMs - FOURTEEN_DAYS_MS, median * LARGE_RATIO)
    }
  }

  /** How many standard deviations an amount lies above the mean of the newest ones. */
  private deviation(card: EntityStore, end: number, amount: number): number {
    const { amounts } = this
    const n = card.amountsBefore(end, amounts)
    let sum = 0
    for (let i = 0; i < n; i++) sum += amounts[i]!
    const mean = sum / n
    let squares = 0
    for (let i = 0; i < n; i++) {
      const distance = amounts[i]! - mean
      squares += distance * distance
    }
    return (amount - mean) / Math.max(1, Math.sqrt(squares / n))
  }

  private attach(): void {
    this.priors = this.priorRegion.chunks[0]!.f64()
  }
}

function isNew(card: EntityStore, end: number, column: number, key: number): number {
  return key === 0 || column < 0 || card.hasOther(end, column, key) ? 0 : 1
}

function hasBit(card: EntityStore, word: number, bits: number, key: number): boolean {
  const bit = key % bits
  return (card.headerU32[card.headerU32At + word + (bit >> 5)]! & (1 << (bit & 31))) !== 0
}

function setBit(card: EntityStore, word: number, bits: number, key: number): void {
  const bit = key % bits
  card.headerU32[card.headerU32At + word + (bit >> 5)]! |= 1 << (bit & 31)
}

/** Kilometres an hour from the card's last located event to this one; 0 when either has no place. Haversine. */
function speed(card: EntityStore, event: HabitEvent): number {
  const at = card.headerF64At + PLACE
  const lastMs = card.headerF64[at + 2]!
  if (lastMs === 0 || Number.isNaN(event.latitude) || Number.isNaN(event.longitude) || event.timeMs <= lastMs) return 0
  const rad = Math.PI / 180
  const lat1 = card.headerF64[at]! * rad
  const lat2 = event.latitude * rad
  const dLat = lat2 - lat1
  const dLon = (event.longitude - card.headerF64[at + 1]!) * rad
  const a = Math.sin(dLat / 2) ** 2 + Math.cos(lat1) * Math.cos(lat2) * Math.sin(dLon / 2) ** 2
  const km = 2 * EARTH_KM * Math.asin(Math.min(1, Math.sqrt(a)))
  return Math.min(SPEED_KMH_MAX, (km * 3_600_000) / (event.timeMs - lastMs))
}
