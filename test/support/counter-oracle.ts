import type { CounterSpec } from '#schemas/counter.ts'
import type { FeatureSpec } from '#schemas/feature-spec.ts'
import { isDeclined, type Transaction } from '#schemas/transaction.ts'
import type { StreamItem } from '#test/support/feature-streams.ts'

interface Counted {
  readonly of: Transaction
  amount: number
  declined: boolean
}

const DAY_MS = 86_400_000
/** Behind the newest event of its key an event is kept for the window and this long. */
const LATE_MS = DAY_MS
const IDLE_MS = 90 * DAY_MS

/** Counters of rules by their definition: every event in a plain list for each key, counted anew for every event. */
export class CounterOracle {
  private readonly spec: FeatureSpec
  private readonly counters: readonly CounterSpec[]
  /** By counter and key. */
  private readonly kept = new Map<string, { newestMs: number; events: Counted[] }>()
  /** What each card still holds of its own events: only these can be corrected. */
  private readonly cards = new Map<string, { newestMs: number; events: Counted[] }>()
  private startMs: number | null = null
  private streamMs = 0

  constructor(spec: FeatureSpec, counters: readonly CounterSpec[]) {
    this.spec = spec
    this.counters = counters
  }

  /** Values by counter for a scored event, else null. */
  fold(item: StreamItem): number[] | null {
    if (item.kind === 'label') return null
    const { transaction } = item
    if (transaction.kind === 'reversal' || transaction.kind === 'outcome') {
      this.correct(transaction)
      return null
    }
    this.streamMs = Math.max(this.streamMs, transaction.event_time)
    this.startMs ??= this.streamMs
    const values = this.counters.map((counter) => this.value(counter, transaction))
    this.take(transaction)
    return values
  }

  private value(counter: CounterSpec, t: Transaction): number {
    if (this.streamMs - this.startMs! < counter.windowMs) return Number.NaN
    const key = keyOf(counter, t)
    if (key === null) return 0
    const own: Counted = { of: t, amount: t.amount, declined: false }
    const inWindow = [...(this.alive(this.kept, key, IDLE_MS)?.events ?? []), own].filter(
      (event) =>
        event.of.event_time > t.event_time - counter.windowMs &&
        event.of.event_time <= t.event_time &&
        this.isCounted(counter, event),
    )
    if (counter.aggregate === 'count') return inWindow.length
    if (counter.aggregate === 'sum') return inWindow.reduce((sum, { amount }) => sum + amount, 0)
    const others = new Set(
      inWindow.map(({ of }) => (counter.aggregate === 'distinct_cards' ? of.card_id : of.merchant_id)),
    )
    others.delete('')
    return others.size
  }

  private isCounted({ filter }: CounterSpec, { of, declined }: Counted): boolean {
    if (filter === 'refund' || of.kind === 'refund') return filter === 'refund' && of.kind === 'refund'
    if (filter === 'declined') return declined
    if (filter === 'approved') return !declined
    return filter === 'all' || (of.kind === 'authorization' && of.amount < this.spec.smallAmount)
  }

  private take(t: Transaction): void {
    for (const counter of this.counters) {
      const key = keyOf(counter, t)
      if (key === null || (t.kind === 'refund') !== (counter.filter === 'refund')) continue
      this.keep(this.kept, key, IDLE_MS, counter.windowMs + LATE_MS, t)
    }
    const idleMs = this.spec.idleDays * DAY_MS
    const card = t.card_id
    if (t.kind === 'refund') {
      const found = this.alive(this.cards, card, idleMs)
      if (found === undefined) this.cards.set(card, { newestMs: t.event_time, events: [] })
      else found.newestMs = Math.max(found.newestMs, t.event_time)
    } else {
      this.keep(this.cards, card, idleMs, 30 * DAY_MS + this.spec.lateHours * 3_600_000, t)
    }
  }

  private keep(kept: typeof this.kept, key: string, idleMs: number, horizonMs: number, t: Transaction): void {
    const found = this.alive(kept, key, idleMs) ?? { newestMs: t.event_time, events: [] }
    kept.set(key, found)
    if (t.event_time < found.newestMs - horizonMs) return
    found.newestMs = Math.max(found.newestMs, t.event_time)
    found.events.push({ of: t, amount: t.amount, declined: isDeclined(t.response_code) })
    found.events = found.events.filter(({ of }) => of.event_time >= found.newestMs - horizonMs)
  }

  private correct(t: Transaction): void {
    const idleMs = this.spec.idleDays * DAY_MS
    const card = this.alive(this.cards, t.card_id, idleMs)
    const original = card?.events.find(({ of }) => of.transaction_id === t.original_id)
    if (card === undefined || original === undefined) return
    const { amount } = original
    for (const counter of this.counters) {
      const key = keyOf(counter, t)
      const found = key === null ? undefined : this.alive(this.kept, key, IDLE_MS)
      if (found !== undefined && counter.filter !== 'refund') correctIn(found, t, amount)
    }
    correctIn(card, t, amount)
  }

  private alive(
    kept: typeof this.kept,
    key: string,
    idleMs: number,
  ): { newestMs: number; events: Counted[] } | undefined {
    const found = kept.get(key)
    return found === undefined || this.streamMs - found.newestMs > idleMs ? undefined : found
  }
}

function correctIn(kept: { events: Counted[] }, t: Transaction, amount: number): void {
  const event = kept.events.find(({ of }) => of.transaction_id === t.original_id)
  if (event === undefined) return
  if (t.kind === 'outcome') event.declined = isDeclined(t.response_code)
  else if (t.amount === 0 || t.amount >= amount) kept.events = kept.events.filter((other) => other !== event)
  else event.amount -= t.amount
}

function keyOf(counter: CounterSpec, t: Transaction): string | null {
  const ids = counter.fields.map((field) => t[field])
  return ids.includes('') ? null : `${JSON.stringify(counter)}|${ids.join('|')}`
}
