import type { Log, LogReader, LogRecord } from '../ports.ts'

const READ_ROWS = 2_048

/** One partition, read ahead. Offsets grow, and may leave some out. */
export class Stream {
  readonly topic: string
  readonly partition: number
  private readonly reader: LogReader
  private records: readonly LogRecord[] = []
  private at = 0

  constructor(log: Log, topic: string, partition: number) {
    this.topic = topic
    this.partition = partition
    this.reader = log.reader({ topic, partition, offset: 0 })
  }

  /** Where the next record is, or will be at the earliest. */
  get position(): number {
    return this.records[this.at]?.offset ?? this.reader.position
  }

  /** What was read ahead and comes next; undefined when that is used up, though there may be more. */
  get next(): LogRecord | undefined {
    return this.records[this.at]
  }

  /** The next record; null when there is none that is durable. */
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
    if (offset !== this.position) this.seek(offset)
  }

  close(): void {
    this.reader.close()
  }
}

/**
 * Moves to the first record for which `isBefore` says no; it says yes to none behind that one. By bisection over offsets:
 * reading at one that was left out gives the first record behind it.
 */
export async function seekFirst(log: Log, stream: Stream, isBefore: (value: Buffer) => boolean): Promise<void> {
  const range = (await log.ranges()).find(
    ({ topic, partition }) => topic === stream.topic && partition === stream.partition,
  )
  let low = range?.start ?? 0
  let high = range?.end ?? 0
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    stream.seek(middle)
    const record = await stream.peek()
    if (record !== null && isBefore(record.value!)) low = record.offset + 1
    else high = middle
  }
  stream.seek(low)
}
