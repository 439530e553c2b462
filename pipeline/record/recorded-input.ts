import type { Store } from '#infra/clickhouse/store.ts'
import type { Codec } from '#schemas/codec.ts'
import { WeirError } from '#schemas/errors.ts'
import type { Piece } from '#schemas/journal.ts'
import type { Label } from '#schemas/label.ts'
import { TEXT_FIELDS, type Transaction } from '#schemas/transaction.ts'
import { type InputSource, LogInput } from '../input-source.ts'
import type { Log, LogRecord } from '../ports.ts'
import { readProgress } from './progress.ts'

/** Rows asked for at once; a line has fewer. */
const ROWS_MAX = 20_000
const TRANSACTIONS = `
  SELECT line, \`index\`, input_hash, score,
    toUnixTimestamp64Milli(event_time) AS event_time, amount, kind, channel, entry_mode, latitude, longitude, recurring,
    attributes, signals, ${TEXT_FIELDS.join(', ')}
  FROM weir.scored_transactions FINAL WHERE line >= {line:UInt64} ORDER BY line, \`index\` LIMIT ${ROWS_MAX}`
const LABELS = `
  SELECT line, transaction_id, card_id, merchant_id, toUnixTimestamp64Milli(event_time) AS event_time, fraud, type, source,
    confidence, toUnixTimestamp64Milli(known_at) AS known_at
  FROM weir.labels FINAL WHERE line >= {line:UInt64} ORDER BY line, topic_partition, topic_offset LIMIT ${ROWS_MAX}`

/** What was noted of a decision. */
export interface NotedDecision {
  readonly line: number
  readonly input_hash: string
  readonly score: number | null
}

/**
 * The input as the tables hold it, which keep it longer than topics do: what was accepted through the line that they are
 * complete through, and from there on the log's own topics. Card numbers are replaced already.
 */
export class RecordedInput implements InputSource {
  /** The tables hold this line and those before it. */
  readonly completeLine: number
  /** Offset of the first decision in the log that is not in the tables; -1: not known. */
  readonly decisionsOffset: number
  private readonly codec: Codec
  private readonly labelsTopic: string
  private readonly transactions: TableReader
  private readonly labels: TableReader
  private readonly rest: LogInput
  private noted: NotedDecision[] = []

  private constructor(
    { store, codec, log, labelsTopic }: RecordedInputDeps,
    progress: { readonly line: number; readonly decisions_offset: number },
  ) {
    this.completeLine = progress.line
    this.decisionsOffset = progress.decisions_offset
    this.codec = codec
    this.labelsTopic = labelsTopic
    this.transactions = new TableReader(store, TRANSACTIONS)
    this.labels = new TableReader(store, LABELS)
    this.rest = new LogInput(log)
  }

  static async open(deps: RecordedInputDeps): Promise<RecordedInput> {
    return new RecordedInput(deps, await readProgress(deps.store))
  }

  holdsAll(line: number): boolean {
    return line > this.completeLine
  }

  async read(piece: Piece, line: number): Promise<readonly LogRecord[]> {
    if (this.holdsAll(line)) return await this.rest.read(piece)
    const isLabels = piece.topic === this.labelsTopic
    const rows = await (isLabels ? this.labels : this.transactions).take(line, piece.count)
    if (rows.length < piece.count) {
      throw new WeirError(
        'REPLAY_MISMATCH',
        `the journal says ${piece.count} records were accepted, the tables hold ${rows.length} of them`,
        {
          where: `journal line ${line}, ${piece.topic}/${piece.partition} offsets ${piece.first} to ${piece.last}`,
          fix: 'The tables are not those of this journal, or rows were deleted: restore them.',
        },
      )
    }
    return rows.map((row, i) => {
      if (!isLabels) this.noted.push(notedOf(row))
      const value = isLabels ? this.codec.label.encode(labelOf(row)) : this.codec.transaction.encode(transactionOf(row))
      return { topic: piece.topic, partition: piece.partition, offset: piece.first + i, key: null, value }
    })
  }

  /** Of the decisions whose events were read, the next one that was not asked for yet. */
  nextNoted(): NotedDecision | null {
    return this.noted.shift() ?? null
  }

  close(): void {
    this.rest.close()
  }
}

export interface RecordedInputDeps {
  readonly store: Store
  readonly codec: Codec
  /** For what the tables do not hold yet. */
  readonly log: Log
  readonly labelsTopic: string
}

type Row = Readonly<Record<string, unknown>>

/** Rows of a table in order of their line, some thousand at a time. */
class TableReader {
  private readonly store: Store
  private readonly sql: string
  private rows: readonly Row[] = []
  private at = 0
  /** Lines below this one were read. */
  private nextLine = 0

  constructor(store: Store, sql: string) {
    this.store = store
    this.sql = sql
  }

  /** The next `count` rows of a line, fewer where there are no more. */
  async take(line: number, count: number): Promise<readonly Row[]> {
    while (this.at < this.rows.length && lineOf(this.rows[this.at]!) < line) this.at++
    if (this.at === this.rows.length && line >= this.nextLine) await this.readFrom(line)
    const from = this.at
    while (this.at < this.rows.length && this.at - from < count && lineOf(this.rows[this.at]!) === line) this.at++
    return this.rows.slice(from, this.at)
  }

  private async readFrom(line: number): Promise<void> {
    const { rows } = await this.store.query(this.sql, { line })
    const last = rows.at(-1)
    this.at = 0
    this.rows = rows
    this.nextLine = last === undefined ? Number.POSITIVE_INFINITY : lineOf(last) + 1
    if (rows.length < ROWS_MAX) {
      this.nextLine = Number.POSITIVE_INFINITY
      return
    }
    // The last line may be cut off.
    this.nextLine = lineOf(last!)
    this.rows = rows.filter((row) => lineOf(row) < this.nextLine)
  }
}

function lineOf(row: Row): number {
  return Number(row['line'])
}

function notedOf(row: Row): NotedDecision {
  return { line: lineOf(row), input_hash: String(row['input_hash']), score: row['score'] as number | null }
}

function transactionOf(row: Row): Transaction {
  const numbers = { event_time: Number(row['event_time']), amount: Number(row['amount']) }
  return { ...row, ...numbers } as unknown as Transaction
}

function labelOf(row: Row): Label {
  return { ...row, event_time: Number(row['event_time']), known_at: Number(row['known_at']) } as unknown as Label
}
