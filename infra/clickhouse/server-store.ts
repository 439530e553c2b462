import { Readable } from 'node:stream'
import { type ClickHouseClient, createClient } from '@clickhouse/client'
import { WeirError } from '#schemas/errors.ts'
import { checkReadonly } from './readonly-gate.ts'
import { ANALYST_LIMITS, insertSettings, type QueryParams, type QueryResult, type Store } from './store.ts'
import { plainStoreError, storeError } from './store-errors.ts'

export interface ServerStoreOptions {
  readonly url: string
  readonly user: string
  readonly password: string
  readonly requestTimeoutMs: number
}

/** A ClickHouse server over HTTP. Rights and quotas of analysts are the server's; the limits here are a second belt. */
export async function openServerStore(options: ServerStoreOptions): Promise<Store> {
  const client = createClient({
    url: options.url,
    username: options.user,
    password: options.password,
    request_timeout: options.requestTimeoutMs,
  })
  const store = new ServerStore(client)
  await store.command('CREATE DATABASE IF NOT EXISTS weir')
  return store
}

class ServerStore implements Store {
  private readonly client: ClickHouseClient

  constructor(client: ClickHouseClient) {
    this.client = client
  }

  async command(sql: string): Promise<void> {
    await this.guarded(false, () => this.client.command({ query: sql }))
  }

  async insert(table: string, columns: readonly string[], tsv: string | Buffer, token: string): Promise<void> {
    await this.guarded(false, () =>
      this.client.insert({
        table,
        columns: columns as [string, ...string[]],
        values: Readable.from([typeof tsv === 'string' ? Buffer.from(tsv) : tsv], { objectMode: false }),
        format: 'TabSeparated',
        clickhouse_settings: insertSettings(token),
      }),
    )
  }

  query(sql: string, params: QueryParams = {}): Promise<QueryResult> {
    return this.read(sql, params, false, {})
  }

  async analystQuery(sql: string, params: QueryParams = {}): Promise<QueryResult> {
    checkReadonly(sql)
    return this.read(sql, params, true, {
      readonly: '1',
      max_result_rows: String(ANALYST_LIMITS.rowsMax + 1),
      result_overflow_mode: 'break',
      max_execution_time: ANALYST_LIMITS.executionSecondsMax,
      max_memory_usage: String(ANALYST_LIMITS.memoryBytesMax),
    })
  }

  async close(): Promise<void> {
    await this.client.close()
  }

  private async read(
    sql: string,
    params: QueryParams,
    isAnalyst: boolean,
    settings: Record<string, string | number>,
  ): Promise<QueryResult> {
    return this.guarded(isAnalyst, async () => {
      const result = await this.client.query({
        query: sql,
        query_params: { ...params },
        format: 'JSONCompact',
        clickhouse_settings: settings,
      })
      const { meta, data } = await result.json<unknown[]>()
      const columns = (meta ?? []) as { name: string; type: string }[]
      const rowsMax = isAnalyst ? ANALYST_LIMITS.rowsMax : Number.POSITIVE_INFINITY
      const rows = data.slice(0, rowsMax).map((row) => Object.fromEntries(columns.map(({ name }, i) => [name, row[i]])))
      return { columns, rows, truncated: data.length > rowsMax }
    })
  }

  private async guarded<T>(isAnalyst: boolean, work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      const plain = plainStoreError(error)
      if (/^(ECONN|ETIMEDOUT|EHOST|ENOTFOUND)/.test(plain.code)) {
        throw new WeirError('STORE_UNAVAILABLE', `ClickHouse cannot be reached (${plain.code})`)
      }
      throw storeError(plain, isAnalyst)
    }
  }
}
