import type { ReadAhead } from '#infra/read-ahead.ts'
import type { Region, StateMemory } from '#infra/state-memory.ts'
import { BlockArena } from './block-arena.ts'
import { ChangingRows } from './changing-rows.ts'
import { EntityHeaders } from './entity-headers.ts'
import { BATCH_ROWS, type KeyBatch } from './key-batch.ts'
import {
  BASE,
  BLOCK,
  CLASS,
  COUNT,
  EXTRA_WORDS,
  FIRST_SEEN,
  HASH_HI,
  HASH_LO,
  HEAD,
  NARROW,
  NEWEST,
  type RowColumns,
  type RowKind,
  rowWords,
  TILED,
  WIDE,
} from './row-layout.ts'

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

/** A store that is asked for each event, by which keys, and where in its headers row numbers stand that it will ask for. */
export interface Lookup {
  readonly store: EntityStore
  readonly keys: KeyBatch
  readonly firstHint: number
  readonly hints: number
}

const EXACT_ROWS = [
  4, 8, 16, 24, 32, 48, 64, 68, 72, 76, 80, 88, 96, 128, 160, 192, 256, 320, 384, 512, 640, 768, 1_024, 1_280, 1_536,
  2_048, 3_072, 4_096,
]
/** The last holds every minute of the longest horizon, so that nothing must be given up. */
const TILED_ROWS = [5_120, 6_144, 6_656, 8_192, 10_240, 12_288, 16_384, 24_576, 32_768, 49_152, 65_536]
const TILE_MS = 60_000
/** The newest hour of a tiled entity stays exact, as far as there is room. */
const EXACT_MS = 3_600_000
/** Pages of a chunk of exact rows: a ring of the largest size fits. */
const EXACT_PAGES = 4

/** Words of the region's meta data. */
const SWEPT = 0
const TILED_ENTITIES = 1
/** Headers looked at for each one made since the last sweep, beside those that are asked for: so a sweep keeps up. */
const SWEPT_PER_CREATED = 2

/**
 * Entities of one kind with their events, in state memory: windows exact to the millisecond, also for an event that came
 * late. Columns exist only where the store needs them.
 *
 * The store is a cursor: `open` an entity, then ask and change it. Nothing is allocated per event.
 */
export class EntityStore extends ChangingRows {
  readonly options: EntityStoreOptions
  readonly headers: EntityHeaders
  /** As in the options, until its owner asks for another. */
  horizonMs: number
  idleMs: number
  /** Lets owners free what their extra words point to, before an entity starts afresh or goes. */
  readonly onClear: ((u32: Uint32Array, at: number) => void)[] = []
  private readonly metaRegion: Region
  /** [sweep position, tiled entities] */
  private meta!: Uint32Array
  private readonly exactBlocks: BlockArena
  private readonly tiledBlocks: BlockArena
  /** By class, from 0: narrow ones, wide ones where there are amounts, tiled ones. */
  private readonly rows: readonly number[]
  private readonly narrowClasses: number
  private readonly exactClasses: number
  private slot = -1
  /** Of a batch of keys: the entity of each, -1 for none, as of when `created` was so many. */
  private readonly found = new Int32Array(BATCH_ROWS)
  private foundAt = 0
  private sweptAt = 0
  private readonly ahead: ReadAhead
  /** Words of a narrow row. */
  private readonly narrowWords: number

  constructor(memory: StateMemory, options: EntityStoreOptions) {
    super(options)
    this.options = options
    this.ahead = memory.ahead
    this.narrowWords = rowWords(options, NARROW)
    this.horizonMs = options.horizonMs
    this.idleMs = options.idleMs
    const exact = [...EXACT_ROWS.filter((rows) => rows < options.ringMax), options.ringMax]
    const tiled = TILED_ROWS.filter((rows) => rows > options.ringMax)
    this.rows = [...exact, ...(options.hasAmounts ? exact : []), ...tiled]
    this.narrowClasses = exact.length
    this.exactClasses = this.rows.length - tiled.length
    const extraWords = options.extraWords + (options.extraWords & 1)
    this.headers = new EntityHeaders(memory, options.name, EXTRA_WORDS + extraWords)
    this.metaRegion = memory.region(`${options.name}.meta`)
    this.metaRegion.addChunk()
    const words = this.rows.map((rows, cls) => rows * rowWords(options, this.kindOf(cls)))
    const tiledPages = BlockArena.pagesFor(Math.max(...words))
    this.exactBlocks = new BlockArena(memory, `${options.name}.exact`, words.slice(0, this.exactClasses), EXACT_PAGES)
    this.tiledBlocks = new BlockArena(memory, `${options.name}.tiled`, words.slice(this.exactClasses), tiledPages)
    for (const arena of [this.exactBlocks, this.tiledBlocks]) {
      arena.onMove = (owner, block) => this.headers.set(owner, BLOCK, block)
    }
    this.attach()
    memory.onRestore(() => this.attach())
  }

  get entities(): number {
    return this.headers.count
  }

  get isEmpty(): boolean {
    return this.headers.count === 0
  }

  get tiledEntities(): number {
    return this.meta[TILED_ENTITIES]!
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
    return this.openSlot(this.headers.find(hi, lo), streamTimeMs)
  }

  /** As `open`, by the lower half of the hash only. */
  openLow(lo: number, streamTimeMs: number): boolean {
    return this.openSlot(this.headers.findLow(lo), streamTimeMs)
  }

  /** As `open`, of the key at a place of the batch that was read ahead last. */
  openFound(place: number, keys: KeyBatch, streamTimeMs: number): boolean {
    let slot = this.found[place]!
    if (slot < 0 && this.headers.created !== this.foundAt) {
      slot = this.headers.find(keys.hi[keys.first + place]!, keys.lo[keys.first + place]!)
    }
    return this.openSlot(slot, streamTimeMs)
  }

  /** Opens the entity, made anew where it is not there or was idle too long. */
  openOrCreate(hi: number, lo: number, streamTimeMs: number, timeMs: number): void {
    const { headers } = this
    const found = headers.find(hi, lo)
    if (this.openSlot(found, streamTimeMs)) return
    if (found >= 0) this.clear(found)
    const slot = found >= 0 ? found : headers.create(hi, lo)
    headers.touch(slot)
    const f64 = headers.views.f64[headers.slabOf(slot)]!
    const at = headers.wordOf(slot) >>> 1
    f64[at + NEWEST] = timeMs
    f64[at + BASE] = timeMs
    f64[at + FIRST_SEEN] = timeMs
    this.load(slot)
  }

  /**
   * The first of three steps that find the entities of a batch and have what asking them will ask for read ahead: each
   * notes what the next one needs, and whoever calls them has it read in between. They change no state.
   */
  noteIndex(keys: KeyBatch): void {
    const { headers, ahead, isEmpty } = this
    const { count, lo, first } = keys
    this.foundAt = headers.created
    if (isEmpty) return
    for (let i = 0; i < count; i++) if (lo[first + i] !== 0) headers.noteIndex(ahead, lo[first + i]!)
  }

  noteHeaders(keys: KeyBatch): void {
    const { headers, ahead, found, isEmpty } = this
    const { count, lo, first } = keys
    for (let i = 0; i < count; i++) {
      const slot = isEmpty || lo[first + i] === 0 ? -1 : headers.findLow(lo[first + i]!)
      found[i] = slot
      if (slot >= 0) headers.noteHeader(ahead, slot)
    }
  }

  /**
   * @param firstHint word of the header from which on row numbers stand that will be asked for
   * @param hints how many of them
   */
  noteRows(keys: KeyBatch, firstHint: number, hints: number): void {
    const { headers, found } = this
    const { count, hi, lo, first } = keys
    for (let i = 0; i < count; i++) {
      if (found[i]! < 0) continue
      const at = first + i
      if (!headers.is(found[i]!, hi[at]!, lo[at]!)) found[i] = headers.find(hi[at]!, lo[at]!)
      if (found[i]! >= 0) this.noteRowsOf(found[i]!, firstHint, hints)
    }
  }

  /** The entity at a place of the batch, -1: none. */
  foundAtPlace(place: number): number {
    return this.found[place]!
  }

  /** The oldest and newest rows and those at the hints. */
  private noteRowsOf(slot: number, firstHint: number, hints: number): void {
    const { headers, exactBlocks: blocks, ahead, options } = this
    const header = headers.views.u32[headers.slabOf(slot)]!
    const word = headers.wordOf(slot)
    const cls = header[word + CLASS]! - 1
    if (cls < 0 || cls >= this.narrowClasses) return
    const block = header[word + BLOCK]!
    const head = header[word + HEAD]!
    const capacity = this.rows[cls]!
    const slab = blocks.slabOf(block)
    const sums = blocks.wordOf(cls, block)
    const times = options.hasAmounts ? sums + capacity : sums
    const end = sums + capacity * this.narrowWords
    let last = head + header[word + COUNT]!
    if (last >= capacity) last -= capacity
    // The row that comes will be written into all columns.
    for (let column = sums; column < end; column += capacity) ahead.note(slab, column + last)
    ahead.note(slab, times + head)
    for (let h = 0; h < hints; h++) {
      let i = head + header[word + firstHint + h]!
      if (i >= capacity) i -= capacity
      ahead.note(slab, times + i)
      if (options.hasAmounts) ahead.note(slab, sums + i)
    }
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
    if (!this.hasRoomFor(amount)) this.moveTo(this.classOf() + this.narrowClasses)
    this.touchBlock()
    this.rebase(timeMs)
    const row = isNewest ? this.count : this.rowsUntil(timeMs)
    this.place(row, timeMs, amount, tag, flags, other0, other1)
    this.saveCursor()
  }

  remove(row: number): void {
    this.touchHeader()
    this.touchBlock()
    this.takeOut(row)
    this.saveCursor()
  }

  /** Sets or clears the low flag of a row of one event. */
  setLow(row: number, isSet: boolean): void {
    this.touchBlock()
    this.addFrom(row, 0, isSet ? 1 : -1, 0, 0)
  }

  /** Lowers the amount of a row of one event. */
  lowerAmount(row: number, by: number): void {
    this.touchBlock()
    this.addFrom(row, -by, 0, 0, 0)
    this.correctMax(row)
  }

  /** To be called before the owner writes its extra header fields. */
  touchHeader(): void {
    this.headers.touch(this.slot)
  }

  /** Moves the entity's last sign of life, for events that leave no row. */
  seenAt(timeMs: number): void {
    if (timeMs <= this.newestMs) return
    this.touchHeader()
    this.newestMs = timeMs
    this.headerF64[this.headerF64At + NEWEST] = timeMs
  }

  /** Frees entities that were idle too long, looking at `steps` headers and some more where many were made. */
  sweep(streamTimeMs: number, steps: number): void {
    const { headers } = this
    const { made } = headers
    if (made === 0) return
    const more = (headers.created - this.sweptAt) * SWEPT_PER_CREATED
    this.sweptAt = headers.created
    let at = this.meta[SWEPT]!
    for (let i = Math.min(steps + more, made); i > 0; i--) {
      at = at + 1 >= made ? 0 : at + 1
      if (headers.isInUse(at) && streamTimeMs - headers.getDouble(at, NEWEST) > this.idleMs) this.free(at)
    }
    this.metaRegion.touch(0, SWEPT * 4, 4)
    this.meta[SWEPT] = at
  }

  private dropBefore(timeMs: number): void {
    let drop = 0
    while (drop < this.count && this.timeOf(drop) < timeMs) drop++
    if (drop > 0) this.dropRows(drop)
  }

  /** A full exact block grows; a full tiled one is merged first, the newest hour too where that is not enough. */
  private makeRoom(): void {
    const { capacity } = this
    if (capacity === 0) {
      this.moveTo(0)
      return
    }
    const cls = this.classOf()
    if (this.kind !== TILED) {
      this.moveTo(cls + 1 === this.narrowClasses ? this.exactClasses : cls + 1)
      return
    }
    this.touchBlock()
    this.mergeMinutes(this.newestMs - EXACT_MS)
    if (this.count < capacity * 0.75) return
    if (cls + 1 < this.rows.length) {
      this.moveTo(cls + 1)
      return
    }
    if (this.count > capacity * 0.9375) this.mergeMinutes(this.newestMs - TILE_MS)
    if (this.count >= capacity) this.mergeMinutes(this.newestMs)
  }

  /** Moves the rows to a block of another class. */
  private moveTo(cls: number): void {
    const from = this.rowsPlace()
    const { arena, arenaClass, block, count } = this
    this.chooseArena(cls)
    this.block = this.arena.allocate(this.arenaClass, this.slot)
    this.touchBlock()
    this.headerU32[this.headerU32At + CLASS] = cls + 1
    this.headerU32[this.headerU32At + BLOCK] = this.block
    this.placeColumns(this.rows[cls]!, this.kindOf(cls))
    this.copyAll(from, count)
    if (this.kind === TILED && from.kind !== TILED) this.countTiled(1)
    if (from.capacity > 0) arena.free(arenaClass, block)
    this.saveCursor()
  }

  private countTiled(by: number): void {
    this.metaRegion.touch(0, TILED_ENTITIES * 4, 4)
    this.meta[TILED_ENTITIES]! += by
  }

  private openSlot(slot: number, streamTimeMs: number): boolean {
    if (slot < 0) return false
    this.load(slot)
    return streamTimeMs - this.newestMs <= this.idleMs
  }

  private load(slot: number): void {
    const { headers } = this
    const slab = headers.slabOf(slot)
    const f64 = headers.views.f64[slab]!
    const u32 = headers.views.u32[slab]!
    const word = headers.wordOf(slot)
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
    const cls = u32[word + CLASS]! - 1
    if (cls < 0) {
      this.capacity = 0
      this.kind = NARROW
      return
    }
    this.chooseArena(cls)
    this.block = u32[word + BLOCK]!
    this.placeColumns(this.rows[cls]!, this.kindOf(cls))
  }

  private chooseArena(cls: number): void {
    const isTiled = cls >= this.exactClasses
    this.arena = isTiled ? this.tiledBlocks : this.exactBlocks
    this.arenaClass = isTiled ? cls - this.exactClasses : cls
  }

  private kindOf(cls: number): RowKind {
    if (cls < this.narrowClasses) return NARROW
    return cls < this.exactClasses ? WIDE : TILED
  }

  /** The class of the open block. */
  private classOf(): number {
    return this.headerU32[this.headerU32At + CLASS]! - 1
  }

  private touchBlock(): void {
    this.arena.touch(this.arenaClass, this.block)
  }

  private saveCursor(): void {
    this.headerU32[this.headerU32At + COUNT] = this.count
    this.headerU32[this.headerU32At + HEAD] = this.head
  }

  /** Empties an entity that stays in the index. */
  private clear(slot: number): void {
    this.load(slot)
    this.release()
    this.headers.clear(slot, this.hashHi, this.hashLo)
  }

  private free(slot: number): void {
    this.load(slot)
    this.release()
    this.headers.free(slot)
  }

  private release(): void {
    for (const clear of this.onClear) clear(this.headerU32, this.headerU32At)
    if (this.capacity === 0) return
    if (this.kind === TILED) this.countTiled(-1)
    this.arena.free(this.arenaClass, this.block)
  }

  private attach(): void {
    this.meta = this.metaRegion.chunks[0]!.u32()
  }
}
