import { HashIndex, type HashKeys } from '#infra/hash-index.ts'
import { PAGE_BYTES, type Region, type StateMemory } from '#infra/state-memory.ts'
import { BlockArena } from './block-arena.ts'

export interface EntityStoreOptions {
  readonly name: string
  /** Rows older than this behind the entity's newest one are dropped, milliseconds; below 2^32. */
  readonly horizonMs: number
  /** An entity without an event for this long starts afresh, milliseconds. */
  readonly idleMs: number
  /** Above this many rows, old rows become one a minute. */
  readonly ringMax: number
  readonly hasAmounts: boolean
  readonly hasTags: boolean
  readonly hasFlags: boolean
  /** 32-bit columns for keys of other entities. */
  readonly otherColumns: 0 | 1 | 2
  /** Words kept for the owner behind the header's own. */
  readonly extraWords?: number
}

/** Bits of a row's flags, counted up in two 16-bit halves. */
export const FLAG_LOW = 1
export const FLAG_HIGH = 0x1_0000

const EXACT_ROWS = [4, 8, 12, 16, 24, 32, 40, 48, 56, 64, 72, 80, 96, 128, 192, 256, 384, 512, 1_024, 2_048, 4_096]
const TILED_ROWS = [8_192, 16_384, 49_152]
const TILE_MS = 60_000
/** The newest hour of a tiled entity stays exact. */
const EXACT_MS = 3_600_000

/** Pages of a chunk of exact rows: a ring of the largest size fits. */
const EXACT_PAGES = 4
const HEADER_CHUNK_BYTES = PAGE_BYTES * 4
/** Doubles of a header. */
const NEWEST = 0
const BASE = 1
const SUM_BEFORE = 2
const FIRST_SEEN = 3
/** Doubles that the store's owner uses as it likes. */
export const EXTRA_DOUBLES = 4
/** Words of a header. */
const HASH_HI = 16
const HASH_LO = 17
const CLASS = 18
const BLOCK = 19
const HEAD = 20
const COUNT = 21
const FLAGS_BEFORE = 22
const EVENTS_BEFORE = 23
const IN_USE = 24
/** Words that the owner uses as it likes, `extraWords` of them. */
export const EXTRA_WORDS = 26

/**
 * Per entity a ring of its events sorted by time, in state memory. A row holds the time relative to the entity's base and
 * running totals, so any window is a difference of two rows found by bisection, exact to the millisecond, also for an
 * event that came late. Columns exist only where the store needs them.
 *
 * The store is a cursor: `open` an entity, then ask and change it. Nothing is allocated per event.
 */
export class EntityStore {
  readonly options: EntityStoreOptions
  /** Rows of the open entity. */
  count = 0
  /** Time of its newest row, epoch milliseconds; -Infinity when it has none. */
  newestMs = 0
  firstSeenMs = 0
  /** Header views of the open entity, for the owner's extra fields. */
  headerF64: Float64Array = new Float64Array(0)
  headerU32: Uint32Array = new Uint32Array(0)
  headerF64At = 0
  headerU32At = 0

  private readonly headers: Region
  private readonly metaRegion: Region
  /** [headers ever made, first free header plus one, sweep position, tiled entities] */
  private meta!: Uint32Array
  private headerViews: { readonly f64: Float64Array; readonly u32: Uint32Array }[] = []
  private readonly index: HashIndex
  private readonly exactBlocks: BlockArena
  private readonly tiledBlocks: BlockArena
  private readonly rows: readonly number[]
  private readonly tiledFrom: number
  private readonly headerWords: number
  private readonly headersPerChunk: number

  private slot = -1
  private blocks!: BlockArena
  /** Class within `blocks`. */
  private blockClass = 0
  private block = 0
  private capacity = 0
  private head = 0
  private baseMs = 0
  private u32!: Uint32Array
  private f64!: Float64Array
  private sumAt = 0
  private timeAt = 0
  private tagAt = 0
  private flagsAt = 0
  private otherAt = 0
  private eventsAt = 0

  constructor(memory: StateMemory, options: EntityStoreOptions) {
    this.options = options
    const exact = EXACT_ROWS.filter((rows) => rows < options.ringMax)
    this.rows = [...exact, options.ringMax, ...TILED_ROWS.filter((rows) => rows > options.ringMax)]
    this.tiledFrom = exact.length + 1
    this.headerWords = EXTRA_WORDS + (options.extraWords ?? 0) + ((options.extraWords ?? 0) & 1)
    this.headersPerChunk = Math.floor(HEADER_CHUNK_BYTES / (this.headerWords * 4))
    this.headers = memory.region(`${options.name}.headers`, HEADER_CHUNK_BYTES)
    this.metaRegion = memory.region(`${options.name}.meta`)
    this.metaRegion.addChunk()
    const words = this.rows.map((rows, i) => rows * this.rowWords(i))
    const tiledPages = Math.ceil((Math.max(...words) * 4) / PAGE_BYTES)
    this.exactBlocks = new BlockArena(memory, `${options.name}.exact`, words.slice(0, this.tiledFrom), EXACT_PAGES)
    this.tiledBlocks = new BlockArena(memory, `${options.name}.tiled`, words.slice(this.tiledFrom), tiledPages)
    this.attach()
    memory.onRestore(() => this.attach())
    this.index = new HashIndex(memory, options.name, this.keys())
  }

  get entities(): number {
    return this.index.count
  }

  get tiledEntities(): number {
    return this.meta[3]!
  }

  get byteLength(): number {
    return this.headers.byteLength + this.exactBlocks.byteLength + this.tiledBlocks.byteLength
  }

  get hashHi(): number {
    return this.headerU32[this.headerU32At + HASH_HI]!
  }

  get hashLo(): number {
    return this.headerU32[this.headerU32At + HASH_LO]!
  }

  /** Opens the entity and says whether it is there; one that was idle too long is not. */
  open(hi: number, lo: number, streamTimeMs: number): boolean {
    return this.openSlot(this.index.find(hi, lo), streamTimeMs)
  }

  /** As `open`, by the lower half of the hash only. */
  openLow(lo: number, streamTimeMs: number): boolean {
    return this.openSlot(this.index.findLow(lo), streamTimeMs)
  }

  /** Opens the entity, made anew where it is not there or was idle too long. */
  openOrCreate(hi: number, lo: number, streamTimeMs: number, timeMs: number): void {
    const found = this.index.find(hi, lo)
    if (this.openSlot(found, streamTimeMs)) return
    if (found >= 0) this.clear(found)
    const slot = found >= 0 ? found : this.create(hi, lo)
    this.load(slot)
    this.touchHeader()
    this.headerF64[this.headerF64At + NEWEST] = timeMs
    this.headerF64[this.headerF64At + BASE] = timeMs
    this.headerF64[this.headerF64At + FIRST_SEEN] = timeMs
    this.load(slot)
  }

  /** How many rows, oldest first, lie at or before `timeMs`. */
  rowsUntil(timeMs: number): number {
    if (timeMs >= this.newestMs) return this.count
    const relative = timeMs - this.baseMs
    if (relative < 0) return 0
    let low = 0
    let high = this.count
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.u32[this.timeAt + this.at(middle)]! <= relative) low = middle + 1
      else high = middle
    }
    return low
  }

  /** As `rowsUntil`, for a time near that of row `hi`: gallops back from there. */
  rowsBefore(timeMs: number, hi: number): number {
    const relative = timeMs - this.baseMs
    if (relative < 0 || hi === 0) return 0
    let step = 1
    let high = hi
    let low = hi - 1
    while (low >= 0 && this.u32[this.timeAt + this.at(low)]! > relative) {
      high = low
      low -= step
      step <<= 1
    }
    if (low < 0) low = -1
    low++
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.u32[this.timeAt + this.at(middle)]! <= relative) low = middle + 1
      else high = middle
    }
    return low
  }

  /** Epoch milliseconds. */
  timeOf(row: number): number {
    return this.baseMs + this.u32[this.timeAt + this.at(row)]!
  }

  eventsIn(from: number, to: number): number {
    return this.eventsAt === 0 ? to - from : this.eventsThrough(to - 1) - this.eventsThrough(from - 1)
  }

  sumIn(from: number, to: number): number {
    return this.sumThrough(to - 1) - this.sumThrough(from - 1)
  }

  amountOf(row: number): number {
    return this.sumThrough(row) - this.sumThrough(row - 1)
  }

  /** Rows with the low flag in [from, to). */
  lowFlagsIn(from: number, to: number): number {
    return (this.flagsThrough(to - 1) - this.flagsThrough(from - 1)) & 0xffff
  }

  highFlagsIn(from: number, to: number): number {
    return ((this.flagsThrough(to - 1) >>> 16) - (this.flagsThrough(from - 1) >>> 16)) & 0xffff
  }

  flagsOf(row: number): number {
    return this.lowFlagsIn(row, row + 1) * FLAG_LOW + this.highFlagsIn(row, row + 1) * FLAG_HIGH
  }

  maxIn(from: number, to: number): number {
    let max = 0
    let before = this.sumThrough(from - 1)
    for (let row = from; row < to; row++) {
      const through = this.sumThrough(row)
      if (through - before > max) max = through - before
      before = through
    }
    return max
  }

  otherOf(row: number, column: number): number {
    return this.u32[this.otherAt + column * this.capacity + this.at(row)]!
  }

  /** The newest row with this tag, or -1. */
  rowOfTag(tag: number): number {
    for (let row = this.count - 1; row >= 0; row--) if (this.u32[this.tagAt + this.at(row)] === tag) return row
    return -1
  }

  /** A row at exactly this time with this amount, or -1. */
  rowOfEvent(timeMs: number, amount: number): number {
    for (let row = this.rowsUntil(timeMs) - 1; row >= 0 && this.timeOf(row) === timeMs; row--) {
      if (!this.options.hasAmounts || this.amountOf(row) === amount) return row
    }
    return -1
  }

  /** Inserts a row where its time belongs, behind rows of the same time. Rows beyond the horizon are dropped or not taken. */
  insert(timeMs: number, amount: number, tag: number, flags: number, other0: number, other1: number): void {
    if (timeMs < this.newestMs - this.options.horizonMs) return
    this.touchHeader()
    const isNewest = timeMs >= this.newestMs
    if (isNewest) {
      this.newestMs = timeMs
      this.headerF64[this.headerF64At + NEWEST] = timeMs
    }
    if (this.count > 0) this.dropBefore(this.newestMs - this.options.horizonMs)
    this.makeRoom()
    this.blocks.touch(this.blockClass, this.block)
    this.rebase(timeMs)
    const row = isNewest ? this.count : this.rowsUntil(timeMs)
    this.shiftUp(row)
    this.count++
    const at = this.at(row)
    this.u32[this.timeAt + at] = timeMs - this.baseMs
    if (this.options.hasTags) this.u32[this.tagAt + at] = tag
    if (this.options.otherColumns > 0) this.u32[this.otherAt + at] = other0
    if (this.options.otherColumns > 1) this.u32[this.otherAt + this.capacity + at] = other1
    if (this.options.hasAmounts) this.f64[this.sumAt + at] = this.sumThrough(row - 1)
    if (this.options.hasFlags) this.u32[this.flagsAt + at] = this.flagsThrough(row - 1)
    if (this.eventsAt !== 0) this.u32[this.eventsAt + at] = this.eventsThrough(row - 1)
    this.addFrom(row, amount, flags, 1)
    this.saveCursor()
  }

  remove(row: number): void {
    this.touchHeader()
    this.blocks.touch(this.blockClass, this.block)
    this.addFrom(row, -this.amountOf(row), -this.flagsOf(row), -this.eventsIn(row, row + 1))
    for (let i = row; i < this.count - 1; i++) this.copyRow(this.at(i + 1), this.at(i))
    this.count--
    this.saveCursor()
  }

  changeFlags(row: number, by: number): void {
    this.blocks.touch(this.blockClass, this.block)
    this.addFrom(row, 0, by, 0)
  }

  changeAmount(row: number, by: number): void {
    this.blocks.touch(this.blockClass, this.block)
    this.addFrom(row, by, 0, 0)
  }

  /** To be called before the owner writes its extra header fields. */
  touchHeader(): void {
    this.headers.touch((this.slot / this.headersPerChunk) | 0, this.headerU32At * 4, this.headerWords * 4)
  }

  /** Moves the entity's last sign of life, for events that leave no row. */
  seenAt(timeMs: number): void {
    if (timeMs <= this.newestMs) return
    this.touchHeader()
    this.newestMs = timeMs
    this.headerF64[this.headerF64At + NEWEST] = timeMs
  }

  /** Frees entities that were idle too long, looking at `steps` headers; gives the slots that were freed to `onFree`. */
  sweep(streamTimeMs: number, steps: number, onFree: (u32: Uint32Array, at: number) => void): void {
    const made = this.meta[0]!
    if (made === 0) return
    let at = this.meta[2]!
    for (let i = Math.min(steps, made); i > 0; i--) {
      at = at + 1 >= made ? 0 : at + 1
      const { f64, u32 } = this.headerViews[(at / this.headersPerChunk) | 0]!
      const word = (at % this.headersPerChunk) * this.headerWords
      if (u32[word + IN_USE] === 0 || streamTimeMs - f64[word / 2 + NEWEST]! <= this.options.idleMs) continue
      onFree(u32, word)
      this.free(at)
    }
    this.metaRegion.touch(0, 8, 4)
    this.meta[2] = at
  }

  /** A merged row keeps the time and the keys of its last event. */
  private compact(): void {
    const edge = this.newestMs - EXACT_MS
    let kept = 0
    for (let row = 0; row < this.count; row++) {
      const time = this.timeOf(row)
      const next = row + 1 < this.count ? this.timeOf(row + 1) : Number.POSITIVE_INFINITY
      const joinsNext = next <= edge && Math.floor(time / TILE_MS) === Math.floor(next / TILE_MS)
      if (joinsNext) continue
      if (kept !== row) this.copyRow(this.at(row), this.at(kept))
      kept++
    }
    this.count = kept
  }

  private makeRoom(): void {
    if (this.count < this.capacity) return
    let next = this.capacity === 0 ? 0 : this.headerU32[this.headerU32At + CLASS]!
    if (this.eventsAt !== 0) this.compact()
    if (this.count >= this.capacity * 0.75 || this.capacity === 0) this.moveTo(++next)
    else this.blocks.touch(this.blockClass, this.block)
    if (this.eventsAt !== 0 && this.count >= this.capacity) this.dropRows(this.count >> 2)
  }

  /** Moves the rows to a block of another class; classes are numbered from 1. */
  private moveTo(cls: number): void {
    const last = Math.min(cls, this.rows.length)
    if (last === this.headerU32[this.headerU32At + CLASS]) return
    const from = this.capacity === 0 ? null : { ...this.cursor() }
    const rows = this.count
    this.chooseBlocks(last)
    this.block = this.blocks.allocate(this.blockClass)
    this.blocks.touch(this.blockClass, this.block)
    this.headerU32[this.headerU32At + CLASS] = last
    this.headerU32[this.headerU32At + BLOCK] = this.block
    this.head = 0
    this.placeColumns(last)
    if (from !== null) {
      for (let row = 0; row < rows; row++) this.copyFrom(from, row)
      if (from.eventsAt === 0 && this.eventsAt !== 0) {
        this.metaRegion.touch(0, 12, 4)
        this.meta[3]!++
      }
      from.blocks.free(from.blockClass, from.block)
    }
    this.saveCursor()
  }

  private copyFrom(from: Cursor, row: number): void {
    const i = from.head + row
    const source = i >= from.capacity ? i - from.capacity : i
    this.u32[this.timeAt + row] = from.u32[from.timeAt + source]!
    if (this.options.hasAmounts) this.f64[this.sumAt + row] = from.f64[from.sumAt + source]!
    if (this.options.hasTags) this.u32[this.tagAt + row] = from.u32[from.tagAt + source]!
    if (this.options.hasFlags) this.u32[this.flagsAt + row] = from.u32[from.flagsAt + source]!
    for (let c = 0; c < this.options.otherColumns; c++) {
      this.u32[this.otherAt + c * this.capacity + row] = from.u32[from.otherAt + c * from.capacity + source]!
    }
    if (this.eventsAt !== 0) {
      this.u32[this.eventsAt + row] =
        from.eventsAt === 0
          ? this.headerU32[this.headerU32At + EVENTS_BEFORE]! + row + 1
          : from.u32[from.eventsAt + source]!
    }
  }

  private copyRow(from: number, to: number): void {
    this.u32[this.timeAt + to] = this.u32[this.timeAt + from]!
    if (this.options.hasAmounts) this.f64[this.sumAt + to] = this.f64[this.sumAt + from]!
    if (this.options.hasTags) this.u32[this.tagAt + to] = this.u32[this.tagAt + from]!
    if (this.options.hasFlags) this.u32[this.flagsAt + to] = this.u32[this.flagsAt + from]!
    for (let c = 0; c < this.options.otherColumns; c++) {
      const column = this.otherAt + c * this.capacity
      this.u32[column + to] = this.u32[column + from]!
    }
    if (this.eventsAt !== 0) this.u32[this.eventsAt + to] = this.u32[this.eventsAt + from]!
  }

  private shiftUp(row: number): void {
    for (let i = this.count; i > row; i--) this.copyRow(this.at(i - 1), this.at(i))
  }

  /** Adds to the running totals of a row and all behind it. */
  private addFrom(row: number, amount: number, flags: number, events: number): void {
    for (let i = row; i < this.count; i++) {
      const at = this.at(i)
      if (this.options.hasAmounts) this.f64[this.sumAt + at]! += amount
      if (this.options.hasFlags) this.u32[this.flagsAt + at] = addHalves(this.u32[this.flagsAt + at]!, flags)
      if (this.eventsAt !== 0) this.u32[this.eventsAt + at]! += events
    }
  }

  private dropBefore(timeMs: number): void {
    let drop = 0
    while (drop < this.count && this.timeOf(drop) < timeMs) drop++
    if (drop > 0) this.dropRows(drop)
  }

  private dropRows(drop: number): void {
    this.headerF64[this.headerF64At + SUM_BEFORE] = this.sumThrough(drop - 1)
    this.headerU32[this.headerU32At + FLAGS_BEFORE] = this.flagsThrough(drop - 1)
    if (this.eventsAt !== 0) this.headerU32[this.headerU32At + EVENTS_BEFORE] = this.eventsThrough(drop - 1)
    this.head = (this.head + drop) % this.capacity
    this.count -= drop
  }

  /** Keeps all times of the ring, and the one to come, within 32 bits above the base. */
  private rebase(timeMs: number): void {
    if (this.count === 0) {
      this.baseMs = timeMs
    } else {
      const oldest = Math.min(timeMs, this.timeOf(0))
      if (timeMs - this.baseMs < 2 ** 32 && oldest >= this.baseMs) return
      const by = this.baseMs - oldest
      for (let i = 0; i < this.count; i++) this.u32[this.timeAt + this.at(i)]! += by
      this.baseMs = oldest
    }
    this.headerF64[this.headerF64At + BASE] = this.baseMs
  }

  private at(row: number): number {
    const i = this.head + row
    return i >= this.capacity ? i - this.capacity : i
  }

  private sumThrough(row: number): number {
    return row < 0 ? this.headerF64[this.headerF64At + SUM_BEFORE]! : this.f64[this.sumAt + this.at(row)]!
  }

  private flagsThrough(row: number): number {
    return row < 0 ? this.headerU32[this.headerU32At + FLAGS_BEFORE]! : this.u32[this.flagsAt + this.at(row)]!
  }

  private eventsThrough(row: number): number {
    return row < 0 ? this.headerU32[this.headerU32At + EVENTS_BEFORE]! : this.u32[this.eventsAt + this.at(row)]!
  }

  private openSlot(slot: number, streamTimeMs: number): boolean {
    if (slot < 0) return false
    this.load(slot)
    return streamTimeMs - this.newestMs <= this.options.idleMs
  }

  private load(slot: number): void {
    const { f64, u32 } = this.headerViews[(slot / this.headersPerChunk) | 0]!
    const word = (slot % this.headersPerChunk) * this.headerWords
    this.slot = slot
    this.headerF64 = f64
    this.headerU32 = u32
    this.headerU32At = word
    this.headerF64At = word / 2
    this.newestMs = f64[word / 2 + NEWEST]!
    this.baseMs = f64[word / 2 + BASE]!
    this.firstSeenMs = f64[word / 2 + FIRST_SEEN]!
    this.count = u32[word + COUNT]!
    this.head = u32[word + HEAD]!
    const cls = u32[word + CLASS]!
    this.capacity = 0
    this.eventsAt = 0
    if (cls === 0) return
    this.chooseBlocks(cls)
    this.block = u32[word + BLOCK]!
    this.placeColumns(cls)
  }

  /** Classes are numbered from 1: exact ones, then tiled ones. */
  private chooseBlocks(cls: number): void {
    const isTiled = cls > this.tiledFrom
    this.blocks = isTiled ? this.tiledBlocks : this.exactBlocks
    this.blockClass = isTiled ? cls - this.tiledFrom - 1 : cls - 1
  }

  private placeColumns(cls: number): void {
    const { blocks, block, options } = this
    const rows = this.rows[cls - 1]!
    const chunk = blocks.chunkOf(block)
    let word = blocks.wordOf(this.blockClass, block)
    this.capacity = rows
    this.u32 = blocks.u32[chunk]!
    this.f64 = blocks.f64[chunk]!
    this.sumAt = word / 2
    if (options.hasAmounts) word += rows * 2
    this.timeAt = word
    word += rows
    this.tagAt = word
    if (options.hasTags) word += rows
    this.flagsAt = word
    if (options.hasFlags) word += rows
    this.otherAt = word
    word += rows * options.otherColumns
    this.eventsAt = cls > this.tiledFrom ? word : 0
  }

  private rowWords(poolIndex: number): number {
    const { hasAmounts, hasTags, hasFlags, otherColumns } = this.options
    const isTiled = poolIndex >= this.tiledFrom
    return (hasAmounts ? 2 : 0) + 1 + (hasTags ? 1 : 0) + (hasFlags ? 1 : 0) + otherColumns + (isTiled ? 1 : 0)
  }

  private saveCursor(): void {
    this.headerU32[this.headerU32At + COUNT] = this.count
    this.headerU32[this.headerU32At + HEAD] = this.head
  }

  private cursor(): Cursor {
    const { blocks, blockClass, block, capacity, head, u32, f64, sumAt, timeAt, tagAt, flagsAt, otherAt, eventsAt } =
      this
    return { blocks, blockClass, block, capacity, head, u32, f64, sumAt, timeAt, tagAt, flagsAt, otherAt, eventsAt }
  }

  private create(hi: number, lo: number): number {
    this.metaRegion.touch(0, 0, 8)
    let slot: number
    if (this.meta[1]! !== 0) {
      slot = this.meta[1]! - 1
      const { u32 } = this.headerViews[(slot / this.headersPerChunk) | 0]!
      this.meta[1] = u32[(slot % this.headersPerChunk) * this.headerWords + HASH_HI]!
    } else {
      slot = this.meta[0]!++
      if (slot % this.headersPerChunk === 0 && slot / this.headersPerChunk >= this.headerViews.length) {
        this.addHeaders(this.headers.addChunk())
      }
    }
    this.load(slot)
    this.touchHeader()
    this.headerU32.fill(0, this.headerU32At, this.headerU32At + this.headerWords)
    this.headerU32[this.headerU32At + HASH_HI] = hi
    this.headerU32[this.headerU32At + HASH_LO] = lo
    this.headerU32[this.headerU32At + IN_USE] = 1
    this.index.insert(slot)
    return slot
  }

  /** Empties an entity that stays in the index; what the owner keeps in its extra words is its own to reset. */
  private clear(slot: number): void {
    this.load(slot)
    this.touchHeader()
    this.releaseRows()
    const { headerU32: u32, headerU32At: at } = this
    const [hi, lo] = [u32[at + HASH_HI]!, u32[at + HASH_LO]!]
    this.onClear?.(u32, at)
    u32.fill(0, at, at + this.headerWords)
    u32[at + HASH_HI] = hi
    u32[at + HASH_LO] = lo
    u32[at + IN_USE] = 1
  }

  /** Lets the owner free what its extra words point to, before an idle entity starts afresh. */
  onClear: ((u32: Uint32Array, at: number) => void) | null = null

  private free(slot: number): void {
    this.load(slot)
    this.index.remove(slot)
    this.touchHeader()
    this.releaseRows()
    this.metaRegion.touch(0, 4, 4)
    this.headerU32.fill(0, this.headerU32At, this.headerU32At + this.headerWords)
    this.headerU32[this.headerU32At + HASH_HI] = this.meta[1]!
    this.meta[1] = slot + 1
  }

  private releaseRows(): void {
    if (this.capacity === 0) return
    if (this.eventsAt !== 0) {
      this.metaRegion.touch(0, 12, 4)
      this.meta[3]!--
    }
    this.blocks.free(this.blockClass, this.block)
  }

  private keys(): HashKeys {
    return {
      hi: (place) => this.headerWord(place, HASH_HI),
      lo: (place) => this.headerWord(place, HASH_LO),
    }
  }

  private headerWord(slot: number, word: number): number {
    return this.headerViews[(slot / this.headersPerChunk) | 0]!.u32[
      (slot % this.headersPerChunk) * this.headerWords + word
    ]!
  }

  private attach(): void {
    this.meta = new Uint32Array(this.metaRegion.chunks[0]!)
    this.headerViews = []
    for (const chunk of this.headers.chunks) this.addHeaders(chunk)
  }

  private addHeaders(chunk: ArrayBuffer): void {
    this.headerViews.push({ f64: new Float64Array(chunk), u32: new Uint32Array(chunk) })
  }
}

interface Cursor {
  readonly blocks: BlockArena
  readonly blockClass: number
  readonly block: number
  readonly capacity: number
  readonly head: number
  readonly u32: Uint32Array
  readonly f64: Float64Array
  readonly sumAt: number
  readonly timeAt: number
  readonly tagAt: number
  readonly flagsAt: number
  readonly otherAt: number
  readonly eventsAt: number
}

/** Adds to both 16-bit halves without a carry from one into the other; a negative `by` takes away what was added. */
function addHalves(value: number, by: number): number {
  const low = (value + by) & 0xffff
  const byHigh = by < 0 ? -(-by >>> 16) : by >>> 16
  return ((((value >>> 16) + byHigh) & 0xffff) * FLAG_HIGH + low) >>> 0
}
