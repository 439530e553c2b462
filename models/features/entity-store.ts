import { HashIndex } from '#infra/hash-index.ts'
import { PAGE_BYTES, type Region, type StateMemory } from '#infra/state-memory.ts'
import { BlockArena } from './block-arena.ts'
import {
  BASE,
  BLOCK,
  CLASS,
  COUNT,
  EventRows,
  EXTRA_WORDS,
  FIRST_SEEN,
  HASH_HI,
  HASH_LO,
  HEAD,
  IN_USE,
  NEWEST,
  type RowColumns,
  rowWords,
} from './event-rows.ts'

export interface EntityStoreOptions extends RowColumns {
  readonly name: string
  /** Rows older than this behind the entity's newest one are dropped, milliseconds; below 2^32. */
  readonly horizonMs: number
  /** An entity without an event for this long starts afresh, milliseconds. */
  readonly idleMs: number
  /** Above this many rows, old rows become one a minute. */
  readonly ringMax: number
  /** Words kept for the owner behind the header's own. */
  readonly extraWords: number
}

const EXACT_ROWS = [
  4, 8, 12, 16, 20, 24, 32, 40, 48, 56, 64, 68, 72, 76, 80, 88, 96, 128, 160, 192, 256, 320, 384, 512, 640, 768, 1_024,
  1_280, 1_536, 2_048, 3_072, 4_096,
]
/** The last holds every minute of the longest horizon, so that nothing must be given up. */
const TILED_ROWS = [5_120, 6_144, 6_656, 8_192, 10_240, 12_288, 16_384, 24_576, 32_768, 49_152, 65_536]
const TILE_MS = 60_000
/** The newest hour of a tiled entity stays exact, as far as there is room. */
const EXACT_MS = 3_600_000

/** Pages of a chunk of exact rows: a ring of the largest size fits. */
const EXACT_PAGES = 4
/** Newest rows whose amounts an event looks at, and doubles of a cache line. */
const AMOUNT_ROWS = 32
const LINE_DOUBLES = 8
const HEADERS_SHIFT = 11
const HEADERS_MASK = (1 << HEADERS_SHIFT) - 1

/**
 * Entities of one kind with their events, in state memory: windows exact to the millisecond, also for an event that came
 * late. Columns exist only where the store needs them.
 *
 * The store is a cursor: `open` an entity, then ask and change it. Nothing is allocated per event.
 */
export class EntityStore extends EventRows {
  readonly options: EntityStoreOptions
  /** As in the options, until its owner asks for another. */
  horizonMs: number
  private readonly headers: Region
  private readonly metaRegion: Region
  /** [headers ever made, first free header plus one, sweep position, tiled entities] */
  private meta!: Uint32Array
  private f64Headers: Float64Array[] = []
  private u32Headers: Uint32Array[] = []
  private readonly index: HashIndex
  private readonly exactBlocks: BlockArena
  private readonly tiledBlocks: BlockArena
  private readonly rows: readonly number[]
  private readonly exactClasses: number
  private readonly headerWords: number
  private slot = -1

  constructor(memory: StateMemory, options: EntityStoreOptions) {
    super(options)
    this.options = options
    this.horizonMs = options.horizonMs
    const exact = [...EXACT_ROWS.filter((rows) => rows < options.ringMax), options.ringMax]
    this.rows = [...exact, ...TILED_ROWS.filter((rows) => rows > options.ringMax)]
    this.exactClasses = exact.length
    this.headerWords = EXTRA_WORDS + options.extraWords + (options.extraWords & 1)
    const headerChunkBytes = Math.ceil(((HEADERS_MASK + 1) * this.headerWords * 4) / PAGE_BYTES) * PAGE_BYTES
    this.headers = memory.region(`${options.name}.headers`, headerChunkBytes)
    this.metaRegion = memory.region(`${options.name}.meta`)
    this.metaRegion.addChunk()
    const words = this.rows.map((rows, i) => rows * rowWords(options, i >= exact.length))
    const tiledPages = BlockArena.pagesFor(Math.max(...words))
    this.exactBlocks = new BlockArena(memory, `${options.name}.exact`, words.slice(0, exact.length), EXACT_PAGES)
    this.tiledBlocks = new BlockArena(memory, `${options.name}.tiled`, words.slice(exact.length), tiledPages)
    for (const arena of [this.exactBlocks, this.tiledBlocks]) {
      arena.onMove = (owner, block) => this.setHeaderWord(owner, BLOCK, block)
    }
    this.attach()
    memory.onRestore(() => this.attach())
    this.index = new HashIndex(memory, options.name, {
      hi: (place) => this.headerWord(place, HASH_HI),
      lo: (place) => this.headerWord(place, HASH_LO),
    })
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

  /** Number of the open entity among those of the store. */
  get slotNumber(): number {
    return this.slot
  }

  get hashHi(): number {
    return this.headerU32[this.headerU32At + HASH_HI]!
  }

  get hashLo(): number {
    return this.headerU32[this.headerU32At + HASH_LO]!
  }

  /** Opens the entity and says whether it is there; one that was idle too long is not. */
  open(hi: number, lo: number, streamTimeMs: number): boolean {
    return this.openSlot(this.find(hi, lo), streamTimeMs)
  }

  /** As `open`, by the lower half of the hash only. */
  openLow(lo: number, streamTimeMs: number): boolean {
    return this.openSlot(this.index.findLow(lo), streamTimeMs)
  }

  /** Opens the entity, made anew where it is not there or was idle too long. */
  openOrCreate(hi: number, lo: number, streamTimeMs: number, timeMs: number): void {
    const found = this.find(hi, lo)
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

  /** The entity that is first looked at for this hash, or -1: most often the one itself. */
  guess(lo: number): number {
    return this.index.placeAt(lo) - 1
  }

  /** Reads the header of a guessed entity; gives something that depends on it, as the next one does. */
  readHeader(slot: number): number {
    return this.headerWord(slot, HASH_LO) ^ this.headerWord(slot, this.headerWords - 1)
  }

  /** Reads the oldest and the newest times and the newest amounts of a guessed entity, without opening it. */
  readRows(slot: number): number {
    const cls = this.headerWord(slot, CLASS)
    if (cls === 0) return 0
    const block = this.headerWord(slot, BLOCK)
    const head = this.headerWord(slot, HEAD)
    const capacity = this.rows[cls - 1]!
    const { hasAmounts } = this.options
    const arenaClass = cls - 1
    if (cls > this.exactClasses) return 0
    const u32 = this.exactBlocks.u32[this.exactBlocks.chunkOf(block)]!
    const sums = this.exactBlocks.wordOf(arenaClass, block)
    const times = hasAmounts ? sums + capacity * 2 : sums
    let last = head + this.headerWord(slot, COUNT) - 1
    if (last >= capacity) last -= capacity
    if (last < 0) return 0
    let read = u32[times + last]! ^ u32[times + head]!
    if (!hasAmounts) return read
    for (let i = last; i >= 0 && i > last - AMOUNT_ROWS; i -= LINE_DOUBLES) read ^= u32[sums + i * 2]!
    return read
  }

  /** Where the owner's extra words of a guessed entity are. */
  headerOf(slot: number): Uint32Array {
    return this.u32Headers[slot >>> HEADERS_SHIFT]!
  }

  headerAt(slot: number): number {
    return (slot & HEADERS_MASK) * this.headerWords
  }

  /** Inserts a row where its time belongs, behind rows of the same time. Rows beyond the horizon are dropped or not taken. */
  insert(timeMs: number, amount: number, tag: number, flags: number, other0: number, other1: number): void {
    const { horizonMs } = this
    if (timeMs < this.newestMs - horizonMs) return
    this.touchHeader()
    const isNewest = timeMs >= this.newestMs
    if (isNewest) {
      this.newestMs = timeMs
      this.headerF64[this.headerF64At + NEWEST] = timeMs
    }
    if (this.count > 0) this.dropBefore(this.newestMs - horizonMs)
    if (this.count >= this.capacity) this.makeRoom()
    this.arena.touch(this.arenaClass, this.block)
    this.rebase(timeMs)
    const row = isNewest ? this.count : this.rowsUntil(timeMs)
    this.place(row, timeMs, amount, tag, flags, other0, other1)
    this.saveCursor()
  }

  remove(row: number): void {
    this.touchHeader()
    this.arena.touch(this.arenaClass, this.block)
    this.takeOut(row)
    this.saveCursor()
  }

  /** Sets or clears the low flag of a row of one event. */
  setLow(row: number, isSet: boolean): void {
    this.arena.touch(this.arenaClass, this.block)
    this.addFrom(row, 0, isSet ? 1 : -1, 0, 0)
  }

  /** Changes the amount of a row of one event. */
  changeAmount(row: number, by: number): void {
    this.arena.touch(this.arenaClass, this.block)
    this.addFrom(row, by, 0, 0, 0)
    this.correctMax(row)
  }

  /** To be called before the owner writes its extra header fields. */
  touchHeader(): void {
    this.headers.touch(this.slot >>> HEADERS_SHIFT, this.headerU32At * 4, this.headerWords * 4)
  }

  /** Moves the entity's last sign of life, for events that leave no row. */
  seenAt(timeMs: number): void {
    if (timeMs <= this.newestMs) return
    this.touchHeader()
    this.newestMs = timeMs
    this.headerF64[this.headerF64At + NEWEST] = timeMs
  }

  /** Frees entities that were idle too long, looking at `steps` headers; each is given to `onClear` before. */
  sweep(streamTimeMs: number, steps: number): void {
    const made = this.meta[0]!
    if (made === 0) return
    let at = this.meta[2]!
    for (let i = Math.min(steps, made); i > 0; i--) {
      at = at + 1 >= made ? 0 : at + 1
      const word = (at & HEADERS_MASK) * this.headerWords
      const chunk = at >>> HEADERS_SHIFT
      if (this.u32Headers[chunk]![word + IN_USE] === 0) continue
      if (streamTimeMs - this.f64Headers[chunk]![word / 2 + NEWEST]! <= this.options.idleMs) continue
      this.free(at)
    }
    this.metaRegion.touch(0, 8, 4)
    this.meta[2] = at
  }

  /** Lets owners free what their extra words point to, before an entity starts afresh or goes. */
  readonly onClear: ((u32: Uint32Array, at: number) => void)[] = []

  private find(hi: number, lo: number): number {
    const { index, u32Headers, headerWords } = this
    for (let step = 0; ; step++) {
      const slot = index.placeAt(lo + step) - 1
      if (slot < 0) return -1
      const u32 = u32Headers[slot >>> HEADERS_SHIFT]!
      const word = (slot & HEADERS_MASK) * headerWords
      if (u32[word + HASH_LO] === lo && u32[word + HASH_HI] === hi) return slot
    }
  }

  private dropBefore(timeMs: number): void {
    let drop = 0
    while (drop < this.count && this.timeOf(drop) < timeMs) drop++
    if (drop > 0) this.dropRows(drop)
  }

  /** A full exact block grows; a full tiled one is merged first, the newest hour too where that is not enough. */
  private makeRoom(): void {
    const cls = this.capacity === 0 ? 0 : this.headerU32[this.headerU32At + CLASS]!
    if (!this.isTiled || this.capacity === 0) {
      this.moveTo(cls + 1)
      return
    }
    this.arena.touch(this.arenaClass, this.block)
    this.mergeMinutes(this.newestMs - EXACT_MS)
    if (this.count < this.capacity * 0.75) return
    if (cls < this.rows.length) {
      this.moveTo(cls + 1)
      return
    }
    if (this.count > this.capacity * 0.9375) this.mergeMinutes(this.newestMs - TILE_MS)
    if (this.count >= this.capacity) this.mergeMinutes(this.newestMs)
  }

  /** Moves the rows to a block of another class; classes are numbered from 1. */
  private moveTo(cls: number): void {
    const from = this.rowsPlace()
    const { arena, arenaClass, block, count } = this
    this.chooseArena(cls)
    this.block = this.arena.allocate(this.arenaClass, this.slot)
    this.arena.touch(this.arenaClass, this.block)
    this.headerU32[this.headerU32At + CLASS] = cls
    this.headerU32[this.headerU32At + BLOCK] = this.block
    this.placeColumns(this.rows[cls - 1]!, cls > this.exactClasses)
    this.copyAll(from, count)
    if (this.isTiled && !from.isTiled) this.countTiled(1)
    if (from.capacity > 0) arena.free(arenaClass, block)
    this.saveCursor()
  }

  private countTiled(by: number): void {
    this.metaRegion.touch(0, 12, 4)
    this.meta[3]! += by
  }

  private openSlot(slot: number, streamTimeMs: number): boolean {
    if (slot < 0) return false
    this.load(slot)
    return streamTimeMs - this.newestMs <= this.options.idleMs
  }

  private load(slot: number): void {
    const chunk = slot >>> HEADERS_SHIFT
    const f64 = this.f64Headers[chunk]!
    const u32 = this.u32Headers[chunk]!
    const word = (slot & HEADERS_MASK) * this.headerWords
    const double = word >>> 1
    this.slot = slot
    this.headerF64 = f64
    this.headerU32 = u32
    this.headerU32At = word
    this.headerF64At = double
    this.newestMs = f64[double + NEWEST]!
    this.baseMs = f64[double + BASE]!
    this.firstSeenMs = f64[double + FIRST_SEEN]!
    this.count = u32[word + COUNT]!
    this.head = u32[word + HEAD]!
    const cls = u32[word + CLASS]!
    if (cls === 0) {
      this.capacity = 0
      this.isTiled = false
      return
    }
    this.chooseArena(cls)
    this.block = u32[word + BLOCK]!
    this.placeColumns(this.rows[cls - 1]!, cls > this.exactClasses)
  }

  /** Classes are numbered from 1: exact ones, then tiled ones. */
  private chooseArena(cls: number): void {
    const isTiled = cls > this.exactClasses
    this.arena = isTiled ? this.tiledBlocks : this.exactBlocks
    this.arenaClass = isTiled ? cls - this.exactClasses - 1 : cls - 1
  }

  private saveCursor(): void {
    this.headerU32[this.headerU32At + COUNT] = this.count
    this.headerU32[this.headerU32At + HEAD] = this.head
  }

  private create(hi: number, lo: number): number {
    this.metaRegion.touch(0, 0, 8)
    let slot: number
    if (this.meta[1]! !== 0) {
      slot = this.meta[1]! - 1
      this.meta[1] = this.headerWord(slot, HASH_HI)
    } else {
      slot = this.meta[0]!++
      if (slot >>> HEADERS_SHIFT === this.u32Headers.length) this.addHeaders(this.headers.addChunk())
    }
    this.load(slot)
    this.touchHeader()
    this.resetHeader(hi, lo)
    this.index.insert(slot)
    return slot
  }

  /** Empties an entity that stays in the index. */
  private clear(slot: number): void {
    this.load(slot)
    this.touchHeader()
    const { hashHi, hashLo } = this
    this.release()
    this.resetHeader(hashHi, hashLo)
  }

  private free(slot: number): void {
    this.load(slot)
    this.index.remove(slot)
    this.touchHeader()
    this.release()
    this.metaRegion.touch(0, 4, 4)
    this.headerU32.fill(0, this.headerU32At, this.headerU32At + this.headerWords)
    this.headerU32[this.headerU32At + HASH_HI] = this.meta[1]!
    this.meta[1] = slot + 1
  }

  private resetHeader(hi: number, lo: number): void {
    const { headerU32: u32, headerU32At: at } = this
    u32.fill(0, at, at + this.headerWords)
    u32[at + HASH_HI] = hi
    u32[at + HASH_LO] = lo
    u32[at + IN_USE] = 1
  }

  private release(): void {
    for (const clear of this.onClear) clear(this.headerU32, this.headerU32At)
    if (this.capacity === 0) return
    if (this.isTiled) this.countTiled(-1)
    this.arena.free(this.arenaClass, this.block)
  }

  /** Writes a word of an entity that need not be open. */
  setHeaderWord(slot: number, word: number, value: number): void {
    const at = (slot & HEADERS_MASK) * this.headerWords + word
    this.headers.touch(slot >>> HEADERS_SHIFT, at * 4, 4)
    this.u32Headers[slot >>> HEADERS_SHIFT]![at] = value
  }

  private headerWord(slot: number, word: number): number {
    return this.u32Headers[slot >>> HEADERS_SHIFT]![(slot & HEADERS_MASK) * this.headerWords + word]!
  }

  private attach(): void {
    this.meta = new Uint32Array(this.metaRegion.chunks[0]!)
    this.f64Headers = []
    this.u32Headers = []
    for (const chunk of this.headers.chunks) this.addHeaders(chunk)
  }

  private addHeaders(chunk: ArrayBuffer): void {
    this.f64Headers.push(new Float64Array(chunk))
    this.u32Headers.push(new Uint32Array(chunk))
  }
}
