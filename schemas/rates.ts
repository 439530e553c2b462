import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { messageOf, WeirError } from './errors.ts'

/** A versioned table that brings every amount to one base currency. Its SHA-256 travels in the journal. */
export interface RateTable {
  readonly version: string
  /** ISO 4217. */
  readonly base: string
  /** Units of the currency for one unit of the base. */
  readonly rates: Readonly<Record<string, number>>
}

const CURRENCY = /^[A-Z]{3}$/
/** No two currencies of the world are further apart. */
const RATE_MAX = 1e9

const tableShape = z.strictObject({
  version: z.string().min(1).max(100),
  base: z.string(),
  rates: z.record(z.string(), z.unknown()),
})

/**
 * The table of a file, checked.
 *
 * @param base the currency that Weir counts in, to which the table must bring amounts
 * @throws WeirError CONFIG_INVALID naming every key at fault, its value and what is allowed
 */
export function loadRateTable(file: string, base: string): RateTable {
  let input: unknown
  try {
    input = JSON.parse(readFileSync(file, 'utf8'))
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT'
    throw new WeirError(
      'CONFIG_INVALID',
      missing ? 'the rate table does not exist' : `the rate table cannot be read: ${messageOf(cause).split('\n')[0]}`,
      { where: file, fix: 'Name an existing JSON file with rates.file.', cause },
    )
  }
  return parseRateTable(input, base, file)
}

/** @throws WeirError CONFIG_INVALID as `loadRateTable` */
export function parseRateTable(input: unknown, base: string, where: string): RateTable {
  const parsed = tableShape.safeParse(input)
  const problems = parsed.success
    ? problemsOf(parsed.data, base)
    : parsed.error.issues.map(({ path, message }) => `${path.join('.') || '(file)'}: ${message}`)
  if (problems.length === 0) return parsed.data as RateTable
  throw new WeirError('CONFIG_INVALID', problems.slice(0, PROBLEMS_MAX).join('\n'), {
    where,
    fix: `A rate table is {"version": "2026-01-01", "base": "${base}", "rates": {"USD": 1.17}}: units of each currency for one ${base}.`,
  })
}

function problemsOf({ base, rates }: z.infer<typeof tableShape>, wanted: string): string[] {
  const problems: string[] = []
  if (base !== wanted) problems.push(`base is ${shown(base)}, it must be ${wanted}, in which Weir counts`)
  for (const [currency, rate] of Object.entries(rates)) {
    const key = `rates.${shown(currency).slice(1, -1)}`
    if (!CURRENCY.test(currency)) problems.push(`${key} is no currency; use three capital letters (ISO 4217)`)
    else if (typeof rate !== 'number' || !(rate >= 1 / RATE_MAX && rate <= RATE_MAX)) {
      problems.push(`${key} is ${shown(rate)}; a rate is a number above 0 and at most ${RATE_MAX}`)
    } else if (currency === base && rate !== 1) problems.push(`${key} is ${shown(rate)}, but ${base} is the base: 1`)
  }
  return problems
}

const PROBLEMS_MAX = 10

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value)
  return text.length > 40 ? `${text.slice(0, 37)}...` : text
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
