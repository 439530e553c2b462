import {
  EVENTS_BEFORE,
  FLAG_HIGH,
  FLAG_LOW,
  HIGH_BEFORE,
  LOW_BEFORE,
  NARROW,
  type RowColumns,
  type RowKind,
  type RowsPlace,
  SUM_BEFORE,
  TILED,
} from './row-layout.ts'

/**
 * The rows of the open entity, to be asked: a ring of its events sorted by time. A row holds the time relative to the
 * entity's base and running totals through itself, so any window is a difference of two rows. The rows of a tiled entity
 * may stand for all events of one minute: then the time and keys are those of the last of them.
 */
export class EventRows implements RowsPlace {
  /** How many there are. */
  count = 0
  /** Newest event time, epoch milliseconds. */
  newestMs = 0
  firstSeenMs = 0
  /** Header views of the open entity, for the owner's extra fields. */
  headerF64: Float64Array = new Float64Array(1)
  headerU32: Uint32Array = new Uint32Array(1)
  headerF64At = 0
  headerU32At = 0

  readonly columns: RowColumns
  protected baseMs = 0
  kind: RowKind = NARROW
  capacity = 0
  head = 0
  u32: Uint32Array = new Uint32Array(1)
  f64: Float64Array = new Float64Array(1)
  sumAt = 0
  maxAt = 0
  timeAt = 0
  tagAt = 0
  flagsAt = 0
  highAt = 0
  otherAt = 0
  eventsAt = 0

  constructor(columns: RowColumns) {
    this.columns = columns
  }

  /** Whether rows may stand for all events of a minute. */
  get isTiled(): boolean {
    return this.kind === TILED
  }

  /** How many rows, oldest first, lie at or before `timeMs`. */
  rowsUntil(timeMs: number): number {
    return timeMs >= this.newestMs ? this.count : this.bisect(timeMs - this.baseMs, 0, this.count)
  }

  /** As `rowsUntil`, among the first `high` rows, for a time near that of the last of them: gallops back from there. */
  rowsBefore(timeMs: number, high: number): number {
    return high === 0 ? 0 : this.gallopBack(timeMs - this.baseMs, high)
  }

  /** As `rowsUntil`, among the first `high` rows, for a time near that of row `hint`, which need not be there. */
  rowsNear(timeMs: number, high: number, hint: number): number {
    const { u32, timeAt, head, capacity } = this
    const relative = timeMs - this.baseMs
    if (hint >= high) return high === 0 ? 0 : this.gallopBack(relative, high)
    let i = head + hint
    if (u32[timeAt + (i >= capacity ? i - capacity : i)]! > relative) {
      return hint === 0 ? 0 : this.gallopBack(relative, hint)
    }
    let low = hint + 1
    for (let step = 1; low < high; step <<= 1) {
      i = head + low
      if (u32[timeAt + (i >= capacity ? i - capacity : i)]! > relative) return low
      if (low + step >= high) return this.bisect(relative, low + 1, high)
      i = head + low + step
      if (u32[timeAt + (i >= capacity ? i - capacity : i)]! > relative)
        return this.bisect(relative, low + 1, low + step)
      low += step + 1
    }
    return high
  }

  /** @param high at least 1 */
  private gallopBack(relative: number, high: number): number {
    const { u32, timeAt, head, capacity } = this
    let step = 1
    let low = high - 1
    let i = head + low
    while (u32[timeAt + (i >= capacity ? i - capacity : i)]! > relative) {
      high = low
      if (low === 0) return 0
      low = low > step ? low - step : 0
      step <<= 1
      i = head + low
    }
    return this.bisect(relative, low + 1, high)
  }

  /** The first of rows [low, high) later than `relative`, or `high`. */
  private bisect(relative: number, low: number, high: number): number {
    const { u32, timeAt, head, capacity } = this
    while (low < high) {
      const middle = (low + high) >>> 1
      const i = head + middle
      if (u32[timeAt + (i >= capacity ? i - capacity : i)]! <= relative) low = middle + 1
      else high = middle
    }
    return low
  }

  /** Epoch milliseconds. */
  timeOf(row: number): number {
    return this.baseMs + this.u32[this.timeAt + this.at(row)]!
  }

  eventsIn(from: number, to: number): number {
    return this.kind === TILED ? this.eventsThrough(to - 1) - this.eventsThrough(from - 1) : to - from
  }

  sumIn(from: number, to: number): number {
    const sum = this.sumThrough(to - 1) - this.sumThrough(from - 1)
    return this.kind === NARROW ? sum >>> 0 : sum
  }

  amountOf(row: number): number {
    return this.sumIn(row, row + 1)
  }

  /** Events with the low flag in [from, to). */
  lowFlagsIn(from: number, to: number): number {
    return (this.lowThrough(to - 1) - this.lowThrough(from - 1)) & this.countMask()
  }

  highFlagsIn(from: number, to: number): number {
    return (this.highThrough(to - 1) - this.highThrough(from - 1)) & this.countMask()
  }

  flagsOf(row: number): number {
    return this.lowFlagsIn(row, row + 1) * FLAG_LOW + this.highFlagsIn(row, row + 1) * FLAG_HIGH
  }

  maxIn(from: number, to: number): number {
    let max = 0
    if (this.kind === TILED && this.columns.hasMax) {
      for (let row = from; row < to; row++) {
        const amount = this.f64[this.maxAt + this.at(row)]!
        if (amount > max) max = amount
      }
      return max
    }
    const isNarrow = this.kind === NARROW
    let before = this.sumThrough(from - 1)
    for (let row = from; row < to; row++) {
      const through = this.sumThrough(row)
      const amount = isNarrow ? (through - before) >>> 0 : through - before
      if (amount > max) max = amount
      before = through
    }
    return max
  }

  otherOf(row: number, column: number): number {
    return this.u32[this.otherAt + column * this.capacity + this.at(row)]!
  }

  /**
   * Amounts above zero of the newest rows before row `end`, newest first, at most as many as `into` holds; a row that
   * stands for several events gives their mean. Gives how many there are.
   */
  amountsBefore(end: number, into: Float64Array): number {
    const isNarrow = this.kind === NARROW
    let n = 0
    let through = this.sumThrough(end - 1)
    for (let row = end - 1; row >= 0 && n < into.length; row--) {
      const before = this.sumThrough(row - 1)
      const amount = isNarrow ? (through - before) >>> 0 : through - before
      through = before
      if (amount > 0) into[n++] = this.kind === TILED ? amount / this.eventsIn(row, row + 1) : amount
    }
    return n
  }

  /** Rows before row `end`, later than `afterMs`, whose amount is above `amount`. */
  rowsAbove(end: number, afterMs: number, amount: number): number {
    const { u32, timeAt } = this
    const isNarrow = this.kind === NARROW
    const relative = afterMs - this.baseMs
    let rows = 0
    let through = this.sumThrough(end - 1)
    for (let row = end - 1; row >= 0; row--) {
      if (u32[timeAt + this.at(row)]! <= relative) break
      const before = this.sumThrough(row - 1)
      if ((isNarrow ? (through - before) >>> 0 : through - before) > amount) rows++
      through = before
    }
    return rows
  }

  /** Whether a row before row `end` has this key. */
  hasOther(end: number, column: number, key: number): boolean {
    const { u32, head, capacity } = this
    const first = this.otherAt + column * capacity
    const last = head + end - 1
    for (let i = last - capacity; i >= 0; i--) if (u32[first + i] === key) return true
    for (let i = last >= capacity ? capacity - 1 : last; i >= head; i--) if (u32[first + i] === key) return true
    return false
  }

  /** The newest row before row `end` with, or without, the low flag, or -1. */
  lastFlagged(end: number, isFlagged: boolean): number {
    const through = (row: number): number => {
      const flagged = this.lowFlagsIn(0, row + 1)
      return isFlagged ? flagged : this.eventsIn(0, row + 1) - flagged
    }
    const all = end === 0 ? 0 : through(end - 1)
    if (all === 0) return -1
    let low = 0
    let high = end - 1
    while (low < high) {
      const middle = (low + high) >>> 1
      if (through(middle) < all) low = middle + 1
      else high = middle
    }
    return low
  }

  /** The newest row of one event with this tag, or -1. */
  rowOfTag(tag: number): number {
    for (let row = this.count - 1; row >= 0; row--) {
      if (this.u32[this.tagAt + this.at(row)] === tag && this.eventsIn(row, row + 1) === 1) return row
    }
    return -1
  }

  /**
   * The newest row of one event at exactly this time with this amount, or -1.
   *
   * @param other its key in the first column, where there is one; 0: any
   * @param low its low flag, where there are flags; -1: any
   * @param high its high flag, as `low`
   */
  rowOfEvent(timeMs: number, amount: number, other: number, low: number, high: number): number {
    const { hasAmounts, hasFlags, otherColumns } = this.columns
    for (let row = this.rowsUntil(timeMs) - 1; row >= 0 && this.timeOf(row) === timeMs; row--) {
      if (hasAmounts && this.amountOf(row) !== amount) continue
      if (otherColumns > 0 && other !== 0 && this.otherOf(row, 0) !== other) continue
      if (hasFlags && low >= 0 && this.lowFlagsIn(row, row + 1) !== low) continue
      if (hasFlags && high >= 0 && this.highFlagsIn(row, row + 1) !== high) continue
      if (this.eventsIn(row, row + 1) === 1) return row
    }
    return -1
  }

  protected at(row: number): number {
    const i = this.head + row
    return i >= this.capacity ? i - this.capacity : i
  }

  /** Running total of amounts through a row; of narrow rows modulo 2^32. */
  protected sumThrough(row: number): number {
    if (row < 0) return this.headerF64[this.headerF64At + SUM_BEFORE]!
    const at = this.sumAt + this.at(row)
    return this.kind === NARROW ? this.u32[at]! : this.f64[at]!
  }

  protected eventsThrough(row: number): number {
    return row < 0 ? this.headerU32[this.headerU32At + EVENTS_BEFORE]! : this.u32[this.eventsAt + this.at(row)]!
  }

  protected lowThrough(row: number): number {
    if (row < 0) return this.headerU32[this.headerU32At + LOW_BEFORE]!
    const flags = this.u32[this.flagsAt + this.at(row)]!
    return this.kind === TILED ? flags : flags & 0xffff
  }

  protected highThrough(row: number): number {
    if (row < 0) return this.headerU32[this.headerU32At + HIGH_BEFORE]!
    return this.kind === TILED ? this.u32[this.highAt + this.at(row)]! : this.u32[this.flagsAt + this.at(row)]! >>> 16
  }

  private countMask(): number {
    return this.kind === TILED ? 0x7fff_ffff : 0xffff
  }
}
