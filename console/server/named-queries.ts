import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { QueryResult, Store } from '#infra/clickhouse/store.ts'
import { closest } from '#schemas/closest.ts'
import { WeirError } from '#schemas/errors.ts'

export interface QueryParam {
  readonly name: string
  /** UInt32, String, Array(String) or Enum(a, b). */
  readonly type: string
  /** Undefined: it must be given. */
  readonly preset: string | undefined
  readonly describe: string
}

export interface NamedQuery {
  readonly name: string
  readonly title: string
  readonly describe: string
  readonly params: readonly QueryParam[]
  readonly sql: string
}

/** The analysts' queries: a SQL file each, whose head says what it is and which parameters it takes. */
export function readNamedQueries(folder: string): readonly NamedQuery[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith('.sql'))
    .sort()
    .map((file) => parseNamedQuery(file.replace(/\.sql$/, ''), readFileSync(join(folder, file), 'utf8')))
}

/**
 * Runs a named query; values are bound, never put into the SQL.
 *
 * @throws WeirError QUERY_INVALID naming the query or parameter and what is allowed
 */
export async function runNamedQuery(
  store: Store,
  queries: readonly NamedQuery[],
  name: string,
  given: Readonly<Record<string, unknown>>,
): Promise<QueryResult> {
  const query = queries.find((candidate) => candidate.name === name)
  if (query === undefined) {
    const near = closest(
      name,
      queries.map((candidate) => candidate.name),
    )
    throw new WeirError('QUERY_INVALID', `there is no query '${name}'`, {
      fix: near === null ? `There are ${queries.map((q) => q.name).join(', ')}.` : `Did you mean '${near}'?`,
    })
  }
  for (const key of Object.keys(given)) {
    if (query.params.some((param) => param.name === key)) continue
    const names = query.params.map((param) => param.name).join(', ')
    throw new WeirError('QUERY_INVALID', `${name} has no parameter '${key}'`, { fix: `It takes ${names}.` })
  }
  const params = Object.fromEntries(query.params.map((param) => [param.name, valueOf(query, param, given[param.name])]))
  return await store.analystQuery(query.sql, params)
}

function parseNamedQuery(name: string, text: string): NamedQuery {
  const head = (key: string): string => new RegExp(`^-- ${key}: (.*)$`, 'm').exec(text)?.[1] ?? ''
  const params = [...text.matchAll(/^-- param (\w+): ([^=|\n]+?)(?: = ([^|\n]*?))? \| (.*)$/gm)].map(
    ([, param, type, preset, describe]): QueryParam => ({ name: param!, type: type!, preset, describe: describe! }),
  )
  return { name, title: head('title'), describe: head('describe'), params, sql: text.replace(/^-- .*$/gm, '').trim() }
}

function valueOf(query: NamedQuery, param: QueryParam, given: unknown): unknown {
  const value = given ?? param.preset
  const refuse = (allowed: string): WeirError =>
    new WeirError('QUERY_INVALID', `parameter ${param.name} of ${query.name} must be ${allowed}`, {
      fix: param.describe,
    })
  if (value === undefined) throw refuse('given')
  const choices = /^Enum\((.*)\)$/.exec(param.type)?.[1]?.split(', ')
  if (choices !== undefined) {
    if (typeof value !== 'string' || !choices.includes(value)) throw refuse(`one of ${choices.join(', ')}`)
    return value
  }
  switch (param.type) {
    case 'UInt32': {
      const number = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value
      if (typeof number !== 'number' || !Number.isInteger(number) || number < 0 || number > 4_294_967_295)
        throw refuse('a whole number from 0')
      return number
    }
    case 'Array(String)': {
      const list = typeof value === 'string' ? value.replace(/^\[|\]$/g, '').split(',') : value
      if (!Array.isArray(list) || !list.every((item) => typeof item === 'string')) throw refuse('a list of texts')
      return list.map((item) => item.trim()).filter((item) => item !== '')
    }
    default:
      if (typeof value !== 'string') throw refuse('a text')
      return value
  }
}
