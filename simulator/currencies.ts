import { minorDigits, type RateTable } from '#schemas/rates.ts'
import { DAY_MS } from './calendar.ts'
import type { Random } from './random.ts'

const BASE = 'EUR'
/** Units for one euro on the first day. */
const FIRST_RATES: Readonly<Record<string, number>> = {
  GBP: 0.86,
  USD: 1.09,
  CHF: 0.95,
  PLN: 4.3,
  SEK: 11.4,
  JPY: 162,
}
const DAILY_SIGMA = 0.005

/** Exchange rates that walk half a percent a day, and the table that is published from them. */
export class Currencies {
  private readonly random: Random
  private readonly rates: Record<string, number> = { ...FIRST_RATES }
  private readonly seed: number
  private day: number
  private published: RateTable | null = null

  constructor(random: Random, seed: number, startMs: number) {
    this.random = random
    this.seed = seed
    this.day = Math.floor(startMs / DAY_MS)
  }

  /** Brings the rates to the day of `timeMs`. */
  advanceTo(timeMs: number): void {
    const day = Math.floor(timeMs / DAY_MS)
    while (this.day < day) {
      this.day++
      this.published = null
      for (const currency of Object.keys(this.rates)) {
        this.rates[currency] = this.rates[currency]! * Math.exp(DAILY_SIGMA * this.random.normal())
      }
    }
  }

  /** The table of the day; a new object only when the day changes. */
  table(): RateTable {
    this.published ??= {
      version: `simulated-${this.seed}-${new Date(this.day * DAY_MS).toISOString().slice(0, 10)}`,
      base: BASE,
      rates: { [BASE]: 1, ...this.rates },
    }
    return this.published
  }

  /** Units of the currency for one euro, today. */
  rateOf(currency: string): number {
    return currency === BASE ? 1 : this.rates[currency]!
  }
}

/** Minor units of a currency in one unit. */
export function minorPerUnit(currency: string): number {
  return 10 ** minorDigits(currency)
}
