import type { AddressBook } from './addresses.ts'
import { CHRONOTYPE_SHARES, DAY_MS, MONTH_MS, PAYDAY_SHARES } from './calendar.ts'
import { Favourites } from './favourites.ts'
import { LINES } from './lines.ts'
import type { Merchants } from './merchants.ts'
import type { OpaqueIds } from './opaque-ids.ts'
import {
  cityCountry,
  cityLatitude,
  cityLongitude,
  drawCity,
  HOME_COUNTRIES,
  homeWeights,
  TRAVEL_WEIGHTS,
} from './places.ts'
import { AliasTable, type Random } from './random.ts'

export const CARDS_MAX = 2
export const DEVICES_MAX = 3
/** The issuer's card ranges and how many cards are in each. */
export const BINS = ['45320117', '45320118', '52910042', '52910043', '45778020', '51660931'] as const
const BIN_WEIGHTS = [0.3, 0.12, 0.25, 0.08, 0.15, 0.1] as const

/** Families of devices: what `attributes.platform` says, and how common they are. */
export const PLATFORMS = ['ios', 'android', 'windows', 'macos', 'linux', 'ipados'] as const
const PLATFORM_WEIGHTS = [0.26, 0.28, 0.2, 0.1, 0.06, 0.1] as const
/** Phones: what carries a wallet. */
const PHONES = 2
/** Of orders: from the telephone that everybody has. */
const PHONE_ORDERS = 0.6

const RATE_MEDIAN = 0.6
const RATE_SIGMA = 0.8
const RATE_MAX = 12
const SECOND_CARD_SHARE = 0.25
const HOUSEHOLD_SHARE = 0.3
const WALLET_SHARE = 0.5
/** Changes of one account, a month. */
const CLOSED_A_MONTH = 0.015
const MOVED_A_MONTH = 0.03 / 12
const EMAIL_A_MONTH = 0.01
/** A provider gives a home another prefix. */
const ADDRESS_A_MONTH = 0.2
const DEVICE_A_MONTH = 0.4 / 12
const REISSUED_A_MONTH = 0.02
const TRIPS_A_YEAR = 2
const TRIP_DAYS_MIN = 4
const TRIP_DAYS_MAX = 14
const MEAN_TRIP_MS = ((TRIP_DAYS_MIN + TRIP_DAYS_MAX) / 2) * DAY_MS
const BETWEEN_TRIPS_MS = (365 / TRIPS_A_YEAR) * DAY_MS - MEAN_TRIP_MS

/** How much more an account of each kind buys online, and in stores. */
const ONLINE_AFFINITY = [0.5, 0.85, 1.15, 1.5] as const
const STORE_AFFINITY = [1.2, 1.07, 0.93, 0.8] as const

/**
 * The issuer's accounts, in slots: an account that closes gives its slot to a new one. What happens to an account between
 * two purchases (a new telephone, a reissued card, a move) is worked out when it buys again: `refresh`.
 */
export class Accounts {
  readonly count: number
  readonly id: string[]
  readonly openedMs: Float64Array
  readonly amountFactor: Float32Array
  /** Euros. */
  readonly limitEur: Float32Array
  readonly chronotype: Uint8Array
  readonly payday: Uint8Array
  readonly affinity: Uint8Array
  readonly homeCity: Uint8Array
  readonly homeLatitude: Float64Array
  readonly homeLongitude: Float64Array
  readonly homeAddress: string[]
  readonly emails: string[]
  readonly tripStartMs: Float64Array
  readonly tripEndMs: Float64Array
  readonly tripCity: Uint8Array
  readonly cards: Uint8Array
  readonly cardId: string[]
  readonly cardBin: Uint8Array
  readonly cardUsableMs: Float64Array
  /** Until then the card is in other hands, and its owner has not noticed. */
  readonly cardLostUntilMs: Float64Array
  readonly devices: Uint8Array
  readonly device: string[]
  readonly platform: Uint8Array
  /** Attributes of a wallet's payments: platform and token. Null without a wallet; new with every new telephone. */
  readonly wallet: (Readonly<Record<string, string>> | null)[]
  /** Last purchase in a store; 0 when there was none. */
  readonly lastStoreMs: Float64Array
  readonly lastLatitude: Float64Array
  readonly lastLongitude: Float64Array
  private readonly favourites: Favourites
  private readonly changeMs: Float64Array
  private readonly byRate: AliasTable
  private readonly homes = new AliasTable(homeWeights())
  private readonly bins = new AliasTable(BIN_WEIGHTS)
  private readonly platforms = new AliasTable(PLATFORM_WEIGHTS)
  private readonly chronotypes = new AliasTable(CHRONOTYPE_SHARES)
  private readonly paydays = new AliasTable(PAYDAY_SHARES)
  private readonly destinations = new AliasTable(TRAVEL_WEIGHTS)
  private readonly random: Random
  private readonly ids: OpaqueIds
  private readonly merchants: Merchants
  private readonly addresses: AddressBook
  /** Told when a slot has a new account. */
  onReplaced: (account: number) => void = () => undefined

  constructor(
    random: Random,
    ids: OpaqueIds,
    merchants: Merchants,
    addresses: AddressBook,
    count: number,
    startMs: number,
  ) {
    this.random = random
    this.ids = ids
    this.merchants = merchants
    this.addresses = addresses
    this.count = count
    const texts = (length: number): string[] => Array.from({ length }, () => '')
    this.id = texts(count)
    this.openedMs = new Float64Array(count)
    this.amountFactor = new Float32Array(count)
    this.limitEur = new Float32Array(count)
    this.chronotype = new Uint8Array(count)
    this.payday = new Uint8Array(count)
    this.affinity = new Uint8Array(count)
    this.homeCity = new Uint8Array(count)
    this.homeLatitude = new Float64Array(count)
    this.homeLongitude = new Float64Array(count)
    this.homeAddress = texts(count)
    this.emails = texts(count * 2)
    this.tripStartMs = new Float64Array(count)
    this.tripEndMs = new Float64Array(count)
    this.tripCity = new Uint8Array(count)
    this.cards = new Uint8Array(count)
    this.cardId = texts(count * CARDS_MAX)
    this.cardBin = new Uint8Array(count * CARDS_MAX)
    this.cardUsableMs = new Float64Array(count * CARDS_MAX)
    this.cardLostUntilMs = new Float64Array(count * CARDS_MAX)
    this.devices = new Uint8Array(count)
    this.device = texts(count * DEVICES_MAX)
    this.platform = new Uint8Array(count * DEVICES_MAX)
    this.wallet = Array.from({ length: count }, () => null)
    this.lastStoreMs = new Float64Array(count)
    this.lastLatitude = new Float64Array(count)
    this.lastLongitude = new Float64Array(count)
    this.favourites = new Favourites(count)
    this.changeMs = new Float64Array(count)
    const rates = new Float64Array(count)
    for (let account = 0; account < count; account++) {
      this.open(account, startMs - random.exponential(MONTH_MS / CLOSED_A_MONTH), startMs)
      rates[account] = Math.min(RATE_MAX, random.lognormal(RATE_MEDIAN, RATE_SIGMA))
    }
    this.byRate = new AliasTable(rates)
  }

  /** An account by how much it is used. */
  drawActive(random: Random): number {
    return this.byRate.draw(random)
  }

  /** How likely this account is the one that buys in this way, 0 to 1. */
  leaning(account: number, online: boolean): number {
    const kind = this.affinity[account]!
    return online ? ONLINE_AFFINITY[kind]! / 1.5 : STORE_AFFINITY[kind]! / 1.2
  }

  /** Lets everything happen that was due before `timeMs`. */
  refresh(account: number, timeMs: number): void {
    while (this.changeMs[account]! <= timeMs) this.change(account, this.changeMs[account]!)
    while (this.tripEndMs[account]! <= timeMs) this.planTrip(account, this.tripEndMs[account]!)
  }

  isTravelling(account: number, timeMs: number): boolean {
    return timeMs >= this.tripStartMs[account]! && timeMs < this.tripEndMs[account]!
  }

  homeCountry(account: number): number {
    return cityCountry(this.homeCity[account]!)
  }

  /** A card its owner can use now; -1 when there is none. `inHand`: one that is not lost. */
  drawCard(account: number, timeMs: number, inHand: boolean, random: Random): number {
    const first = account * CARDS_MAX
    const preferred = this.cards[account] === 2 && random.chance(0.3) ? first + 1 : first
    if (this.isUsable(preferred, timeMs, inHand)) return preferred
    const other = preferred === first ? first + 1 : first
    return other < first + this.cards[account]! && this.isUsable(other, timeMs, inHand) ? other : -1
  }

  /** Device (an index into `device`) with which this card is used online; two holders of two cards keep to their own. */
  drawDevice(account: number, card: number, random: Random): number {
    const count = this.devices[account]!
    const first = account * DEVICES_MAX
    if (count === 1) return first
    if (this.cards[account] === 2 && random.chance(0.97)) return first + (card % CARDS_MAX)
    return first + (random.chance(0.7) ? 0 : random.below(count))
  }

  /** A device of anybody: lent, or taken over without its owner knowing. */
  drawSomebodysDevice(random: Random): number {
    const account = this.drawActive(random)
    return this.drawDevice(account, account * CARDS_MAX + random.below(this.cards[account]!), random)
  }

  /** A family of devices, as common as it is among everybody. */
  drawPlatform(random: Random): number {
    return random.chance(PHONE_ORDERS) ? random.below(PHONES) : this.platforms.draw(random)
  }

  drawEmail(account: number, random: Random): string {
    return this.emails[account * 2 + (random.chance(0.1) ? 1 : 0)]!
  }

  /** One of the account's favourite merchants in a line; a closed one is replaced first. -1 when it has none there. */
  drawFavourite(account: number, line: number, random: Random): number {
    const merchant = this.favourites.draw(account, line, random)
    if (merchant < 0 || this.merchants.isOpen[merchant] === 1) return merchant
    const replacement = this.drawMerchant(account, line, random)
    this.favourites.replaceLast(replacement)
    return replacement
  }

  drawMerchant(account: number, line: number, random: Random): number {
    const country = this.homeCountry(account)
    return LINES[line]!.online
      ? this.merchants.drawOnline(line, country, random)
      : this.merchants.draw(line, country, random)
  }

  /** True while this card_id is the one in use. */
  isCurrent(card: number, cardId: string, timeMs: number): boolean {
    return this.cardId[card] === cardId && this.cardUsableMs[card]! <= timeMs
  }

  /** Ends a card; the account has a new one from `usableMs` on. Nothing happens when the card was replaced before. */
  closeCard(card: number, cardId: string, usableMs: number): void {
    if (this.cardId[card] !== cardId) return
    this.cardId[card] = this.ids.card()
    this.cardUsableMs[card] = usableMs
    this.cardLostUntilMs[card] = 0
  }

  /** A bank ends the relation (or the customer does): the slot is free for somebody else. */
  endAccount(account: number, timeMs: number): void {
    this.open(account, timeMs, timeMs)
    this.onReplaced(account)
  }

  private isUsable(card: number, timeMs: number, inHand: boolean): boolean {
    return this.cardUsableMs[card]! <= timeMs && (!inHand || this.cardLostUntilMs[card]! <= timeMs)
  }

  private open(account: number, openedMs: number, fromMs: number): void {
    const { random } = this
    this.id[account] = this.ids.account()
    this.openedMs[account] = openedMs
    this.amountFactor[account] = random.lognormal(1, 0.35)
    this.limitEur[account] = random.lognormal(2_500, 0.7)
    this.chronotype[account] = this.chronotypes.draw(random)
    this.payday[account] = this.paydays.draw(random)
    this.affinity[account] = random.below(ONLINE_AFFINITY.length)
    this.emails[account * 2] = this.ids.email()
    this.emails[account * 2 + 1] = this.ids.email()
    this.lastStoreMs[account] = 0
    const cards = random.chance(SECOND_CARD_SHARE) ? 2 : 1
    this.cards[account] = cards
    for (let k = 0; k < CARDS_MAX; k++) {
      const card = account * CARDS_MAX + k
      this.cardId[card] = this.ids.card()
      this.cardBin[card] = this.bins.draw(random)
      this.cardUsableMs[card] = 0
      this.cardLostUntilMs[card] = 0
    }
    const devices = 1 + (random.chance(0.55) ? 1 : 0) + (random.chance(0.25) ? 1 : 0)
    this.devices[account] = devices
    for (let j = 0; j < devices; j++) this.newDevice(account * DEVICES_MAX + j, j === 0)
    if (account > 0 && random.chance(HOUSEHOLD_SHARE)) this.joinHousehold(account, account - 1)
    else this.settle(account)
    this.renewWallet(account, random.chance(WALLET_SHARE))
    this.favourites.drawNumber(account, random)
    this.favourites.choose(account, true, (line) => this.drawMerchant(account, line, random))
    this.tripEndMs[account] = fromMs - random.unit() * BETWEEN_TRIPS_MS
    this.tripStartMs[account] = 0
    this.planNextChange(account, fromMs)
  }

  private joinHousehold(account: number, partner: number): void {
    this.homeCity[account] = this.homeCity[partner]!
    this.homeLatitude[account] = this.homeLatitude[partner]!
    this.homeLongitude[account] = this.homeLongitude[partner]!
    this.homeAddress[account] = this.homeAddress[partner]!
    const shared = partner * DEVICES_MAX + this.devices[partner]! - 1
    const own = account * DEVICES_MAX + this.devices[account]! - 1
    this.device[own] = this.device[shared]!
    this.platform[own] = this.platform[shared]!
  }

  private settle(account: number, city = this.homes.draw(this.random)): void {
    this.homeCity[account] = city
    this.homeLatitude[account] = cityLatitude(city) + 0.05 * this.random.normal()
    this.homeLongitude[account] = cityLongitude(city) + 0.07 * this.random.normal()
    this.homeAddress[account] = this.addresses.home(cityCountry(city))
  }

  private newDevice(device: number, phone: boolean): void {
    this.device[device] = this.ids.device()
    this.platform[device] = phone ? this.random.below(PHONES) : this.platforms.draw(this.random)
  }

  private renewWallet(account: number, has: boolean): void {
    const platform = PLATFORMS[this.platform[account * DEVICES_MAX]!]!
    this.wallet[account] = has ? { platform, token: this.ids.token() } : null
  }

  private planTrip(account: number, afterMs: number): void {
    const startMs = afterMs + this.random.exponential(BETWEEN_TRIPS_MS)
    this.tripStartMs[account] = startMs
    this.tripEndMs[account] = startMs + this.random.between(TRIP_DAYS_MIN, TRIP_DAYS_MAX) * DAY_MS
    let country = this.destinations.draw(this.random)
    if (country === this.homeCountry(account)) country = HOME_COUNTRIES + (account % HOME_COUNTRIES)
    this.tripCity[account] = drawCity(this.random, country)
  }

  private changesAMonth(account: number): number {
    return (
      CLOSED_A_MONTH +
      MOVED_A_MONTH +
      EMAIL_A_MONTH +
      ADDRESS_A_MONTH +
      this.devices[account]! * DEVICE_A_MONTH +
      this.cards[account]! * REISSUED_A_MONTH
    )
  }

  private planNextChange(account: number, fromMs: number): void {
    this.changeMs[account] = fromMs + this.random.exponential(MONTH_MS / this.changesAMonth(account))
  }

  /** One change, chosen in proportion to how often each kind happens. */
  private change(account: number, timeMs: number): void {
    const { random } = this
    let at = random.unit() * this.changesAMonth(account)
    if ((at -= CLOSED_A_MONTH) < 0) {
      this.endAccount(account, timeMs)
      return
    }
    if ((at -= MOVED_A_MONTH) < 0) this.move(account)
    else if ((at -= EMAIL_A_MONTH) < 0) this.emails[account * 2] = this.ids.email()
    else if ((at -= ADDRESS_A_MONTH) < 0) this.homeAddress[account] = this.addresses.home(this.homeCountry(account))
    else if ((at -= this.devices[account]! * DEVICE_A_MONTH) < 0) {
      const j = random.below(this.devices[account]!)
      this.newDevice(account * DEVICES_MAX + j, j === 0)
      // whoever has a new telephone sets the wallet up again, and some do so for the first time
      if (j === 0) this.renewWallet(account, this.wallet[account] !== null || random.chance(0.15))
    } else {
      const card = account * CARDS_MAX + random.below(this.cards[account]!)
      this.closeCard(card, this.cardId[card]!, Math.max(timeMs, this.cardUsableMs[card]!))
    }
    this.planNextChange(account, timeMs)
  }

  private move(account: number): void {
    const country = this.homeCountry(account)
    const abroad = this.random.chance(0.1)
    let city = this.homes.draw(this.random)
    if (!abroad) city = drawCity(this.random, country)
    this.settle(account, city)
    if (cityCountry(city) === country) return
    this.favourites.choose(account, false, (line) => this.drawMerchant(account, line, this.random))
  }
}
