import {
  type Columns,
  type RowBuffer,
  rowBinaryHeader,
  type ValueWriter,
  valueWriter,
} from '#infra/clickhouse/row-binary.ts'
import type { Alert, Decision } from '#schemas/decision.ts'
import type { JournalLine } from '#schemas/journal.ts'
import type { Label } from '#schemas/label.ts'

const TEXT = 'String'
const WORD = 'LowCardinality(String)'
const WORDS = 'Array(LowCardinality(String))'
const TIME = "DateTime64(3, 'UTC')"

/**
 * Columns of each table, in the order in which rows are written; the tables themselves stand in schemas/clickhouse. Those of a
 * decision follow the order of its fields on the wire, so that they can be copied one after the other.
 */
export const COLUMNS = {
  'weir.scored_transactions': {
    transaction_id: TEXT, event_time: TIME, card_id: TEXT, amount: 'Int64', currency: WORD, kind: WORD,
    original_id: TEXT, account_id: TEXT, merchant_id: TEXT, terminal_id: TEXT, merchant_category: WORD, channel: WORD,
    entry_mode: WORD, country: WORD, merchant_country: WORD, latitude: 'Nullable(Float64)',
    longitude: 'Nullable(Float64)', device_id: TEXT, ip_prefix: TEXT, email_hash: TEXT, bin: WORD, avs: WORD, cvv: WORD,
    three_ds: WORD, recurring: 'Bool', response_code: WORD, attributes: 'Map(LowCardinality(String), String)',
    signals: 'Map(LowCardinality(String), Float64)', line: 'UInt64', index: 'UInt32', amount_base: 'Int64',
    score: 'Nullable(Float32)', threshold: 'Nullable(Float32)', verdict: WORD, rule_hits: WORDS, shadow_hits: WORDS,
    list_hits: WORDS, model_version: WORD, rules_version: WORD, spec_hash: WORD, input_hash: TEXT, degraded: WORD,
    explored: 'Nullable(Float32)', scored_at: TIME,
  },
  'weir.alerts': {
    alert_id: TEXT, open_alert_id: TEXT, incident_id: TEXT, line: 'UInt64', index: 'UInt32', transaction_id: TEXT,
    event_time: TIME, card_id: TEXT, account_id: TEXT, merchant_id: TEXT, device_id: TEXT, ip_prefix: TEXT,
    amount_base: 'Int64', score: 'Nullable(Float32)', threshold: 'Nullable(Float32)', verdict: WORD,
    expected_loss: 'Float64', reason_sources: WORDS, reason_codes: WORDS, reason_texts: 'Array(String)',
    reason_weights: 'Array(Float64)', explained: 'Bool', history: TEXT, history_length: 'UInt8', current: TEXT,
    model_version: WORD, rules_version: WORD, spec_hash: WORD, scored_at: TIME,
  },
  'weir.labels': {
    line: 'UInt64', topic_partition: 'UInt32', topic_offset: 'UInt64', transaction_id: TEXT, card_id: TEXT,
    merchant_id: TEXT, event_time: TIME, fraud: 'Bool', type: WORD, source: WORD, confidence: 'Float64', known_at: TIME,
  },
  'weir.control_lines': { line: 'UInt64', term: 'UInt64', clock: TIME, type: WORD, value: TEXT, sha256: TEXT },
  'weir.recorder_progress': {
    line: 'UInt64', rows: 'UInt64', journal_offset: 'Int64', decisions_offset: 'Int64', alerts_offset: 'Int64',
    rows_max: 'Int64', clock_ms: 'Int64',
  },
} as const satisfies Record<string, Columns> // biome-ignore format: tables
export type WrittenTable = keyof typeof COLUMNS
/** Tables that blocks of the journal go to. */
export type RecordedTable = Exclude<WrittenTable, 'weir.recorder_progress'>

type Row<Table extends WrittenTable> = Readonly<Record<keyof (typeof COLUMNS)[Table], unknown>>

interface Written {
  readonly names: readonly string[]
  readonly header: Buffer
  readonly fields: readonly (readonly [name: string, write: ValueWriter])[]
}

const WRITTEN: ReadonlyMap<WrittenTable, Written> = new Map(
  (Object.entries(COLUMNS) as [WrittenTable, Columns][]).map(([table, columns]) => [
    table,
    {
      names: Object.keys(columns),
      header: rowBinaryHeader(columns),
      fields: Object.entries(columns).map(([name, type]) => [name, valueWriter(type)] as const),
    },
  ]),
)

export function columnNames(table: WrittenTable): readonly string[] {
  return WRITTEN.get(table)!.names
}

/** What stands before a table's rows when they are sent. */
export function headerOf(table: WrittenTable): Buffer {
  return WRITTEN.get(table)!.header
}

export function writeDecision(rows: RowBuffer, { transaction, ...decided }: Decision): void {
  write(rows, 'weir.scored_transactions', { ...transaction, ...decided })
}

export function writeAlert(rows: RowBuffer, { reasons, history, current, ...alert }: Alert): void {
  write(rows, 'weir.alerts', {
    ...alert,
    reason_sources: reasons.map(({ source }) => source),
    reason_codes: reasons.map(({ code }) => code),
    reason_texts: reasons.map(({ text }) => text),
    reason_weights: reasons.map(({ weight }) => weight),
    history: history.toString('base64'),
    current: current.toString('base64'),
  })
}

/** A label and where it stood in its topic. */
export function writeLabel(
  rows: RowBuffer,
  label: Label,
  place: { readonly line: number; readonly topic_partition: number; readonly topic_offset: number },
): void {
  write(rows, 'weir.labels', { ...label, ...place })
}

export function writeControl(rows: RowBuffer, { line, term, clock, control }: JournalLine): void {
  write(rows, 'weir.control_lines', { line, term, clock, ...control! })
}

export function writeProgress(rows: RowBuffer, progress: Row<'weir.recorder_progress'>): void {
  write(rows, 'weir.recorder_progress', progress)
}

function write<Table extends WrittenTable>(rows: RowBuffer, table: Table, row: Row<Table>): void {
  const values = row as Readonly<Record<string, unknown>>
  for (const [name, writeValue] of WRITTEN.get(table)!.fields) writeValue(rows, values[name])
}
