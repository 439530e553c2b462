import { type ClickHouseClient, createClient } from '@clickhouse/client'
import { createChdbConnection } from 'chdb/connection'
import { ANALYST_LIMITS, insertInto, insertSettings, type QueryResult, toResult } from './store.ts'
import { plainStoreError } from './store-errors.ts'
import type { ChildReply, ChildRequest } from './protocol.ts'

/**
 * The embedded engine's own process: it blocks for as long as an insert takes, and would take worker threads down with
 * it. One request after the other on each connection; writer, reader and analyst have their own, since settings of one
 * call stay with its connection.
 */
async function main(folder: string): Promise<void> {
  // An engine that outlives its parent would hold the folder's lock.
  process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'))
  // Loading the engine takes a while: the parent may have gone before anybody listened.
  if (!process.connected) process.kill(process.pid, 'SIGKILL')
  process.on('SIGINT', () => {})
  process.on('SIGTERM', () => {})

  // The two packages' types differ in nothing but how they write optional properties.
  const connect = (): ClickHouseClient =>
    createClient({ connection: createChdbConnection({ path: folder }) } as unknown as Parameters<
      typeof createClient
    >[0])
  const writer = connect()
  const reader = connect()
  const analyst = connect()
  await writer.command({ query: 'CREATE DATABASE IF NOT EXISTS weir' })
  await analyst.command({
    query: `SET max_result_rows = ${ANALYST_LIMITS.rowsMax + 1}, result_overflow_mode = 'break', max_execution_time = ${ANALYST_LIMITS.executionSecondsMax}, max_memory_usage = ${ANALYST_LIMITS.memoryBytesMax}, readonly = 1`,
  })

  const lanes = new Map<ClickHouseClient, Promise<unknown>>()
  /**
   * One after the other on each connection: its settings belong to one call at a time. What a failed statement had
   * already given out stays in the connection and would come first in the next answer, so it is read and thrown away.
   */
  function inTurn<T>(client: ClickHouseClient, work: () => Promise<T>): Promise<T> {
    const turn = (lanes.get(client) ?? Promise.resolve()).then(async () => {
      try {
        return await work()
      } catch (error) {
        await client.query({ query: 'SELECT 1', format: 'CSV' }).then(
          (rest) => rest.text(),
          () => '',
        )
        throw error
      }
    })
    lanes.set(
      client,
      turn.then(
        () => {},
        () => {},
      ),
    )
    return turn
  }

  async function answer(request: ChildRequest): Promise<QueryResult | null> {
    switch (request.op) {
      case 'command':
        await inTurn(writer, () => writer.command({ query: request.sql }))
        return null
      case 'insert':
        await inTurn(writer, () => writer.command({ query: insertFromFile(request) }))
        return null
      case 'query': {
        const client = request.access === 'analyst' ? analyst : reader
        const rowsMax = request.access === 'analyst' ? ANALYST_LIMITS.rowsMax : Number.POSITIVE_INFINITY
        return inTurn(client, async () => {
          const answer = await client.query({
            query: request.sql,
            query_params: { ...request.params },
            format: 'JSONCompact',
          })
          return toResult(await answer.text(), rowsMax)
        })
      }
    }
  }

  const reply = (message: ChildReply): void => {
    process.send?.(message)
  }
  process.on('message', (request: ChildRequest) => {
    answer(request).then(
      (result) => reply({ id: request.id, result }),
      (error: unknown) => reply({ id: request.id, error: plainStoreError(error) }),
    )
  })
  reply({ id: 0, result: null })
}

/** Settings in the statement hold for it alone; those of a call would stay with the connection. */
function insertFromFile({ table, columns, file, format, token }: ChildRequest & { readonly op: 'insert' }): string {
  const settings = Object.entries(insertSettings(token)).map(
    ([name, value]) => `${name} = ${typeof value === 'string' ? quoted(value) : value}`,
  )
  return `${insertInto(table, columns)} FROM INFILE ${quoted(file)} SETTINGS ${settings.join(', ')} FORMAT ${format}`
}

function quoted(text: string): string {
  return `'${text.replace(/[\\']/g, (char) => `\\${char}`)}'`
}

await main(process.argv[2]!)
