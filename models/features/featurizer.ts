import { PAGE_BYTES, type Region, type StateMemory } from '#infra/state-memory.ts'
import type { FeatureBuffers, FeatureLayout } from '#models/feature-buffers.ts'
import type { CounterSpec } from '#schemas/counter.ts'
import { AUTHORIZATION, type EventColumns, isScoredKind, LABEL, OUTCOME, REVERSAL } from '#schemas/event-columns.ts'
import {
  type EntitySpec,
  type FeatureSpec,
  HABIT_FEATURES,
  type HabitFeature,
  RAW_FEATURES,
  WINDOWS_MS,
} from '#schemas/feature-spec.ts'
import { Hash64 } from '#schemas/hash64.ts'
import { FRAUD_TYPES } from '#schemas/label.ts'
import { isDeclined, type TextField } from '#schemas/transaction.ts'
import type { Original } from './counter-ring.ts'
import { Counters } from './counters.ts'
import { EpochSet } from './distinct.ts'
import { type CurrentEvent, EntityFigures, FLAGGED } from './entity-figures.ts'
import type { EntityStore } from './entity-store.ts'
import { FLAG_HIGH, FLAG_LOW } from './event-rows.ts'
import { CARD_TRAIT_WORDS, type CardColumns, Habit, type HabitEvent, MERCHANT_WORDS } from './habit.ts'
import { History, HISTORY_HEADER_WORDS } from './history.ts'
import { HistoryVector } from './history-vector.ts'
import { InputHash } from './input-hash.ts'
import { hashId, hashKey, idKey } from './keys.ts'
import { KnownLabels, knownFraudColumns } from './known-labels.ts'
import { layoutOf } from './layout.ts'
import { countsInWindows, writeRaw } from './raw.ts'

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
const SWEEP_STEPS = 256
const SERVICE_DISPUTE = FRAUD_TYPES.indexOf('service_dispute')

/** Rows whose keys are hashed and whose state is read ahead together, so that the waits for memory overlap. */
const BATCH_ROWS = 64

/** One kind of entity with its figures, its labels and the hash of the current event's key. */
interface Entity {
  readonly figures: EntityFigures
  readonly known: KnownLabels | null
  readonly hash: Hash64
  hasKey: boolean
  isThere: boolean
  /** Keys of the batch by row: halves of the hash, and whether there is a key. */
  readonly batchHi: Uint32Array
  readonly batchLo: Uint32Array
  readonly batchHas: Uint8Array
  /** Where each is looked for first, -1: nowhere. */
  readonly batchSlot: Int32Array
}

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
  /** [stream time, late events] */
  private meta!: Float64Array
  private readonly entities: readonly Entity[]
  private readonly card: Entity
  private readonly merchant: Entity | null
  private readonly device: Entity | null
  /** The merchant and the device where their keys are just the ids. */
  private readonly merchantById: Entity | null
  private readonly deviceById: Entity | null
  private readonly history: History
  private readonly historyVector: HistoryVector
  private readonly habit: Habit
  private readonly columns: CardColumns
  private readonly counters: Counters

  private readonly rawAt: Int32Array
  private readonly habitAt: Int32Array
  private readonly buckets: {
    readonly of: (events: EventColumns, row: number) => string
    readonly at: number
    readonly count: number
  }[]
  private readonly signalsAt: number
  private readonly raw = new Float64Array(RAW_FEATURES.length)
  private readonly habitNumbers = new Float64Array(HABIT_FEATURES.length)
  /** The output's memory as 32-bit words, for its hash. */
  private historyBits: Uint32Array = new Uint32Array(0)
  private currentBits: Uint32Array = new Uint32Array(0)
  private historyPairs: Float64Array = new Float64Array(0)
  private readonly inputHash = new InputHash()
  /** Takes what reading ahead has read, so that it is not found useless and left out. */
  private readonly sink = new Int32Array(1)
  private readonly set = new EpochSet(65_536)
  private readonly hash = new Hash64()
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
    this.columns = needs.columns
    this.habit = new Habit(memory, wants, needs.columns)
    this.history = new History(memory, 'card', spec.historyLength, spec.historyFeatures.length)
    this.historyVector = new HistoryVector(spec.historyFeatures)

    let column = spec.raw.length + spec.habit.length
    this.entities = spec.entities.map((entity) => {
      const isCard = entity.name === 'card'
      const figures = new EntityFigures(
        memory,
        entity,
        spec,
        {
          amounts: isCard,
          others: isCard && needs.columns.merchant === 0 ? 'merchants' : null,
          flags: isCard && spec.entities.some(hasFlags),
          tags: isCard,
          otherColumns: isCard ? needs.count : 0,
          extraWords: isCard
            ? HISTORY_HEADER_WORDS + (this.habit.hasTraits ? CARD_TRAIT_WORDS : 0)
            : entity.name === 'merchant' && this.habit.needsMerchant
              ? MERCHANT_WORDS
              : 0,
          windowMsMin: isCard ? WINDOWS_MS['30d'] : 0,
        },
        column,
        this.set,
      )
      column += entity.figures.reduce((sum, { windows }) => sum + windows.length, 0)
      const known = knownFraudColumns(entity) === 0 ? null : new KnownLabels(memory, entity, spec, column)
      column += knownFraudColumns(entity)
      return {
        figures,
        known,
        hash: new Hash64(),
        hasKey: false,
        isThere: false,
        batchHi: new Uint32Array(BATCH_ROWS),
        batchLo: new Uint32Array(BATCH_ROWS),
        batchHas: new Uint8Array(BATCH_ROWS),
        batchSlot: new Int32Array(BATCH_ROWS),
      }
    })
    const named = (name: string): Entity | null =>
      this.entities.find(({ figures }) => figures.spec.name === name) ?? null
    this.card = named('card')!
    this.merchant = named('merchant')
    this.device = named('device')
    this.merchantById = onlyBy(this.merchant, 'merchant_id')
    this.deviceById = onlyBy(this.device, 'device_id')
    this.history.belongTo(this.card.figures.store)

    this.rawAt = Int32Array.from(spec.raw, (name) => RAW_FEATURES.indexOf(name))
    this.habitAt = Int32Array.from(spec.habit, (name) => HABIT_FEATURES.indexOf(name))
    this.buckets = []
    if (spec.categoryBuckets > 0) {
      this.buckets.push({
        of: (events, row) => events.text.merchant_category[row]!,
        at: column,
        count: spec.categoryBuckets,
      })
      column += spec.categoryBuckets
    }
    for (const { name, buckets } of spec.attributes) {
      this.buckets.push({ of: (events, row) => events.attributes[row]![name] ?? '', at: column, count: buckets })
      column += buckets
    }
    this.signalsAt = column
    this.counters = new Counters(memory, this.entities, this.set)
    this.setCounters(counters)
  }

  get stats(): FeatureStats {
    const stores = this.entities.map(({ figures }) => figures.store)
    return {
      cards: this.card.figures.store.entities,
      entities: stores.reduce((sum, store) => sum + store.entities, 0),
      stateBytes: this.memory.byteLength,
      tiledEntities: stores.reduce((sum, store) => sum + store.tiledEntities, 0),
      lateEvents: this.meta[1]!,
    }
  }

  /** Largest event time folded so far, epoch milliseconds. */
  get streamTimeMs(): number {
    return this.meta[0]!
  }

  /**
   * Folds the rows whose outcome is 0, in order, and writes vectors and input hash of those that are scored.
   */
  fold(events: EventColumns, outcome: Uint8Array, out: FeatureBuffers): void {
    this.useBuffers(out)
    this.metaRegion.touch(0, 0, 16)
    for (let from = 0; from < events.count; from += BATCH_ROWS) {
      const to = Math.min(from + BATCH_ROWS, events.count)
      this.readAhead(events, outcome, from, to)
      for (let row = from; row < to; row++) {
        if (outcome[row] !== 0) continue
        const kind = events.kind[row]!
        if (kind === LABEL) this.foldLabel(events, row)
        else if (kind === REVERSAL) this.foldReversal(events, row)
        else if (kind === OUTCOME) this.foldOutcome(events, row)
        else if (isScoredKind(kind)) this.foldScored(events, row, row - from, out)
      }
    }
  }

  /**
   * Hashes the keys of a batch and reads what its events will ask for. Changes no state: one loop for each step from index
   * to header to rows, so that the processor waits for many places of memory at once instead of one after the other.
   */
  private readAhead(events: EventColumns, outcome: Uint8Array, from: number, to: number): void {
    let read = 0
    for (let e = 0; e < this.entities.length; e++) {
      const entity = this.entities[e]!
      const { store } = entity.figures
      const { hash, batchHi, batchLo, batchHas, batchSlot } = entity
      const { fields } = entity.figures.spec
      const ids = fields.length === 1 && fields[0] !== 'account_id' ? events.text[fields[0]!] : null
      for (let row = from; row < to; row++) {
        const i = row - from
        const isScored = outcome[row] === 0 && isScoredKind(events.kind[row]!)
        const has = isScored && (ids === null ? this.hashEntity(entity, events, row) : hashId(hash, ids, row))
        batchHas[i] = has ? 1 : 0
        batchHi[i] = hash.hi
        batchLo[i] = hash.lo
        batchSlot[i] = has ? store.guess(hash.lo) : -1
      }
      for (let i = 0; i < to - from; i++) if (batchSlot[i]! >= 0) read ^= store.readHeader(batchSlot[i]!)
      for (let i = 0; i < to - from; i++) if (batchSlot[i]! >= 0) read ^= store.readRows(batchSlot[i]!)
      if (entity !== this.card) continue
      for (let i = 0; i < to - from; i++) {
        const slot = batchSlot[i]!
        if (slot >= 0) read ^= this.history.readLines(store.headerOf(slot), store.headerAt(slot))
      }
    }
    this.sink[0] = read
  }

  /** Frees what was idle too long; a bounded number of steps. */
  endSlice(): void {
    const streamTimeMs = this.meta[0]!
    for (const { figures, known } of this.entities) {
      figures.store.sweep(streamTimeMs, SWEEP_STEPS)
      known?.store.sweep(streamTimeMs, SWEEP_STEPS)
    }
    this.counters.sweep(streamTimeMs, SWEEP_STEPS)
  }

  /** The counters of the rules in force; one that is new gives NaN until one window has passed. */
  setCounters(specs: readonly CounterSpec[]): void {
    this.counters.declare(specs)
  }

  private foldScored(events: EventColumns, row: number, inBatch: number, out: FeatureBuffers): void {
    const timeMs = events.event_time[row]!
    if (timeMs > this.meta[0]!) this.meta[0] = timeMs
    const streamTimeMs = this.meta[0]!
    this.openEntities(inBatch, streamTimeMs)
    this.readEvent(events, row)
    writeRaw(events, row, this.baseCurrency, this.raw)
    const base = row * this.layout.currentWidth
    this.writeHabit()
    this.writeEvent(events, row, out.current, base)
    this.writeEntities(streamTimeMs, out.current, base)
    this.writeHistory(row, timeMs, out)
    this.hashInput(row, out)
    const flags = this.current.small === 1 ? FLAG_HIGH : 0
    this.counters.read(events, row, streamTimeMs, this.current, out.counters, row * this.counters.count)
    this.take(events, row, streamTimeMs, flags | (isDeclined(events.text.response_code[row]!) ? FLAG_LOW : 0))
  }

  private readEvent(events: EventColumns, row: number): void {
    const { text } = events
    const event = this.habitEvent
    event.timeMs = events.event_time[row]!
    event.amount = events.amount_base[row]!
    event.merchantKey = this.keyBy(this.merchantById, text.merchant_id[row]!)
    event.deviceKey = this.columns.device < 0 ? 0 : this.keyBy(this.deviceById, text.device_id[row]!)
    event.categoryKey = idKey(this.hash, text.merchant_category[row]!)
    event.countryKey = this.habit.hasTraits ? idKey(this.hash, text.merchant_country[row]!) : 0
    event.latitude = events.latitude[row]!
    event.longitude = events.longitude[row]!
    this.current.timeMs = event.timeMs
    this.current.amount = event.amount
    this.current.counts = countsInWindows(events.kind[row]!) ? 1 : 0
    this.current.small = events.kind[row] === AUTHORIZATION && event.amount < this.spec.smallAmount ? 1 : 0
  }

  private openEntities(inBatch: number, streamTimeMs: number): void {
    for (let e = 0; e < this.entities.length; e++) {
      const entity = this.entities[e]!
      const { hash } = entity
      hash.hi = entity.batchHi[inBatch]!
      hash.lo = entity.batchLo[inBatch]!
      entity.hasKey = entity.batchHas[inBatch] === 1
      entity.isThere = entity.hasKey && entity.figures.store.open(hash.hi, hash.lo, streamTimeMs)
    }
  }

  /** The key of an id whose entity may have hashed it already. */
  private keyBy(entity: Entity | null, id: string): number {
    if (entity === null) return idKey(this.hash, id)
    return entity.hasKey ? entity.hash.lo || 1 : 0
  }

  /** The account of a card without one is the card itself. */
  private hashEntity({ figures, hash }: Entity, events: EventColumns, row: number): boolean {
    if (hashKey(hash, events, row, figures.spec.fields)) return true
    return figures.spec.fields[0] === 'account_id' && hashKey(hash, events, row, ACCOUNTLESS)
  }

  private writeHabit(): void {
    const { card, merchant, habitEvent } = this
    const store = card.figures.store
    const end = card.isThere ? store.rowsUntil(habitEvent.timeMs) : 0
    this.habit.writeCard(store, end, habitEvent, this.habitNumbers)
    if (this.habit.needsMerchant && merchant !== null && merchant.hasKey) {
      this.habit.writeMerchant(merchant.isThere ? merchant.figures.store : null, habitEvent, this.habitNumbers)
    }
  }

  private writeEvent(events: EventColumns, row: number, into: Float32Array, base: number): void {
    const { rawAt, habitAt, raw, habitNumbers } = this
    let at = base
    for (let i = 0; i < rawAt.length; i++) into[at++] = raw[rawAt[i]!]!
    for (let i = 0; i < habitAt.length; i++) into[at++] = habitNumbers[habitAt[i]!]!
    for (const { of, at: first, count } of this.buckets) {
      into.fill(0, base + first, base + first + count)
      const key = idKey(this.hash, of(events, row))
      if (key !== 0) into[base + first + (key % count)] = 1
    }
    const { signals: names } = this.spec
    for (let i = 0; i < names.length; i++) into[base + this.signalsAt + i] = events.signals[row]![names[i]!] ?? 0
  }

  private writeEntities(streamTimeMs: number, into: Float32Array, base: number): void {
    const { current } = this
    current.cardKey = this.card.hash.lo
    current.merchantKey = this.habitEvent.merchantKey
    for (let e = 0; e < this.entities.length; e++) {
      const { figures, known, hash, hasKey, isThere } = this.entities[e]!
      if (!hasKey) {
        figures.writeNone(into, base)
        known?.writeNone(into, base)
        continue
      }
      figures.write(isThere, current, into, base)
      const events = isThere ? figures.store : null
      known?.write(hash.hi, hash.lo, streamTimeMs, current.timeMs, events, current.counts, into, base)
    }
  }

  private writeHistory(row: number, timeMs: number, out: FeatureBuffers): void {
    const { historyLength, historyWidth } = this.layout
    const at = row * historyLength * historyWidth
    if (this.card.isThere) {
      out.historyLength[row] = this.history.read(this.card.figures.store, timeMs, out.history, this.historyPairs, at)
    } else {
      out.history.fill(0, at, at + historyLength * historyWidth)
      out.historyLength[row] = 0
    }
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
    const { habitEvent, current, card, merchant, columns } = this
    const { timeMs, amount } = habitEvent
    const cardStore = card.figures.store
    const { historyVector } = this
    historyVector.write(
      this.raw,
      this.habitNumbers,
      habitEvent.categoryKey,
      historyVector.wantsCardCount ? this.recent(card) : 0,
      historyVector.wantsMerchantCount && merchant !== null ? this.recent(merchant) : 0,
    )
    for (let e = 0; e < this.entities.length; e++) {
      const entity = this.entities[e]!
      if (!entity.hasKey) continue
      const { store } = entity.figures
      if (!entity.isThere) store.openOrCreate(entity.hash.hi, entity.hash.lo, streamTimeMs, timeMs)
      if (timeMs < store.newestMs) this.meta[1]! += entity === card ? 1 : 0
      if (entity === card) {
        const first = columns.merchant === 0 ? habitEvent.merchantKey : habitEvent.deviceKey
        if (current.counts === 1)
          entity.figures.insert(
            timeMs,
            amount,
            idKey(this.hash, events.text.transaction_id[row]!),
            flags,
            first,
            habitEvent.deviceKey,
          )
        else store.seenAt(timeMs)
        this.habit.takeCard(store, habitEvent)
      } else if (current.counts === 1) {
        entity.figures.insert(timeMs, amount, 0, flags, card.hash.lo, 0)
      } else {
        store.seenAt(timeMs)
      }
    }
    if (merchant !== null && merchant.hasKey && this.habit.needsMerchant && amount > 0 && current.counts === 1) {
      this.habit.takeMerchant(merchant.figures.store, habitEvent)
    }
    this.history.push(cardStore, timeMs, historyVector.numbers)
    this.counters.take(events, row, streamTimeMs, current, (flags & FLAG_LOW) !== 0)
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

  /** Takes the original out of every window it is in, or as much of its amount as was given back. */
  private foldReversal(events: EventColumns, row: number): void {
    const found = this.findOriginal(events, row)
    if (found === null) return
    const back = events.amount_base[row]!
    const isWhole = back >= found.amount || back === 0
    this.counters.reverse(events, row, this.meta[0]!, found, back)
    this.onEach(events, row, found, (store, at, figures) => {
      if (isWhole) figures.remove(at)
      else if (store.options.hasAmounts) store.changeAmount(at, -back)
    })
  }

  private foldOutcome(events: EventColumns, row: number): void {
    const found = this.findOriginal(events, row)
    if (found === null) return
    const declined = isDeclined(events.text.response_code[row]!)
    if (found.low === (declined ? 1 : 0)) return
    this.counters.answer(events, row, this.meta[0]!, found, declined)
    this.onEach(events, row, { ...found, low: declined ? 0 : 1 }, (store, at) => {
      if (store.options.hasFlags) store.setLow(at, declined)
    })
  }

  /** The original, from the card's own rows; null when the card no longer holds it. */
  private findOriginal(events: EventColumns, row: number): Original | null {
    const { card } = this
    const store = card.figures.store
    if (!hashKey(card.hash, events, row, card.figures.spec.fields)) return null
    if (!store.open(card.hash.hi, card.hash.lo, this.meta[0]!)) return null
    const at = store.rowOfTag(idKey(this.hash, events.text.original_id[row]!))
    if (at < 0) return null
    const { hasFlags } = store.options
    return {
      timeMs: store.timeOf(at),
      amount: store.amountOf(at),
      low: hasFlags ? store.lowFlagsIn(at, at + 1) : -1,
      high: hasFlags ? store.highFlagsIn(at, at + 1) : -1,
    }
  }

  /**
   * Every row of the original: the card's by its tag, the others' by time, amount, card and answer under the keys that
   * are repeated. Where two events have all of these in common, it does not matter which of them is changed.
   */
  private onEach(
    events: EventColumns,
    row: number,
    { timeMs, amount, low, high }: Original,
    change: (store: EntityStore, at: number, figures: EntityFigures) => void,
  ): void {
    const streamTimeMs = this.meta[0]!
    const cardKey = this.card.hash.lo
    for (const entity of this.entities) {
      const { store } = entity.figures
      if (!this.hashEntity(entity, events, row)) continue
      if (!store.open(entity.hash.hi, entity.hash.lo, streamTimeMs)) continue
      const at =
        entity === this.card
          ? store.rowOfTag(idKey(this.hash, events.text.original_id[row]!))
          : store.rowOfEvent(timeMs, amount, cardKey, low, high)
      if (at >= 0) change(store, at, entity.figures)
    }
  }

  private foldLabel(events: EventColumns, row: number): void {
    const streamTimeMs = this.meta[0]!
    const isFraud = events.label_fraud[row] === 1 && events.label_type[row] !== SERVICE_DISPUTE
    const tag = idKey(this.hash, events.text.transaction_id[row]!)
    const timeMs = events.event_time[row]!
    for (const entity of this.entities) {
      if (entity.known === null || entity === this.device) continue
      if (!hashKey(entity.hash, events, row, entity.figures.spec.fields)) continue
      entity.known.take(entity.hash.hi, entity.hash.lo, streamTimeMs, timeMs, tag, isFraud)
    }
    this.labelDevice(events, row, tag, timeMs, isFraud)
  }

  /** A label names no device: it is found by the card's own row of that transaction, while the card still holds it. */
  private labelDevice(events: EventColumns, row: number, tag: number, timeMs: number, isFraud: boolean): void {
    const { device, card, columns } = this
    if (device === null || device.known === null || columns.device < 0) return
    const cards = card.figures.store
    if (!hashKey(card.hash, events, row, card.figures.spec.fields)) return
    if (!cards.open(card.hash.hi, card.hash.lo, this.meta[0]!)) return
    const at = cards.rowOfTag(tag)
    const key = at < 0 ? 0 : cards.otherOf(at, columns.device)
    const devices = device.figures.store
    if (key === 0 || !devices.openLow(key, this.meta[0]!)) return
    device.known.take(devices.hashHi, devices.hashLo, this.meta[0]!, timeMs, tag, isFraud)
  }

  private useBuffers(out: FeatureBuffers): void {
    if (this.historyBits.buffer !== out.history.buffer) {
      this.historyBits = new Uint32Array(out.history.buffer)
      this.historyPairs = new Float64Array(out.history.buffer, 0, out.history.length >>> 1)
      this.currentBits = new Uint32Array(out.current.buffer)
    }
    const { count } = this.counters
    if (out.counterCount === count) return
    out.counters = new Float64Array(out.capacity * count)
    out.counterCount = count
  }

  private attach(): void {
    this.meta = new Float64Array(this.metaRegion.chunks[0]!)
  }
}

const ACCOUNTLESS = ['card_id'] as const

/** Keys of other entities that the card's rows must hold, for distinct merchants and for what is new. */
function neededCardColumns(spec: FeatureSpec): { readonly columns: CardColumns; readonly count: 0 | 1 | 2 } {
  const card = spec.entities.find(({ name }) => name === 'card')!
  const wantsMerchant =
    spec.habit.includes('new_merchant') ||
    spec.historyFeatures.includes('new_merchant') ||
    card.figures.some(({ aggregate }) => aggregate === 'distinct')
  const wantsDevice =
    spec.habit.includes('new_device') ||
    spec.historyFeatures.includes('new_device') ||
    spec.entities.some(({ name, knownFraudWindows }) => name === 'device' && knownFraudWindows.length > 0)
  const count = ((wantsMerchant ? 1 : 0) + (wantsDevice ? 1 : 0)) as 0 | 1 | 2
  return { columns: { merchant: wantsMerchant ? 0 : -1, device: wantsDevice ? count - 1 : -1 }, count }
}

function onlyBy(entity: Entity | null, field: TextField): Entity | null {
  const fields = entity?.figures.spec.fields
  return fields?.length === 1 && fields[0] === field ? entity : null
}

/** The card keeps the answer where others do, so that an event is found again by it. */
function hasFlags({ figures }: EntitySpec): boolean {
  return figures.some(({ aggregate }) => FLAGGED.has(aggregate))
}

function isInHistory(spec: FeatureSpec, name: HabitFeature): boolean {
  return (spec.historyFeatures as readonly string[]).includes(name)
}
