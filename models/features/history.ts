import type { ReadAhead } from '#infra/read-ahead.ts'
import type { StateMemory } from '#infra/state-memory.ts'
import { BlockArena } from './block-arena.ts'
import type { EntityStore } from './entity-store.ts'
import type { PackedVector } from './packed-vector.ts'
import { EXTRA_WORDS } from './row-layout.ts'

/** Words behind the card's header that belong to its history. */
const CLASS = EXTRA_WORDS
const BLOCK = EXTRA_WORDS + 1
const HEAD = EXTRA_WORDS + 2
const COUNT = EXTRA_WORDS + 3
export const HISTORY_HEADER_WORDS = 4

const FIRST_ROWS = 2
const CHUNK_PAGES = 4
/** Words of a cache line. */
const LINE_WORDS = 16

/**
 * The last K vectors of each card, sorted by event time: a late event is put in its place, and vectors already there stay
 * as they were. A block holds the times (doubles), then the packed vectors; it grows with the card up to K rows.
 */
export class History {
  private readonly length: number
  private readonly packed: PackedVector
  private readonly blocks: BlockArena
  private readonly rows: readonly number[]
  private cls = 0
  private head = 0
  private count = 0
  private capacity = 0
  private block = 0
  private slab = 0
  private times = 0
  private vectors = 0

  /** @param length K */
  constructor(memory: StateMemory, name: string, length: number, packed: PackedVector) {
    this.length = length
    this.packed = packed
    const rows: number[] = []
    for (let n = Math.min(FIRST_ROWS, length); n < length; n *= 2) rows.push(n)
    this.rows = [...rows, length]
    const words = this.rows.map((n) => n * (2 + packed.words))
    this.blocks = new BlockArena(
      memory,
      `${name}.history`,
      words,
      Math.max(CHUNK_PAGES, BlockArena.pagesFor(words.at(-1)!)),
    )
  }

  get byteLength(): number {
    return this.blocks.byteLength
  }

  /**
   * Writes the bits of the open card's vectors at or before `timeMs` into `[K, H]` floats at `at`, the newest last, zeros
   * before; gives how many there are.
   */
  read(card: EntityStore, timeMs: number, into: Uint32Array, at: number): number {
    const { length, packed, blocks } = this
    this.load(card)
    const count = this.cls === 0 ? 0 : this.rowsUntil(timeMs)
    const to = at + (length - count) * packed.width
    for (let i = at; i < to; i++) into[i] = 0
    if (count === 0) return 0
    const u32 = blocks.views.u32[this.slab]!
    const untilEnd = Math.min(count, this.capacity - this.head)
    packed.unpack(u32, this.vectors + this.head * packed.words, into, to, untilEnd)
    if (count > untilEnd) packed.unpack(u32, this.vectors, into, to + untilEnd * packed.width, count - untilEnd)
    return count
  }

  /** Notes what `read` will ask for, of the cards of the batch that was found last. */
  noteAhead(ahead: ReadAhead, cards: EntityStore, places: number): void {
    const { headers } = cards
    for (let place = 0; place < places; place++) {
      const slot = cards.foundAtPlace(place)
      if (slot >= 0) this.noteBlock(ahead, headers.views.u32[headers.slabOf(slot)]!, headers.wordOf(slot))
    }
  }

  private noteBlock(ahead: ReadAhead, header: Uint32Array, word: number): void {
    const { blocks } = this
    const cls = header[word + CLASS]! - 1
    if (cls < 0) return
    const block = header[word + BLOCK]!
    const slab = blocks.slabOf(block)
    const start = blocks.wordOf(cls, block)
    const end = start + this.rows[cls]! * (2 + this.packed.words)
    for (let i = start; i < end; i += LINE_WORDS) ahead.note(slab, i)
    ahead.note(slab, end - 1)
  }

  /**
   * Puts a vector of `[H]` numbers into the open card's history; one older than K newer ones is not kept.
   *
   * @param category key of the event's category
   */
  push(card: EntityStore, timeMs: number, category: number, vector: Float64Array): void {
    card.touchHeader()
    this.load(card)
    if (this.count === this.capacity) this.grow(card)
    const { packed, blocks } = this
    const { words } = packed
    const isFull = this.count === this.capacity
    const row = this.rowsUntil(timeMs)
    if (isFull && row === 0) return
    blocks.touch(this.cls - 1, this.block)
    const f64 = blocks.views.f64[this.slab]!
    const u32 = blocks.views.u32[this.slab]!
    // A full ring gives up its oldest row, which moves every later row one place towards the head.
    const target = isFull ? row - 1 : row
    if (isFull) this.head = this.head + 1 === this.capacity ? 0 : this.head + 1
    else this.count++
    for (let i = this.count - 1; i > target; i--) {
      const from = this.place(i - 1)
      const to = this.place(i)
      f64[this.times + to] = f64[this.times + from]!
      u32.copyWithin(this.vectors + to * words, this.vectors + from * words, this.vectors + (from + 1) * words)
    }
    const at = this.place(target)
    f64[this.times + at] = timeMs
    packed.pack(vector, timeMs, category, blocks.views.f32[this.slab]!, u32, this.vectors + at * words)
    card.headerU32[card.headerU32At + HEAD] = this.head
    card.headerU32[card.headerU32At + COUNT] = this.count
  }

  /** Keeps the headers of this store's cards, whose history it is, in step with blocks that move. */
  belongTo(cards: EntityStore): void {
    this.blocks.onMove = (owner, block) => cards.headers.set(owner, BLOCK, block)
    cards.onClear.push((u32, at) => this.release(u32, at))
  }

  /** Gives back what a card's header words point to. */
  private release(u32: Uint32Array, word: number): void {
    const cls = u32[word + CLASS]!
    if (cls !== 0) this.blocks.free(cls - 1, u32[word + BLOCK]!)
  }

  private rowsUntil(timeMs: number): number {
    const f64 = this.blocks.views.f64[this.slab]!
    let row = this.count
    while (row > 0 && f64[this.times + this.place(row - 1)]! > timeMs) row--
    return row
  }

  /** Moves the card's rows to a block of the next class; at the last one they stay. */
  private grow(card: EntityStore): void {
    const { blocks, cls, head, count, capacity, times, vectors, slab, block } = this
    const { words } = this.packed
    if (cls === this.rows.length) return
    const { headerU32: header, headerU32At: word } = card
    const next = blocks.allocate(cls, card.slotNumber)
    blocks.touch(cls, next)
    header[word + CLASS] = cls + 1
    header[word + BLOCK] = next
    header[word + HEAD] = 0
    this.load(card)
    const f64 = blocks.views.f64[this.slab]!
    const u32 = blocks.views.u32[this.slab]!
    for (let row = 0; row < count; row++) {
      const source = (head + row) % capacity
      f64[this.times + row] = blocks.views.f64[slab]![times + source]!
      const start = vectors + source * words
      u32.set(blocks.views.u32[slab]!.subarray(start, start + words), this.vectors + row * words)
    }
    if (cls > 0) blocks.free(cls - 1, block)
  }

  private place(row: number): number {
    const i = this.head + row
    return i >= this.capacity ? i - this.capacity : i
  }

  /** Makes the open card's history the one at hand. */
  private load(card: EntityStore): void {
    const { headerU32: u32, headerU32At: word } = card
    this.cls = u32[word + CLASS]!
    this.head = u32[word + HEAD]!
    this.count = u32[word + COUNT]!
    this.block = u32[word + BLOCK]!
    this.capacity = 0
    if (this.cls === 0) return
    this.capacity = this.rows[this.cls - 1]!
    this.slab = this.blocks.slabOf(this.block)
    const start = this.blocks.wordOf(this.cls - 1, this.block)
    this.times = start / 2
    this.vectors = start + this.capacity * 2
  }
}
