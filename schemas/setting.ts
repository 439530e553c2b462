import { Cron } from 'croner'
import { z } from 'zod'

/** One setting: what it may be, what it is when nobody says, and one sentence for people with the reason for that. */
export interface Setting<T> {
  readonly kind: 'setting'
  /** Checks one value and gives it its final form; text (environment, flags) and YAML values are both taken. */
  readonly shape: z.ZodType<T>
  readonly fallback: T
  readonly about: string
  /** What is allowed, in words. */
  readonly allowed: string
  /**
   * Values that end so are paths on disk, and relative ones are taken from the folder of the config file, or the working
   * folder. Empty: every value is one. Null: none is.
   */
  readonly pathEnding: string | null
  /** Never shown. */
  readonly isSecret: boolean
}

/** A whole number from `min` to `max`. */
export function wholeNumber(fallback: number, min: number, max: number, about: string): Setting<number> {
  const shape = z.preprocess(toNumber, z.number().int().min(min).max(max))
  return setting(shape, fallback, about, `a whole number from ${grouped(min)} to ${grouped(max)}`)
}

/** Any finite number from `min` to `max`. */
export function decimal(fallback: number, min: number, max: number, about: string): Setting<number> {
  const shape = z.preprocess(toNumber, z.number().min(min).max(max))
  return setting(shape, fallback, about, `a number from ${grouped(min)} to ${grouped(max)}`)
}

export function oneOf<const T extends string>(fallback: NoInfer<T>, choices: readonly T[], about: string): Setting<T> {
  return setting<T>(z.enum(choices), fallback, about, choices.join(', '))
}

export function yesNo(fallback: boolean, about: string): Setting<boolean> {
  return setting(z.preprocess(toBoolean, z.boolean()), fallback, about, 'true, false')
}

/** Text of at most 200 characters; may be empty. */
export function text(fallback: string, about: string): Setting<string> {
  return setting(z.preprocess(toText, z.string().max(200)), fallback, about, 'text of at most 200 characters')
}

/** Text that must not be empty and fits a pattern, said in words. */
export function name(fallback: string, pattern: RegExp, allowed: string, about: string): Setting<string> {
  return setting(z.preprocess(toText, z.string().regex(pattern)), fallback, about, allowed)
}

export function secret(about: string): Setting<string> {
  return { ...text('', about), isSecret: true }
}

/** A file or folder; empty where the sentence says what stands in for it. */
export function path(fallback: string, about: string): Setting<string> {
  const shape = z.preprocess(
    toText,
    z
      .string()
      .max(4_096)
      .refine((value) => !value.includes('\0')),
  )
  return { ...setting(shape, fallback, about, 'a path'), pathEnding: '' }
}

/** One of the names that Weir knows, or a file of one's own with that ending. */
export function nameOrFile(fallback: string, names: readonly string[], ending: string, about: string): Setting<string> {
  const shape = z
    .string()
    .max(4_096)
    .refine((value) => names.includes(value) || (value.endsWith(ending) && !value.includes('\0')))
  return {
    ...setting(shape, fallback, about, `${names.join(', ')}, or the path of a file that ends in ${ending}`),
    pathEnding: ending,
  }
}

export function url(fallback: string, about: string): Setting<string> {
  const shape = z.string().refine(isHttpUrl)
  return setting(shape, fallback, about, 'an address such as http://127.0.0.1:8123, without user and password in it')
}

/** Five fields: minute, hour, day of month, month, day of week. */
export function cron(fallback: string, about: string): Setting<string> {
  return setting(z.string().refine(isCron), fallback, about, 'a cron expression of five fields, such as "0 3 * * *"')
}

/** A list of words: an array in the file, words separated by commas elsewhere. */
export function words(fallback: readonly string[], about: string): Setting<readonly string[]> {
  const shape = z.preprocess(toWords, z.array(z.string().min(1).max(200)).max(100).readonly())
  return setting<readonly string[]>(shape, fallback, about, 'a list of words, or words separated by commas')
}

function setting<T>(shape: z.ZodType<T>, fallback: T, about: string, allowed: string): Setting<T> {
  return { kind: 'setting', shape, fallback, about, allowed, pathEnding: null, isSecret: false }
}

/** `1_000` and `1000` are the same number; anything else than digits stays text and is refused. */
function toNumber(value: unknown): unknown {
  if (typeof value !== 'string') return value
  const plain = value.trim().replace(/(?<=\d)_(?=\d)/g, '')
  return plain === '' ? value : Number(plain)
}

function toBoolean(value: unknown): unknown {
  if (value === 'true' || value === 'yes' || value === '1') return true
  if (value === 'false' || value === 'no' || value === '0') return false
  return value
}

/** YAML reads `password: 1234` as a number; text was meant. */
function toText(value: unknown): unknown {
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : value
}

function toWords(value: unknown): unknown {
  if (typeof value !== 'string') return value
  return value
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '')
}

function isHttpUrl(value: string): boolean {
  if (!URL.canParse(value)) return false
  const { protocol, username, password } = new URL(value)
  return (protocol === 'http:' || protocol === 'https:') && username === '' && password === ''
}

function isCron(value: string): boolean {
  if (value.trim().split(/\s+/).length !== 5) return false
  try {
    return new Cron(value, { paused: true }).nextRun() !== null
  } catch {
    return false
  }
}

function grouped(value: number): string {
  return Math.abs(value) >= 1e6 && value % 1e6 === 0 && Math.abs(value) < 1e15
    ? `${(value / 1e6).toLocaleString('en')} million`
    : value.toLocaleString('en', { maximumFractionDigits: 6 })
}
