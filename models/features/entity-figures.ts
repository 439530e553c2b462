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
import { EntityStore } from './entity-store.ts'

/** One window with the columns of its figures. */
interface WindowFigures {
  readonly windowMs: number
  /** Indexes in AGGREGATES, and where each is written. */
  readonly aggregates: Int32Array
  readonly at: Int32Array
}

export interface CurrentEvent {
  readonly timeMs: number
  readonly amount: number
  /** 1 when the event counts in windows, else 0. */
  readonly counts: 0 | 1
  /** 1 when it counts and its amount is small. */
  readonly small: 0 | 1
  /** Key of the other party for distinct counts; 0: none. */
  readonly other: number
}

/**
 * The window figures of one kind of entity. Each window ends at the event's own time and holds the event itself; its
 * answer (declined or not) is not known yet and so is not in it.
 */
export class EntityFigures {
  readonly spec: EntitySpec
  readonly store: EntityStore
  private readonly windows: readonly WindowFigures[]
  private readonly set: EpochSet

  constructor(
    memory: StateMemory,
    spec: EntitySpec,
    of: FeatureSpec,
    needs: StoreNeeds,
    firstColumn: number,
    set: EpochSet,
  ) {
    this.spec = spec
    this.set = set
    this.windows = windowsOf(spec, firstColumn)
    // The share of known fraud is one of all events in its window.
    const ofShares = spec.knownFraudWindows.map((window) => WINDOWS_MS[window])
    const longestMs = Math.max(needs.windowMsMin, ...ofShares, ...this.windows.map(({ windowMs }) => windowMs))
    const has = (...wanted: Aggregate[]): boolean => spec.figures.some(({ aggregate }) => wanted.includes(aggregate))
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
      extraWords: needs.extraWords,
    })
  }

  /** Writes the figures of the open entity; `isThere` false: it has no past, only the event itself. */
  write(isThere: boolean, event: CurrentEvent, into: Float32Array, row: number): void {
    const { store, windows } = this
    const end = isThere ? store.rowsUntil(event.timeMs) : 0
    let start = end
    for (let w = 0; w < windows.length; w++) {
      const { windowMs, aggregates, at } = windows[w]!
      if (start > 0) start = store.rowsBefore(event.timeMs - windowMs, start)
      const events = (start === end ? 0 : store.eventsIn(start, end)) + event.counts
      for (let i = 0; i < aggregates.length; i++) {
        into[row + at[i]!] = events === 0 ? 0 : this.figure(aggregates[i]!, start, end, events, event)
      }
    }
  }

  /** Zeros, for an event that has no such key. */
  writeNone(into: Float32Array, row: number): void {
    for (let w = 0; w < this.windows.length; w++) {
      const { at } = this.windows[w]!
      for (let i = 0; i < at.length; i++) into[row + at[i]!] = 0
    }
  }

  /** @param events how many are in the window, at least 1 */
  private figure(aggregate: number, start: number, end: number, events: number, event: CurrentEvent): number {
    const { store } = this
    const isEmpty = start === end
    switch (aggregate) {
      case COUNT:
        return events
      case SUM:
        return (isEmpty ? 0 : store.sumIn(start, end)) + event.counts * event.amount
      case MEAN:
        return ((isEmpty ? 0 : store.sumIn(start, end)) + event.counts * event.amount) / events
      case MAX:
        return Math.max(isEmpty ? 0 : store.maxIn(start, end), event.counts * event.amount)
      case DECLINED_COUNT:
        return isEmpty ? 0 : store.lowFlagsIn(start, end)
      case DECLINED_SHARE:
        return isEmpty ? 0 : store.lowFlagsIn(start, end) / events
      case SMALL_SHARE:
        return ((isEmpty ? 0 : store.highFlagsIn(start, end)) + event.small) / events
      default:
        return countDistinct(store, start, end, event.counts === 1 ? event.other : 0, this.set)
    }
  }
}

const COUNT = AGGREGATES.indexOf('count')
const SUM = AGGREGATES.indexOf('sum')
const MEAN = AGGREGATES.indexOf('mean')
const MAX = AGGREGATES.indexOf('max')
const DECLINED_COUNT = AGGREGATES.indexOf('declined_count')
const DECLINED_SHARE = AGGREGATES.indexOf('declined_share')
const SMALL_SHARE = AGGREGATES.indexOf('small_share')

/** Aggregates that need to know of each event whether it was declined or small. */
export const FLAGGED: ReadonlySet<Aggregate> = new Set(['declined_count', 'declined_share', 'small_share'])

export interface StoreNeeds {
  readonly flags: boolean
  readonly amounts: boolean
  readonly tags: boolean
  readonly otherColumns: 0 | 1 | 2
  readonly extraWords: number
  readonly windowMsMin: number
}

/** Shortest window first, so that each start is found from the one before. Columns follow the order of the spec. */
function windowsOf(spec: EntitySpec, firstColumn: number): WindowFigures[] {
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
    }))
    .sort((a, b) => a.windowMs - b.windowMs)
}
