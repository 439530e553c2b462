import type { Region, StateMemory } from '#infra/state-memory.ts'
import { PAGE_BYTES } from '#infra/state-memory.ts'
import { LABEL } from '#schemas/event-columns.ts'
import { Hash64 } from '#schemas/hash64.ts'
import { ACCEPTED, type Decoded, type Deduplicated, REPEATED, reached, type Stage } from './slice.ts'

/** Rows whose places are looked at together, before any of them is looked up. */
const BATCH_ROWS = 64

/** Drops what was accepted before: a transaction by its id, a label by all that it says. Rejected rows leave no trace. */
export function createDeduplicate(seen: SeenIds): Stage<Decoded, Deduplicated> {
  const hash = new Hash64()
  const hi = new Uint32Array(BATCH_ROWS)
  const lo = new Uint32Array(BATCH_ROWS)

  function deduplicate(slice: Decoded): Deduplicated {
    for (let from = 0; from < slice.count; from += BATCH_ROWS) {
      const count = Math.min(BATCH_ROWS, slice.count - from)
      hashRows(slice, from, count)
      seen.readAhead(lo, count)
      for (let i = 0; i < count; i++) {
        if (slice.outcome[from + i] === ACCEPTED && !seen.add(hi[i]!, lo[i]!)) slice.outcome[from + i] = REPEATED
      }
    }
    return reached(slice)
  }

  function hashRows({ events }: Decoded, from: number, count: number): void {
    const { kind, label_fraud, label_source, label_known_at } = events
    const ids = { hi: events.hashHi.transaction_id, lo: events.hashLo.transaction_id }
    for (let i = 0; i < count; i++) {
      const row = from + i
      hash.hi = ids.hi[row]!
      hash.lo = ids.lo[row]!
      if (kind[row] === LABEL) {
        const knownAt = label_known_at[row]!
        hash.combine(1 + label_fraud[row]! + 2 * label_source[row]!, (knownAt % 2 ** 32) ^ (knownAt / 2 ** 32))
      }
      hi[i] = hash.hi
      lo[i] = hash.lo
    }
  }

  return deduplicate
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
  /** Takes what was read ahead, so that it is not found useless and left out. */
  private readonly sink = new Int32Array(1)
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

  /**
   * Reads the places at which hashes will be looked for, so that the waits for memory overlap; changes no state.
   *
   * @param lo lower halves, `count` of them
   */
  readAhead(lo: Uint32Array, count: number): void {
    const { slots, mask } = this
    let read = 0
    for (let i = 0; i < count; i++) read ^= slots[lo[i]! & mask]!
    this.sink[0] = read
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
    const view = (region: Region): Uint32Array => region.chunks[0]!.u32()
    this.hi = view(this.regions.hi)
    this.lo = view(this.regions.lo)
    this.slots = view(this.regions.slots)
    this.head = view(this.regions.head)
  }
}
