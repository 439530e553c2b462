import { HashIndex } from '#infra/hash-index.ts'
import type { ReadAhead } from '#infra/read-ahead.ts'
import type { SlabViews } from '#infra/slabs.ts'
import { PAGE_BYTES, type Region, type StateMemory } from '#infra/state-memory.ts'
import { HASH_HI, HASH_LO, IN_USE } from './row-layout.ts'

const SHIFT = 11
/** Words of a cache line. */
const LINE_WORDS = 16
const MASK = (1 << SHIFT) - 1

/** Words of the region's meta data. */
const MADE = 0
const FIRST_FREE = 1

/**
 * Headers of one size in state memory, found by the 64-bit hash that each begins with. They are numbered from 0 and stay
 * where they are; freed ones are linked through their first word.
 */
export class EntityHeaders {
  readonly words: number
  /** Of the memory that headers lie in: see `slabOf` and `wordOf`. */
  readonly views: SlabViews
  /** Counts what was made in this process: who finds it unchanged knows that nothing was added. */
  created = 0
  private readonly region: Region
  private readonly metaRegion: Region
  /** [headers ever made, first free header plus one] */
  private meta!: Uint32Array
  private readonly index: HashIndex

  /** @param words of a header, an even number */
  constructor(memory: StateMemory, name: string, words: number) {
    this.words = words
    const chunkBytes = Math.ceil(((MASK + 1) * words * 4) / PAGE_BYTES) * PAGE_BYTES
    this.region = memory.region(`${name}.headers`, chunkBytes)
    this.views = this.region.views
    this.metaRegion = memory.region(`${name}.headers-meta`)
    this.metaRegion.addChunk()
    this.attach()
    memory.onRestore(() => this.attach())
    this.index = new HashIndex(memory, name)
  }

  /** How many are in use. */
  get count(): number {
    return this.index.count
  }

  /** How many were ever made; their numbers lie below. */
  get made(): number {
    return this.meta[MADE]!
  }

  get byteLength(): number {
    return this.region.byteLength
  }

  /** The number of the header with this hash, or -1. */
  find(hi: number, lo: number): number {
    const { index } = this
    for (let at = index.first(lo); at >= 0; at = index.next(lo, at + 1)) {
      const slot = index.placeAt(at)
      if (this.is(slot, hi, lo)) return slot
    }
    return -1
  }

  /** As `find`, by the lower half of the hash only: most often the one, and no header is looked at. */
  findLow(lo: number): number {
    const at = this.index.first(lo)
    return at < 0 ? -1 : this.index.placeAt(at)
  }

  /** Notes where `find` will look. */
  noteIndex(ahead: ReadAhead, lo: number): void {
    this.index.noteAhead(ahead, lo)
  }

  /** Notes a header as one to be read soon. */
  noteHeader(ahead: ReadAhead, slot: number): void {
    const slab = this.slabOf(slot)
    const first = this.wordOf(slot)
    const last = first + this.words - 1
    for (let word = first; word < last; word += LINE_WORDS) ahead.note(slab, word)
    ahead.note(slab, last)
  }

  is(slot: number, hi: number, lo: number): boolean {
    const u32 = this.views.u32[this.slabOf(slot)]!
    const word = this.wordOf(slot)
    return u32[word + HASH_LO] === lo && u32[word + HASH_HI] === hi
  }

  slabOf(slot: number): number {
    return this.region.slabOf[slot >>> SHIFT]!
  }

  /** Its first word within its slab; an even number. */
  wordOf(slot: number): number {
    return this.region.firstWordOf[slot >>> SHIFT]! + (slot & MASK) * this.words
  }

  get(slot: number, word: number): number {
    return this.views.u32[this.slabOf(slot)]![this.wordOf(slot) + word]!
  }

  /** The double at this place, counted in doubles. */
  getDouble(slot: number, double: number): number {
    return this.views.f64[this.slabOf(slot)]![(this.wordOf(slot) >>> 1) + double]!
  }

  set(slot: number, word: number, value: number): void {
    this.region.touch(slot >>> SHIFT, ((slot & MASK) * this.words + word) * 4, 4)
    this.views.u32[this.slabOf(slot)]![this.wordOf(slot) + word] = value
  }

  /** To be called before a header is written. */
  touch(slot: number): void {
    this.region.touch(slot >>> SHIFT, (slot & MASK) * this.words * 4, this.words * 4)
  }

  isInUse(slot: number): boolean {
    return this.get(slot, IN_USE) !== 0
  }

  create(hi: number, lo: number): number {
    this.created++
    this.metaRegion.touch(0, 0, 8)
    let slot = this.meta[FIRST_FREE]! - 1
    if (slot >= 0) {
      this.meta[FIRST_FREE] = this.get(slot, HASH_HI)
    } else {
      slot = this.meta[MADE]!++
      if (slot >>> SHIFT === this.region.chunks.length) this.region.addChunk()
    }
    this.clear(slot, hi, lo)
    this.index.insert(slot, lo)
    return slot
  }

  /** All zero, but for its hash. */
  clear(slot: number, hi: number, lo: number): void {
    this.touch(slot)
    const u32 = this.views.u32[this.slabOf(slot)]!
    const word = this.wordOf(slot)
    u32.fill(0, word, word + this.words)
    u32[word + HASH_HI] = hi
    u32[word + HASH_LO] = lo
    u32[word + IN_USE] = 1
  }

  free(slot: number): void {
    this.index.remove(slot, this.get(slot, HASH_LO))
    this.metaRegion.touch(0, 0, 8)
    this.clear(slot, this.meta[FIRST_FREE]!, 0)
    this.set(slot, IN_USE, 0)
    this.meta[FIRST_FREE] = slot + 1
  }

  private attach(): void {
    this.meta = this.metaRegion.chunks[0]!.u32()
  }
}
