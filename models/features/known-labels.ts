import type { StateMemory } from '#infra/state-memory.ts'
import { type EntitySpec, type FeatureSpec, WINDOWS_MS } from '#schemas/feature-spec.ts'
import { EntityStore } from './entity-store.ts'
import type { KeyBatch } from './key-batch.ts'
import { FLAG_LOW } from './row-layout.ts'

/** Stands for "never": nothing known lies within the last year. */
const NEVER_LOG_MS = Math.log1p(365 * 86_400_000)
/** Labels come weeks to months after their event. */
const KEPT_MS = 45 * 86_400_000
/** Above this many at one entity, labels of old events are counted by the minute and no longer corrected. */
const LABELS_MAX = 4_096

/**
 * What is known of fraud at one kind of entity: a row for each labelled transaction at its own event time, in force from
 * the moment the label arrived. A later label on the same transaction corrects its row.
 */
export class KnownLabels {
  readonly store: EntityStore
  private readonly windowsMs: readonly number[]
  private readonly firstColumn: number

  /** Columns: count and share for each window, then log time since the last known fraud and genuine. */
  constructor(memory: StateMemory, spec: EntitySpec, of: FeatureSpec, firstColumn: number) {
    this.firstColumn = firstColumn
    this.windowsMs = spec.knownFraudWindows.map((window) => WINDOWS_MS[window])
    this.store = new EntityStore(memory, {
      name: `known.${spec.name}`,
      horizonMs: KEPT_MS,
      idleMs: of.idleDays * 86_400_000,
      ringMax: LABELS_MAX,
      hasAmounts: false,
      hasTags: true,
      hasFlags: true,
      hasMax: false,
      otherColumns: 0,
      extraWords: 0,
    })
  }

  /** Takes a label for the entity with this hash. */
  take(hi: number, lo: number, streamTimeMs: number, eventTimeMs: number, tag: number, isFraud: boolean): void {
    const { store } = this
    store.openOrCreate(hi, lo, streamTimeMs, eventTimeMs)
    const row = store.rowOfTag(tag)
    if (row < 0) {
      store.insert(eventTimeMs, 0, tag, isFraud ? FLAG_LOW : 0, 0, 0)
      return
    }
    const wasFraud = store.lowFlagsIn(row, row + 1) === 1
    if (wasFraud !== isFraud) store.setLow(row, isFraud)
  }

  /**
   * Opens the labels of the entity at a place of the batch and writes its columns.
   *
   * @param events the entity's events, opened; null when it has no past
   * @param counts 1 when the current event counts in windows
   */
  write(
    place: number,
    keys: KeyBatch,
    streamTimeMs: number,
    timeMs: number,
    events: EntityStore | null,
    counts: number,
    into: Float32Array,
    row: number,
  ): void {
    const { store } = this
    if (!store.openFound(place, keys, streamTimeMs)) {
      this.writeNone(into, row)
      return
    }
    let at = row + this.firstColumn
    const end = store.rowsUntil(timeMs)
    const eventsEnd = events === null ? 0 : events.rowsUntil(timeMs)
    for (const windowMs of this.windowsMs) {
      const start = store.rowsBefore(timeMs - windowMs, end)
      const frauds = start === end ? 0 : store.lowFlagsIn(start, end)
      const from = events === null ? 0 : events.rowsBefore(timeMs - windowMs, eventsEnd)
      const all = (events === null || from === eventsEnd ? 0 : events.eventsIn(from, eventsEnd)) + counts
      into[at++] = frauds
      into[at++] = frauds === 0 ? 0 : Math.min(1, frauds / Math.max(1, all))
    }
    into[at++] = this.logSince(timeMs, end, true)
    into[at] = this.logSince(timeMs, end, false)
  }

  writeNone(into: Float32Array, row: number): void {
    let at = row + this.firstColumn
    for (let i = 0; i < this.windowsMs.length * 2; i++) into[at++] = 0
    into[at++] = NEVER_LOG_MS
    into[at] = NEVER_LOG_MS
  }

  private logSince(timeMs: number, end: number, isFraud: boolean): number {
    const row = this.store.lastFlagged(end, isFraud)
    return row < 0 ? NEVER_LOG_MS : Math.log1p(timeMs - this.store.timeOf(row))
  }
}

export function knownFraudColumns(spec: EntitySpec): number {
  return spec.knownFraudWindows.length === 0 ? 0 : spec.knownFraudWindows.length * 2 + 2
}
