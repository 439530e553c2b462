import type { Codec } from '#schemas/codec.ts'
import { WeirError } from '#schemas/errors.ts'
import type { Control, ControlType, JournalLine } from '#schemas/journal.ts'
import { LABEL } from '#schemas/event-columns.ts'
import type { Path } from './assemble.ts'
import type { CommitUnit } from './commit.ts'
import type { Consumer } from './consume.ts'
import { DeadLetterLimit } from './dead-letters.ts'
import type { Waiter } from './intake.ts'
import type { Positions } from './journal.ts'
import type { Clock, Log, Metrics, RecordToAppend } from './ports.ts'
import { ACCEPTED, type Explained, REJECTED, REPEATED, type SliceBuffers } from './slice.ts'
import type { Topics } from './topics.ts'

export interface EngineDeps {
  readonly path: Path
  readonly log: Log
  readonly codec: Codec
  readonly topics: Topics
  readonly consumer: Consumer
  readonly positions: Positions
  readonly slice: SliceBuffers
  readonly metrics: Metrics
  /** Stamps lines in `wall` mode and bounds how far ahead an event may lie in both. */
  readonly clock: Clock
  /** `wall`: a line's clock is the wall's; `stream`: the largest event time or known_at seen, so that a replayed past stays in its own time. */
  readonly clockMode: 'wall' | 'stream'
  readonly aheadMs: number
  readonly deadLettersInARowMax: number
  /** Makes a control line's cause effective, here and, when a journal is followed, there. */
  readonly applyControl: (control: Control) => Promise<void>
  /** An idle process writes an empty line after this long, so that what came last is not kept from the tables. */
  readonly heartbeatMs: number
  /** An empty line also when there is nothing to be closed: others stand by and listen for signs of life. */
  readonly isWatched: boolean
  /**
   * A unit becomes visible whole or not at all. Where it does not, its journal line is made durable first and its outputs
   * afterwards: what a crash keeps from being sent is known, and sent again.
   */
  readonly isAtomic: boolean
  /** After the own term is durable and before anything is decided under it. */
  readonly onTerm: () => Promise<void>
  /** Told when the disk is found full, and when there is room again; meanwhile the same bytes are tried again. */
  readonly onDiskFull: (isFull: boolean) => void
  /** Told how long a slice took from being taken to being durable, milliseconds. */
  readonly onDurable: (ms: number) => void
  /** Sees every finished slice while its commit is under way; its buffers are reused afterwards. */
  readonly onSlice: (line: JournalLine, slice: Explained) => void
  /** Between two slices, when nothing is half done: checkpoints are stepped here. */
  readonly betweenSlices: (nextLine: number) => Promise<void> | void
}

interface PendingControl {
  /** Null: an empty line. */
  readonly control: Control | null
  readonly done: () => void
  readonly failed: (error: unknown) => void
}

/** How long a full disk is waited for between two tries of the same bytes. */
const DISK_FULL_RETRY_MS = 500
/** Spares an exception with its stack at every wait. */
const WOKEN = 'woken'

/**
 * Runs the path: one slice after the other, each committed as one unit together with its journal line. Where there is much
 * to do, the next slice is folded and scored while a commit becomes durable; its own commit waits, so lines stay in order.
 */
export class Engine {
  nextLine: number
  term: number
  clockMs: number
  private readonly deps: EngineDeps
  private readonly limit: DeadLetterLimit
  private readonly controls: PendingControl[] = []
  private wake: (() => void) | null = null
  private commit: Promise<void> = Promise.resolve()
  private failure: unknown = null
  /** Why no control can be taken any more; null while they can. */
  private over: unknown = null
  /** True while the newest line has input: an empty one should follow before the process goes to sleep. */
  private isTailOpen = false

  constructor(deps: EngineDeps, from: { readonly nextLine: number; readonly term: number; readonly clock: number }) {
    this.deps = deps
    this.limit = new DeadLetterLimit(deps.deadLettersInARowMax)
    this.nextLine = from.nextLine
    this.term = from.term
    this.clockMs = from.clock
  }

  /** Where a process that has stood by until now goes on. */
  startFrom(from: { readonly nextLine: number; readonly term: number; readonly clock: number }): void {
    this.nextLine = from.nextLine
    this.term = from.term
    this.clockMs = from.clock
  }

  /**
   * Takes the term, then works until the signal is aborted; the slice under way is finished and committed, and where
   * others stand by the term is given up, so that they need not wait.
   */
  async run(signal: AbortSignal, owner: string): Promise<void> {
    const { consumer } = this.deps
    this.term++
    await this.commitControl(termControl(this.term, owner))
    await this.deps.onTerm()
    try {
      while (!signal.aborted) {
        await this.takeControls()
        // A few events would be scored at once only to wait for the commit before theirs: then those that come meanwhile
        // go with them. Many are worth scoring while it is under way.
        if (!consumer.hasMany()) await this.commit
        if (this.failure !== null) throw this.failure
        if (await consumer.hasInput()) await this.runSlice()
        else await this.idle(signal)
        const pause = this.deps.betweenSlices(this.nextLine)
        if (pause !== undefined) await pause
      }
      await this.commit
      if (this.failure === null) await this.takeControls()
      if (this.failure === null) await this.commitEmpty()
      if (this.failure === null && this.deps.isWatched) await this.commitControl(termControl(this.term, null))
    } catch (error) {
      this.failure ??= error
    } finally {
      await this.commit.catch(() => {})
      this.refuseControls(this.failure ?? new WeirError('LOG_CLOSED', 'the path has stopped'))
    }
    if (this.failure !== null) throw this.failure
  }

  /** Puts an empty line behind what was decided so far, so that the recorder closes its block. */
  heartbeat(): Promise<void> {
    return this.queueControl(null)
  }

  /** Resolves when everything that was taken so far is durable. */
  async settled(): Promise<void> {
    await this.commit
  }

  /** Puts a cause into the journal between two slices; resolves when it is durable and in force. */
  control(type: ControlType, value: unknown, sha256 = ''): Promise<void> {
    return this.queueControl({ type, value: JSON.stringify(value), sha256 })
  }

  private queueControl(control: Control | null): Promise<void> {
    if (this.over !== null) return Promise.reject(this.over)
    return new Promise((done, failed) => {
      this.controls.push({ control, done, failed })
      this.wake?.()
    })
  }

  /** Nobody is left to take them. */
  private refuseControls(reason: unknown): void {
    this.over = reason
    for (const { failed } of this.controls.splice(0)) failed(reason)
  }

  private async idle(signal: AbortSignal): Promise<void> {
    await this.commit
    if (this.failure !== null) return
    const waiting = new AbortController()
    const wake = (): void => waiting.abort(WOKEN)
    const isDue = this.isTailOpen || this.deps.isWatched
    const timer = isDue ? setTimeout(wake, this.deps.heartbeatMs) : undefined
    const isQuiet = (): boolean => waiting.signal.aborted && !signal.aborted && this.controls.length === 0
    this.wake = wake
    signal.addEventListener('abort', wake)
    if (this.controls.length === 0 && !signal.aborted) await this.deps.consumer.arrival(waiting.signal)
    this.wake = null
    const isHeartbeat = isQuiet()
    clearTimeout(timer)
    signal.removeEventListener('abort', wake)
    wake()
    if (isHeartbeat && isDue) await this.appendLine(null)
  }

  private async runSlice(): Promise<void> {
    const { path, consumer, clock, clockMode, aheadMs, slice: buffers, metrics } = this.deps
    const startedMs = performance.now()
    const wallMs = clock.now()
    buffers.line = this.nextLine
    buffers.clock = clockMode === 'wall' ? Math.max(this.clockMs, wallMs) : this.clockMs
    buffers.clockFollowsEvents = clockMode === 'stream'
    buffers.notAfterMs = Math.max(buffers.clock, wallMs) + aheadMs
    const slice = await consumer.fill(buffers)
    if (slice.count === 0) return
    const waiting = this.collectWaiters(slice)
    try {
      const explained = await path.run(slice)
      this.limit.check(slice)
      this.clockMs = slice.clock
      const unit = path.commit(explained, this.term)
      const answers = waiting.map(({ waiter, row }) => answerFor(waiter, explained, row, unit))
      const counts = countRows(explained)
      await this.commit
      if (this.failure !== null) throw this.failure
      this.nextLine++
      this.isTailOpen = true
      this.commit = this.append(unit.records)
        .then(() => {
          const ms = performance.now() - startedMs
          metrics.observe('weir_slice_seconds', ms / 1_000)
          this.deps.onDurable(ms)
          reportSlice(metrics, counts)
          for (const answer of answers) answer()
        })
        .catch((error: unknown) => {
          this.failure = error
          for (const { waiter } of waiting) waiter.fail(error)
        })
      this.deps.onSlice(unit.line, explained)
    } catch (error) {
      for (const { waiter } of waiting) waiter.fail(error)
      throw error
    }
  }

  private async takeControls(): Promise<void> {
    for (let pending = this.controls.shift(); pending !== undefined; pending = this.controls.shift()) {
      try {
        if (pending.control === null) await this.commitEmpty()
        else await this.commitControl(pending.control)
        pending.done()
      } catch (error) {
        pending.failed(error)
        if (!(error instanceof WeirError) || error.exitCode !== 2) throw error
      }
    }
  }

  /** In force only after it is durable: a crash in between leaves it to whoever follows the journal. */
  private async commitControl(control: Control): Promise<void> {
    await this.commit
    if (this.failure !== null) throw this.failure
    await this.appendLine(control)
    await this.deps.applyControl(control)
  }

  private async commitEmpty(): Promise<void> {
    await this.commit
    if (this.failure !== null) throw this.failure
    if (!this.isTailOpen) return
    await this.appendLine(null)
  }

  private async appendLine(control: Control | null): Promise<void> {
    const { codec, topics, clock, clockMode } = this.deps
    this.clockMs = clockMode === 'wall' ? Math.max(this.clockMs, clock.now()) : this.clockMs
    const line = { line: this.nextLine, term: this.term, clock: this.clockMs, pieces: [], control, alerts: 0 }
    await this.append([{ topic: topics.journal, partition: 0, key: null, value: codec.journalLine.encode(line) }])
    this.nextLine++
    this.isTailOpen = false
  }

  private async append(records: readonly RecordToAppend[]): Promise<void> {
    const { metrics, onDiskFull } = this.deps
    for (let wasFull = false; ; wasFull = true) {
      const startedMs = performance.now()
      try {
        await this.appendUnit(records)
        metrics.observe('weir_commit_seconds', (performance.now() - startedMs) / 1_000)
        if (wasFull) onDiskFull(false)
        return
      } catch (error) {
        if (!(error instanceof WeirError) || error.code !== 'LOG_DISK_FULL') throw error
        metrics.count('weir_log_disk_full_total')
        if (!wasFull) onDiskFull(true)
        await new Promise((resolve) => setTimeout(resolve, DISK_FULL_RETRY_MS))
      }
    }
  }

  private async appendUnit(records: readonly RecordToAppend[]): Promise<void> {
    const { log, isAtomic } = this.deps
    if (isAtomic || records.length === 1) {
      this.advance(records, await log.append(records))
      return
    }
    // The line stands last in its unit.
    const line = records.slice(-1)
    this.advance(line, await log.append(line))
    const outputs = records.slice(0, -1)
    this.advance(outputs, await log.append(outputs))
  }

  private advance(records: readonly RecordToAppend[], offsets: readonly number[]): void {
    this.deps.positions.advanceOver(this.deps.topics, records, offsets)
  }

  private collectWaiters(slice: SliceBuffers): { readonly waiter: Waiter; readonly row: number }[] {
    const waiting: { readonly waiter: Waiter; readonly row: number }[] = []
    for (let row = 0; row < slice.count; row++) {
      const waiter = this.deps.consumer.waiterOf(row)
      if (waiter !== null) waiting.push({ waiter, row })
    }
    return waiting
  }
}

/** Who decides from here on; `owner` null: nobody until another one takes the term. */
function termControl(term: number, owner: string | null): Control {
  return { type: 'term', value: JSON.stringify({ term, owner }), sha256: '' }
}

function answerFor(waiter: Waiter, slice: Explained, row: number, unit: CommitUnit): () => void {
  const rejection = slice.rejection[row]
  const decision = unit.decisionOf(row)
  const outcome =
    slice.outcome[row] === ACCEPTED ? 'accepted' : slice.outcome[row] === REPEATED ? 'repeated' : 'rejected'
  const settled = {
    outcome,
    decision: decision === undefined ? null : Buffer.from(decision),
    reason: rejection?.reason ?? '',
    field: rejection?.field ?? '',
    detail: rejection?.detail ?? '',
  } as const
  return () => waiter.settle(settled)
}

interface SliceCounts {
  transactions: number
  labels: number
  repeated: number
  readonly rejected: Map<string, number>
  readonly flagged: Map<string, number>
}

function countRows(slice: Explained): SliceCounts {
  const counts: SliceCounts = { transactions: 0, labels: 0, repeated: 0, rejected: new Map(), flagged: new Map() }
  const add = (map: Map<string, number>, key: string): void => void map.set(key, (map.get(key) ?? 0) + 1)
  for (let row = 0; row < slice.count; row++) {
    const outcome = slice.outcome[row]
    if (outcome === REJECTED) add(counts.rejected, slice.rejection[row]!.reason)
    else if (outcome === REPEATED) counts.repeated++
    else if (slice.events.kind[row] === LABEL) counts.labels++
    else counts.transactions++
  }
  for (const { verdict } of slice.alerts) add(counts.flagged, verdict)
  return counts
}

function reportSlice(metrics: Metrics, counts: SliceCounts): void {
  metrics.count('weir_events_total', counts.transactions)
  if (counts.labels > 0) metrics.count('weir_labels_total', counts.labels)
  if (counts.repeated > 0) metrics.count('weir_repeated_total', counts.repeated)
  for (const [reason, count] of counts.rejected) metrics.count('weir_dead_letters_total', count, { reason })
  for (const [verdict, count] of counts.flagged) metrics.count('weir_alerts_total', count, { verdict })
}
