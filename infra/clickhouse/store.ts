/** Values bound to `{name:Type}` placeholders; never put into the SQL itself. */
export type QueryParams = Readonly<Record<string, unknown>>

export interface QueryResult {
  readonly columns: readonly { readonly name: string; readonly type: string }[]
  readonly rows: readonly Readonly<Record<string, unknown>>[]
  /** True when there were more rows than may be given back. */
  readonly truncated: boolean
}

/** ClickHouse, embedded or a server. */
export interface Store {
  /** One statement that changes something. */
  command(sql: string): Promise<void>
  /**
   * Inserts rows of tab-separated text as one block. The token makes a block that is sent again count once; '' for none.
   *
   * @throws WeirError STORE_FAILED, STORE_UNAVAILABLE; the outcome is then unknown: send the same again
   */
  insert(table: string, columns: readonly string[], tsv: string | Buffer, token: string): Promise<void>
  /** A query of Weir's own. */
  query(sql: string, params?: QueryParams): Promise<QueryResult>
  /**
   * A query of a person: it can read Weir's tables and nothing else, for a bounded time and number of rows.
   *
   * @throws WeirError QUERY_INVALID for what the query is, STORE_FAILED otherwise
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
  }
}
