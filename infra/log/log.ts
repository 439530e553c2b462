/**
 * The log: named topics with partitions of immutable records in order. The journal says which of them were folded, in
 * which order. Three homes stand behind this interface (file, memory, Kafka) and one contract suite runs on all.
 */
export interface RecordToAppend {
  readonly topic: string
  readonly partition: number
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
}

export interface LogRecord {
  readonly topic: string
  readonly partition: number
  /** Grows in order from 0; dense but for the gaps that transaction markers leave in Kafka. */
  readonly offset: number
  readonly key: Buffer | null
  readonly value: Buffer | null
}

export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}

export interface PartitionRange extends TopicPartition {
  /** First offset still there. */
  readonly start: number
  /** One past the last durable (read-committed) record. */
  readonly end: number
}

/** Reads one partition in order; never past the durable end. */
export interface LogReader {
  /** Offset of the record that `read` gives next. */
  readonly position: number
  /** True where it is known without looking that `read` would give nothing now; a home that has to look leaves it out. */
  readonly isDry?: boolean
  /**
   * Up to `max` records that are durable now; empty when there are none. The array is the caller's; the buffers in it
   * are views that stay valid.
   *
   * @throws WeirError LOG_POSITION_GONE when retention has passed the position; never a silent reset
   */
  read(max: number): Promise<readonly LogRecord[]>
  seek(offset: number): void
  close(): void
}

export interface Log {
  /**
   * How long after one record of a unit could be read another one of it may still be missing, milliseconds: 0 where a
   * unit becomes visible at once.
   */
  readonly settleMs: number
  /**
   * Appends all records as one unit: after a crash either all of them are there or none. Resolves when they are
   * durable, with the offset each record was given. Units become durable in the order of the calls; several may be
   * under way.
   *
   * @throws WeirError LOG_DISK_FULL (nothing was written, try again), LOG_FSYNC_FAILED (fatal: outcome unknown),
   *   LOG_CLOSED
   */
  append(records: readonly RecordToAppend[]): Promise<readonly number[]>
  reader(from: TopicPartition & { readonly offset: number }): LogReader
  /** Every partition that exists, with its range. */
  ranges(): Promise<readonly PartitionRange[]>
  /** Resolves as soon as something was appended to any of the topics after `since` (a value it returned before), or on abort. */
  changed(since: number, signal: AbortSignal): Promise<number>
  /** Drops whole segments in which every record lies below these offsets and older than the retention. */
  retain(keepFrom: readonly (TopicPartition & { readonly offset: number })[]): Promise<void>
  close(): Promise<void>
}
