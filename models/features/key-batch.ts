import type { EventColumns } from '#schemas/event-columns.ts'
import { Hash64 } from '#schemas/hash64.ts'
import type { TextField } from '#schemas/transaction.ts'
import { hashKeyOr } from './keys.ts'

/** Rows that are looked up and read ahead together. */
export const BATCH_ROWS = 32

/**
 * The keys of one kind of entity for a batch of rows, worked out once for all who look something up by them. Rows that
 * nobody looks up have keys like the others.
 */
export class KeyBatch {
  /** How many rows the batch has. */
  count = 0
  /** Halves of the hash of the first row's key are at `first`, and so on; a lower half of 0: there is no key. */
  hi: Uint32Array
  lo: Uint32Array
  first = 0
  readonly fields: readonly TextField[]
  /** Its text alone is the key where one of the fields is empty, if there is such a field. */
  readonly instead: TextField | null
  private readonly hash = new Hash64()
  private readonly ownHi = new Uint32Array(BATCH_ROWS)
  private readonly ownLo = new Uint32Array(BATCH_ROWS)

  constructor(fields: readonly TextField[], instead: TextField | null) {
    this.fields = fields
    this.instead = instead
    this.hi = this.ownHi
    this.lo = this.ownLo
  }

  fill(events: EventColumns, from: number, to: number): void {
    this.count = to - from
    if (this.fields.length === 1 && this.instead === null) {
      // The columns hold them already.
      this.hi = events.hashHi[this.fields[0]!]
      this.lo = events.hashLo[this.fields[0]!]
      this.first = from
      return
    }
    const { count, ownHi, ownLo, hash, fields, instead } = this
    for (let i = 0; i < count; i++) {
      const isKey = hashKeyOr(hash, events, from + i, fields, instead)
      ownHi[i] = hash.hi
      ownLo[i] = isKey ? hash.lo : 0
    }
  }
}

/** Each kind of key once. */
export class KeyBatches {
  private readonly all: KeyBatch[] = []

  of(fields: readonly TextField[], instead: TextField | null = null): KeyBatch {
    const same = this.all.find((keys) => keys.instead === instead && keys.fields.join() === fields.join())
    if (same !== undefined) return same
    const made = new KeyBatch(fields, instead)
    this.all.push(made)
    return made
  }

  fill(events: EventColumns, from: number, to: number): void {
    for (const keys of this.all) keys.fill(events, from, to)
  }
}
