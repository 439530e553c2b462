import { maskCardNumbers } from '#schemas/card-number.ts'
import { WeirError } from '#schemas/errors.ts'

/** What crosses from the child: an engine's error code and the first sentence of its text, never the rows in its causes. */
export interface PlainStoreError {
  readonly code: string
  readonly message: string
}

/** Keeps code and position of an engine's error; the rest of it may quote rows. */
export function plainStoreError(error: unknown): PlainStoreError {
  const { code, type, message } = error as {
    readonly code?: unknown
    readonly type?: unknown
    readonly message?: unknown
  }
  const text = typeof message === 'string' ? message : 'unknown error'
  const safe = maskCardNumbers(
    text.split('\n')[0]!.replace(/'[^']*'/g, (quoted) => (quoted.length > 60 ? "'...'" : quoted)),
  )
  const name = typeof type === 'string' ? type : typeof code === 'string' ? code : 'ERROR'
  return { code: name, message: safe.slice(0, 400) }
}

/** Faults of the engine or the machine; anything else is about the query itself. */
const NOT_THE_QUERY = /^(MEMORY_LIMIT_EXCEEDED|NOT_ENOUGH_SPACE|CANNOT_|TOO_MANY_PARTS|NETWORK|ECONN)/

export function storeError(error: PlainStoreError, isAnalyst: boolean): WeirError {
  const message = `ClickHouse: ${error.message} (${error.code})`
  return isAnalyst && !NOT_THE_QUERY.test(error.code)
    ? new WeirError('QUERY_INVALID', message, { fix: 'Queries read weir.* only; see `weir query --help`.' })
    : new WeirError('STORE_FAILED', message)
}
