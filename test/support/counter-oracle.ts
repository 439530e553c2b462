import type { CounterSpec } from '#schemas/counter.ts'
import { type FeatureSpec, WINDOWS_MS } from '#schemas/feature-spec.ts'
import { isDeclined, type Transaction } from '#schemas/transaction.ts'
import type { StreamItem } from '#test/support/feature-streams.ts'

interface Counted {
  readonly of: Transaction
  amount: number
  declined: boolean
}

/** The events of one key, as far back as they are kept behind the newest of them. */
interface Kept {
  newestMs: number
  events: Counted[]
}

/** A counter, and the spec's entity whose events it counts; null: it keeps those that its filter lets through itself. */
export interface CounterUnderTest {
  readonly spec: CounterSpec
  readonly entity: string | null
}

const DAY_MS = 86_400_000
const RING_LATE_MS = DAY_MS

/** Counters of rules by their definition: events in plain lists for each key, counted anew for every event. */
export class CounterOracle {
  private readonly spec: FeatureSpec
  private readonly counters: readonly CounterUnderTest[]
  private readonly kept = new Map<string, Kept>()
  private startMs: number | null = null
  private streamMs = 0

  constructor(spec: FeatureSpec, counters: readonly CounterUnderTest[]) {
    this.spec = spec
    this.counters = counters
  }

  /** Values by counter for a scored event, else null. */
  fold(item: StreamItem): number[] | null {
    if (item.kind === 'label') return null
    const t = item.transaction
    if (t.kind === 'reversal' || t.kind === 'outcome') {
      this.correct(t)
      return null
    }
    this.streamMs = Math.max(this.streamMs, t.event_time)
    this.startMs ??= this.streamMs
    const values = this.counters.map((counter) => this.value(counter, t))
    this.take(t)
    return values
  }

  private value(counter: CounterUnderTest, t: Transaction): number {
    const { aggregate, windowMs } = counter.spec
    if (this.streamMs - this.startMs! < windowMs) return Number.NaN
    const key = keyOf(counter, t)
    if (key === null) return 0
    const own: Counted = { of: t, amount: t.amount, declined: false }
    const inWindow = [...(this.alive(key, this.idleMs(counter))?.events ?? []), own].filter(
      (event) =>
        event.of.event_time > t.event_time - windowMs &&
        event.of.event_time <= t.event_time &&
        this.isCounted(counter.spec, event),
    )
    if (aggregate === 'count') return inWindow.length
    if (aggregate === 'sum') return inWindow.reduce((sum, { amount }) => sum + amount, 0)
    const others = new Set(inWindow.map(({ of }) => (aggregate === 'distinct_cards' ? of.card_id : of.merchant_id)))
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
    const event = { of: t, amount: t.amount, declined: isDeclined(t.response_code) }
    for (const { name, fields } of this.spec.entities) {
      const key = `${name}|${fields.map((field) => t[field]).join('|')}`
      if (fields.some((field) => t[field] === '')) continue
      const kept = this.alive(key, this.spec.idleDays * DAY_MS) ?? { newestMs: t.event_time, events: [] }
      this.kept.set(key, kept)
      if (t.kind === 'refund') kept.newestMs = Math.max(kept.newestMs, t.event_time)
      else keep(kept, { ...event }, this.horizonMs(name))
    }
    const rings = new Map(this.counters.filter(({ entity }) => entity === null).map((c) => [keyOf(c, t), c.spec]))
    for (const [key, counter] of rings) if (this.isCounted(counter, event)) this.keepInRing(key, counter, { ...event })
  }

  private keepInRing(key: string | null, { windowMs }: CounterSpec, event: Counted): void {
    if (key === null) return
    const kept = this.alive(key, windowMs + RING_LATE_MS) ?? { newestMs: event.of.event_time, events: [] }
    this.kept.set(key, kept)
    keep(kept, event, windowMs + RING_LATE_MS)
  }

  /** An event can be corrected as long as its card holds it. */
  private correct(t: Transaction): void {
    const original = find(this.alive(`card|${t.card_id}`, this.spec.idleDays * DAY_MS), t)
    if (original === undefined) return
    const before = { ...original }
    const declined = isDeclined(t.response_code)
    for (const { name, fields } of this.spec.entities) {
      const key = `${name}|${fields.map((field) => t[field]).join('|')}`
      correctIn(this.alive(key, this.spec.idleDays * DAY_MS), t, before.amount)
    }
    for (const counter of this.counters) {
      const key = keyOf(counter, t)
      if (counter.entity !== null || counter.spec.filter === 'refund' || key === null) continue
      const kept = this.alive(key, this.idleMs(counter))
      if (t.kind === 'reversal') correctIn(kept, t, before.amount)
      else if (declined !== before.declined && ['declined', 'approved'].includes(counter.spec.filter)) {
        const event = { ...before, declined }
        if (this.isCounted(counter.spec, event)) this.keepInRing(key, counter.spec, event)
        else if (kept !== undefined) kept.events = kept.events.filter(({ of }) => of.transaction_id !== t.original_id)
      }
    }
  }

  private horizonMs(name: string): number {
    const entity = this.spec.entities.find((other) => other.name === name)!
    const windows = entity.figures.flatMap(({ windows: names }) => names.map((window) => WINDOWS_MS[window]))
    return Math.max(name === 'card' ? 30 * DAY_MS : 0, ...windows) + this.spec.lateHours * 3_600_000
  }

  /** A key of its own is forgotten once none of its events can be in a window of an event that is in time. */
  private idleMs({ entity, spec }: CounterUnderTest): number {
    return entity === null ? spec.windowMs + RING_LATE_MS : this.spec.idleDays * DAY_MS
  }

  private alive(key: string, idleMs: number): Kept | undefined {
    const kept = this.kept.get(key)
    return kept === undefined || this.streamMs - kept.newestMs > idleMs ? undefined : kept
  }
}

function keep(kept: Kept, event: Counted, horizonMs: number): void {
  if (event.of.event_time < kept.newestMs - horizonMs) return
  kept.newestMs = Math.max(kept.newestMs, event.of.event_time)
  kept.events = [...kept.events, event].filter(({ of }) => of.event_time >= kept.newestMs - horizonMs)
}

function find(kept: Kept | undefined, t: Transaction): Counted | undefined {
  return kept?.events.find(({ of }) => of.transaction_id === t.original_id)
}

function correctIn(kept: Kept | undefined, t: Transaction, amount: number): void {
  const event = find(kept, t)
  if (kept === undefined || event === undefined) return
  if (t.kind === 'outcome') event.declined = isDeclined(t.response_code)
  else if (t.amount === 0 || t.amount >= amount) kept.events = kept.events.filter((other) => other !== event)
  else event.amount -= t.amount
}

function keyOf({ spec, entity }: CounterUnderTest, t: Transaction): string | null {
  const ids = spec.fields.map((field) => t[field])
  return ids.includes('') ? null : `${entity ?? JSON.stringify(spec)}|${ids.join('|')}`
}
