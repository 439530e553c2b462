import type { Region, StateMemory } from '#infra/state-memory.ts'
import { PAGE_BYTES } from '#infra/state-memory.ts'
import { LABEL } from '#schemas/event-columns.ts'
import { Hash64 } from '#schemas/hash64.ts'
import { ACCEPTED, type Decoded, type Deduplicated, REPEATED, reached, type Stage } from './slice.ts'

/** Drops what was accepted before: a transaction by its id, a label by all that it says. Rejected rows leave no trace. */
export function createDeduplicate(seen: SeenIds): Stage<Decoded, Deduplicated> {
  const hash = new Hash64()
  return function deduplicate(slice: Decoded): Deduplicated {
    const { kind, text, label_fraud, label_source, label_known_at } = slice.events
    for (let row = 0; row < slice.count; row++) {
      if (slice.outcome[row] !== ACCEPTED) continue
      hash.ofText(text.transaction_id[row]!)
      if (kind[row] === LABEL) {
        const knownAt = label_known_at[row]!
        hash.combine(1 + label_fraud[row]! + 2 * label_source[row]!, (knownAt % 2 ** 32) ^ (knownAt / 2 ** 32))
      }
      if (!seen.add(hash.hi, hash.lo)) slice.outcome[row] = REPEATED
    }
    return reached(slice)
  }
}

/**
 * The last `capacity` hashes, oldest out first: a ring of 64-bit hashes and an open-addressing index over it, at most
 * half full, in which a removal shifts back what had been displaced (Knuth, TAOCP 3, 6.4, algorithm R). Part of the
 * folded state.
 */
export class SeenIds {
  private readonly capacity: number
  private readonly mask: number
  private readonly regions: { readonly hi: Region; readonly lo: Region; readonly slots: Region; readonly head: Region }
  private hi!: Uint32Array
  private lo!: Uint32Array
  /** Place in the ring plus one; 0 is free. */
  private slots!: Uint32Array
  /** [next place to be written, how many are held]. */
  private head!: Uint32Array

  /** @param capacity ids remembered, 1 to 2^28 */
  constructor(memory: StateMemory, capacity: number) {
    this.capacity = capacity
    const slotCount = 2 ** Math.ceil(Math.log2(capacity * 2))
    this.mask = slotCount - 1
    const region = (name: string, words: number): Region => {
      const made = memory.region(`seen.${name}`, Math.ceil((words * 4) / PAGE_BYTES) * PAGE_BYTES)
      made.addChunk()
      return made
    }
    this.regions = {
      hi: region('hi', capacity),
      lo: region('lo', capacity),
      slots: region('slots', slotCount),
      head: region('head', 2),
    }
    this.attach()
    memory.onRestore(() => this.attach())
  }

  /** False when the hash is among those held. */
  add(hi: number, lo: number): boolean {
    const { hi: his, lo: los, slots, mask } = this
    let slot = lo & mask
    for (let place = slots[slot]!; place !== 0; place = slots[slot]!) {
      if (his[place - 1] === hi && los[place - 1] === lo) return false
      slot = (slot + 1) & mask
    }
    const at = this.head[0]!
    if (this.head[1] === this.capacity) {
      this.remove(at)
      slot = this.freeSlot(lo)
    } else {
      this.regions.head.touch(0, 0, 8)
      this.head[1]!++
    }
    this.regions.hi.touch(0, at * 4, 4)
    this.regions.lo.touch(0, at * 4, 4)
    this.regions.slots.touch(0, slot * 4, 4)
    this.regions.head.touch(0, 0, 8)
    his[at] = hi
    los[at] = lo
    slots[slot] = at + 1
    this.head[0] = at + 1 === this.capacity ? 0 : at + 1
    return true
  }

  private remove(at: number): void {
    const { slots, mask } = this
    let hole = this.lo[at]! & mask
    while (slots[hole] !== at + 1) hole = (hole + 1) & mask
    let slot = hole
    for (;;) {
      slot = (slot + 1) & mask
      const place = slots[slot]!
      if (place === 0) break
      const home = this.lo[place - 1]! & mask
      const staysReachable = hole <= slot ? hole < home && home <= slot : hole < home || home <= slot
      if (staysReachable) continue
      this.regions.slots.touch(0, hole * 4, 4)
      slots[hole] = place
      hole = slot
    }
    this.regions.slots.touch(0, hole * 4, 4)
    slots[hole] = 0
  }

  private freeSlot(lo: number): number {
    let slot = lo & this.mask
    while (this.slots[slot] !== 0) slot = (slot + 1) & this.mask
    return slot
  }

  private attach(): void {
    const view = (region: Region): Uint32Array => new Uint32Array(region.chunks[0]!)
    this.hi = view(this.regions.hi)
    this.lo = view(this.regions.lo)
    this.slots = view(this.regions.slots)
    this.head = view(this.regions.head)
  }
}
