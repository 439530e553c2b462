import type { QueryAnswer, QueryRequest } from '#console/server/ports.ts'
import { type NamedQuery, readNamedQueries } from '#console/server/named-queries.ts'
import { assetPath } from '#infra/assets.ts'
import { findService } from '#infra/service-client.ts'
import { WeirError } from '#schemas/errors.ts'
import type { QueryOptions } from './commands/query.ts'
import type { CommandContext } from './context.ts'
import { formatTable } from './table.ts'

/** What answers questions about the tables: the running service, or the tables opened here. */
export interface Tables {
  /** @throws WeirError QUERY_INVALID, STORE_UNAVAILABLE */
  query(request: QueryRequest): Promise<QueryAnswer>
  close(): Promise<void>
}

export async function runQuery(
  context: CommandContext,
  named: string | undefined,
  options: QueryOptions,
): Promise<void> {
  const request = requestOf(named, options)
  if (request === null) {
    // They ship with the program, so nobody has to be asked.
    const queries = readNamedQueries(assetPath('console/server/queries'))
    const listed = queries.map(({ name, title, describe, params }) => ({ name, title, describe, params }))
    context.report({ queries: listed }, describeQueries(queries))
    return
  }
  const tables = await openTables(context)
  try {
    const answer = await tables.query(request)
    context.report(answer, describeAnswer(answer))
  } finally {
    await tables.close()
  }
}

function requestOf(name: string | undefined, { sql, param = {} }: QueryOptions): QueryRequest | null {
  if (sql !== undefined && name !== undefined) {
    throw new WeirError('USAGE', 'give the name of a query or --sql, not both', {
      fix: '`weir query` lists the names.',
    })
  }
  if (sql !== undefined && Object.keys(param).length > 0) {
    throw new WeirError('USAGE', '--param belongs to a named query, not to --sql', {
      fix: 'Write the values into the SQL.',
    })
  }
  if (sql !== undefined) return { sql }
  return name === undefined ? null : { name, params: param }
}

/** Embedded tables belong to one process at a time, so a running service is asked. */
async function openTables(context: CommandContext): Promise<Tables> {
  const service = await findService(context.config.dataFolder, { timeoutMs: QUERY_TIMEOUT_MS })
  if (service === null) {
    const { openLocalTables } = await import('./local-tables.ts')
    return await openLocalTables(context)
  }
  return {
    query: async (request) => (await service.post('/v1/query', request)) as QueryAnswer,
    close: async () => {},
  }
}

const QUERY_TIMEOUT_MS = 60_000

function describeQueries(queries: readonly NamedQuery[]): string {
  return queries
    .map(({ name, title, describe, params }) => {
      const lines = params.map(
        (param) => `    ${param.name}${param.preset === undefined ? '' : ` = ${param.preset}`}  ${param.describe}\n`,
      )
      return `${name}: ${title}\n    ${describe}\n${lines.join('')}`
    })
    .join('')
}

function describeAnswer({ columns, rows, truncated }: QueryAnswer): string {
  const names = columns.map(({ name }) => name)
  const table = formatTable(
    names,
    rows.map((row) => names.map((name) => row[name])),
  )
  const count = `${rows.length.toLocaleString('en')} row${rows.length === 1 ? '' : 's'}`
  return `${table}${count}${truncated ? ', and more that were cut off' : ''}\n`
}
