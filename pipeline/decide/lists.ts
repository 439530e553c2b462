import { readFileSync } from 'node:fs'
import { parse } from 'yaml'
import { z } from 'zod'
import { maskCardNumbers } from '#schemas/card-number.ts'
import { messageOf, WeirError } from '#schemas/errors.ts'
import { TEXT_FIELDS, type TextField } from '#schemas/transaction.ts'
import { NO_HITS, type SliceBuffers } from '../slice.ts'

const entryShape = z.strictObject({
  /** block declines, allow approves, watch reviews; any other name is for rules: `merchant_id in list("gift-cards")`. */
  list: z.string().regex(/^[a-z][a-z0-9-]{0,39}$/, 'use lower-case letters, digits and -'),
  field: z.enum(TEXT_FIELDS),
  value: z.string().min(1).max(128),
  reason: z.string().max(500).default(''),
  author: z.string().max(100).default(''),
  /** ISO date or time; absent: for ever. */
  expires: z.iso.datetime({ offset: true }).or(z.iso.date()).optional(),
})
export type ListEntry = z.infer<typeof entryShape>
const fileShape = z.strictObject({ entries: z.array(entryShape).max(1_000_000).default([]) })

const NO_ENTRIES: readonly FieldList[] = []
const DECIDING = ['block', 'allow', 'watch'] as const

interface FieldList {
  readonly field: TextField
  /** Value to the time it ends, epoch milliseconds. */
  readonly untilMs: Map<string, number>
  readonly hit: readonly string[]
}

/** Block, allow and watch lists by any field, and named lists for rules. A look-up costs one hash a field in use. */
export class Lists {
  readonly entries: readonly ListEntry[]
  private readonly deciding: ReadonlyMap<string, readonly FieldList[]>
  private readonly named: ReadonlyMap<string, readonly FieldList[]>

  constructor(entries: readonly ListEntry[]) {
    this.entries = entries
    this.deciding = new Map(DECIDING.map((list) => [list, byField(list, entries)]))
    const names = new Set(entries.map(({ list }) => list))
    this.named = new Map([...names].map((list) => [list, byField(list, entries)]))
  }

  get isEmpty(): boolean {
    return this.entries.length === 0
  }

  /** Membership in a named list at a time, epoch milliseconds, among the entries of one field; null: of any field. */
  contains(list: string, field: TextField | null, value: string, clock: number): boolean {
    for (const entries of this.named.get(list) ?? NO_ENTRIES) {
      if (field !== null && entries.field !== field) continue
      const until = entries.untilMs.get(value)
      if (until !== undefined && clock < until) return true
    }
    return false
  }

  /** Hits of a row in one of the deciding lists, as `block:card_id`; NO_HITS when there are none. */
  hits(list: (typeof DECIDING)[number], slice: SliceBuffers, row: number): readonly string[] {
    let hits = NO_HITS
    for (const { field, untilMs, hit } of this.deciding.get(list)!) {
      const until = untilMs.get(slice.events.text[field].at(row))
      if (until !== undefined && slice.clock < until) hits = hits === NO_HITS ? hit : [...hits, ...hit]
    }
    return hits
  }
}

export const NO_LISTS = new Lists([])

/**
 * @throws WeirError LISTS_INVALID naming file, entry and field
 */
export function loadLists(file: string): Lists {
  let input: unknown
  try {
    input = parse(readFileSync(file, 'utf8'))
  } catch (error) {
    throw new WeirError('LISTS_INVALID', `cannot be read: ${maskCardNumbers(messageOf(error).split('\n')[0]!)}`, {
      where: file,
    })
  }
  return parseLists(input ?? {}, file)
}

/**
 * Entries with their texts cleaned, as events are before they are looked up: a card number becomes its token.
 *
 * @throws WeirError LISTS_INVALID when a cleaned entry is no longer one
 */
export function cleanLists({ entries }: Lists, clean: (text: string) => string, where: string): Lists {
  const cleaned = entries.map((entry) => ({
    ...entry,
    value: clean(entry.value),
    reason: clean(entry.reason),
    author: clean(entry.author),
  }))
  return parseLists({ entries: cleaned }, where)
}

export function parseLists(input: unknown, where: string): Lists {
  const parsed = fileShape.safeParse(input)
  if (parsed.success) return new Lists(parsed.data.entries)
  const issue = parsed.error.issues[0]!
  throw new WeirError('LISTS_INVALID', `${maskCardNumbers(issue.path.join('.')) || '(file)'}: ${issue.message}`, {
    where,
    fix: 'An entry has list, field, value and, if wanted, reason, author and expires.',
  })
}

function byField(list: string, entries: readonly ListEntry[]): FieldList[] {
  const fields = new Map<TextField, FieldList>()
  for (const entry of entries) {
    if (entry.list !== list) continue
    const known = fields.get(entry.field) ?? { field: entry.field, untilMs: new Map(), hit: [`${list}:${entry.field}`] }
    known.untilMs.set(entry.value, entry.expires === undefined ? Number.POSITIVE_INFINITY : Date.parse(entry.expires))
    fields.set(entry.field, known)
  }
  return [...fields.values()]
}
