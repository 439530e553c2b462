import { PAGE_BYTES, type Region, type StateMemory } from '#infra/state-memory.ts'
import type { FeatureBuffers, FeatureLayout } from '#models/feature-buffers.ts'
import type { CounterSpec } from '#schemas/counter.ts'
import { AUTHORIZATION, type EventColumns, isScoredKind, LABEL, OUTCOME, REVERSAL } from '#schemas/event-columns.ts'
import { type FeatureSpec, HABIT_FEATURES, type HabitFeature, RAW_FEATURES, WINDOWS_MS } from '#schemas/feature-spec.ts'
import { isDeclined } from '#schemas/transaction.ts'
import { Corrections } from './corrections.ts'
import { Counters } from './counters.ts'
import { CurrentVector } from './current-vector.ts'
import { EpochSet } from './distinct.ts'
import type { CurrentEvent } from './entity-figures.ts'
import type { Lookup } from './entity-store.ts'
import { Habit, type HabitEvent } from './habit.ts'
import { History } from './history.ts'
import { HistoryVector } from './history-vector.ts'
import { InputHash } from './input-hash.ts'
import { BATCH_ROWS, KeyBatches } from './key-batch.ts'
import { layoutOf } from './layout.ts'
import { PackedVector } from './packed-vector.ts'
import { countsInWindows, writeRaw } from './raw.ts'
import { FLAG_HIGH, FLAG_LOW } from './row-layout.ts'
import { createEntities, type Entity, neededCardColumns, type SpecEntities } from './spec-entities.ts'

export interface FeaturizerOptions {
  readonly spec: FeatureSpec
  /** Holds all of the state. */
  readonly memory: StateMemory
  readonly counters?: readonly CounterSpec[]
  /** Transactions in another currency count as foreign. */
  readonly baseCurrency?: string
}

export interface FeatureStats {
  readonly cards: number
  readonly entities: number
  readonly stateBytes: number
  /** Entities whose older events are kept one row a minute. */
  readonly tiledEntities: number
  readonly lateEvents: number
}

/** Entities looked at for eviction after each slice, of every kind. */
const SWEEP_STEPS = 32

/** Doubles of the meta region. */
const STREAM_TIME = 0
const LATE_EVENTS = 1

/**
 * The one definition of a feature: folds events into the state and writes the vectors of each scored event as of its own
 * event time. The same code runs live, in replay, in backtests and for training.
 */
export class Featurizer {
  readonly layout: FeatureLayout
  private readonly spec: FeatureSpec
  private readonly memory: StateMemory
  private readonly baseCurrency: string
  private readonly metaRegion: Region
  private meta!: Float64Array
  private readonly batches = new KeyBatches()
  private readonly entities: SpecEntities
  private readonly history: History
  private readonly historyVector: HistoryVector
  private readonly habit: Habit
  private readonly counters: Counters
  private readonly corrections: Corrections
  private readonly currentVector: CurrentVector
  private readonly raw = new Float64Array(RAW_FEATURES.length)
  private readonly habitNumbers = new Float64Array(HABIT_FEATURES.length)
  /** The output's memory as 32-bit words. */
  private historyBits: Uint32Array = new Uint32Array(0)
  private currentBits: Uint32Array = new Uint32Array(0)
  private readonly inputHash = new InputHash()
  /** Everything that is looked up for an event. */
  private lookups: readonly Lookup[] = []
  private readonly habitEvent: HabitEvent = {
    timeMs: 0,
    amount: 0,
    merchantKey: 0,
    deviceKey: 0,
    categoryKey: 0,
    countryKey: 0,
    latitude: 0,
    longitude: 0,
  }
  private readonly current: { -readonly [K in keyof CurrentEvent]: CurrentEvent[K] } = {
    timeMs: 0,
    amount: 0,
    counts: 0,
    small: 0,
    cardKey: 0,
    merchantKey: 0,
  }

  constructor({ spec, memory, counters = [], baseCurrency = 'EUR' }: FeaturizerOptions) {
    this.spec = spec
    this.memory = memory
    this.baseCurrency = baseCurrency
    this.layout = layoutOf(spec)
    this.metaRegion = memory.region('features.meta', PAGE_BYTES)
    this.metaRegion.addChunk()
    this.attach()
    memory.onRestore(() => this.attach())

    const wants = new Set<HabitFeature>([...spec.habit, ...HABIT_FEATURES.filter((name) => isInHistory(spec, name))])
    const needs = neededCardColumns(spec)
    const set = new EpochSet(65_536)
    this.habit = new Habit(memory, wants, needs.columns)
    this.history = new History(memory, 'card', spec.historyLength, new PackedVector(spec.historyFeatures))
    this.historyVector = new HistoryVector(spec.historyFeatures)
    const { batches, habit } = this
    const firstColumn = CurrentVector.leadingColumns(spec)
    this.entities = createEntities(memory, spec, needs, habit, set, batches, firstColumn)
    this.history.belongTo(this.entities.card.figures.store)
    this.currentVector = new CurrentVector(spec, this.entities.endColumn)
    this.counters = new Counters(memory, this.entities.all, set, batches)
    this.corrections = new Corrections(this.entities, this.counters, habit)
    this.setCounters(counters)
  }

  get stats(): FeatureStats {
    const stores = this.entities.all.map(({ figures }) => figures.store)
    return {
      cards: this.entities.card.figures.store.entities,
      entities: stores.reduce((sum, store) => sum + store.entities, 0),
      stateBytes: this.memory.byteLength,
      tiledEntities: stores.reduce((sum, store) => sum + store.tiledEntities, 0),
      lateEvents: this.meta[LATE_EVENTS]!,
    }
  }

  /** Largest event time folded so far, epoch milliseconds. */
  get streamTimeMs(): number {
    return this.meta[STREAM_TIME]!
  }

  /**
   * Folds the rows whose outcome is 0, in order, and writes vectors and input hash of those that are scored.
   */
  fold(events: EventColumns, outcome: Uint8Array, out: FeatureBuffers): void {
    this.useBuffers(out)
    this.metaRegion.touch(0, 0, 16)
    for (let from = 0; from < events.count; from += BATCH_ROWS) {
      const to = Math.min(from + BATCH_ROWS, events.count)
      this.readAhead(events, from, to)
      for (let row = from; row < to; row++) {
        if (outcome[row] !== 0) continue
        const kind = events.kind[row]!
        if (isScoredKind(kind)) this.foldScored(events, row, row - from, out)
        else if (kind === LABEL) this.corrections.label(events, row, this.streamTimeMs)
        else if (kind === REVERSAL) this.corrections.reverse(events, row, this.streamTimeMs)
        else if (kind === OUTCOME) this.corrections.answer(events, row, this.streamTimeMs)
      }
    }
  }

  /** Frees what was idle too long; a bounded number of steps. */
  endSlice(): void {
    const { streamTimeMs } = this
    for (const { figures, known } of this.entities.all) {
      figures.store.sweep(streamTimeMs, SWEEP_STEPS)
      known?.store.sweep(streamTimeMs, SWEEP_STEPS)
    }
    this.counters.sweep(streamTimeMs, SWEEP_STEPS)
  }

  /** The counters of the rules in force; one that is new gives NaN until one window has passed. */
  setCounters(specs: readonly CounterSpec[]): void {
    this.counters.declare(specs)
    const entities = this.entities.all.flatMap(({ figures, known }) => [
      figures.lookup,
      ...(known === null ? [] : [{ store: known.store, keys: figures.keys, firstHint: 0, hints: 0 }]),
    ])
    const rings = this.counters.rings.map(({ store, keys }) => ({ store, keys, firstHint: 0, hints: 0 }))
    this.lookups = [...entities, ...rings]
  }

  /** Looks a batch up and reads what its events will ask for, so that the waits for memory overlap. Changes no state. */
  private readAhead(events: EventColumns, from: number, to: number): void {
    const { entities, lookups } = this
    this.batches.fill(events, from, to)
    const { ahead } = this.memory
    for (let i = 0; i < lookups.length; i++) lookups[i]!.store.noteIndex(lookups[i]!.keys)
    ahead.run()
    for (let i = 0; i < lookups.length; i++) lookups[i]!.store.noteHeaders(lookups[i]!.keys)
    ahead.run()
    for (let i = 0; i < lookups.length; i++) {
      const { store, keys, firstHint, hints } = lookups[i]!
      store.noteRows(keys, firstHint, hints)
    }
    this.history.noteAhead(ahead, entities.card.figures.store, to - from)
    ahead.run()
  }

  private foldScored(events: EventColumns, row: number, place: number, out: FeatureBuffers): void {
    const timeMs = events.event_time[row]!
    if (timeMs > this.meta[STREAM_TIME]!) this.meta[STREAM_TIME] = timeMs
    const streamTimeMs = this.meta[STREAM_TIME]!
    const base = row * this.layout.currentWidth
    this.openEntities(place, streamTimeMs)
    this.readEvent(events, row)
    writeRaw(events, row, this.baseCurrency, this.raw)
    this.writeHabit()
    this.currentVector.write(events, row, this.raw, this.habitNumbers, out.current, base)
    this.writeEntities(place, streamTimeMs, out.current, base)
    this.writeHistory(row, timeMs, out)
    this.hashInput(row, out)
    const { counters, current } = this
    counters.read(events, row, place, streamTimeMs, current, out.counters, row * counters.count)
    const isLow = isDeclined(events.text.response_code.at(row))
    this.take(events, row, streamTimeMs, (isLow ? FLAG_LOW : 0) | (current.small === 1 ? FLAG_HIGH : 0))
    counters.take(events, row, streamTimeMs, current, isLow)
  }

  private readEvent(events: EventColumns, row: number): void {
    const { habitEvent: event, current } = this
    const { hashLo } = events
    const kind = events.kind[row]!
    event.timeMs = events.event_time[row]!
    event.amount = events.amount_base[row]!
    event.merchantKey = hashLo.merchant_id[row]!
    event.deviceKey = hashLo.device_id[row]!
    event.categoryKey = hashLo.merchant_category[row]!
    event.countryKey = hashLo.merchant_country[row]!
    event.latitude = events.latitude[row]!
    event.longitude = events.longitude[row]!
    current.timeMs = event.timeMs
    current.amount = event.amount
    current.counts = countsInWindows(kind) ? 1 : 0
    current.small = kind === AUTHORIZATION && event.amount < this.spec.smallAmount ? 1 : 0
    current.cardKey = this.entities.card.hash.lo
    current.merchantKey = event.merchantKey
  }

  private openEntities(place: number, streamTimeMs: number): void {
    const { all } = this.entities
    for (let e = 0; e < all.length; e++) {
      const entity = all[e]!
      const { keys, store } = entity.figures
      entity.hash.hi = keys.hi[keys.first + place]!
      entity.hash.lo = keys.lo[keys.first + place]!
      entity.hasKey = entity.hash.lo !== 0
      entity.isThere = entity.hasKey && store.openFound(place, keys, streamTimeMs)
    }
  }

  private writeHabit(): void {
    const { habitEvent, habit } = this
    const { card, merchant } = this.entities
    const { store } = card.figures
    habit.writeCard(store, card.isThere ? store.rowsUntil(habitEvent.timeMs) : 0, habitEvent, this.habitNumbers)
    if (!habit.needsMerchant || merchant === null || !merchant.hasKey) return
    habit.writeMerchant(merchant.isThere ? merchant.figures.store : null, habitEvent, this.habitNumbers)
  }

  private writeEntities(place: number, streamTimeMs: number, into: Float32Array, base: number): void {
    const { current } = this
    const { all } = this.entities
    for (let e = 0; e < all.length; e++) {
      const { figures, known, hasKey, isThere } = all[e]!
      if (!hasKey) {
        figures.writeNone(into, base)
        known?.writeNone(into, base)
        continue
      }
      figures.write(isThere, current, into, base)
      if (known === null) continue
      const events = isThere ? figures.store : null
      known.write(place, figures.keys, streamTimeMs, current.timeMs, events, current.counts, into, base)
    }
  }

  private writeHistory(row: number, timeMs: number, out: FeatureBuffers): void {
    const { historyLength, historyWidth } = this.layout
    const at = row * historyLength * historyWidth
    const { figures, isThere } = this.entities.card
    out.historyLength[row] = isThere ? this.history.read(figures.store, timeMs, this.historyBits, at) : 0
    if (!isThere) this.historyBits.fill(0, at, at + historyLength * historyWidth)
  }

  /** Over the bits of the real past vectors, their number and the current vector. */
  private hashInput(row: number, out: FeatureBuffers): void {
    const { historyLength, historyWidth, currentWidth } = this.layout
    const length = out.historyLength[row]!
    const end = (row + 1) * historyLength * historyWidth
    this.inputHash.begin(length)
    this.inputHash.add(this.historyBits, end - length * historyWidth, end)
    this.inputHash.add(this.currentBits, row * currentWidth, (row + 1) * currentWidth)
    this.inputHash.end()
    out.inputHashHi[row] = this.inputHash.hi
    out.inputHashLo[row] = this.inputHash.lo
  }

  /** Takes the event into windows, habits and history, after everything about it was written. */
  private take(events: EventColumns, row: number, streamTimeMs: number, flags: number): void {
    const { habitEvent, current, historyVector, habit } = this
    const { all, card, merchant } = this.entities
    const { timeMs } = habitEvent
    historyVector.write(
      this.raw,
      this.habitNumbers,
      habitEvent.categoryKey,
      historyVector.wantsCardCount ? this.recent(card) : 0,
      historyVector.wantsMerchantCount && merchant !== null ? this.recent(merchant) : 0,
    )
    for (let e = 0; e < all.length; e++) {
      const entity = all[e]!
      if (!entity.hasKey) continue
      const { figures, hash } = entity
      if (!entity.isThere) figures.store.openOrCreate(hash.hi, hash.lo, streamTimeMs, timeMs)
      if (entity === card) this.takeCard(events, row, flags)
      else if (current.counts === 1) figures.insert(timeMs, habitEvent.amount, 0, flags, card.hash.lo, 0)
      else figures.store.seenAt(timeMs)
    }
    if (merchant?.hasKey && habit.needsMerchant && habitEvent.amount > 0 && current.counts === 1) {
      habit.takeMerchant(merchant.figures.store, habitEvent)
    }
    this.history.push(card.figures.store, timeMs, habitEvent.categoryKey, historyVector.numbers)
  }

  private takeCard(events: EventColumns, row: number, flags: number): void {
    const { habitEvent, habit } = this
    const { figures } = this.entities.card
    const { timeMs, amount, merchantKey, deviceKey } = habitEvent
    if (timeMs < figures.store.newestMs) this.meta[LATE_EVENTS]!++
    if (this.current.counts === 1) {
      const first = this.entities.cardColumns.merchant === 0 ? merchantKey : deviceKey
      habit.usual?.take(figures.store, timeMs, amount)
      figures.insert(timeMs, amount, events.hashLo.transaction_id[row]!, flags, first, deviceKey)
    } else {
      figures.store.seenAt(timeMs)
    }
    habit.takeCard(figures.store, habitEvent)
  }

  /** Events of the last hour, the current one included. */
  private recent({ figures, hasKey, isThere }: Entity): number {
    if (!hasKey) return 0
    if (!isThere) return this.current.counts
    const { store } = figures
    const end = store.rowsUntil(this.current.timeMs)
    const start = store.rowsBefore(this.current.timeMs - WINDOWS_MS['1h'], end)
    return (start === end ? 0 : store.eventsIn(start, end)) + this.current.counts
  }

  private useBuffers(out: FeatureBuffers): void {
    if (this.historyBits.buffer !== out.history.buffer) {
      this.historyBits = new Uint32Array(out.history.buffer)
      this.currentBits = new Uint32Array(out.current.buffer)
    }
    const { count } = this.counters
    if (out.counterCount === count) return
    out.counters = new Float64Array(out.capacity * count)
    out.counterCount = count
  }

  private attach(): void {
    this.meta = this.metaRegion.chunks[0]!.f64()
  }
}

function isInHistory(spec: FeatureSpec, name: HabitFeature): boolean {
  return (spec.historyFeatures as readonly string[]).includes(name)
}
