import type { BlockArena } from './block-arena.ts'

export interface RowColumns {
  readonly hasAmounts: boolean
  readonly hasTags: boolean
  readonly hasFlags: boolean
  /** Tiled rows then keep the largest amount of their minute. */
  readonly hasMax: boolean
  /** 32-bit columns for keys of other entities. */
  readonly otherColumns: 0 | 1 | 2
}

/** Bits of a row's flags. */
export const FLAG_LOW = 1
export const FLAG_HIGH = 0x1_0000

/** Doubles of a header, behind the two words of its hash. */
export const NEWEST = 1
export const BASE = 2
export const SUM_BEFORE = 3
export const FIRST_SEEN = 4
/** Words of a header. */
export const HASH_HI = 0
export const HASH_LO = 1
export const CLASS = 10
export const BLOCK = 11
export const HEAD = 12
export const COUNT = 13
export const LOW_BEFORE = 14
export const HIGH_BEFORE = 15
export const EVENTS_BEFORE = 16
export const IN_USE = 17
/** Words that the store's owner uses as it likes, `extraWords` of them. */
export const EXTRA_WORDS = 18

const TILE_MS = 60_000

/** Words of a row, running totals of an exact one being 16-bit halves of one word. */
export function rowWords(columns: RowColumns, isTiled: boolean): number {
  const { hasAmounts, hasTags, hasFlags, hasMax, otherColumns } = columns
  const exact = (hasAmounts ? 2 : 0) + 1 + (hasTags ? 1 : 0) + (hasFlags ? 1 : 0) + otherColumns
  return isTiled ? exact + 1 + (hasFlags ? 1 : 0) + (hasMax ? 2 : 0) : exact
}

/**
 * The rows of the open entity: a ring of its events sorted by time. A row holds the time relative to the entity's base
 * and running totals through itself, so any window is a difference of two rows found by bisection. The rows of a tiled
 * entity may stand for all events of one minute: then the time and keys are those of the last of them.
 */
export class EventRows {
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

  protected readonly columns: RowColumns
  protected arena!: BlockArena
  /** Class within `arena`. */
  protected arenaClass = 0
  protected block = 0
  protected capacity = 0
  protected head = 0
  protected baseMs = 0
  /** Whether rows may stand for all events of a minute. */
  isTiled = false
  protected u32: Uint32Array = new Uint32Array(1)
  protected f64: Float64Array = new Float64Array(1)
  private sumAt = 0
  private maxAt = 0
  private timeAt = 0
  private tagAt = 0
  private flagsAt = 0
  private highAt = 0
  private otherAt = 0
  private eventsAt = 0

  constructor(columns: RowColumns) {
    this.columns = columns
  }

  /** How many rows, oldest first, lie at or before `timeMs`. */
  rowsUntil(timeMs: number): number {
    const { count, u32, timeAt, head, capacity } = this
    if (timeMs >= this.newestMs) return count
    const relative = timeMs - this.baseMs
    if (relative < 0) return 0
    let low = 0
    let high = count
    while (low < high) {
      const middle = (low + high) >>> 1
      const i = head + middle
      if (u32[timeAt + (i >= capacity ? i - capacity : i)]! <= relative) low = middle + 1
      else high = middle
    }
    return low
  }

  /** As `rowsUntil`, for a time near that of row `high`: gallops back from there. */
  rowsBefore(timeMs: number, high: number): number {
    const relative = timeMs - this.baseMs
    if (relative < 0 || high === 0) return 0
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
    low++
    while (low < high) {
      const middle = (low + high) >>> 1
      i = head + middle
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
    return this.isTiled ? this.eventsThrough(to - 1) - this.eventsThrough(from - 1) : to - from
  }

  sumIn(from: number, to: number): number {
    return this.sumThrough(to - 1) - this.sumThrough(from - 1)
  }

  amountOf(row: number): number {
    return this.sumThrough(row) - this.sumThrough(row - 1)
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
    const { f64, head, capacity } = this
    let max = 0
    if (this.isTiled && this.columns.hasMax) {
      for (let row = from; row < to; row++) {
        const amount = f64[this.maxAt + this.at(row)]!
        if (amount > max) max = amount
      }
      return max
    }
    let before = this.sumThrough(from - 1)
    for (let row = from; row < to; row++) {
      const i = head + row
      const through = f64[this.sumAt + (i >= capacity ? i - capacity : i)]!
      if (through - before > max) max = through - before
      before = through
    }
    return max
  }

  otherOf(row: number, column: number): number {
    return this.u32[this.otherAt + column * this.capacity + this.at(row)]!
  }

  /**
   * Amounts above zero of the newest rows before row `end`, newest first, at most as many as `into` holds; a row that
   * stands for several events gives their mean.
   */
  amountsBefore(end: number, into: Float64Array): number {
    const { f64, sumAt, head, capacity } = this
    let n = 0
    let through = this.sumThrough(end - 1)
    for (let row = end - 1; row >= 0 && n < into.length; row--) {
      const i = head + row - 1
      const before =
        row === 0 ? this.headerF64[this.headerF64At + SUM_BEFORE]! : f64[sumAt + (i >= capacity ? i - capacity : i)]!
      const amount = through - before
      through = before
      if (amount > 0) into[n++] = this.isTiled ? amount / this.eventsIn(row, row + 1) : amount
    }
    return n
  }

  /** Rows before row `end`, later than `afterMs`, whose amount is above `amount`. */
  rowsAbove(end: number, afterMs: number, amount: number): number {
    const { f64, u32, sumAt, timeAt, head, capacity } = this
    const relative = afterMs - this.baseMs
    let rows = 0
    let through = this.sumThrough(end - 1)
    for (let row = end - 1; row >= 0; row--) {
      const i = head + row
      if (u32[timeAt + (i >= capacity ? i - capacity : i)]! <= relative) break
      const before =
        row === 0
          ? this.headerF64[this.headerF64At + SUM_BEFORE]!
          : f64[sumAt + (i - 1 >= capacity ? i - 1 - capacity : i - 1)]!
      if (through - before > amount) rows++
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

  /** Puts a row at its place; there is room, and the block was touched. */
  protected place(
    row: number,
    timeMs: number,
    amount: number,
    tag: number,
    flags: number,
    other0: number,
    other1: number,
  ): void {
    const { columns, u32, f64 } = this
    for (let i = this.count; i > row; i--) this.copyRow(this.at(i - 1), this.at(i))
    this.count++
    const at = this.at(row)
    u32[this.timeAt + at] = timeMs - this.baseMs
    if (columns.hasTags) u32[this.tagAt + at] = tag
    if (columns.otherColumns > 0) u32[this.otherAt + at] = other0
    if (columns.otherColumns > 1) u32[this.otherAt + this.capacity + at] = other1
    if (columns.hasAmounts) f64[this.sumAt + at] = this.sumThrough(row - 1)
    const low = flags & 1
    const high = flags >>> 16
    if (this.isTiled) {
      u32[this.eventsAt + at] = this.eventsThrough(row - 1)
      if (columns.hasMax) f64[this.maxAt + at] = amount
      if (columns.hasFlags) {
        u32[this.flagsAt + at] = this.lowThrough(row - 1)
        u32[this.highAt + at] = this.highThrough(row - 1)
      }
    } else if (columns.hasFlags) {
      u32[this.flagsAt + at] = (this.highThrough(row - 1) << 16) | this.lowThrough(row - 1)
    }
    this.addFrom(row, amount, low, high, 1)
  }

  /** Takes a row out; the block was touched. */
  protected takeOut(row: number): void {
    const flags = this.columns.hasFlags ? this.flagsOf(row) : 0
    this.addFrom(row, this.columns.hasAmounts ? -this.amountOf(row) : 0, -(flags & 1), -(flags >>> 16), -1)
    for (let i = row; i < this.count - 1; i++) this.copyRow(this.at(i + 1), this.at(i))
    this.count--
  }

  /** Adds to the running totals of a row and all behind it. */
  protected addFrom(row: number, amount: number, low: number, high: number, events: number): void {
    const { columns, u32, f64, isTiled } = this
    for (let i = row; i < this.count; i++) {
      const at = this.at(i)
      if (columns.hasAmounts) f64[this.sumAt + at]! += amount
      if (isTiled) u32[this.eventsAt + at]! += events
      if (!columns.hasFlags) continue
      if (isTiled) {
        u32[this.flagsAt + at]! += low
        u32[this.highAt + at]! += high
      } else {
        const was = u32[this.flagsAt + at]!
        u32[this.flagsAt + at] = (((was >>> 16) + high) << 16) | ((was + low) & 0xffff)
      }
    }
  }

  /** The largest amount of a row of one event is its amount. */
  protected correctMax(row: number): void {
    if (this.isTiled && this.columns.hasMax) this.f64[this.maxAt + this.at(row)] = this.amountOf(row)
  }

  protected dropRows(drop: number): void {
    const { headerF64, headerU32, headerU32At, columns } = this
    if (columns.hasAmounts) headerF64[this.headerF64At + SUM_BEFORE] = this.sumThrough(drop - 1)
    if (columns.hasFlags) {
      headerU32[headerU32At + LOW_BEFORE] = this.lowThrough(drop - 1)
      headerU32[headerU32At + HIGH_BEFORE] = this.highThrough(drop - 1)
    }
    if (this.isTiled) headerU32[headerU32At + EVENTS_BEFORE] = this.eventsThrough(drop - 1)
    this.head = this.at(drop)
    this.count -= drop
  }

  /** Keeps all times of the ring, and the one to come, within 32 bits above the base. */
  protected rebase(timeMs: number): void {
    if (this.count === 0) {
      this.baseMs = timeMs
    } else {
      if (timeMs >= this.baseMs && timeMs - this.baseMs < 2 ** 32) return
      const oldest = Math.min(timeMs, this.timeOf(0))
      const by = this.baseMs - oldest
      for (let i = 0; i < this.count; i++) this.u32[this.timeAt + this.at(i)]! += by
      this.baseMs = oldest
    }
    this.headerF64[this.headerF64At + BASE] = this.baseMs
  }

  /** Makes one row of the rows of each minute that lie at or before `edgeMs`; the block was touched. */
  protected mergeMinutes(edgeMs: number): void {
    let kept = 0
    for (let row = 0; row < this.count; row++) {
      const next = row + 1 < this.count ? this.timeOf(row + 1) : Number.POSITIVE_INFINITY
      if (next <= edgeMs && Math.floor(this.timeOf(row) / TILE_MS) === Math.floor(next / TILE_MS)) {
        if (this.columns.hasMax) this.keepMax(this.at(row), this.at(row + 1))
        continue
      }
      if (kept !== row) this.copyRow(this.at(row), this.at(kept))
      kept++
    }
    this.count = kept
  }

  /** Says where the columns of the open block are; an exact block has `capacity` rows as a tiled one has. */
  protected placeColumns(capacity: number, isTiled: boolean): void {
    const { arena, block, columns } = this
    const chunk = arena.chunkOf(block)
    let word = arena.wordOf(this.arenaClass, block)
    this.capacity = capacity
    this.isTiled = isTiled
    this.u32 = arena.u32[chunk]!
    this.f64 = arena.f64[chunk]!
    this.sumAt = word / 2
    if (columns.hasAmounts) word += capacity * 2
    if (isTiled) {
      this.maxAt = word / 2
      if (columns.hasMax) word += capacity * 2
      this.eventsAt = word
      word += capacity
      this.highAt = word
      if (columns.hasFlags) word += capacity
    }
    this.timeAt = word
    word += capacity
    this.tagAt = word
    if (columns.hasTags) word += capacity
    this.flagsAt = word
    if (columns.hasFlags) word += capacity
    this.otherAt = word
  }

  /** Copies all rows from where they were, oldest first, into the open, empty block. */
  protected copyAll(from: RowsPlace, count: number): void {
    const { columns, u32, f64 } = this
    let before = this.headerF64[this.headerF64At + SUM_BEFORE]!
    for (let row = 0; row < count; row++) {
      const i = from.head + row
      const source = i >= from.capacity ? i - from.capacity : i
      u32[this.timeAt + row] = from.u32[from.timeAt + source]!
      if (columns.hasAmounts) f64[this.sumAt + row] = from.f64[from.sumAt + source]!
      if (columns.hasTags) u32[this.tagAt + row] = from.u32[from.tagAt + source]!
      for (let c = 0; c < columns.otherColumns; c++) {
        u32[this.otherAt + c * this.capacity + row] = from.u32[from.otherAt + c * from.capacity + source]!
      }
      if (columns.hasFlags) this.copyFlags(from, source, row)
      if (!this.isTiled) continue
      u32[this.eventsAt + row] = from.isTiled ? from.u32[from.eventsAt + source]! : row + 1
      if (!columns.hasMax) continue
      const through = f64[this.sumAt + row]!
      f64[this.maxAt + row] = from.isTiled ? from.f64[from.maxAt + source]! : through - before
      before = through
    }
    if (this.isTiled && !from.isTiled) this.headerU32[this.headerU32At + EVENTS_BEFORE] = 0
    this.head = 0
  }

  protected rowsPlace(): RowsPlace {
    const { capacity, head, isTiled, u32, f64, sumAt, maxAt, timeAt, tagAt, flagsAt, highAt, otherAt, eventsAt } = this
    return { capacity, head, isTiled, u32, f64, sumAt, maxAt, timeAt, tagAt, flagsAt, highAt, otherAt, eventsAt }
  }

  /** Tiled rows count on in whole words from where the 16-bit halves of exact rows stood. */
  private copyFlags(from: RowsPlace, source: number, row: number): void {
    const { u32, headerU32, headerU32At } = this
    const flags = from.u32[from.flagsAt + source]!
    if (!this.isTiled) {
      u32[this.flagsAt + row] = flags
    } else if (from.isTiled) {
      u32[this.flagsAt + row] = flags
      u32[this.highAt + row] = from.u32[from.highAt + source]!
    } else {
      const lowBefore = headerU32[headerU32At + LOW_BEFORE]!
      const highBefore = headerU32[headerU32At + HIGH_BEFORE]!
      u32[this.flagsAt + row] = lowBefore + ((flags - lowBefore) & 0xffff)
      u32[this.highAt + row] = highBefore + (((flags >>> 16) - highBefore) & 0xffff)
    }
  }

  private copyRow(from: number, to: number): void {
    const { columns, u32, f64 } = this
    u32[this.timeAt + to] = u32[this.timeAt + from]!
    if (columns.hasAmounts) f64[this.sumAt + to] = f64[this.sumAt + from]!
    if (columns.hasTags) u32[this.tagAt + to] = u32[this.tagAt + from]!
    if (columns.hasFlags) u32[this.flagsAt + to] = u32[this.flagsAt + from]!
    for (let c = 0; c < columns.otherColumns; c++) {
      const column = this.otherAt + c * this.capacity
      u32[column + to] = u32[column + from]!
    }
    if (!this.isTiled) return
    u32[this.eventsAt + to] = u32[this.eventsAt + from]!
    if (columns.hasFlags) u32[this.highAt + to] = u32[this.highAt + from]!
    if (columns.hasMax) f64[this.maxAt + to] = f64[this.maxAt + from]!
  }

  private keepMax(from: number, to: number): void {
    const { f64, maxAt } = this
    if (f64[maxAt + from]! > f64[maxAt + to]!) f64[maxAt + to] = f64[maxAt + from]!
  }

  private at(row: number): number {
    const i = this.head + row
    return i >= this.capacity ? i - this.capacity : i
  }

  private sumThrough(row: number): number {
    return row < 0 ? this.headerF64[this.headerF64At + SUM_BEFORE]! : this.f64[this.sumAt + this.at(row)]!
  }

  private eventsThrough(row: number): number {
    return row < 0 ? this.headerU32[this.headerU32At + EVENTS_BEFORE]! : this.u32[this.eventsAt + this.at(row)]!
  }

  private lowThrough(row: number): number {
    if (row < 0) return this.headerU32[this.headerU32At + LOW_BEFORE]!
    const flags = this.u32[this.flagsAt + this.at(row)]!
    return this.isTiled ? flags : flags & 0xffff
  }

  private highThrough(row: number): number {
    if (row < 0) return this.headerU32[this.headerU32At + HIGH_BEFORE]!
    return this.isTiled ? this.u32[this.highAt + this.at(row)]! : this.u32[this.flagsAt + this.at(row)]! >>> 16
  }

  private countMask(): number {
    return this.isTiled ? 0x7fff_ffff : 0xffff
  }
}

/** Where rows stood before they moved. */
export interface RowsPlace {
  readonly capacity: number
  readonly head: number
  readonly isTiled: boolean
  readonly u32: Uint32Array
  readonly f64: Float64Array
  readonly sumAt: number
  readonly maxAt: number
  readonly timeAt: number
  readonly tagAt: number
  readonly flagsAt: number
  readonly highAt: number
  readonly otherAt: number
  readonly eventsAt: number
}
