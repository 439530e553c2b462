import { TEXT_FIELDS, type Transaction } from '#schemas/transaction.ts'
import { areaUnderCurve } from './simulated-run.ts'

const DAY_MS = 86_400_000
/** A word's rate of fraud is drawn towards that of all words, as if it had been seen so often more. */
const PRIOR_ROWS = 20

/** Raw fields that are numbers, or become one by reading the clock. */
const NUMBERS: Readonly<Record<string, (transaction: Transaction, amountBase: number) => number>> = {
  amount: ({ amount }) => amount,
  'amount in the base currency': (_, amountBase) => amountBase,
  'hour of the day': ({ event_time }) => (event_time / 3_600_000) % 24,
  'day of the week': ({ event_time }) => Math.floor(event_time / DAY_MS) % 7,
  event_time: ({ event_time }) => event_time,
  latitude: ({ latitude }) => latitude ?? 0,
  longitude: ({ longitude }) => longitude ?? 0,
  'a place or none': ({ latitude }) => (latitude === null ? 1 : 0),
  recurring: ({ recurring }) => (recurring ? 1 : 0),
}

/** Raw fields that are words. */
const WORDS: Readonly<Record<string, (transaction: Transaction) => string>> = {
  ...Object.fromEntries(TEXT_FIELDS.map((field) => [field, (transaction: Transaction) => transaction[field]])),
  kind: ({ kind }) => kind,
  channel: ({ channel }) => channel,
  entry_mode: ({ entry_mode }) => entry_mode,
  platform: ({ attributes }) => attributes['platform'] ?? '',
  token: ({ attributes }) => attributes['token'] ?? '',
  'names of the attributes': ({ attributes }) => Object.keys(attributes).join(),
  signals: ({ signals }) => Object.keys(signals).join(),
}

interface Counts {
  rows: number
  frauds: number
}

/**
 * How well each raw field tells fraud by itself: a number by its order, either way round; a word by what the rows that
 * were learned say of it, a word not met among them by the rate of all. No field is left out.
 */
export class SingleFields {
  private readonly counts: Readonly<Record<string, Map<string, Counts>>> = Object.fromEntries(
    Object.keys(WORDS).map((name) => [name, new Map<string, Counts>()]),
  )
  private readonly scores: Readonly<Record<string, number[]>> = Object.fromEntries(
    [...Object.keys(WORDS), ...Object.keys(NUMBERS)].map((name) => [name, []]),
  )
  private readonly isFraud: boolean[] = []
  private rows = 0
  private frauds = 0

  learn(transaction: Transaction, isFraud: boolean): void {
    this.rows++
    if (isFraud) this.frauds++
    for (const [name, read] of Object.entries(WORDS)) {
      const word = read(transaction)
      const counts = this.counts[name]!.get(word) ?? { rows: 0, frauds: 0 }
      if (counts.rows === 0) this.counts[name]!.set(word, counts)
      counts.rows++
      if (isFraud) counts.frauds++
    }
  }

  judge(transaction: Transaction, amountBase: number, isFraud: boolean): void {
    const prior = this.frauds / this.rows
    this.isFraud.push(isFraud)
    for (const [name, read] of Object.entries(WORDS)) {
      const counts = this.counts[name]!.get(read(transaction)) ?? { rows: 0, frauds: 0 }
      this.scores[name]!.push((counts.frauds + PRIOR_ROWS * prior) / (counts.rows + PRIOR_ROWS))
    }
    for (const [name, read] of Object.entries(NUMBERS)) this.scores[name]!.push(read(transaction, amountBase))
  }

  /** Area under the ROC curve of each field on what was judged, at least one half for numbers; largest first. */
  areas(): readonly (readonly [name: string, area: number])[] {
    return Object.entries(this.scores)
      .map(([name, scores]): [string, number] => {
        const area = areaUnderCurve(scores, this.isFraud)
        return [name, name in NUMBERS ? Math.max(area, 1 - area) : area]
      })
      .sort((a, b) => b[1] - a[1])
  }
}
