import { DAY_MS, MONTH_MS } from './calendar.ts'
import { GIFT_CATEGORY, LINES, lineIndex, lineWeights, SUBSCRIPTION } from './lines.ts'
import type { OpaqueIds } from './opaque-ids.ts'
import { COUNTRIES, HOME_COUNTRIES } from './places.ts'
import { AliasTable, type Random, zipfWeights } from './random.ts'

const POPULARITY_EXPONENT = 1.1
/** Where merchants are, by country. */
const COUNTRY_WEIGHTS = [0.24, 0.2, 0.18, 0.16, 0.06, 0.06, 0.03, 0.03, 0.02, 0.02] as const
/** Where a customer orders who orders abroad. */
const ORDER_WEIGHTS = [0.36, 0.36, 0.07, 0.09, 0.06, 0.06] as const
const ORDER_ABROAD_SHARE = 0.235
const ORDER_OTHER_HOME_SHARE = 0.1
const BORN_A_MONTH = 0.015
const CLOSED_A_MONTH = 0.01
/** Slots left empty at the start, for merchants still to be born. */
const EMPTY_SHARE = 0.08
const REST_MS = 20 * DAY_MS
/** How merchants end their prices: as it comes, .99, .00, .50, .95. */
const PRICE_STYLE_WEIGHTS = [0.46, 0.2, 0.12, 0.12, 0.1] as const
/** Spread of the merchants of one line in price, deviation of the logarithm. */
export const MERCHANT_PRICE_SIGMA = 0.25
const ACQUIRER_SHARE = 0.15

/**
 * The merchants. They sit in slots, and a slot keeps its popularity: a new merchant takes the place of one that closed
 * some weeks before, so memory does not grow and popularity stays Zipf's within every line and country.
 */
export class Merchants {
  readonly count: number
  readonly id: string[]
  readonly category: string[]
  readonly line: Uint8Array
  readonly country: Uint8Array
  /** Epoch milliseconds. */
  readonly bornMs: Float64Array
  readonly isOpen: Uint8Array
  readonly priceFactor: Float32Array
  readonly priceStyle: Uint8Array
  /** Share of its online orders that go through 3-D Secure. */
  readonly threeDsShare: Float32Array
  readonly checksAddress: Uint8Array
  readonly checksCode: Uint8Array
  /** 1 for the merchants that stay in the acquirer's view. */
  readonly isAcquired: Uint8Array
  private readonly closedMs: Float64Array
  private readonly rank: Uint16Array
  private readonly poolStart: Int32Array
  private readonly poolLength: Int32Array
  private readonly poolTables: AliasTable[] = []
  private readonly orderCountries = new AliasTable(ORDER_WEIGHTS)
  private readonly styles = new AliasTable(PRICE_STYLE_WEIGHTS)
  private readonly onlineLineTable = new AliasTable(lineWeights(true))
  private readonly random: Random
  private readonly ids: OpaqueIds
  private turnoverMs: number

  constructor(random: Random, ids: OpaqueIds, planned: number, startMs: number) {
    this.random = random
    this.ids = ids
    this.turnoverMs = startMs
    const pools = poolSizes(planned)
    const count = pools.reduce((sum, size) => sum + size, 0)
    this.count = count
    this.id = Array.from({ length: count }, () => '')
    this.category = Array.from({ length: count }, () => '')
    this.line = new Uint8Array(count)
    this.country = new Uint8Array(count)
    this.bornMs = new Float64Array(count)
    this.isOpen = new Uint8Array(count)
    this.priceFactor = new Float32Array(count)
    this.priceStyle = new Uint8Array(count)
    this.threeDsShare = new Float32Array(count)
    this.checksAddress = new Uint8Array(count)
    this.checksCode = new Uint8Array(count)
    this.isAcquired = new Uint8Array(count)
    this.closedMs = new Float64Array(count)
    this.rank = new Uint16Array(count)
    this.poolStart = new Int32Array(pools.length)
    this.poolLength = Int32Array.from(pools)
    let slot = 0
    for (let pool = 0; pool < pools.length; pool++) {
      this.poolStart[pool] = slot
      this.poolTables.push(new AliasTable(zipfWeights(pools[pool]!, POPULARITY_EXPONENT)))
      for (let rank = 0; rank < pools[pool]!; rank++, slot++) {
        this.line[slot] = Math.floor(pool / COUNTRIES.length)
        this.country[slot] = pool % COUNTRIES.length
        this.rank[slot] = rank
        this.open(slot, startMs - random.exponential(MONTH_MS / CLOSED_A_MONTH))
        if (rank > 1 && random.chance(EMPTY_SHARE)) this.close(slot, startMs - random.exponential(REST_MS))
      }
    }
  }

  /** Births and closures up to `timeMs`. */
  advanceTo(timeMs: number): void {
    const months = (timeMs - this.turnoverMs) / MONTH_MS
    this.turnoverMs = timeMs
    for (let closing = this.random.poisson(this.count * CLOSED_A_MONTH * months); closing > 0; closing--) {
      const slot = this.random.below(this.count)
      // the leaders of a pool stay: a town does not lose its only supermarket
      if (this.isOpen[slot] === 1 && this.rank[slot]! > 1) this.close(slot, timeMs)
    }
    for (let births = this.random.poisson(this.count * BORN_A_MONTH * months); births > 0; births--) {
      for (let attempt = 0; attempt < 40; attempt++) {
        const slot = this.random.below(this.count)
        if (this.isOpen[slot] === 1 || timeMs - this.closedMs[slot]! < REST_MS) continue
        this.open(slot, timeMs)
        break
      }
    }
  }

  /** An open merchant of a line in a country, by popularity. */
  draw(line: number, country: number, random: Random): number {
    const pool = line * COUNTRIES.length + country
    const start = this.poolStart[pool]!
    const table = this.poolTables[pool]!
    for (let attempt = 0; attempt < 8; attempt++) {
      const slot = start + table.draw(random)
      if (this.isOpen[slot] === 1) return slot
    }
    // rank 0 never closes
    return start
  }

  /** An online merchant for somebody of that country: mostly at home, some in other countries of the issuer, some abroad. */
  drawOnline(line: number, country: number, random: Random): number {
    const at = random.unit()
    if (at < ORDER_ABROAD_SHARE) return this.draw(line, HOME_COUNTRIES + this.orderCountries.draw(random), random)
    if (at < ORDER_ABROAD_SHARE + ORDER_OTHER_HOME_SHARE) return this.draw(line, random.below(HOME_COUNTRIES), random)
    return this.draw(line, country, random)
  }

  /** A little-known online merchant of one of the issuer's countries. */
  drawSmall(random: Random): number {
    for (;;) {
      const pool = this.drawOnlineLine(random) * COUNTRIES.length + random.below(HOME_COUNTRIES)
      const length = this.poolLength[pool]!
      const slot = this.poolStart[pool]! + Math.floor(length / 2) + random.below(Math.ceil(length / 2))
      if (this.isOpen[slot] === 1) return slot
    }
  }

  /** The youngest-looking online merchant by a fair draw among those born in the last `ageMs`; -1 when there is none. */
  drawNewborn(timeMs: number, ageMs: number, random: Random): number {
    let chosen = -1
    let seen = 0
    for (let slot = 0; slot < this.count; slot++) {
      const line = this.line[slot]!
      if (this.isOpen[slot] === 0 || !LINES[line]!.online || line === SUBSCRIPTION) continue
      if (timeMs - this.bornMs[slot]! > ageMs || this.country[slot]! >= HOME_COUNTRIES) continue
      seen++
      if (random.below(seen) === 0) chosen = slot
    }
    return chosen
  }

  /** A merchant that sells gift cards in a store of that country. */
  drawGiftShop(country: number, random: Random): number {
    const line = lineIndex('other', false)
    for (let attempt = 0; attempt < 20; attempt++) {
      const slot = this.draw(line, country, random)
      if (this.category[slot] === GIFT_CATEGORY) return slot
    }
    return this.draw(line, country, random)
  }

  /** A line of online business, as common as it is among everybody. */
  drawOnlineLine(random: Random): number {
    return this.onlineLineTable.draw(random)
  }

  private open(slot: number, timeMs: number): void {
    const { random } = this
    this.id[slot] = this.ids.merchant()
    this.category[slot] = random.pick(LINES[this.line[slot]!]!.categories)
    this.bornMs[slot] = timeMs
    this.isOpen[slot] = 1
    this.priceFactor[slot] = random.lognormal(1, MERCHANT_PRICE_SIGMA)
    this.priceStyle[slot] = this.styles.draw(random)
    this.threeDsShare[slot] = Math.min(0.95, Math.max(0.02, 0.5 + 0.3 * random.normal()))
    this.checksAddress[slot] = random.chance(0.6) ? 1 : 0
    this.checksCode[slot] = random.chance(0.75) ? 1 : 0
    this.isAcquired[slot] = random.chance(ACQUIRER_SHARE) ? 1 : 0
  }

  private close(slot: number, timeMs: number): void {
    this.isOpen[slot] = 0
    this.closedMs[slot] = timeMs
  }
}

/** How many merchants each line has in each country (line-major); at least two at home and one abroad. */
function poolSizes(planned: number): number[] {
  const lineWeights = LINES.map((line) => line.share ** 0.6)
  const total = lineWeights.reduce((sum, weight) => sum + weight, 0)
  return lineWeights.flatMap((lineWeight) =>
    COUNTRY_WEIGHTS.map((countryWeight, country) =>
      Math.max(country < HOME_COUNTRIES ? 2 : 1, Math.round((planned * lineWeight * countryWeight) / total)),
    ),
  )
}
