import type { StateMemory } from '#infra/state-memory.ts'
import {
  type Aggregate,
  type EntitySpec,
  type FeatureSpec,
  WINDOWS_MS,
  type WindowName,
} from '#schemas/feature-spec.ts'
import { countDistinct, type EpochSet } from './distinct.ts'
import { EntityStore } from './entity-store.ts'

/** A figure of one window and the place of its column. */
interface Figure {
  readonly aggregate: Aggregate
  readonly at: number
}

interface WindowFigures {
  readonly windowMs: number
  readonly figures: readonly Figure[]
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
    const longestMs = Math.max(needs.windowMsMin, ...this.windows.map(({ windowMs }) => windowMs))
    const has = (...wanted: Aggregate[]): boolean => spec.figures.some(({ aggregate }) => wanted.includes(aggregate))
    this.store = new EntityStore(memory, {
      name: `entity.${spec.name}`,
      horizonMs: longestMs + of.lateHours * 3_600_000,
      idleMs: of.idleDays * 86_400_000,
      ringMax: spec.ringMax,
      hasAmounts: needs.amounts || has('sum', 'mean', 'max'),
      hasTags: needs.tags,
      hasFlags: has('declined_count', 'declined_share', 'small_share'),
      hasMax: has('max'),
      otherColumns: needs.otherColumns > 0 ? needs.otherColumns : has('distinct') ? 1 : 0,
      extraWords: needs.extraWords,
    })
  }

  /** Writes the figures of the open entity; `isThere` false: it has no past, only the event itself. */
  write(isThere: boolean, event: CurrentEvent, into: Float32Array, row: number): void {
    const { store } = this
    const end = isThere ? store.rowsUntil(event.timeMs) : 0
    let start = end
    for (const { windowMs, figures } of this.windows) {
      if (isThere) start = store.rowsBefore(event.timeMs - windowMs, start)
      for (const { aggregate, at } of figures) into[row + at] = this.figure(aggregate, start, end, event)
    }
  }

  /** Zeros, for an event that has no such key. */
  writeNone(into: Float32Array, row: number): void {
    for (const { figures } of this.windows) for (const { at } of figures) into[row + at] = 0
  }

  private figure(aggregate: Aggregate, start: number, end: number, event: CurrentEvent): number {
    const { store } = this
    const isEmpty = start === end
    switch (aggregate) {
      case 'count':
        return (isEmpty ? 0 : store.eventsIn(start, end)) + event.counts
      case 'sum':
        return (isEmpty ? 0 : store.sumIn(start, end)) + event.counts * event.amount
      case 'mean': {
        const count = (isEmpty ? 0 : store.eventsIn(start, end)) + event.counts
        return count === 0 ? 0 : ((isEmpty ? 0 : store.sumIn(start, end)) + event.counts * event.amount) / count
      }
      case 'max':
        return Math.max(isEmpty ? 0 : store.maxIn(start, end), event.counts * event.amount)
      case 'declined_count':
        return isEmpty ? 0 : store.lowFlagsIn(start, end)
      case 'declined_share':
        return isEmpty ? 0 : store.lowFlagsIn(start, end) / (store.eventsIn(start, end) + event.counts)
      case 'small_share': {
        const count = (isEmpty ? 0 : store.eventsIn(start, end)) + event.counts
        return count === 0 ? 0 : ((isEmpty ? 0 : store.highFlagsIn(start, end)) + event.small) / count
      }
      case 'distinct':
        return countDistinct(store, start, end, event.counts === 1 ? event.other : 0, this.set)
    }
  }
}

export interface StoreNeeds {
  readonly amounts: boolean
  readonly tags: boolean
  readonly otherColumns: 0 | 1 | 2
  readonly extraWords: number
  readonly windowMsMin: number
}

/** Shortest window first, so that each start is found from the one before. Columns follow the order of the spec. */
function windowsOf(spec: EntitySpec, firstColumn: number): WindowFigures[] {
  const byWindow = new Map<WindowName, Figure[]>()
  let at = firstColumn
  for (const { aggregate, windows } of spec.figures) {
    for (const window of windows) {
      const figures = byWindow.get(window) ?? []
      figures.push({ aggregate, at: at++ })
      byWindow.set(window, figures)
    }
  }
  return [...byWindow]
    .map(([window, figures]) => ({ windowMs: WINDOWS_MS[window], figures }))
    .sort((a, b) => a.windowMs - b.windowMs)
}
