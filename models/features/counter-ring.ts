import type { StateMemory } from '#infra/state-memory.ts'
import type { CounterSpec } from '#schemas/counter.ts'
import type { EventColumns } from '#schemas/event-columns.ts'
import { REFUND } from '#schemas/event-columns.ts'
import { Hash64 } from '#schemas/hash64.ts'
import { countDistinct, type EpochSet } from './distinct.ts'
import type { CurrentEvent } from './entity-figures.ts'
import { EntityStore } from './entity-store.ts'
import type { KeyBatch, KeyBatches } from './key-batch.ts'
import { hashKey } from './keys.ts'

/** What finds an event again in the rows of its entities: 1 declined or not, 1 small or not; -1 where not kept. */
export interface Original {
  readonly timeMs: number
  readonly amount: number
  readonly low: number
  readonly high: number
}

const LATE_MS = 86_400_000
const ROWS_MAX = 4_096

/** For each key the events that a filter lets through, shared by all counters of the same fields and filter. */
export class CounterRing {
  readonly name: string
  private readonly spec: Pick<CounterSpec, 'fields' | 'filter'>
  private readonly others: 'card_id' | 'merchant_id' | null
  readonly store: EntityStore
  readonly keys: KeyBatch
  private readonly hash = new Hash64()
  private hasKey = false
  private isThere = false
  /** The window that was asked for last, of the key that is open; 0: none yet. */
  private foundMs = 0
  private start = 0
  private end = 0

  constructor(memory: StateMemory, spec: CounterSpec, batches: KeyBatches) {
    this.keys = batches.of(spec.fields)
    this.name = CounterRing.nameOf(spec)
    this.spec = spec
    this.others = othersOf(spec)
    this.store = new EntityStore(memory, {
      name: this.name,
      horizonMs: spec.windowMs + LATE_MS,
      idleMs: spec.windowMs + LATE_MS,
      ringMax: ROWS_MAX,
      hasAmounts: true,
      hasTags: false,
      hasFlags: false,
      hasMax: false,
      otherColumns: this.others === null ? 0 : 1,
      extraWords: 0,
    })
  }

  /** Counters with the same name share a ring. */
  static nameOf(spec: CounterSpec): string {
    return `counter.${spec.fields.join('+')}.${spec.filter}.${othersOf(spec) ?? 'none'}`
  }

  /** The longest window that is asked of it. */
  get windowMs(): number {
    return this.store.horizonMs - LATE_MS
  }

  set windowMs(windowMs: number) {
    this.store.horizonMs = windowMs + LATE_MS
    // A key whose newest event is beyond it has nothing to tell to any event that is in time.
    this.store.idleMs = windowMs + LATE_MS
  }

  /** Opens the key at a place of the batch. */
  open(place: number, streamTimeMs: number): void {
    const { keys, hash } = this
    hash.hi = keys.hi[keys.first + place]!
    hash.lo = keys.lo[keys.first + place]!
    this.hasKey = hash.lo !== 0
    this.foundMs = 0
    this.isThere = this.hasKey && this.store.openFound(place, keys, streamTimeMs)
  }

  /** A figure of the opened key, the event itself included. */
  figure(spec: CounterSpec, events: EventColumns, row: number, event: CurrentEvent, set: EpochSet): number {
    if (!this.hasKey) return 0
    const { store } = this
    // The event's own answer is not known yet.
    const own = this.lets(events.kind[row] === REFUND, event.counts === 1, event.small === 1, false) ? 1 : 0
    if (this.foundMs !== spec.windowMs) this.findWindow(event.timeMs, spec.windowMs)
    const { start, end } = this
    if (spec.aggregate === 'count') return (start === end ? 0 : store.eventsIn(start, end)) + own
    if (spec.aggregate === 'sum') return (start === end ? 0 : store.sumIn(start, end)) + own * event.amount
    return countDistinct(store, start, end, own * this.otherOf(events, row), set)
  }

  /** Whether an event belongs into it. */
  lets(isRefund: boolean, counts: boolean, isSmall: boolean, isDeclined: boolean): boolean {
    switch (this.spec.filter) {
      case 'all':
        return counts
      case 'declined':
        return counts && isDeclined
      case 'approved':
        return counts && !isDeclined
      case 'small':
        return isSmall
      case 'refund':
        return isRefund
    }
  }

  /** Takes the current event in, under the key that was opened. */
  insert(events: EventColumns, row: number, streamTimeMs: number): void {
    if (!this.hasKey) return
    const timeMs = events.event_time[row]!
    if (!this.isThere) this.store.openOrCreate(this.hash.hi, this.hash.lo, streamTimeMs, timeMs)
    this.store.insert(timeMs, events.amount_base[row]!, 0, 0, this.otherOf(events, row), 0)
  }

  /** Takes the original of a reversal back, or `back` of its amount; refunds are not taken back. */
  reverse(events: EventColumns, row: number, streamTimeMs: number, original: Original, back: number): void {
    const { timeMs, amount, low, high } = original
    const { filter } = this.spec
    if (filter === 'refund' || (filter === 'small' && high === 0)) return
    if ((filter === 'declined' && low === 0) || (filter === 'approved' && low === 1)) return
    this.openRow(events, row, streamTimeMs)
    if (!this.isThere) return
    const at = this.store.rowOfEvent(timeMs, amount, this.otherOf(events, row), -1, -1)
    if (at < 0) return
    if (back === 0 || back >= amount) this.store.remove(at)
    else this.store.lowerAmount(at, back)
  }

  /** Takes the original of an outcome in or out, where its answer is what is filtered by. */
  answer(events: EventColumns, row: number, streamTimeMs: number, original: Original, isDeclined: boolean): void {
    const { filter } = this.spec
    if (filter !== 'declined' && filter !== 'approved') return
    this.openRow(events, row, streamTimeMs)
    if (!this.hasKey) return
    const { timeMs, amount, low } = original
    const other = this.otherOf(events, row)
    const enters = (filter === 'declined') === isDeclined
    const at = this.isThere && (!enters || low < 0) ? this.store.rowOfEvent(timeMs, amount, other, -1, -1) : -1
    if (!enters) {
      if (at >= 0) this.store.remove(at)
    } else if (at < 0) {
      if (!this.isThere) this.store.openOrCreate(this.hash.hi, this.hash.lo, streamTimeMs, timeMs)
      this.store.insert(timeMs, amount, 0, 0, other, 0)
    }
  }

  sweep(streamTimeMs: number, steps: number): void {
    this.store.sweep(streamTimeMs, steps)
  }

  /** Takes its regions out of the state. */
  drop(memory: StateMemory): void {
    for (const { name } of memory.regions) if (name.startsWith(`${this.name}.`)) memory.drop(name)
  }

  /** Rows of a window: counters that share a ring often share it, too. */
  private findWindow(timeMs: number, windowMs: number): void {
    const { store } = this
    this.end = this.isThere ? store.rowsUntil(timeMs) : 0
    this.start = this.end === 0 ? 0 : store.rowsBefore(timeMs - windowMs, this.end)
    this.foundMs = windowMs
  }

  private openRow(events: EventColumns, row: number, streamTimeMs: number): void {
    this.hasKey = hashKey(this.hash, events, row, this.spec.fields)
    this.isThere = this.hasKey && this.store.open(this.hash.hi, this.hash.lo, streamTimeMs)
  }

  private otherOf(events: EventColumns, row: number): number {
    return this.others === null ? 0 : events.hashLo[this.others][row]!
  }
}

function othersOf({ aggregate }: CounterSpec): 'card_id' | 'merchant_id' | null {
  if (aggregate === 'distinct_cards') return 'card_id'
  return aggregate === 'distinct_merchants' ? 'merchant_id' : null
}
