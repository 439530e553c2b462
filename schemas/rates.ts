/** A versioned table that brings every amount to one base currency. Its SHA-256 travels in the journal. */
export interface RateTable {
  readonly version: string
  /** ISO 4217. */
  readonly base: string
  /** Units of the currency for one unit of the base. */
  readonly rates: Readonly<Record<string, number>>
}

/** ISO 4217 minor-unit digits where they are not 2. */
const MINOR_DIGITS: Readonly<Record<string, number>> = {
  BHD: 3, BIF: 0, CLF: 4, CLP: 0, DJF: 0, GNF: 0, IQD: 3, ISK: 0, JOD: 3, JPY: 0, KMF: 0, KRW: 0, KWD: 3, LYD: 3,
  OMR: 3, PYG: 0, RWF: 0, TND: 3, UGX: 0, UYI: 0, UYW: 4, VND: 0, VUV: 0, XAF: 0, XOF: 0, XPF: 0,
} // biome-ignore format: a table

export function minorDigits(currency: string): number {
  return MINOR_DIGITS[currency] ?? 2
}

/** Factors from minor units of a currency to minor units of the base, for every currency of the table. */
export function baseFactors(table: RateTable): ReadonlyMap<string, number> {
  const baseUnit = 10 ** minorDigits(table.base)
  const factors = new Map<string, number>([[table.base, 1]])
  for (const [currency, rate] of Object.entries(table.rates)) {
    if (currency !== table.base) factors.set(currency, baseUnit / 10 ** minorDigits(currency) / rate)
  }
  return factors
}
