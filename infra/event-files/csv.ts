import { pipeline } from 'node:stream'
import { parse } from 'csv-parse'
import { messageOf, WeirError } from '#schemas/errors.ts'
import { TEXT_FIELDS, type Transaction, TRANSACTION_DEFAULTS } from '#schemas/transaction.ts'
import type { ReadEvent } from './event-format.ts'
import { toEvent } from './json-lines.ts'
import type { EventSource } from './read-events.ts'

const BATCH_ROWS = 500
const ROW_BYTES_MAX = 1_048_576
const REQUIRED = ['transaction_id', 'event_time', 'card_id']
/** Columns whose cells are text even if they look like numbers. */
const TEXT_COLUMNS = new Set<string>([...TEXT_FIELDS, 'kind', 'channel', 'entry_mode', 'type', 'source'])
const NUMBER_COLUMNS = new Set(['event_time', 'known_at', 'amount', 'latitude', 'longitude', 'confidence'])
const BOOLEAN_COLUMNS = new Set(['recurring', 'fraud'])

/**
 * CSV with a header that names fields; an empty cell is a field that was not given. Maps are JSON in `attributes` and
 * `signals`, or columns such as `attributes.segment` and `signals.risk`.
 */
export async function* readCsv({ input, name }: EventSource): AsyncGenerator<readonly ReadEvent[]> {
  const rows = pipeline(
    input,
    parse({
      columns: (header: string[]) => checkHeader(header, name),
      bom: true,
      skip_empty_lines: true,
      max_record_size: ROW_BYTES_MAX,
      info: true,
    }),
    () => {
      // Whatever ends the stream comes out of the loop below.
    },
  )
  let events: ReadEvent[] = []
  try {
    for await (const { record, info } of rows as AsyncIterable<Parsed>) {
      events.push(toReadEvent(record, `line ${info.lines}`))
      if (events.length < BATCH_ROWS) continue
      yield events
      events = []
    }
  } catch (cause) {
    if (cause instanceof WeirError) throw cause
    throw unreadable(cause, name)
  }
  if (events.length > 0) yield events
}

/** The columns of transactions and of labels as they are written. */
export const TRANSACTION_COLUMNS = [
  'transaction_id',
  'event_time',
  'card_id',
  'amount',
  'currency',
  ...Object.keys(TRANSACTION_DEFAULTS),
] as const satisfies readonly string[]

export const LABEL_COLUMNS = [
  'transaction_id',
  'card_id',
  'merchant_id',
  'event_time',
  'fraud',
  'type',
  'source',
  'confidence',
  'known_at',
] as const

/** One line of CSV, newline included; what equals its default is left empty. */
export function csvLine(record: object, columns: readonly string[]): string {
  const values = record as Readonly<Record<string, unknown>>
  return `${columns.map((column) => cellOf(column, values[column])).join(',')}\n`
}

interface Parsed {
  readonly record: Readonly<Record<string, string>>
  readonly info: { readonly lines: number }
}

function checkHeader(header: readonly string[], name: string): string[] {
  const columns = header.map((column) => column.trim())
  const missing = REQUIRED.filter((column) => !columns.includes(column))
  if (missing.length > 0) {
    throw new WeirError('INPUT_INVALID', `the header lacks ${missing.join(' and ')}`, {
      where: `${name} line 1`,
      fix: 'The first line names the fields, as in schemas/transaction.ts.',
    })
  }
  const twice = columns.find((column, i) => columns.indexOf(column) < i)
  if (twice !== undefined) {
    throw new WeirError('INPUT_INVALID', `the header names ${twice} twice`, {
      where: `${name} line 1`,
      fix: 'Remove one.',
    })
  }
  return columns
}

/** A row with too few or too many cells, or a quote that never ends: the rest of the file has lost its meaning. */
function unreadable(cause: unknown, name: string): WeirError {
  const { lines, code } = cause as { readonly lines?: number; readonly code?: string }
  const what = code === undefined ? messageOf(cause) : (PROBLEMS[code] ?? 'the file cannot be read as CSV')
  return new WeirError('INPUT_INVALID', what, {
    where: lines === undefined ? name : `${name} line ${lines}`,
    fix: 'Correct the line; fields with commas or quotes stand in double quotes.',
  })
}

const PROBLEMS: Readonly<Record<string, string>> = {
  CSV_RECORD_INCONSISTENT_COLUMNS: 'a line has another number of cells than the header',
  CSV_RECORD_INCONSISTENT_FIELDS_LENGTH: 'a line has another number of cells than the header',
  CSV_QUOTE_NOT_CLOSED: 'a quote is not closed',
  CSV_INVALID_CLOSING_QUOTE: 'something follows a closing quote',
  INVALID_OPENING_QUOTE: 'a quote stands in the middle of a cell',
  CSV_MAX_RECORD_SIZE: `a line is longer than ${ROW_BYTES_MAX} bytes`,
}

function toReadEvent(row: Readonly<Record<string, string>>, where: string): ReadEvent {
  const object: Record<string, unknown> = {}
  for (const [column, cell] of Object.entries(row)) {
    if (cell === '') continue
    const [map, key] = column.split(/\.(.*)/s) as [string, string?]
    if (key === undefined || (map !== 'attributes' && map !== 'signals')) object[column] = valueOf(column, cell)
    else object[map] = { ...(object[map] as object | undefined), [key]: map === 'signals' ? numberOf(cell) : cell }
  }
  // A label says what it was in `fraud`; the column of a file of transactions is left empty.
  return toEvent(object, where)
}

function valueOf(column: string, cell: string): unknown {
  if (TEXT_COLUMNS.has(column)) return cell
  if (NUMBER_COLUMNS.has(column)) return numberOf(cell)
  if (BOOLEAN_COLUMNS.has(column)) return BOOLEANS[cell.toLowerCase()] ?? cell
  if (column !== 'attributes' && column !== 'signals') return cell
  try {
    return JSON.parse(cell) as unknown
  } catch {
    return cell
  }
}

const BOOLEANS: Readonly<Record<string, boolean>> = { true: true, '1': true, false: false, '0': false }

/** What is no number stays text, so that the check of the field says so (a time may be ISO 8601). */
function numberOf(cell: string): unknown {
  const value = Number(cell)
  return cell.trim() === '' || Number.isNaN(value) ? cell : value
}

function cellOf(column: string, value: unknown): string {
  if (value === null || value === undefined || isDefault(column, value)) return ''
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

function isDefault(column: string, value: unknown): boolean {
  if (column === 'attributes' || column === 'signals') return Object.keys(value as object).length === 0
  return (TRANSACTION_DEFAULTS as Partial<Transaction>)[column as keyof Transaction] === value
}
