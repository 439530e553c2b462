import { maskCardNumbers } from '#schemas/card-number.ts'
import { type ErrorCode, WeirError } from '#schemas/errors.ts'

/** What is kept of an engine's error: its name and the first sentence of its text, never the rows in its causes. */
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

interface Kind {
  readonly names: RegExp
  readonly code: ErrorCode
  readonly fix: string
}

/** By the engine's name of an error, or the system's; what stands nowhere here is STORE_FAILED and worth another try. */
const KINDS: readonly Kind[] = [
  {
    names: /^(AUTHENTICATION_FAILED|REQUIRED_PASSWORD|WRONG_PASSWORD|UNKNOWN_USER|IP_ADDRESS_NOT_ALLOWED|HTTP_40[13])$/,
    code: 'STORE_REFUSED',
    fix: 'Correct clickhouse.user and its password.',
  },
  {
    names: /^(ACCESS_DENIED|READONLY)$/,
    code: 'STORE_REFUSED',
    fix: 'Grant the user the role weir_writer: schemas/clickhouse/server/roles.sql.',
  },
  {
    names: /^(CERT_|DEPTH_ZERO|UNABLE_TO_|SELF_SIGNED|ERR_TLS_|ERR_SSL_|EPROTO|HOSTNAME_MISMATCH)/,
    code: 'STORE_REFUSED',
    fix: "Name the authority that signed the server's certificate: clickhouse.caFile.",
  },
  {
    names:
      /^(UNKNOWN_TABLE|UNKNOWN_DATABASE|NO_SUCH_COLUMN_IN_TABLE|NUMBER_OF_COLUMNS_DOESNT_MATCH|TYPE_MISMATCH|INCORRECT_DATA|UNKNOWN_SETTING|UNKNOWN_FORMAT|HTTP_404)$/,
    code: 'STORE_MISMATCH',
    fix: 'Tables of this version of Weir are made at start: restart it, or restore what was dropped or changed.',
  },
  {
    names: /^(NOT_ENOUGH_SPACE|ENOSPC|EDQUOT)$/,
    code: 'STORE_FULL',
    fix: 'Free space for ClickHouse; Weir waits, goes on by itself, and loses nothing meanwhile.',
  },
  {
    names: /^(ECONN|ETIMEDOUT|EHOST|ENET|EPIPE|ENOTFOUND|EAI_|TIMEOUT$|CUT_OFF$|HTTP_(429|50[234])$)/,
    code: 'STORE_UNAVAILABLE',
    fix: '',
  },
]

/** Faults of the engine or the machine; anything else is about the query itself. */
const NOT_THE_QUERY = /^(MEMORY_LIMIT_EXCEEDED|CANNOT_|TOO_MANY_|NETWORK|HTTP_|ERROR$|KEEPER|NO_ZOOKEEPER|ALL_REPLICAS)/

/**
 * @param where the server's address or the folder
 * @param isAnalyst a person's query: most errors are then about what was asked
 */
export function storeError(error: PlainStoreError, isAnalyst: boolean, where = ''): WeirError {
  const message = `ClickHouse: ${error.message} (${error.code})`
  const name = isFullDisk(error) ? 'ENOSPC' : error.code
  const kind = KINDS.find(({ names }) => names.test(name))
  const isAnswer = kind === undefined ? !NOT_THE_QUERY.test(name) : ASKED.test(name)
  if (isAnalyst && isAnswer) {
    return new WeirError('QUERY_INVALID', message, { fix: 'Queries read weir.* only; see `weir query --help`.' })
  }
  if (kind === undefined) return new WeirError('STORE_FAILED', message, { where })
  return new WeirError(kind.code, message, { where, ...(kind.fix === '' ? {} : { fix: kind.fix }) })
}

/** What a person's own query runs into. */
const ASKED =
  /^(ACCESS_DENIED|READONLY|UNKNOWN_(TABLE|DATABASE|SETTING|FORMAT)|NO_SUCH_COLUMN_IN_TABLE|NUMBER_OF_COLUMNS_DOESNT_MATCH|TYPE_MISMATCH|INCORRECT_DATA)$/

/** A failed write is told with a general name and the system's text. */
function isFullDisk({ code, message }: PlainStoreError): boolean {
  return code.startsWith('CANNOT_') && /No space left on device|errno: 28\b|Disk quota exceeded/i.test(message)
}
