import type { IncomingHttpHeaders } from 'node:http'
import { Readable } from 'node:stream'
import { ClickHouseLogLevel, type ClickHouseClient, createClient } from '@clickhouse/client'
import type { WeirError } from '#schemas/errors.ts'
import { clusterDatabases } from './cluster.ts'
import { checkReadonly } from './readonly-gate.ts'
import {
  ANALYST_LIMITS,
  type InsertFormat,
  insertInto,
  insertSettings,
  type QueryParams,
  type QueryResult,
  type Store,
  toResult,
} from './store.ts'
import { type PlainStoreError, plainStoreError, storeError } from './store-errors.ts'

export interface ServerUser {
  readonly user: string
  readonly password: string
}

export interface ServerStoreOptions extends ServerUser {
  /** http:// or https://, without user and password. */
  readonly url: string
  /** Authorities to trust, PEM; null: those that Node trusts. */
  readonly ca?: Buffer | null
  /** Who asks people's questions; null: `user`, held to reading by a setting of each query. */
  readonly reader?: ServerUser | null
  /** A request without a whole answer within this time has failed. */
  readonly requestTimeoutMs: number
  /** Name of the cluster that the tables are spread over; empty: one server. */
  readonly cluster?: string
}

type Settings = Readonly<Record<string, string | number>>

/** Statements that change tables may rewrite them. */
const COMMAND_PATIENCE = 10
/** Below what servers keep an idle connection for, so that none is used that the other side is closing. */
const IDLE_SOCKET_MS = 2_000
const CONNECTIONS_MAX = 8

/**
 * A ClickHouse server over HTTP. Rights and quotas of analysts are the server's (schemas/clickhouse/server/roles.sql); the
 * limits here are a second belt.
 * Nothing is asked of it yet: it may be away.
 */
export function openServerStore(options: ServerStoreOptions): Store {
  return new ServerStore(options)
}

class ServerStore implements Store {
  readonly cluster: string
  private readonly options: ServerStoreOptions
  private readonly client: ClickHouseClient
  private readonly reader: ClickHouseClient | null
  private readonly readSettings: Settings

  constructor(options: ServerStoreOptions) {
    this.options = options
    this.cluster = options.cluster ?? ''
    this.client = connect(options, options)
    const { reader = null } = options
    this.reader = reader === null ? null : connect(options, reader)
    // Tables of a cluster are asked on every shard; what one query needs of another is gathered once.
    const spread = this.cluster === '' ? {} : { distributed_product_mode: 'global' }
    // Numbers as numbers, as the embedded engine writes them.
    this.readSettings = { ...spread, output_format_json_quote_64bit_integers: 0 }
  }

  async prepare(): Promise<void> {
    const { rows } = await this.query("SELECT count() AS n FROM system.databases WHERE name = 'weir'")
    if (Number(rows[0]?.['n']) > 0) return
    const statements = this.cluster === '' ? ['CREATE DATABASE IF NOT EXISTS weir'] : clusterDatabases(this.cluster)
    for (const statement of statements) await this.command(statement)
  }

  async command(sql: string): Promise<void> {
    await this.ask({ sql, timeoutMs: this.options.requestTimeoutMs * COMMAND_PATIENCE })
  }

  async insert(
    table: string,
    columns: readonly string[],
    rows: string | Buffer | readonly Buffer[],
    token: string,
    format: InsertFormat = 'TabSeparated',
  ): Promise<void> {
    const parts = typeof rows === 'string' || Buffer.isBuffer(rows) ? [Buffer.from(rows)] : rows
    const spread = this.cluster === '' ? {} : { distributed_foreground_insert: 1 }
    await this.ask({
      sql: `${insertInto(table, columns)} FORMAT ${format}`,
      rows: parts,
      settings: { ...insertSettings(token), ...spread },
    })
  }

  async query(sql: string, params: QueryParams = {}): Promise<QueryResult> {
    return this.result(await this.ask({ sql: withFormat(sql), params, settings: this.readSettings }), null)
  }

  async analystQuery(sql: string, params: QueryParams = {}): Promise<QueryResult> {
    checkReadonly(sql)
    const settings = {
      ...this.readSettings,
      // A user who may only read is not allowed to say so once more.
      ...(this.reader === null ? { readonly: '1' } : {}),
      max_result_rows: String(ANALYST_LIMITS.rowsMax + 1),
      result_overflow_mode: 'break',
      max_execution_time: ANALYST_LIMITS.executionSecondsMax,
      max_memory_usage: String(ANALYST_LIMITS.memoryBytesMax),
    }
    const text = await this.ask({ sql: withFormat(sql), params, settings, isAnalyst: true })
    return this.result(text, ANALYST_LIMITS.rowsMax)
  }

  async close(): Promise<void> {
    await this.client.close()
    await this.reader?.close()
  }

  private result(text: string, rowsMax: number | null): QueryResult {
    try {
      return toResult(text, rowsMax ?? Number.POSITIVE_INFINITY)
    } catch {
      // The status was sent before the engine ran into something.
      throw this.error({ code: 'CUT_OFF', message: 'the answer ends in the middle' }, false)
    }
  }

  /** The answer's text. One way for all requests, so that every kind of failure is told the same way. */
  private async ask(request: {
    readonly sql: string
    readonly rows?: readonly Buffer[]
    readonly params?: QueryParams
    readonly settings?: Settings
    readonly isAnalyst?: boolean
    readonly timeoutMs?: number
  }): Promise<string> {
    const { sql, rows, params, settings = {}, isAnalyst = false } = request
    const timeoutMs = request.timeoutMs ?? this.options.requestTimeoutMs
    const client = isAnalyst ? (this.reader ?? this.client) : this.client
    const signal = AbortSignal.timeout(timeoutMs)
    let status: number
    let headers: IncomingHttpHeaders
    let text: string
    try {
      const answer = await client.exec({
        query: sql,
        ...(rows === undefined ? {} : { values: Readable.from(rows, { objectMode: false }) }),
        ...(params === undefined ? {} : { query_params: { ...params } }),
        // Held back until the statement is done, so that the status tells how it ended.
        clickhouse_settings: { ...settings, wait_end_of_query: 1 },
        abort_signal: signal,
        ignore_error_response: true,
      })
      status = answer.http_status_code ?? 200
      headers = answer.response_headers
      text = await textOf(answer.stream, signal)
    } catch (error) {
      const plain = signal.aborted
        ? { code: 'TIMEOUT', message: `no answer within ${timeoutMs / 1_000} s` }
        : transportError(error)
      throw this.error(plain, isAnalyst)
    }
    const failure = failureIn(status, headers, text)
    if (failure !== null) throw this.error(failure, isAnalyst)
    return text
  }

  private error(plain: PlainStoreError, isAnalyst: boolean): WeirError {
    return storeError(plain, isAnalyst, this.options.url)
  }
}

function connect(options: ServerStoreOptions, { user, password }: ServerUser): ClickHouseClient {
  const { ca = null } = options
  return createClient({
    url: options.url,
    username: user,
    password,
    // Between two signs of life of the server; each request has a time for the whole besides.
    request_timeout: options.requestTimeoutMs * COMMAND_PATIENCE,
    max_open_connections: CONNECTIONS_MAX,
    keep_alive: { enabled: true, idle_socket_ttl: IDLE_SOCKET_MS, eagerly_destroy_stale_sockets: true },
    application: 'weir',
    log: { level: ClickHouseLogLevel.OFF },
    ...(ca === null ? {} : { tls: { ca_cert: ca } }),
  })
}

/** Comments may end a query, so the format goes onto a line of its own. */
function withFormat(sql: string): string {
  return `${sql.replace(/[\s;]+$/, '')}\nFORMAT JSONCompact`
}

/** @throws Error when the answer is cut off */
async function textOf(stream: Readable, signal: AbortSignal): Promise<string> {
  const stop = (): void => {
    stream.destroy(new Error('took too long'))
  }
  signal.addEventListener('abort', stop)
  try {
    const chunks: Buffer[] = []
    for await (const chunk of stream) chunks.push(chunk as Buffer)
    return Buffer.concat(chunks).toString('utf8')
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

/** What the server, or somebody in front of it, says went wrong; null when nothing did. */
function failureIn(status: number, headers: IncomingHttpHeaders, text: string): PlainStoreError | null {
  const isException = headers['x-clickhouse-exception-code'] !== undefined
  if (status < 400 && !isException) return null
  const said = /Code: \d+\.\s*DB::Exception: (.+?)\s*\(([A-Z0-9_]{3,})\)/s.exec(text)
  // What is not the engine's own text comes from somebody else, and is not repeated.
  if (said === null) return { code: `HTTP_${status}`, message: `the answer has status ${status}` }
  return plainStoreError({ message: said[1], type: said[2] })
}

function transportError(error: unknown): PlainStoreError {
  const { code, message } = error as { readonly code?: unknown; readonly message?: unknown }
  if (typeof code === 'string' && code !== 'ERR_STREAM_PREMATURE_CLOSE') {
    return { code, message: code === 'ECONNRESET' ? 'the connection was cut' : 'the server cannot be reached' }
  }
  return {
    code: 'CUT_OFF',
    message: `the connection was cut${message === 'Timeout error.' ? ' after a long silence' : ''}`,
  }
}
