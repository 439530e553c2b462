import type { StateMemory } from '#infra/state-memory.ts'
import { BlockArena } from './block-arena.ts'
import type { EntityStore } from './entity-store.ts'
import { EXTRA_WORDS } from './event-rows.ts'

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
 * as they were. A block holds the times (doubles), then the vectors; it grows with the card up to K rows.
 */
export class History {
  private readonly length: number
  private readonly width: number
  private readonly blocks: BlockArena
  private readonly rows: readonly number[]
  /** Whether vectors can be copied as doubles: all of them begin at an even word. */
  private readonly inPairs: boolean
  private cls = 0
  private head = 0
  private count = 0
  private capacity = 0
  private block = 0
  private chunk = 0
  private times = 0
  private vectors = 0

  /** @param length K @param width H */
  constructor(memory: StateMemory, name: string, length: number, width: number) {
    this.length = length
    this.width = width
    this.inPairs = width % 2 === 0
    const rows: number[] = []
    for (let n = Math.min(FIRST_ROWS, length); n < length; n *= 2) rows.push(n)
    this.rows = [...rows, length]
    const words = this.rows.map((n) => n * (2 + width))
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
   * Writes the open card's vectors at or before `timeMs` into `[K, H]` at `at`, the newest last, zeros before; gives how
   * many there are.
   *
   * @param pairs the memory of `into` from its start, as doubles
   */
  read(card: EntityStore, timeMs: number, into: Float32Array, pairs: Float64Array, at: number): number {
    const { length, width, blocks, inPairs } = this
    this.load(card)
    if (this.cls === 0) {
      into.fill(0, at, at + length * width)
      return 0
    }
    const count = this.rowsUntil(timeMs)
    const f32 = blocks.f32[this.chunk]!
    const padding = (length - count) * width
    into.fill(0, at, at + padding)
    let to = at + padding
    const untilEnd = Math.min(count, this.capacity - this.head) * width
    let from = this.vectors + this.head * width
    // Two numbers at a time: they are finite, so no pair of them is a NaN that a copy might change.
    if (inPairs) {
      const f64 = blocks.f64[this.chunk]!
      copy(f64, from >>> 1, pairs, to >>> 1, untilEnd >>> 1)
      to += untilEnd
      copy(f64, this.vectors >>> 1, pairs, to >>> 1, (count * width - untilEnd) >>> 1)
    } else {
      copy(f32, from, into, to, untilEnd)
      to += untilEnd
      from = this.vectors
      copy(f32, from, into, to, count * width - untilEnd)
    }
    return count
  }

  /** Reads the lines that `read` will ask for, of a card given by its header; gives something that depends on them. */
  readLines(header: Uint32Array, word: number): number {
    const cls = header[word + CLASS]!
    if (cls === 0) return 0
    const block = header[word + BLOCK]!
    const u32 = this.blocks.u32[this.blocks.chunkOf(block)]!
    const start = this.blocks.wordOf(cls - 1, block)
    const end = start + this.rows[cls - 1]! * (2 + this.width)
    let read = 0
    for (let i = start; i < end; i += LINE_WORDS) read ^= u32[i]!
    return read
  }

  /** Puts a vector of `[H]` numbers into the open card's history; one older than K newer ones is not kept. */
  push(card: EntityStore, timeMs: number, vector: Float64Array): void {
    card.touchHeader()
    this.load(card)
    if (this.count === this.capacity) this.grow(card)
    const { width, blocks } = this
    const isFull = this.count === this.capacity
    const row = this.rowsUntil(timeMs)
    if (isFull && row === 0) return
    blocks.touch(this.cls - 1, this.block)
    const f64 = blocks.f64[this.chunk]!
    const f32 = blocks.f32[this.chunk]!
    // A full ring gives up its oldest row, which moves every later row one place towards the head.
    const target = isFull ? row - 1 : row
    if (isFull) this.head = this.head + 1 === this.capacity ? 0 : this.head + 1
    else this.count++
    for (let i = this.count - 1; i > target; i--) {
      const from = this.place(i - 1)
      const to = this.place(i)
      f64[this.times + to] = f64[this.times + from]!
      f32.copyWithin(this.vectors + to * width, this.vectors + from * width, this.vectors + (from + 1) * width)
    }
    const at = this.place(target)
    f64[this.times + at] = timeMs
    let to = this.vectors + at * width
    for (let i = 0; i < width; i++) f32[to++] = vector[i]!
    card.headerU32[card.headerU32At + HEAD] = this.head
    card.headerU32[card.headerU32At + COUNT] = this.count
  }

  /** Keeps the headers of this store's cards, whose history it is, in step with blocks that move. */
  belongTo(cards: EntityStore): void {
    this.blocks.onMove = (owner, block) => cards.setHeaderWord(owner, BLOCK, block)
    cards.onClear.push((u32, at) => this.release(u32, at))
  }

  /** Gives back what a card's header words point to. */
  private release(u32: Uint32Array, word: number): void {
    const cls = u32[word + CLASS]!
    if (cls !== 0) this.blocks.free(cls - 1, u32[word + BLOCK]!)
  }

  private rowsUntil(timeMs: number): number {
    const f64 = this.blocks.f64[this.chunk]!
    let row = this.count
    while (row > 0 && f64[this.times + this.place(row - 1)]! > timeMs) row--
    return row
  }

  /** Moves the card's rows to a block of the next class; at the last one they stay. */
  private grow(card: EntityStore): void {
    const { blocks, cls, width, head, count, capacity, times, vectors, chunk, block } = this
    if (cls === this.rows.length) return
    const { headerU32: u32, headerU32At: word } = card
    const next = blocks.allocate(cls, card.slotNumber)
    blocks.touch(cls, next)
    u32[word + CLASS] = cls + 1
    u32[word + BLOCK] = next
    u32[word + HEAD] = 0
    this.load(card)
    const f64 = blocks.f64[this.chunk]!
    const f32 = blocks.f32[this.chunk]!
    for (let row = 0; row < count; row++) {
      const source = (head + row) % capacity
      f64[this.times + row] = blocks.f64[chunk]![times + source]!
      const start = vectors + source * width
      f32.set(blocks.f32[chunk]!.subarray(start, start + width), this.vectors + row * width)
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
    this.chunk = this.blocks.chunkOf(this.block)
    const start = this.blocks.wordOf(this.cls - 1, this.block)
    this.times = start / 2
    this.vectors = start + this.capacity * 2
  }
}

/** A loop: for a few hundred numbers it is faster than making the views that `set` needs. */
function copy<T extends Float32Array | Float64Array>(from: T, at: number, into: T, to: number, count: number): void {
  for (let i = 0; i < count; i++) into[to + i] = from[at + i]!
}
