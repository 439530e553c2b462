import type { BlockArena } from './block-arena.ts'
import { EventRows } from './event-rows.ts'
import {
  BASE,
  EVENTS_BEFORE,
  HIGH_BEFORE,
  LOW_BEFORE,
  NARROW,
  type RowKind,
  type RowsPlace,
  SUM_BEFORE,
  TILED,
} from './row-layout.ts'

const TILE_MS = 60_000

/** The rows of the open entity, to be changed. Whoever does so has touched header and block, and there is room. */
export class ChangingRows extends EventRows {
  protected arena!: BlockArena
  /** Class within `arena`. */
  protected arenaClass = 0
  protected block = 0

  /** Whether the running totals stay exact with one more amount in them. */
  protected hasRoomFor(amount: number): boolean {
    if (this.kind !== NARROW || !this.columns.hasAmounts) return true
    const total = (this.count === 0 ? 0 : this.sumIn(0, this.count)) + amount
    return total >>> 0 === total
  }

  /** Puts a row at its place. */
  protected place(
    row: number,
    timeMs: number,
    amount: number,
    tag: number,
    flags: number,
    other0: number,
    other1: number,
  ): void {
    const { columns, u32, f64, kind } = this
    for (let i = this.count; i > row; i--) this.copyRow(this.at(i - 1), this.at(i))
    this.count++
    const at = this.at(row)
    u32[this.timeAt + at] = timeMs - this.baseMs
    if (columns.hasTags) u32[this.tagAt + at] = tag
    if (columns.otherColumns > 0) u32[this.otherAt + at] = other0
    if (columns.otherColumns > 1) u32[this.otherAt + this.capacity + at] = other1
    if (columns.hasAmounts) {
      if (kind === NARROW) u32[this.sumAt + at] = this.sumThrough(row - 1)
      else f64[this.sumAt + at] = this.sumThrough(row - 1)
    }
    const low = flags & 1
    const high = flags >>> 16
    if (kind === TILED) {
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

  protected takeOut(row: number): void {
    const flags = this.columns.hasFlags ? this.flagsOf(row) : 0
    this.addFrom(row, this.columns.hasAmounts ? -this.amountOf(row) : 0, -(flags & 1), -(flags >>> 16), -1)
    for (let i = row; i < this.count - 1; i++) this.copyRow(this.at(i + 1), this.at(i))
    this.count--
  }

  /** Adds to the running totals of a row and all behind it. */
  protected addFrom(row: number, amount: number, low: number, high: number, events: number): void {
    const { columns, u32, f64, kind } = this
    for (let i = row; i < this.count; i++) {
      const at = this.at(i)
      if (columns.hasAmounts) {
        if (kind === NARROW) u32[this.sumAt + at]! += amount
        else f64[this.sumAt + at]! += amount
      }
      if (kind === TILED) u32[this.eventsAt + at]! += events
      if (!columns.hasFlags) continue
      if (kind === TILED) {
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
    if (this.kind === TILED && this.columns.hasMax) this.f64[this.maxAt + this.at(row)] = this.amountOf(row)
  }

  protected dropRows(drop: number): void {
    const { headerF64, headerU32, headerU32At, columns } = this
    if (columns.hasAmounts) headerF64[this.headerF64At + SUM_BEFORE] = this.sumThrough(drop - 1)
    if (columns.hasFlags) {
      headerU32[headerU32At + LOW_BEFORE] = this.lowThrough(drop - 1)
      headerU32[headerU32At + HIGH_BEFORE] = this.highThrough(drop - 1)
    }
    if (this.kind === TILED) headerU32[headerU32At + EVENTS_BEFORE] = this.eventsThrough(drop - 1)
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

  /** Makes one row of the rows of each minute that lie at or before `edgeMs`, of a tiled entity. */
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

  /** Says where the columns of the open block are. */
  protected placeColumns(capacity: number, kind: RowKind): void {
    const { arena, block, columns } = this
    const slab = arena.slabOf(block)
    let word = arena.wordOf(this.arenaClass, block)
    this.capacity = capacity
    this.kind = kind
    this.u32 = arena.views.u32[slab]!
    this.f64 = arena.views.f64[slab]!
    this.sumAt = kind === NARROW ? word : word >>> 1
    if (columns.hasAmounts) word += kind === NARROW ? capacity : capacity * 2
    if (kind === TILED) {
      this.maxAt = word >>> 1
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

  /** Copies all rows from where they were, oldest first, into the open, empty block of the same or a later kind. */
  protected copyAll(from: RowsPlace, count: number): void {
    const { columns, u32, f64, kind } = this
    if (kind === TILED && from.kind !== TILED) this.headerU32[this.headerU32At + EVENTS_BEFORE] = 0
    const sumBefore = this.headerF64[this.headerF64At + SUM_BEFORE]!
    let before = sumBefore
    for (let row = 0; row < count; row++) {
      const i = from.head + row
      const source = i >= from.capacity ? i - from.capacity : i
      u32[this.timeAt + row] = from.u32[from.timeAt + source]!
      if (columns.hasTags) u32[this.tagAt + row] = from.u32[from.tagAt + source]!
      for (let c = 0; c < columns.otherColumns; c++) {
        u32[this.otherAt + c * this.capacity + row] = from.u32[from.otherAt + c * from.capacity + source]!
      }
      if (columns.hasFlags) this.copyFlags(from, source, row)
      if (kind === TILED) u32[this.eventsAt + row] = from.kind === TILED ? from.u32[from.eventsAt + source]! : row + 1
      if (!columns.hasAmounts) continue
      const through = throughOf(from, source, before)
      if (kind === NARROW) u32[this.sumAt + row] = through
      else f64[this.sumAt + row] = through
      if (kind === TILED && columns.hasMax) {
        f64[this.maxAt + row] = from.kind === TILED ? from.f64[from.maxAt + source]! : through - before
      }
      before = through
    }
    this.head = 0
  }

  protected rowsPlace(): RowsPlace {
    const { capacity, head, kind, u32, f64, sumAt, maxAt, timeAt, tagAt, flagsAt, highAt, otherAt, eventsAt } = this
    return { capacity, head, kind, u32, f64, sumAt, maxAt, timeAt, tagAt, flagsAt, highAt, otherAt, eventsAt }
  }

  /** Tiled rows count on in whole words from where the 16-bit halves of exact rows stood. */
  private copyFlags(from: RowsPlace, source: number, row: number): void {
    const { u32, headerU32, headerU32At } = this
    const flags = from.u32[from.flagsAt + source]!
    if (this.kind !== TILED) {
      u32[this.flagsAt + row] = flags
    } else if (from.kind === TILED) {
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
    const { columns, u32, f64, kind } = this
    u32[this.timeAt + to] = u32[this.timeAt + from]!
    if (columns.hasAmounts) {
      if (kind === NARROW) u32[this.sumAt + to] = u32[this.sumAt + from]!
      else f64[this.sumAt + to] = f64[this.sumAt + from]!
    }
    if (columns.hasTags) u32[this.tagAt + to] = u32[this.tagAt + from]!
    if (columns.hasFlags) u32[this.flagsAt + to] = u32[this.flagsAt + from]!
    for (let c = 0; c < columns.otherColumns; c++) {
      const column = this.otherAt + c * this.capacity
      u32[column + to] = u32[column + from]!
    }
    if (kind !== TILED) return
    u32[this.eventsAt + to] = u32[this.eventsAt + from]!
    if (columns.hasFlags) u32[this.highAt + to] = u32[this.highAt + from]!
    if (columns.hasMax) f64[this.maxAt + to] = f64[this.maxAt + from]!
  }

  private keepMax(from: number, to: number): void {
    const { f64, maxAt } = this
    if (f64[maxAt + from]! > f64[maxAt + to]!) f64[maxAt + to] = f64[maxAt + from]!
  }
}

/** A row's running total in full, where that of the row before it is `before`. */
function throughOf(from: RowsPlace, source: number, before: number): number {
  if (from.kind !== NARROW) return from.f64[from.sumAt + source]!
  return before + ((from.u32[from.sumAt + source]! - before) >>> 0)
}
