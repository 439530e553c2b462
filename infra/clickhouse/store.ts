/** Values bound to `{name:Type}` placeholders; never put into the SQL itself. */
export type QueryParams = Readonly<Record<string, unknown>>

export interface QueryResult {
  readonly columns: readonly { readonly name: string; readonly type: string }[]
  readonly rows: readonly Readonly<Record<string, unknown>>[]
  /** True when there were more rows than may be given back. */
  readonly truncated: boolean
}

export type InsertFormat = 'TabSeparated' | 'RowBinaryWithNamesAndTypes'

/** ClickHouse, embedded or a server. */
export interface Store {
  /** Name of the cluster that its tables are spread over; none for one server or the embedded engine. */
  readonly cluster?: string
  /** Makes what tables need to be made in; absent where there is nothing to be made. */
  prepare?(): Promise<void>
  /** One statement that changes something. */
  command(sql: string): Promise<void>
  /**
   * Inserts rows as one block. The token makes a block that is sent again count once; '' for none.
   *
   * @param rows in `format`, tab-separated unless said otherwise; the parts of an array one after the other
   * @throws WeirError STORE_UNAVAILABLE, STORE_FAILED, STORE_FULL: whether the rows are there is then unknown, send the same
   *   again; STORE_REFUSED, STORE_MISMATCH: sending again will not help
   */
  insert(
    table: string,
    columns: readonly string[],
    rows: string | Buffer | readonly Buffer[],
    token: string,
    format?: InsertFormat,
  ): Promise<void>
  /** A query of Weir's own. */
  query(sql: string, params?: QueryParams): Promise<QueryResult>
  /**
   * A query of a person: it can read Weir's tables and nothing else, for a bounded time and number of rows.
   *
   * @throws WeirError QUERY_INVALID for what the query is, STORE_FAILED, STORE_UNAVAILABLE and others otherwise
   */
  analystQuery(sql: string, params?: QueryParams): Promise<QueryResult>
  close(): Promise<void>
}

export const ANALYST_LIMITS = { rowsMax: 10_000, executionSecondsMax: 20, memoryBytesMax: 2_000_000_000 } as const

/** Every insert says all of this, since defaults differ between versions of the engine and a setting left out may leak from an earlier call. */
export function insertSettings(token: string): Record<string, string | number> {
  return {
    insert_deduplication_token: token,
    insert_deduplicate: 1,
    deduplicate_blocks_in_dependent_materialized_views: 1,
    async_insert: 0,
    // Names and types before the rows are compared with the table.
    input_format_with_names_use_header: 1,
    input_format_with_types_use_header: 1,
  }
}

/** `INSERT INTO` with its columns; names are Weir's own, some of them words of SQL. */
export function insertInto(table: string, columns: readonly string[]): string {
  return `INSERT INTO ${table} (${columns.map((column) => `\`${column}\``).join(', ')})`
}

/** An answer in format JSONCompact. */
export function toResult(text: string, rowsMax: number): QueryResult {
  const { meta, data } = JSON.parse(text) as { meta: { name: string; type: string }[]; data: unknown[][] }
  const rows = data.slice(0, rowsMax).map((row) => Object.fromEntries(meta.map(({ name }, i) => [name, row[i]])))
  return { columns: meta, rows, truncated: data.length > rowsMax }
}
