import type { ReadAhead } from './read-ahead.ts'
import { PAGE_BYTES, type Region, type StateMemory } from './state-memory.ts'

/** Words of a slot: place plus one, 0 when it is free, and the lower half of the hash. */
const SLOT_WORDS = 2
const CHUNK_SLOTS = PAGE_BYTES / 4 / SLOT_WORDS
const SHIFT = Math.log2(CHUNK_SLOTS)
const MASK = CHUNK_SLOTS - 1

/**
 * Open addressing over 64-bit hashes, at most half full, grown by doubling; a removal shifts back what had been displaced
 * (Knuth, TAOCP 3, 6.4, algorithm R). Slots hold the lower half of the hash, so that places are hardly ever looked at in
 * vain; whoever looks for one compares the upper half where the places are. Part of the folded state.
 */
export class HashIndex {
  private readonly region: Region
  private readonly meta: Region
  private size!: Uint32Array
  private mask = 0

  constructor(memory: StateMemory, name: string) {
    this.region = memory.region(`${name}.index`)
    this.meta = memory.region(`${name}.index-size`)
    this.region.addChunk()
    this.meta.addChunk()
    this.attach()
    memory.onRestore(() => this.attach())
  }

  get count(): number {
    return this.size[0]!
  }

  /** The first slot whose lower half is this, or -1. */
  first(lo: number): number {
    return this.next(lo, lo)
  }

  /** As `first`, at `slot` or behind it. */
  next(lo: number, slot: number): number {
    for (let at = slot & this.mask; this.placeAt(at) >= 0; at = (at + 1) & this.mask)
      if (this.loAt(at) === lo) return at
    return -1
  }

  /** The place in a slot, -1 when it is free. */
  placeAt(slot: number): number {
    return this.region.views.u32[this.region.slabOf[slot >>> SHIFT]!]![this.wordOf(slot)]! - 1
  }

  /** Notes the slot that a lower half falls on as one to be read soon. */
  noteAhead(ahead: ReadAhead, lo: number): void {
    const slot = lo & this.mask
    ahead.note(this.region.slabOf[slot >>> SHIFT]!, this.wordOf(slot))
  }

  /** Adds a place whose hash is not in the index. */
  insert(place: number, lo: number): void {
    if ((this.count + 1) * 2 > this.mask + 1) this.grow()
    this.put(this.freeSlot(lo), place + 1, lo)
    this.resize(1)
  }

  remove(place: number, lo: number): void {
    let hole = lo & this.mask
    while (this.placeAt(hole) !== place) hole = (hole + 1) & this.mask
    let slot = hole
    for (;;) {
      slot = (slot + 1) & this.mask
      const other = this.placeAt(slot)
      if (other < 0) break
      const home = this.loAt(slot) & this.mask
      const staysReachable = hole <= slot ? hole < home && home <= slot : hole < home || home <= slot
      if (staysReachable) continue
      this.put(hole, other + 1, this.loAt(slot))
      hole = slot
    }
    this.put(hole, 0, 0)
    this.resize(-1)
  }

  private grow(): void {
    const old = this.region.chunks.map((chunk) => chunk.u32().slice())
    this.region.replace(old.length * 2)
    this.attach()
    for (const slots of old) {
      for (let i = 0; i < slots.length; i += SLOT_WORDS) {
        const lo = slots[i + 1]!
        if (slots[i] !== 0) this.put(this.freeSlot(lo), slots[i]!, lo)
      }
    }
  }

  private freeSlot(lo: number): number {
    let slot = lo & this.mask
    while (this.placeAt(slot) >= 0) slot = (slot + 1) & this.mask
    return slot
  }

  /** First word of a slot within its slab. */
  private wordOf(slot: number): number {
    return this.region.firstWordOf[slot >>> SHIFT]! + (slot & MASK) * SLOT_WORDS
  }

  private loAt(slot: number): number {
    return this.region.views.u32[this.region.slabOf[slot >>> SHIFT]!]![this.wordOf(slot) + 1]!
  }

  private put(slot: number, value: number, lo: number): void {
    const { region } = this
    const word = this.wordOf(slot)
    const u32 = region.views.u32[region.slabOf[slot >>> SHIFT]!]!
    region.touch(slot >>> SHIFT, (slot & MASK) * SLOT_WORDS * 4, SLOT_WORDS * 4)
    u32[word] = value
    u32[word + 1] = lo
  }

  private resize(by: number): void {
    this.meta.touch(0, 0, 4)
    this.size[0]! += by
  }

  private attach(): void {
    this.size = this.meta.chunks[0]!.u32()
    this.mask = this.region.chunks.length * CHUNK_SLOTS - 1
  }
}
