import type { EventColumns } from '#schemas/event-columns.ts'
import type { Hash64 } from '#schemas/hash64.ts'
import type { TextField } from '#schemas/transaction.ts'

/** Hash of an entity's key: the fields joined; false when any of them is empty, which is no entity. */
export function hashKey(hash: Hash64, events: EventColumns, row: number, fields: readonly TextField[]): boolean {
  const first = events.text[fields[0]!][row]!
  if (first === '') return false
  hash.ofText(first)
  for (let i = 1; i < fields.length; i++) {
    const id = events.text[fields[i]!][row]!
    if (id === '') return false
    const { hi, lo } = hash
    hash.ofText(id).combine(hi, lo)
  }
  return true
}

/** As `hashKey`, for a key of one field whose column is at hand. */
export function hashId(hash: Hash64, ids: readonly string[], row: number): boolean {
  const id = ids[row]!
  if (id === '') return false
  hash.ofText(id)
  return true
}

/** 32 bits of an id, never 0 for one that is there. */
export function idKey(hash: Hash64, id: string): number {
  return id === '' ? 0 : hash.ofText(id).lo || 1
}
