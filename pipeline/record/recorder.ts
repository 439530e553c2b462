import { setTimeout as sleep } from 'node:timers/promises'
import type { Store } from '#infra/clickhouse/store.ts'
import type { Codec } from '#schemas/codec.ts'
import { WeirError } from '#schemas/errors.ts'
import type { JournalLine } from '#schemas/journal.ts'
import type { Label } from '#schemas/label.ts'
import type { Log, LogReader, LogRecord, Metrics } from '../ports.ts'
import type { Topics } from '../topics.ts'
import { type Block, BlockBuilder, type BlockLimits, blockToken } from './blocks.ts'
import { alertRow, COLUMNS, controlRow, decisionRow, labelRow } from './rows.ts'

export interface RecorderDeps {
  readonly log: Log
  readonly store: Store
  readonly codec: Codec
  readonly topics: Topics
  readonly limits: BlockLimits
  readonly metrics: Metrics
  /**
   * A label as the path folded it: framed or JSON, card numbers replaced. The topic may hold what others wrote, so its
   * bytes are not fit for a table.
   */
  readonly readLabel: (value: Buffer) => Label
}

/** Rows built before the event loop gets a turn: about a millisecond. */
const ROWS_A_TURN = 64
const READ_ROWS = 2_048
const RETRY_MS_MIN = 100
const RETRY_MS_MAX = 10_000

/**
 * Fills ClickHouse from what was committed. A consumer like any other: the path does not wait for it, and when ClickHouse
 * is away it simply stops reading and catches up later.
 */
export class Recorder {
  /** Every table is complete through this journal line; -1: nothing yet. */
  completeLine = -1
  /** Decisions sent since the start. */
  rowsRecorded = 0
  /** Why the last try failed; empty while all is well. */
  problem = ''
  private readonly deps: RecorderDeps
  private readonly builder: BlockBuilder
  private readonly journal: Stream
  private readonly decisions: Stream
  private readonly alerts: Stream
  private readonly labels = new Map<number, Stream>()
  private seen = -1
  private rowsThisTurn = 0

  constructor(deps: RecorderDeps) {
    this.deps = deps
    this.builder = new BlockBuilder(deps.limits)
    const stream = (topic: string): Stream => new Stream(deps.log, topic, 0)
    this.journal = stream(deps.topics.journal)
    this.decisions = stream(deps.topics.decisions)
    this.alerts = stream(deps.topics.alerts)
  }

  /** Works until the signal is aborted; what is under way is finished. */
  async run(signal: AbortSignal): Promise<void> {
    await this.findStart(signal)
    let sending: Promise<void> = Promise.resolve()
    while (!signal.aborted) {
      const record = await this.journal.peek()
      if (record === null) {
        await sending
        this.seen = await this.deps.log.changed(this.seen, signal)
        continue
      }
      this.journal.take()
      const line = this.deps.codec.journalLine.decode(record.value!)
      await this.addLine(line)
      const block = this.builder.endLine(line)
      if (block === null) continue
      // The next block is built while this one is on its way; never two on their way, so progress says what is there.
      await sending
      sending = this.send(block, signal)
      // A failure is reported when it is awaited.
      sending.catch(() => {})
    }
    await sending
    this.close()
  }

  /** Resolves when everything through `line` is in ClickHouse, or on abort. */
  async reached(line: number, signal: AbortSignal): Promise<void> {
    while (this.completeLine < line && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          signal.removeEventListener('abort', wake)
          resolve()
        }
        this.wakes.push(wake)
        signal.addEventListener('abort', wake)
      })
    }
  }

  private wakes: (() => void)[] = []

  private async findStart(signal: AbortSignal): Promise<void> {
    const progress = await this.untilDone(signal, async () => {
      const { rows } = await this.deps.store.query('SELECT max(line) AS line, count() AS n FROM weir.recorder_progress')
      return Number(rows[0]!['n']) === 0 ? -1 : Number(rows[0]!['line'])
    })
    this.completeLine = progress ?? -1
    this.journal.seek(this.completeLine + 1)
    await this.skipBefore(this.decisions, this.completeLine + 1, (value) => this.deps.codec.decision.decode(value).line)
    await this.skipBefore(this.alerts, this.completeLine + 1, (value) => this.deps.codec.alert.decode(value).line)
  }

  /** Moves to the first record of a line that is not recorded yet; offsets grow with lines, so by bisection. */
  private async skipBefore(stream: Stream, line: number, lineOf: (value: Buffer) => number): Promise<void> {
    const range = (await this.deps.log.ranges()).find(({ topic }) => topic === stream.topic)
    let low = range?.start ?? 0
    let high = range?.end ?? 0
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      stream.seek(middle)
      const record = await stream.peek()
      if (record !== null && lineOf(record.value!) < line) low = middle + 1
      else high = middle
    }
    stream.seek(low)
  }

  private async addLine(line: JournalLine): Promise<void> {
    const { codec, topics } = this.deps
    if (line.control !== null) this.builder.add('weir.control_lines', controlRow(line))
    if (line.pieces.length === 0) return
    for (let record = await this.decisions.peek(); record !== null; record = await this.decisions.peek()) {
      const decision = codec.decision.decode(record.value!)
      if (decision.line > line.line) break
      if (decision.line === line.line) this.builder.add('weir.scored_transactions', decisionRow(decision))
      this.decisions.take()
      if (++this.rowsThisTurn % ROWS_A_TURN === 0) await nextTurn()
    }
    for (let record = await this.alerts.peek(); record !== null; record = await this.alerts.peek()) {
      const alert = codec.alert.decode(record.value!)
      if (alert.line > line.line) break
      if (alert.line === line.line) this.builder.add('weir.alerts', alertRow(alert))
      this.alerts.take()
    }
    for (const piece of line.pieces) if (piece.topic === topics.labels) await this.addLabels(line, piece)
  }

  private async addLabels(line: JournalLine, piece: JournalLine['pieces'][number]): Promise<void> {
    let stream = this.labels.get(piece.partition)
    if (stream === undefined) {
      stream = new Stream(this.deps.log, piece.topic, piece.partition)
      this.labels.set(piece.partition, stream)
    }
    stream.seekForward(piece.first)
    for (
      let record = await stream.peek();
      record !== null && record.offset <= piece.last;
      record = await stream.peek()
    ) {
      stream.take()
      const isKept = !piece.rejected.includes(record.offset) && !piece.repeated.includes(record.offset)
      if (!isKept) continue
      const label = this.deps.readLabel(record.value!)
      this.builder.add('weir.labels', labelRow(label, line.line, piece.partition, record.offset))
    }
  }

  private async send(block: Block, signal: AbortSignal): Promise<void> {
    const { store, metrics } = this.deps
    for (const [table, { tsv }] of block.tables) {
      await this.untilDone(signal, () => store.insert(table, COLUMNS[table], tsv, blockToken(block, table)))
    }
    const done = await this.untilDone(signal, async () => {
      const row = `${block.lastLine}\t${block.rows}\n`
      await store.insert('weir.recorder_progress', ['line', 'rows'], row, blockToken(block, 'progress'))
      return true
    })
    if (done === null) return
    this.completeLine = block.lastLine
    this.rowsRecorded += block.tables.get('weir.scored_transactions')?.rows ?? 0
    metrics.gauge('weir_recorder_complete_line', block.lastLine)
    metrics.count('weir_recorder_rows_total', block.rows)
    for (const wake of this.wakes.splice(0)) wake()
  }

  /** The same work again, with growing pauses, until it succeeds; null when the signal came first. */
  private async untilDone<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T | null> {
    for (let pauseMs = RETRY_MS_MIN; ; pauseMs = Math.min(RETRY_MS_MAX, pauseMs * 2)) {
      try {
        const result = await work()
        this.problem = ''
        return result
      } catch (error) {
        if (!(error instanceof WeirError) || !error.retryable) throw error
        this.problem = error.message
        this.deps.metrics.count('weir_recorder_retries_total')
        if (signal.aborted) return null
        await sleep(pauseMs, undefined, { signal }).catch(() => {})
      }
    }
  }

  private close(): void {
    for (const stream of [this.journal, this.decisions, this.alerts, ...this.labels.values()]) stream.close()
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** One partition, read ahead. */
class Stream {
  readonly topic: string
  private readonly reader: LogReader
  private records: readonly LogRecord[] = []
  private at = 0

  constructor(log: Log, topic: string, partition: number) {
    this.topic = topic
    this.reader = log.reader({ topic, partition, offset: 0 })
  }

  async peek(): Promise<LogRecord | null> {
    if (this.at >= this.records.length) {
      this.records = await this.reader.read(READ_ROWS)
      this.at = 0
    }
    return this.records[this.at] ?? null
  }

  take(): void {
    this.at++
  }

  seek(offset: number): void {
    this.reader.seek(offset)
    this.records = []
    this.at = 0
  }

  seekForward(offset: number): void {
    const next = this.records[this.at]?.offset ?? this.reader.position
    if (offset !== next) this.seek(offset)
  }

  close(): void {
    this.reader.close()
  }
}
