import type { Intake, Waiter } from './intake.ts'
import type { Positions } from './journal.ts'
import type { Clock, Log, LogReader, LogRecord } from './ports.ts'
import { ACCEPTED, type Received, reached, type SliceBuffers } from './slice.ts'

export interface ConsumeDeps {
  readonly log: Log
  /** Requests that get into the log by the commit of their slice. */
  readonly intake: Intake
  /** Who waits for a record that was read from the log; absent where nobody can. */
  readonly claim?: (topic: string, value: Buffer | null) => Waiter | null
  readonly positions: Positions
  readonly inputTopics: readonly string[]
  /** Partition that the intake's records get in the log; others read theirs from the log. Null: there is none. */
  readonly intakePartition: number | null
  /** Partitions are asked for at most so often: 0 where asking costs nothing. */
  readonly partitionsEveryMs: number
  readonly clock: Clock
  readonly peekTime: (topic: string, value: Buffer | null) => number
  readonly rowsMax: number
}

/** One partition of the log with the records that were read ahead. */
interface Source {
  readonly topic: string
  readonly partition: number
  readonly reader: LogReader
  records: readonly LogRecord[]
  at: number
}

/** A partition is left before this many rows only for a head that is older: short runs make long journal lines. */
const RUN_ROWS = 64
const READ_ROWS = 2_048
/** Scoring so many takes about as long as a commit. */
const MANY_ROWS = 512

/**
 * Cuts slices from what has arrived: always from the partition whose head happened first, without waiting for the
 * others. In catch-up that is close to the order of time; live it adds no latency.
 */
export class Consumer {
  private readonly deps: ConsumeDeps
  private readonly sources: Source[] = []
  private readonly waiters: (Waiter | null)[]
  private seen = 0
  private partitionsAtMs = Number.NEGATIVE_INFINITY

  constructor(deps: ConsumeDeps) {
    this.deps = deps
    this.waiters = new Array<Waiter | null>(deps.rowsMax).fill(null)
  }

  /** Who waits for row `row` of the slice that was filled last; null where nobody does. */
  waiterOf(row: number): Waiter | null {
    return this.waiters[row]!
  }

  /** Whether a good part of a slice is there, without looking for more. */
  hasMany(): boolean {
    let rows = this.deps.intake.length
    for (const source of this.sources) rows += source.records.length - source.at
    return rows >= MANY_ROWS
  }

  /** True when something can be taken now. */
  async hasInput(): Promise<boolean> {
    if (this.deps.intake.length > 0) return true
    await this.readAhead()
    return this.sources.some((source) => source.at < source.records.length)
  }

  /** Resolves when something may have arrived, or on abort; to be aborted in any case, since it may still wait elsewhere. */
  async arrival(signal: AbortSignal): Promise<void> {
    await Promise.race([
      this.deps.intake.arrival(signal),
      this.deps.log.changed(this.seen, signal).then((seen) => {
        this.seen = seen
      }),
    ])
  }

  /** Fills the slice with what is there, up to its capacity; nothing is awaited but the log's own reads. */
  async fill(slice: SliceBuffers): Promise<Received> {
    await this.readAhead()
    slice.count = 0
    const rowsMax = Math.min(slice.capacity, this.deps.rowsMax)
    while (slice.count < rowsMax) {
      const taken = this.takeRun(slice, rowsMax)
      if (taken === 0) break
    }
    return reached(slice)
  }

  close(): void {
    for (const source of this.sources) source.reader.close()
  }

  private takeRun(slice: SliceBuffers, rowsMax: number): number {
    let best: Source | null = null
    let bestTime = Number.POSITIVE_INFINITY
    let otherTime = Number.POSITIVE_INFINITY
    for (const source of this.sources) {
      const record = source.records[source.at]
      if (record === undefined) continue
      const time = this.deps.peekTime(record.topic, record.value)
      if (best === null || time < bestTime) {
        otherTime = best === null ? otherTime : bestTime
        best = source
        bestTime = time
      } else if (time < otherTime) {
        otherTime = time
      }
    }
    const queued = this.deps.intake.peek()
    if (queued !== undefined) {
      const time = this.deps.peekTime(queued.topic, queued.value)
      if (best === null || time < bestTime) return this.takeIntake(slice, rowsMax, best === null ? Infinity : bestTime)
      otherTime = Math.min(otherTime, time)
    }
    return best === null ? 0 : this.takeSource(best, slice, rowsMax, otherTime)
  }

  private takeSource(source: Source, slice: SliceBuffers, rowsMax: number, otherTime: number): number {
    let taken = 0
    while (slice.count < rowsMax) {
      const record = source.records[source.at]
      if (record === undefined) break
      if (taken >= RUN_ROWS && this.deps.peekTime(record.topic, record.value) > otherTime) break
      const waiter = this.deps.claim?.(record.topic, record.value) ?? null
      this.put(slice, record.topic, record.partition, record.offset, record.value, waiter)
      source.at++
      taken++
    }
    this.deps.positions.set(source.topic, source.partition, slice.offset[slice.count - 1]! + 1)
    return taken
  }

  private takeIntake(slice: SliceBuffers, rowsMax: number, otherTime: number): number {
    const { intake, positions } = this.deps
    const intakePartition = this.deps.intakePartition ?? 0
    let taken = 0
    for (let item = intake.peek(); item !== undefined && slice.count < rowsMax; item = intake.peek()) {
      if (taken >= RUN_ROWS && this.deps.peekTime(item.topic, item.value) > otherTime) break
      intake.shift()
      const offset = positions.of(item.topic, intakePartition)
      positions.set(item.topic, intakePartition, offset + 1)
      this.put(slice, item.topic, intakePartition, offset, item.value, item.waiter)
      taken++
    }
    return taken
  }

  private put(
    slice: SliceBuffers,
    topic: string,
    partition: number,
    offset: number,
    value: Buffer | null,
    waiter: Waiter | null,
  ): void {
    const row = slice.count++
    slice.topic[row] = topic
    slice.partition[row] = partition
    slice.offset[row] = offset
    slice.value[row] = value
    slice.outcome[row] = ACCEPTED
    slice.rejection[row] = null
    this.waiters[row] = waiter
  }

  /** Finds partitions that are new and fills every empty buffer once. */
  private async readAhead(): Promise<void> {
    if (this.sources.every((source) => source.at >= source.records.length)) await this.findPartitions()
    for (const source of this.sources) {
      if (source.at < source.records.length || source.reader.isDry === true) continue
      source.records = await source.reader.read(READ_ROWS)
      source.at = 0
    }
  }

  private async findPartitions(): Promise<void> {
    const { log, inputTopics, intakePartition, positions, clock, partitionsEveryMs } = this.deps
    const nowMs = clock.now()
    if (nowMs < this.partitionsAtMs + partitionsEveryMs) return
    this.partitionsAtMs = nowMs
    for (const { topic, partition, start } of await log.ranges()) {
      if (!inputTopics.includes(topic) || partition === intakePartition) continue
      if (this.sources.some((s) => s.topic === topic && s.partition === partition)) continue
      // A partition that this journal has never read begins where it begins; one that it has must still be there.
      const offset = positions.has(topic, partition) ? positions.of(topic, partition) : start
      this.sources.push({ topic, partition, reader: log.reader({ topic, partition, offset }), records: [], at: 0 })
    }
  }
}
