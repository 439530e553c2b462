import { setTimeout as sleep } from 'node:timers/promises'
import { RowBuffer } from '#infra/clickhouse/row-binary.ts'
import type { Store } from '#infra/clickhouse/store.ts'
import type { Codec } from '#schemas/codec.ts'
import { WeirError } from '#schemas/errors.ts'
import type { JournalLine } from '#schemas/journal.ts'
import type { Label } from '#schemas/label.ts'
import { isVoid } from '../journal.ts'
import type { Log, Metrics } from '../ports.ts'
import type { Topics } from '../topics.ts'
import { type Block, BlockBuilder, type BlockLimits, blockToken } from './blocks.ts'
import { DecisionTranscoder } from './decision-transcoder.ts'
import { LineRecords, missing, type RowSink } from './line-records.ts'
import { findPlaces, notThisJournal, type Progress, readProgress } from './progress.ts'
import {
  columnNames,
  headerOf,
  type WrittenTable,
  writeAlert,
  writeControl,
  writeLabel,
  writeProgress,
} from './rows.ts'
import { Stream } from './stream.ts'

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
  /** Told when something begins to keep the recorder from going on, and with '' when it goes on. */
  readonly onProblem?: (problem: string) => void
  /** Told when everything that was committed is read, and whatever blocks it made are in the tables. */
  readonly onIdle?: () => void
}

const RETRY_MS_MIN = 100
const RETRY_MS_MAX = 10_000

/**
 * Fills ClickHouse from what was committed. A consumer like any other: the path does not wait for it, and when ClickHouse
 * is away it simply stops reading and catches up later. Topics are read by offsets that grow and may leave some out; what
 * belongs to a line is known from the line, and waited for where a log makes it visible later.
 */
export class Recorder {
  /** Every table is complete through this journal line; -1: nothing yet. */
  completeLine = -1
  /** Nothing of the journal below this offset is needed any more. */
  journalOffset = 0
  /** Decisions sent since the start. */
  rowsRecorded = 0
  /** What keeps it from going on; empty while all is well. */
  problem = ''
  private readonly deps: RecorderDeps
  private readonly journal: Stream
  private readonly decisionStream: Stream
  private readonly alertStream: Stream
  private readonly decisions: LineRecords
  private readonly alerts: LineRecords
  private readonly labels = new Map<number, Stream>()
  private builder: BlockBuilder
  private seen = -1
  private wakes: (() => void)[] = []
  private nextLine = 0
  private waited = { topic: '', line: -1, sinceMs: 0 }
  private hasEnded = false

  constructor(deps: RecorderDeps) {
    this.deps = deps
    const { log, topics, codec } = deps
    this.builder = new BlockBuilder(deps.limits)
    this.journal = new Stream(log, topics.journal, 0)
    this.decisionStream = new Stream(log, topics.decisions, 0)
    this.alertStream = new Stream(log, topics.alerts, 0)
    const builder = (): BlockBuilder => this.builder
    this.decisions = new LineRecords(this.decisionStream, decisionSink(builder, codec))
    this.alerts = new LineRecords(this.alertStream, alertSink(builder, codec))
  }

  /**
   * Works until the signal is aborted; the block that is on its way then is finished.
   *
   * @throws WeirError of the log or the tables that no repetition mends
   */
  async run(signal: AbortSignal): Promise<void> {
    let sending: Promise<void> = Promise.resolve()
    try {
      if (!(await this.start(signal))) return
      while (!signal.aborted) {
        const record = await this.journal.peek()
        if (record === null) {
          await sending
          this.deps.onIdle?.()
          this.seen = await this.deps.log.changed(this.seen, signal)
          continue
        }
        const line = this.deps.codec.journalLine.decode(record.value!)
        this.journal.take()
        if (isVoid(line, this.nextLine)) continue
        this.checkFollows(line, record.offset)
        if (!(await this.addLine(line, signal))) break
        const block = this.builder.endLine(line)
        if (block === null) continue
        const progress = this.progressAfter(block)
        // The next block is built while this one is on its way; never two on their way, so progress says what is there.
        await sending
        if (signal.aborted) break
        sending = this.send(block, progress, signal)
        // A failure is reported when it is awaited.
        sending.catch(() => {})
      }
      await sending
    } finally {
      await sending.catch(() => {})
      for (const stream of [this.journal, this.decisionStream, this.alertStream, ...this.labels.values()])
        stream.close()
      this.hasEnded = true
      this.wakeAll()
    }
  }

  /** Resolves when everything through `line` is in ClickHouse, or on abort, or when the recorder has ended. */
  async reached(line: number, signal: AbortSignal): Promise<void> {
    while (this.completeLine < line && !signal.aborted && !this.hasEnded) {
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

  /** False when the signal came first. */
  private async start(signal: AbortSignal): Promise<boolean> {
    const { log, store, codec, limits } = this.deps
    const progress = await this.untilDone(signal, () => readProgress(store))
    if (progress === null) return false
    const { line, rows_max, clock_ms } = progress
    this.completeLine = line
    this.nextLine = line + 1
    this.wakeAll()
    const [journal, decisions, alerts] = [this.journal, this.decisionStream, this.alertStream]
    await findPlaces(log, codec, { journal, decisions, alerts }, progress)
    this.journalOffset = journal.position
    // The block that was on its way when the last recorder ended comes out the same, whatever was set since.
    this.builder =
      rows_max < 0 ? new BlockBuilder(limits) : new BlockBuilder(limits, { rowsMax: rows_max, clockMs: clock_ms })
    return true
  }

  /** Blocks would be other ones if a line were left out, and rows would be missing. */
  private checkFollows({ line }: JournalLine, offset: number): void {
    const { topic } = this.journal
    if (line === this.nextLine) {
      this.nextLine++
      return
    }
    const where = `${topic} offset ${offset}`
    if (this.nextLine > this.completeLine + 1) {
      throw new WeirError('LOG_DAMAGED', `journal line ${line} follows line ${this.nextLine - 1}`, {
        where,
        fix: 'Lines between them are gone, or two services wrote to this topic: restore the topic from a backup.',
      })
    }
    throw line > this.nextLine
      ? new WeirError(
          'LOG_POSITION_GONE',
          `the tables need journal line ${this.nextLine}, but the log now begins at line ${line}`,
          {
            where,
            fix: `Restore the tables from a backup, or go without those lines: INSERT INTO weir.recorder_progress (line, rows) VALUES (${line - 1}, 0).`,
          },
        )
      : notThisJournal(where, this.completeLine)
  }

  /** False when the signal came before everything was there. */
  private async addLine(line: JournalLine, signal: AbortSignal): Promise<boolean> {
    const { topics } = this.deps
    if (line.control !== null) {
      const open = this.builder.open('weir.control_lines')
      writeControl(open.buffer, line)
      open.rows++
    }
    if (line.pieces.length === 0) return true
    const labels = line.pieces.filter(({ topic }) => topic === topics.labels)
    const decided = line.pieces.reduce((sum, { topic, count }) => (topic === topics.labels ? sum : sum + count), 0)
    const more = (topic: string) => (): Promise<boolean> => this.more(topic, line.line, signal)
    if (!(await this.decisions.take(line.line, decided, more(topics.decisions)))) return false
    if (!(await this.alerts.take(line.line, line.alerts, more(topics.alerts)))) return false
    for (const piece of labels) if (!(await this.addLabels(line, piece, more(topics.labels)))) return false
    return true
  }

  private async addLabels(
    { line }: JournalLine,
    piece: JournalLine['pieces'][number],
    more: () => Promise<boolean>,
  ): Promise<boolean> {
    const { partition, first, last, rejected, repeated } = piece
    let stream = this.labels.get(partition)
    if (stream === undefined) {
      stream = new Stream(this.deps.log, piece.topic, partition)
      this.labels.set(partition, stream)
    }
    stream.seekForward(first)
    for (let offset = first - 1; offset < last; ) {
      const record = await stream.peek()
      if (record === null) {
        if (!(await more())) return false
        continue
      }
      offset = record.offset
      if (offset > last) break
      stream.take()
      if (rejected.includes(offset) || repeated.includes(offset)) continue
      const open = this.builder.open('weir.labels')
      const place = { line, topic_partition: partition, topic_offset: offset }
      writeLabel(open.buffer, this.deps.readLabel(record.value!), place)
      open.rows++
    }
    return true
  }

  /** Waits for records that the journal says are there; false when the signal came first. */
  private async more(topic: string, line: number, signal: AbortSignal): Promise<boolean> {
    const { log } = this.deps
    if (log.settleMs === 0) throw missing(topic, line)
    const nowMs = performance.now()
    if (this.waited.topic !== topic || this.waited.line !== line) this.waited = { topic, line, sinceMs: nowMs }
    // Most are there a moment later, which is nothing to tell of.
    const quietMs = Math.max(0, this.waited.sinceMs + log.settleMs - nowMs)
    const timer = setTimeout(() => this.note(`journal line ${line} still waits for its part of ${topic}`), quietMs)
    try {
      this.seen = await log.changed(this.seen, signal)
    } finally {
      clearTimeout(timer)
    }
    return !signal.aborted
  }

  private progressAfter(block: Block): Progress {
    return {
      line: block.lastLine,
      rows: block.rows,
      journal_offset: this.journal.position,
      decisions_offset: this.decisions.resumeOffset,
      alerts_offset: this.alerts.resumeOffset,
      rows_max: this.deps.limits.rowsMax,
      clock_ms: this.deps.limits.clockMs,
    }
  }

  private async send(block: Block, progress: Progress, signal: AbortSignal): Promise<void> {
    const { metrics } = this.deps
    for (const [table, { bytes }] of block.tables) {
      if (!(await this.insert(signal, table, bytes, blockToken(block, table)))) return
    }
    const row = new RowBuffer()
    writeProgress(row, progress)
    if (!(await this.insert(signal, 'weir.recorder_progress', row.done(), blockToken(block, 'progress')))) return
    this.completeLine = block.lastLine
    this.journalOffset = progress.journal_offset
    this.rowsRecorded += block.tables.get('weir.scored_transactions')?.rows ?? 0
    metrics.gauge('weir_recorder_complete_line', block.lastLine)
    metrics.count('weir_recorder_rows_total', block.rows)
    this.wakeAll()
  }

  private async insert(signal: AbortSignal, table: WrittenTable, bytes: Buffer, token: string): Promise<boolean> {
    const { store } = this.deps
    const done = await this.untilDone(signal, async () => {
      await store.insert(table, columnNames(table), [headerOf(table), bytes], token, 'RowBinaryWithNamesAndTypes')
      return true
    })
    return done === true
  }

  /** The same work again, with growing pauses, until it succeeds; null when the signal came first. */
  private async untilDone<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T | null> {
    for (let pauseMs = RETRY_MS_MIN; ; pauseMs = Math.min(RETRY_MS_MAX, pauseMs * 2)) {
      try {
        const result = await work()
        this.note('')
        return result
      } catch (error) {
        if (!(error instanceof WeirError) || !error.retryable) throw error
        this.note(error.message)
        this.deps.metrics.count('weir_recorder_retries_total')
        if (signal.aborted) return null
        await sleep(pauseMs, undefined, { signal }).catch(() => {})
      }
    }
  }

  private note(problem: string): void {
    if (problem === this.problem) return
    this.problem = problem
    this.deps.onProblem?.(problem)
  }

  private wakeAll(): void {
    for (const wake of this.wakes.splice(0)) wake()
  }
}

function decisionSink(builder: () => BlockBuilder, codec: Codec): RowSink {
  const transcoder = new DecisionTranscoder(codec)
  let open = builder().open('weir.scored_transactions')
  let before = 0
  return {
    get line() {
      return transcoder.line
    },
    get index() {
      return transcoder.index
    },
    write(value) {
      open = builder().open('weir.scored_transactions')
      before = open.buffer.length
      transcoder.write(value, open.buffer)
    },
    keep() {
      open.rows++
    },
    undo() {
      open.buffer.truncate(before)
    },
  }
}

function alertSink(builder: () => BlockBuilder, codec: Codec): RowSink {
  let open = builder().open('weir.alerts')
  let before = 0
  let place = { line: -1, index: -1 }
  return {
    get line() {
      return place.line
    },
    get index() {
      return place.index
    },
    write(value) {
      open = builder().open('weir.alerts')
      before = open.buffer.length
      const alert = codec.alert.decode(value)
      place = { line: alert.line, index: alert.index }
      writeAlert(open.buffer, alert)
    },
    keep() {
      open.rows++
    },
    undo() {
      open.buffer.truncate(before)
    },
  }
}
