import type { Region, StateMemory } from '#infra/state-memory.ts'
import { type CounterSpec, counterName } from '#schemas/counter.ts'
import { type EventColumns, REFUND } from '#schemas/event-columns.ts'
import { Hash64 } from '#schemas/hash64.ts'
import { CounterRing, type Original } from './counter-ring.ts'
import { countDistinct, type EpochSet } from './distinct.ts'
import type { CurrentEvent, EntityFigures } from './entity-figures.ts'
import type { KeyBatches } from './key-batch.ts'

/** An entity of the spec, with the current event's opened. */
export interface CountedEntity {
  readonly figures: EntityFigures
  readonly hasKey: boolean
  readonly isThere: boolean
}

/** Words of what is kept of a declared counter: the hash of its name, and the stream time at which it was first asked. */
const SINCE_WORDS = 4
const COUNTERS_MAX = 1_024

interface Declared {
  readonly spec: CounterSpec
  /** Its place in the table of declarations. */
  readonly place: number
  /** The spec's own entity whose rows it counts; null: it has a ring. */
  readonly entity: CountedEntity | null
  readonly ring: CounterRing | null
}

/**
 * The window figures that rules declared for themselves. A counter reads the rows of the spec's own entity where that
 * keeps what it asks for; the others have rings of the events that they count, one ring for all counters with the same
 * fields and filter. NaN until one window has passed since a counter was first asked.
 */
export class Counters {
  private readonly memory: StateMemory
  private readonly entities: readonly CountedEntity[]
  private readonly set: EpochSet
  private readonly batches: KeyBatches
  private readonly sinceRegion: Region
  private sinceU32!: Uint32Array
  private sinceF64!: Float64Array
  private declared: readonly Declared[] = []
  /** By counter the stream time from which on it gives figures; 0: it was not asked yet. */
  private readyMs = new Float64Array(0)
  rings: readonly CounterRing[] = []

  constructor(memory: StateMemory, entities: readonly CountedEntity[], set: EpochSet, batches: KeyBatches) {
    this.batches = batches
    this.memory = memory
    this.entities = entities
    this.set = set
    this.sinceRegion = memory.region('counters.since')
    this.sinceRegion.addChunk()
    this.attach()
    memory.onRestore(() => {
      this.attach()
      this.declare(this.declared.map(({ spec }) => spec))
    })
  }

  get count(): number {
    return this.declared.length
  }

  /** The counters of the rules in force, in the order of their values; those that stay go on. */
  declare(specs: readonly CounterSpec[]): void {
    const names = new Set(specs.map(counterName))
    for (const { spec, place } of this.declared) if (!names.has(counterName(spec))) this.forget(place)
    const before = this.rings
    const rings: CounterRing[] = []
    this.declared = specs.map((spec) => {
      const entity = this.entities.find(({ figures }) => serves(figures, spec)) ?? null
      if (entity !== null) return { spec, entity, ring: null, place: this.placeOf(spec) }
      const name = CounterRing.nameOf(spec)
      let ring = rings.find((other) => other.name === name)
      if (ring === undefined) {
        ring = before.find((other) => other.name === name) ?? new CounterRing(this.memory, spec, this.batches)
        ring.windowMs = 0
        rings.push(ring)
      }
      ring.windowMs = Math.max(ring.windowMs, spec.windowMs)
      return { spec, entity: null, ring, place: this.placeOf(spec) }
    })
    this.rings = rings
    this.readyMs = Float64Array.from(this.declared, ({ spec, place }) => {
      const sinceMs = this.sinceF64[sinceAt(place)]!
      return sinceMs === 0 ? 0 : sinceMs + spec.windowMs
    })
    for (const ring of before) if (!rings.includes(ring)) ring.drop(this.memory)
  }

  /**
   * Writes all figures for the event at a place of the batch, itself included; entities are open, and the event is in none
   * of them yet.
   */
  read(
    events: EventColumns,
    row: number,
    place: number,
    streamTimeMs: number,
    event: CurrentEvent,
    into: Float64Array,
    at: number,
  ): void {
    for (let r = 0; r < this.rings.length; r++) this.rings[r]!.open(place, streamTimeMs)
    for (let i = 0; i < this.declared.length; i++) {
      const { spec, entity, ring } = this.declared[i]!
      if (this.readyMs[i] === 0) this.begin(i, streamTimeMs)
      if (streamTimeMs < this.readyMs[i]!) into[at + i] = Number.NaN
      else if (ring !== null) into[at + i] = ring.figure(spec, events, row, event, this.set)
      else into[at + i] = this.ofEntity(spec, entity!, events, row, event)
    }
  }

  /** Takes the event in, after it was read. */
  take(events: EventColumns, row: number, streamTimeMs: number, event: CurrentEvent, isDeclined: boolean): void {
    const isRefund = events.kind[row] === REFUND
    for (let r = 0; r < this.rings.length; r++) {
      const ring = this.rings[r]!
      if (ring.lets(isRefund, event.counts === 1, event.small === 1, isDeclined)) ring.insert(events, row, streamTimeMs)
    }
  }

  /** Takes the original back, or `back` of its amount; to be called before the spec's own entities change. */
  reverse(events: EventColumns, row: number, streamTimeMs: number, original: Original, back: number): void {
    for (const ring of this.rings) ring.reverse(events, row, streamTimeMs, original, back)
  }

  /** Moves the original to where its answer puts it. */
  answer(events: EventColumns, row: number, streamTimeMs: number, original: Original, isDeclined: boolean): void {
    for (const ring of this.rings) ring.answer(events, row, streamTimeMs, original, isDeclined)
  }

  sweep(streamTimeMs: number, steps: number): void {
    for (const ring of this.rings) ring.sweep(streamTimeMs, steps)
  }

  private ofEntity(
    { aggregate, fields, filter, windowMs }: CounterSpec,
    { figures, hasKey, isThere }: CountedEntity,
    events: EventColumns,
    row: number,
    event: CurrentEvent,
  ): number {
    // An account that stands for its card is no key that a rule asked for.
    if (!hasKey || (figures.keys.instead !== null && events.hashLo[fields[0]!][row] === 0)) return 0
    const { store } = figures
    const end = isThere ? store.rowsUntil(event.timeMs) : 0
    const start = figures.startIn(windowMs, event.timeMs, end)
    const isEmpty = start === end
    if (aggregate === 'sum') return (isEmpty ? 0 : store.sumIn(start, end)) + event.counts * event.amount
    if (aggregate !== 'count') {
      const remembered = figures.remembered(windowMs)
      if (remembered >= 0) return remembered
      const own = aggregate === 'distinct_cards' ? event.cardKey : event.merchantKey
      return countDistinct(store, start, end, event.counts === 1 ? own : 0, this.set)
    }
    const all = (isEmpty ? 0 : store.eventsIn(start, end)) + event.counts
    if (filter === 'all') return all
    if (filter === 'small') return (isEmpty ? 0 : store.highFlagsIn(start, end)) + event.small
    const declined = isEmpty ? 0 : store.lowFlagsIn(start, end)
    return filter === 'declined' ? declined : all - declined
  }

  /** Notes when a counter was first asked. */
  private begin(counter: number, streamTimeMs: number): void {
    const { spec, place } = this.declared[counter]!
    this.sinceRegion.touch(0, sinceAt(place) * 8, 8)
    this.sinceF64[sinceAt(place)] = streamTimeMs
    this.readyMs[counter] = streamTimeMs + spec.windowMs
  }

  /** Place of a counter in the table of declarations, entered if it is not there. */
  private placeOf(spec: CounterSpec): number {
    const { hi, lo } = new Hash64().ofText(counterName(spec))
    let free = -1
    for (let place = 0; place < COUNTERS_MAX; place++) {
      const at = place * SINCE_WORDS
      if (this.sinceU32[at] === hi && this.sinceU32[at + 1] === lo) return place
      if (free < 0 && this.sinceU32[at] === 0 && this.sinceU32[at + 1] === 0) free = place
    }
    if (free < 0) throw new RangeError(`more than ${COUNTERS_MAX} counters are declared`)
    this.sinceRegion.touch(0, free * SINCE_WORDS * 4, SINCE_WORDS * 4)
    this.sinceU32[free * SINCE_WORDS] = hi
    this.sinceU32[free * SINCE_WORDS + 1] = lo
    return free
  }

  private forget(place: number): void {
    this.sinceRegion.touch(0, place * SINCE_WORDS * 4, SINCE_WORDS * 4)
    this.sinceU32.fill(0, place * SINCE_WORDS, (place + 1) * SINCE_WORDS)
  }

  private attach(): void {
    this.sinceU32 = this.sinceRegion.chunks[0]!.u32()
    this.sinceF64 = this.sinceRegion.chunks[0]!.f64()
  }
}

/** The double in which it stands when the counter at a place was first asked. */
function sinceAt(place: number): number {
  return (place * SINCE_WORDS) / 2 + 1
}

/** Whether the rows of an entity hold all that a counter asks for. */
function serves(figures: EntityFigures, { fields, windowMs, aggregate, filter }: CounterSpec): boolean {
  const { spec, store, windowMsMax } = figures
  if (spec.fields.length !== fields.length || spec.fields.some((field, i) => field !== fields[i])) return false
  if (windowMs > windowMsMax || filter === 'refund') return false
  if (aggregate === 'count') return filter === 'all' || store.options.hasFlags
  if (filter !== 'all') return false
  if (aggregate === 'sum') return store.options.hasAmounts
  return figures.others === (aggregate === 'distinct_cards' ? 'cards' : 'merchants')
}
