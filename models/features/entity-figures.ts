import type { StateMemory } from '#infra/state-memory.ts'
import {
  type Aggregate,
  AGGREGATES,
  type EntitySpec,
  type FeatureSpec,
  WINDOWS_MS,
  type WindowName,
} from '#schemas/feature-spec.ts'
import { countDistinct, type EpochSet } from './distinct.ts'
import { EntityStore, type Lookup } from './entity-store.ts'
import type { KeyBatch, KeyBatches } from './key-batch.ts'
import { RecentKeys } from './recent-keys.ts'
import { EXTRA_WORDS } from './row-layout.ts'

/** One window with the columns of its figures. */
interface WindowFigures {
  readonly windowMs: number
  /** Indexes in AGGREGATES, and where each is written. */
  readonly aggregates: Int32Array
  readonly at: Int32Array
  /** Index among the windows of distinct counts, -1 for none. */
  readonly distinct: number
}

export interface CurrentEvent {
  readonly timeMs: number
  readonly amount: number
  /** 1 when the event counts in windows, else 0. */
  readonly counts: 0 | 1
  /** 1 when it counts and its amount is small. */
  readonly small: 0 | 1
  /** Keys of the parties, of which the other one is counted for distinct figures; 0: none. */
  readonly cardKey: number
  readonly merchantKey: number
}

/**
 * The window figures of one kind of entity. Each window ends at the event's own time and holds the event itself; its
 * answer (declined or not) is not known yet and so is not in it.
 */
export class EntityFigures {
  readonly spec: EntitySpec
  readonly store: EntityStore
  readonly keys: KeyBatch
  private readonly windows: readonly WindowFigures[]
  private readonly windowsMs: readonly number[]
  private readonly set: EpochSet
  /** Other parties of busy entities, for the windows of distinct counts, longest first. */
  private readonly recent: RecentKeys | null
  private isRemembered = false
  /** The longest window that its rows reach back. */
  readonly windowMsMax: number
  /** Whose keys its rows hold, if any, in their first column. */
  readonly others: 'cards' | 'merchants' | null
  private readonly distinctMs: readonly number[]
  /** Word of the header from which on it stands for each window, shortest first, before which row it began lately. */
  private readonly startsAt: number

  constructor(
    memory: StateMemory,
    spec: EntitySpec,
    of: FeatureSpec,
    needs: StoreNeeds,
    firstColumn: number,
    set: EpochSet,
    batches: KeyBatches,
  ) {
    this.spec = spec
    // The account of a card without one is the card itself.
    this.keys = batches.of(spec.fields, spec.fields[0] === 'account_id' ? 'card_id' : null)
    this.set = set
    this.distinctMs = distinctWindowsOf(spec)
    this.windows = windowsOf(spec, firstColumn, this.distinctMs)
    this.windowsMs = this.windows.map(({ windowMs }) => windowMs)
    // The share of known fraud is one of all events in its window.
    const ofShares = spec.knownFraudWindows.map((window) => WINDOWS_MS[window])
    const longestMs = Math.max(needs.windowMsMin, ...ofShares, ...this.windows.map(({ windowMs }) => windowMs))
    const has = (...wanted: Aggregate[]): boolean => spec.figures.some(({ aggregate }) => wanted.includes(aggregate))
    this.windowMsMax = longestMs
    this.others = needs.others ?? (has('distinct') ? 'cards' : null)
    const ownerWords = needs.extraWords + (needs.extraWords & 1)
    const recentWords = RecentKeys.headerWords(this.distinctMs.length)
    this.startsAt = EXTRA_WORDS + ownerWords + recentWords
    this.store = new EntityStore(memory, {
      name: `entity.${spec.name}`,
      horizonMs: longestMs + of.lateHours * 3_600_000,
      idleMs: of.idleDays * 86_400_000,
      ringMax: spec.ringMax,
      hasAmounts: needs.amounts || has('sum', 'mean', 'max'),
      hasTags: needs.tags,
      hasFlags: needs.flags || has(...FLAGGED),
      hasMax: has('max'),
      otherColumns: needs.otherColumns > 0 ? needs.otherColumns : has('distinct') ? 1 : 0,
      extraWords: ownerWords + recentWords + this.windows.length,
    })
    const { distinctMs, store } = this
    this.recent =
      distinctMs.length === 0
        ? null
        : new RecentKeys(memory, `entity.${spec.name}`, distinctMs, EXTRA_WORDS + ownerWords)
    if (this.recent !== null) store.onClear.push((u32, at) => this.recent?.release(u32, at))
  }

  get lookup(): Lookup {
    return { store: this.store, keys: this.keys, firstHint: this.startsAt, hints: this.windows.length }
  }

  /** Writes the figures of the open entity; `isThere` false: it has no past, only the event itself. */
  write(isThere: boolean, event: CurrentEvent, into: Float32Array, row: number): void {
    const { store, windows } = this
    const end = isThere ? store.rowsUntil(event.timeMs) : 0
    const isNewest = isThere && event.timeMs >= store.newestMs
    this.isRemembered = isNewest && this.remember(event, end)
    if (isNewest) store.touchHeader()
    for (let w = 0; w < windows.length; w++) {
      const start = end === 0 ? 0 : this.startOf(w, event.timeMs, end, isNewest)
      this.writeWindow(windows[w]!, start, end, event, into, row)
    }
  }

  /** The first row of a window, looked for where it was for the event before. */
  private startOf(window: number, timeMs: number, end: number, isNewest: boolean): number {
    const { store } = this
    const at = store.headerU32At + this.startsAt + window
    const start = store.rowsNear(timeMs - this.windows[window]!.windowMs, end, store.headerU32[at]!)
    if (isNewest) store.headerU32[at] = start
    return start
  }

  private writeWindow(
    { aggregates, at, distinct }: WindowFigures,
    start: number,
    end: number,
    event: CurrentEvent,
    into: Float32Array,
    row: number,
  ): void {
    const { store } = this
    const isEmpty = start === end
    const events = (isEmpty ? 0 : store.eventsIn(start, end)) + event.counts
    for (let i = 0; i < aggregates.length; i++) {
      const column = row + at[i]!
      if (events === 0) {
        into[column] = 0
        continue
      }
      switch (aggregates[i]!) {
        case COUNT:
          into[column] = events
          break
        case SUM:
          into[column] = (isEmpty ? 0 : store.sumIn(start, end)) + event.counts * event.amount
          break
        case MEAN:
          into[column] = ((isEmpty ? 0 : store.sumIn(start, end)) + event.counts * event.amount) / events
          break
        case MAX:
          into[column] = Math.max(isEmpty ? 0 : store.maxIn(start, end), event.counts * event.amount)
          break
        case DECLINED_COUNT:
          into[column] = isEmpty ? 0 : store.lowFlagsIn(start, end)
          break
        case DECLINED_SHARE:
          into[column] = isEmpty ? 0 : store.lowFlagsIn(start, end) / events
          break
        case SMALL_SHARE:
          into[column] = ((isEmpty ? 0 : store.highFlagsIn(start, end)) + event.small) / events
          break
        default:
          into[column] = this.distinctIn(distinct, start, end, event)
      }
    }
  }

  private distinctIn(window: number, start: number, end: number, event: CurrentEvent): number {
    const { store } = this
    if (this.isRemembered) return this.recent!.countIn(store, window)
    return countDistinct(store, start, end, event.counts === 1 ? this.otherOf(event) : 0, this.set)
  }

  /** The first row of a window of the event just written, of which row `end` is the first that is not in it. */
  startIn(windowMs: number, timeMs: number, end: number): number {
    if (end === 0) return 0
    const { store } = this
    const window = timeMs >= store.newestMs ? this.windowsMs.indexOf(windowMs) : -1
    return window < 0
      ? store.rowsBefore(timeMs - windowMs, end)
      : store.headerU32[store.headerU32At + this.startsAt + window]!
  }

  /** Distinct other parties in a window of the event just written, itself included; -1: not remembered, count them. */
  remembered(windowMs: number): number {
    const window = this.isRemembered ? this.distinctMs.indexOf(windowMs) : -1
    return window < 0 ? -1 : this.recent!.countIn(this.store, window)
  }

  /** Zeros, for an event that has no such key. */
  writeNone(into: Float32Array, row: number): void {
    for (let w = 0; w < this.windows.length; w++) {
      const { at } = this.windows[w]!
      for (let i = 0; i < at.length; i++) into[row + at[i]!] = 0
    }
  }

  /** Takes the event into the open entity, after its figures were written. */
  insert(timeMs: number, amount: number, tag: number, flags: number, other0: number, other1: number): void {
    const { store, recent } = this
    const { newestMs } = store
    if (recent !== null && timeMs < newestMs && other0 !== 0 && recent.holds(store)) {
      recent.meet(store, other0, timeMs, newestMs)
    }
    store.insert(timeMs, amount, tag, flags, other0, other1)
  }

  /** Takes a row of one event out of the open entity. */
  remove(row: number): void {
    if (this.recent !== null && this.recent.holds(this.store)) this.forget(row, this.recent)
    this.store.remove(row)
  }

  /** Slides the memory of other parties to the newest event and adds its own; false: the rows are few, count them. */
  private remember(event: CurrentEvent, end: number): boolean {
    const { store, recent } = this
    if (recent === null) return false
    recent.slide(store, event.timeMs)
    if (!recent.holds(store)) {
      const start = store.rowsBefore(event.timeMs - this.distinctMs[0]!, end)
      if (!store.isTiled && end - start <= COUNTED_ROWS) return false
      for (let row = start; row < end; row++) {
        const key = store.otherOf(row, 0)
        if (key !== 0) recent.meet(store, key, store.timeOf(row), event.timeMs)
      }
    }
    const other = this.otherOf(event)
    if (event.counts === 1 && other !== 0) recent.meet(store, other, event.timeMs, event.timeMs)
    return true
  }

  /** The party of a row was met last at an earlier row, or at one of the same time, or not at all. */
  private forget(row: number, recent: RecentKeys): void {
    const { store } = this
    const key = store.otherOf(row, 0)
    const timeMs = store.timeOf(row)
    if (key === 0) return
    for (let later = row + 1; later < store.count && store.timeOf(later) === timeMs; later++) {
      if (store.otherOf(later, 0) === key) return
    }
    const edgeMs = store.newestMs - this.distinctMs[0]!
    let earlier = row - 1
    while (earlier >= 0 && store.timeOf(earlier) > edgeMs && store.otherOf(earlier, 0) !== key) earlier--
    const earlierMs = earlier >= 0 ? store.timeOf(earlier) : Number.NEGATIVE_INFINITY
    recent.unmeet(store, key, timeMs, earlierMs, store.newestMs)
  }

  private otherOf(event: CurrentEvent): number {
    return this.others === 'merchants' ? event.merchantKey : event.cardKey
  }
}

const COUNT = AGGREGATES.indexOf('count')
const SUM = AGGREGATES.indexOf('sum')
const MEAN = AGGREGATES.indexOf('mean')
const MAX = AGGREGATES.indexOf('max')
const DECLINED_COUNT = AGGREGATES.indexOf('declined_count')
const DECLINED_SHARE = AGGREGATES.indexOf('declined_share')
const SMALL_SHARE = AGGREGATES.indexOf('small_share')
/** So many rows are counted through for each event; of more, the other parties are remembered. */
const COUNTED_ROWS = 48

/** Aggregates that need to know of each event whether it was declined or small. */
export const FLAGGED: ReadonlySet<Aggregate> = new Set(['declined_count', 'declined_share', 'small_share'])

export interface StoreNeeds {
  readonly flags: boolean
  /** Whose keys the rows hold, where it is not the cards'. */
  readonly others: 'merchants' | null
  readonly amounts: boolean
  readonly tags: boolean
  readonly otherColumns: 0 | 1 | 2
  readonly extraWords: number
  readonly windowMsMin: number
}

function distinctWindowsOf(spec: EntitySpec): number[] {
  const windows = spec.figures.flatMap(({ aggregate, windows: names }) => (aggregate === 'distinct' ? names : []))
  return [...new Set(windows)].map((window) => WINDOWS_MS[window]).sort((a, b) => b - a)
}

/** Shortest window first, so that each start is found from the one before. Columns follow the order of the spec. */
function windowsOf(spec: EntitySpec, firstColumn: number, distinctMs: readonly number[]): WindowFigures[] {
  const byWindow = new Map<WindowName, { readonly aggregate: number; readonly at: number }[]>()
  let at = firstColumn
  for (const { aggregate, windows } of spec.figures) {
    for (const window of windows) {
      const figures = byWindow.get(window) ?? []
      figures.push({ aggregate: AGGREGATES.indexOf(aggregate), at: at++ })
      byWindow.set(window, figures)
    }
  }
  return [...byWindow]
    .map(([window, figures]) => ({
      windowMs: WINDOWS_MS[window],
      aggregates: Int32Array.from(figures, ({ aggregate }) => aggregate),
      at: Int32Array.from(figures, (figure) => figure.at),
      distinct: distinctMs.indexOf(WINDOWS_MS[window]),
    }))
    .sort((a, b) => a.windowMs - b.windowMs)
}
