import type { Region, StateMemory } from '#infra/state-memory.ts'
import { type CounterSpec, counterName } from '#schemas/counter.ts'
import { AUTHORIZATION, type EventColumns, REFUND } from '#schemas/event-columns.ts'
import { Hash64 } from '#schemas/hash64.ts'
import type { EpochSet } from './distinct.ts'
import { EntityStore } from './entity-store.ts'
import { FLAG_HIGH, FLAG_LOW } from './event-rows.ts'
import { hashKey } from './keys.ts'

const LATE_MS = 86_400_000
const IDLE_MS = 90 * 86_400_000
const COUNTER_ROWS_MAX = 4_096

/** A window figure that a rule declared for itself; NaN until one window has passed since then. */
export class Counter {
  readonly name: string
  readonly spec: CounterSpec
  private readonly store: EntityStore
  private readonly hash = new Hash64()
  private readonly other = new Hash64()
  private readonly sinceRegion: Region
  /** Stream time at which it was first asked, epoch milliseconds; 0: not yet. */
  private since!: Float64Array

  constructor(memory: StateMemory, spec: CounterSpec) {
    this.spec = spec
    this.name = counterName(spec)
    this.store = new EntityStore(memory, {
      name: `counter.${this.name}`,
      horizonMs: spec.windowMs + LATE_MS,
      idleMs: IDLE_MS,
      ringMax: COUNTER_ROWS_MAX,
      hasAmounts: true,
      hasTags: false,
      hasFlags: true,
      hasMax: false,
      otherColumns: 1,
      extraWords: 0,
    })
    this.sinceRegion = memory.region(`counter.${this.name}.since`)
    this.sinceRegion.addChunk()
    this.attach()
    memory.onRestore(() => this.attach())
  }

  /**
   * The figure for the event, itself included.
   *
   * @param flags what is known of the event itself: small or not; its answer is not known yet
   */
  read(events: EventColumns, row: number, streamTimeMs: number, flags: number, set: EpochSet): number {
    if (this.since[0] === 0) {
      this.sinceRegion.touch(0, 0, 8)
      this.since[0] = streamTimeMs
    }
    if (streamTimeMs - this.since[0]! < this.spec.windowMs) return Number.NaN
    if (!this.key(events, row)) return 0
    const timeMs = events.event_time[row]!
    const isThere = this.store.open(this.hash.hi, this.hash.lo, streamTimeMs)
    const end = isThere ? this.store.rowsUntil(timeMs) : 0
    const start = isThere ? this.store.rowsBefore(timeMs - this.spec.windowMs, end) : 0
    return this.figure(events, row, start, end, flags, set)
  }

  /** Takes the event into the window, after it was read. */
  take(events: EventColumns, row: number, streamTimeMs: number, flags: number): void {
    const isRefund = events.kind[row] === REFUND
    if (isRefund !== (this.spec.filter === 'refund') || !this.key(events, row)) return
    const timeMs = events.event_time[row]!
    this.store.openOrCreate(this.hash.hi, this.hash.lo, streamTimeMs, timeMs)
    this.store.insert(timeMs, events.amount_base[row]!, 0, flags, this.otherKey(events, row), 0)
  }

  /** Opens the entity of a reversal or outcome, by the fields that it repeats; refunds are not taken back. */
  openFor(events: EventColumns, row: number, streamTimeMs: number): EntityStore | null {
    if (this.spec.filter === 'refund' || !this.key(events, row)) return null
    return this.store.open(this.hash.hi, this.hash.lo, streamTimeMs) ? this.store : null
  }

  /** Key of the other party, 0 for none. */
  otherKey(events: EventColumns, row: number): number {
    const field = this.spec.aggregate === 'distinct_merchants' ? events.text.merchant_id : events.text.card_id
    const id = field[row]!
    return id === '' ? 0 : this.other.ofText(id).lo
  }

  /** Takes the counter's regions out of the state. */
  drop(memory: StateMemory): void {
    for (const { name } of memory.regions) {
      if (name.startsWith(`counter.${this.name}.`)) memory.drop(name)
    }
  }

  sweep(streamTimeMs: number, steps: number): void {
    this.store.sweep(streamTimeMs, steps)
  }

  private attach(): void {
    this.since = new Float64Array(this.sinceRegion.chunks[0]!)
  }

  private figure(events: EventColumns, row: number, start: number, end: number, flags: number, set: EpochSet): number {
    const { aggregate, filter } = this.spec
    const isOwn = matches(filter, events.kind[row]!, flags)
    if (aggregate === 'count' && filter !== 'refund') {
      if (start === end) return isOwn ? 1 : 0
      const all = this.store.eventsIn(start, end)
      const declined = this.store.lowFlagsIn(start, end)
      const small = this.store.highFlagsIn(start, end)
      const before =
        filter === 'declined' ? declined : filter === 'approved' ? all - declined : filter === 'small' ? small : all
      return before + (isOwn ? 1 : 0)
    }
    set.clear()
    let total = 0
    if (isOwn) total += this.contribution(aggregate, events.amount_base[row]!, this.otherKey(events, row), set)
    for (let i = start; i < end; i++) {
      if (filter !== 'refund' && !matches(filter, AUTHORIZATION, this.store.flagsOf(i))) continue
      total += this.contribution(aggregate, this.store.amountOf(i), this.store.otherOf(i, 0), set)
    }
    return total
  }

  private contribution(aggregate: CounterSpec['aggregate'], amount: number, other: number, set: EpochSet): number {
    if (aggregate === 'count') return 1
    if (aggregate === 'sum') return amount
    return other !== 0 && set.add(other) ? 1 : 0
  }

  private key(events: EventColumns, row: number): boolean {
    return hashKey(this.hash, events, row, this.spec.fields)
  }
}

function matches(filter: CounterSpec['filter'], kind: number, flags: number): boolean {
  if (filter === 'refund') return kind === REFUND
  if (kind === REFUND) return false
  switch (filter) {
    case 'all':
      return true
    case 'declined':
      return (flags & FLAG_LOW) !== 0
    case 'approved':
      return (flags & FLAG_LOW) === 0
    case 'small':
      return (flags & FLAG_HIGH) !== 0
  }
}
