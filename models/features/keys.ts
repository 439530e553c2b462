import type { EventColumns } from '#schemas/event-columns.ts'
import type { Hash64 } from '#schemas/hash64.ts'
import type { TextField } from '#schemas/transaction.ts'

/** Hash of an entity's key: the fields joined; false when any of them is empty, which is no entity. */
export function hashKey(hash: Hash64, events: EventColumns, row: number, fields: readonly TextField[]): boolean {
  for (let i = 0; i < fields.length; i++) {
    const { hi, lo } = hash
    hash.hi = events.hashHi[fields[i]!][row]!
    hash.lo = events.hashLo[fields[i]!][row]!
    if (hash.lo === 0) return false
    if (i > 0) hash.combine(hi, lo)
  }
  return true
}

/** As `hashKey`; where there is none, the hash of `instead` alone. */
export function hashKeyOr(
  hash: Hash64,
  events: EventColumns,
  row: number,
  fields: readonly TextField[],
  instead: TextField | null,
): boolean {
  if (hashKey(hash, events, row, fields)) return true
  if (instead === null) return false
  hash.hi = events.hashHi[instead][row]!
  hash.lo = events.hashLo[instead][row]!
  return hash.lo !== 0
}

/** 32 bits of a text that is in no column; 0 of an empty one. */
export function textKey(hash: Hash64, text: string): number {
  return text === '' ? 0 : hash.ofText(text).lo
}
