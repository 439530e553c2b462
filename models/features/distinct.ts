import type { EntityStore } from './entity-store.ts'

/** A set of 32-bit keys that is emptied by counting up: no allocation, no clearing. */
export class EpochSet {
  private readonly keys: Uint32Array
  private readonly epochs: Uint32Array
  private readonly mask: number
  private epoch = 0

  /** @param keysMax most keys it will hold between two `clear` */
  constructor(keysMax: number) {
    const slots = 2 ** Math.ceil(Math.log2(keysMax * 2))
    this.keys = new Uint32Array(slots)
    this.epochs = new Uint32Array(slots)
    this.mask = slots - 1
  }

  clear(): void {
    if (++this.epoch === 2 ** 32) {
      this.epochs.fill(0)
      this.epoch = 1
    }
  }

  /** True when the key was not in the set. */
  add(key: number): boolean {
    let slot = Math.imul(key, 0x9e3779b1) & this.mask
    while (this.epochs[slot] === this.epoch) {
      if (this.keys[slot] === key) return false
      slot = (slot + 1) & this.mask
    }
    this.epochs[slot] = this.epoch
    this.keys[slot] = key
    return true
  }
}

/**
 * Distinct other keys in rows [from, to) of the open entity, newest first, plus `own` (the current event's; 0 is no key).
 * Exact; costs one look-up a row of the window, which is at most a day and bounded by the entity's rows.
 */
export function countDistinct(store: EntityStore, from: number, to: number, own: number, set: EpochSet): number {
  set.clear()
  let distinct = 0
  if (own !== 0) {
    set.add(own)
    distinct++
  }
  for (let row = to - 1; row >= from; row--) {
    const key = store.otherOf(row, 0)
    if (key !== 0 && set.add(key)) distinct++
  }
  return distinct
}
