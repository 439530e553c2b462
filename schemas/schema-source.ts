import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { WeirError } from './errors.ts'

/** The record types on the wire, with the ids they have where no registry hands out others. */
export const WIRE_TYPES = {
  transaction: 1,
  label: 2,
  decision: 3,
  alert: 4,
  'dead-letter': 5,
  'journal-line': 6,
} as const
export type WireTypeName = keyof typeof WIRE_TYPES

/** Where schemas come from: Weir's own, and those of writers by id. */
export interface SchemaSource {
  /** JSON text of one of Weir's own schemas, and the id under which it is written. */
  own(name: WireTypeName): { readonly id: number; readonly json: string }
  /** JSON text of a writer's schema; null when there definitely is no such id. */
  byId(id: number): string | null
}

/**
 * Schemas from folders: Weir's own `<name>.avsc`, and other writers' as `<id>.avsc` in `writersFolder`, if there is one.
 *
 * @throws WeirError INPUT_NOT_FOUND when one of Weir's own is missing
 */
export function createFileSchemas(folder: string, writersFolder?: string): SchemaSource {
  const own = new Map<WireTypeName, string>()
  for (const name of Object.keys(WIRE_TYPES) as WireTypeName[]) {
    const file = join(folder, `${name}.avsc`)
    if (!existsSync(file)) throw new WeirError('INPUT_NOT_FOUND', `the schema ${name}.avsc is missing`, { where: file })
    own.set(name, readFileSync(file, 'utf8'))
  }
  const writers = new Map<number, string>(
    (Object.entries(WIRE_TYPES) as [WireTypeName, number][]).map(([name, id]) => [id, own.get(name)!]),
  )
  if (writersFolder !== undefined && existsSync(writersFolder)) {
    for (const entry of readdirSync(writersFolder)) {
      const match = /^(\d+)\.avsc$/.exec(entry)
      if (match) writers.set(Number(match[1]), readFileSync(join(writersFolder, entry), 'utf8'))
    }
  }
  return {
    own: (name) => ({ id: WIRE_TYPES[name], json: own.get(name)! }),
    byId: (id) => writers.get(id) ?? null,
  }
}
