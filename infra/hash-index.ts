import { PAGE_BYTES, type Region, type StateMemory } from './state-memory.ts'

/** Where the index reads the 64-bit hash of a place. */
export interface HashKeys {
  hi(place: number): number
  lo(place: number): number
}

const CHUNK_SLOTS = PAGE_BYTES / 4
const SHIFT = Math.log2(CHUNK_SLOTS)
const MASK = CHUNK_SLOTS - 1

/**
 * Open addressing over 64-bit hashes: 4 bytes a slot, at most half full, grown by doubling; a removal shifts back what
 * had been displaced (Knuth, TAOCP 3, 6.4, algorithm R). Part of the folded state.
 */
export class HashIndex {
  private readonly keys: HashKeys
  private readonly region: Region
  private readonly meta: Region
  /** Place plus one; 0 is free. */
  private views: Uint32Array[] = []
  private size!: Uint32Array
  private mask = 0

  constructor(memory: StateMemory, name: string, keys: HashKeys) {
    this.keys = keys
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

  /** The place with this hash, or -1. */
  find(hi: number, lo: number): number {
    let slot = lo & this.mask
    for (let place = this.at(slot); place !== 0; place = this.at(slot)) {
      if (this.keys.lo(place - 1) === lo && this.keys.hi(place - 1) === hi) return place - 1
      slot = (slot + 1) & this.mask
    }
    return -1
  }

  /** Place plus one in the slot that a lower half, or a step behind it, falls on; 0 when it is free. */
  placeAt(slot: number): number {
    return this.at(slot & this.mask)
  }

  /** The first place whose lower half is this, or -1; for keys of which only 32 bits were kept. */
  findLow(lo: number): number {
    let slot = lo & this.mask
    for (let place = this.at(slot); place !== 0; place = this.at(slot)) {
      if (this.keys.lo(place - 1) === lo) return place - 1
      slot = (slot + 1) & this.mask
    }
    return -1
  }

  /** Adds a place whose hash is not in the index. */
  insert(place: number): void {
    if ((this.count + 1) * 2 > this.mask + 1) this.grow()
    this.put(this.freeSlot(this.keys.lo(place)), place + 1)
    this.resize(1)
  }

  remove(place: number): void {
    let hole = this.keys.lo(place) & this.mask
    while (this.at(hole) !== place + 1) hole = (hole + 1) & this.mask
    let slot = hole
    for (;;) {
      slot = (slot + 1) & this.mask
      const other = this.at(slot)
      if (other === 0) break
      const home = this.keys.lo(other - 1) & this.mask
      const staysReachable = hole <= slot ? hole < home && home <= slot : hole < home || home <= slot
      if (staysReachable) continue
      this.put(hole, other)
      hole = slot
    }
    this.put(hole, 0)
    this.resize(-1)
  }

  private grow(): void {
    const old = this.views
    const chunks = Array.from({ length: old.length * 2 }, () => new ArrayBuffer(PAGE_BYTES))
    this.region.replace(chunks)
    this.attach()
    for (const view of old) {
      for (const place of view) if (place !== 0) this.put(this.freeSlot(this.keys.lo(place - 1)), place)
    }
  }

  private freeSlot(lo: number): number {
    let slot = lo & this.mask
    while (this.at(slot) !== 0) slot = (slot + 1) & this.mask
    return slot
  }

  private at(slot: number): number {
    return this.views[slot >>> SHIFT]![slot & MASK]!
  }

  private put(slot: number, value: number): void {
    this.region.touch(slot >>> SHIFT, (slot & MASK) * 4, 4)
    this.views[slot >>> SHIFT]![slot & MASK] = value
  }

  private resize(by: number): void {
    this.meta.touch(0, 0, 4)
    this.size[0]! += by
  }

  private attach(): void {
    this.views = this.region.chunks.map((chunk) => new Uint32Array(chunk))
    this.size = new Uint32Array(this.meta.chunks[0]!)
    this.mask = this.views.length * CHUNK_SLOTS - 1
  }
}
