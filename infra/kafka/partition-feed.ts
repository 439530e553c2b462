import type { LogRecord, TopicPartition } from '#infra/log/log.ts'
import type { WeirError } from '#schemas/errors.ts'
import { type OpenBatch, takeRecords } from './record-batch.ts'

/** What was fetched for one reader of one partition and not read yet; the fetcher fills it, the reader empties it. */
export class PartitionFeed implements TopicPartition {
  readonly topic: string
  readonly partition: number
  /** Next offset to read: behind the last record taken, or behind what was fetched and holds nothing visible. */
  position: number
  /** Next offset to fetch. */
  fetchOffset: number
  /** Stable end as of the last answer for this position; null until there was one. */
  stableEnd: number | null = null
  /** Counts seeks: an answer to a question asked before is thrown away. */
  epoch = 0
  /** Node that leads the partition; null while it is looked for. */
  node: number | null = null
  /** Monotonic milliseconds of the last answer that moved the position, or of the question while there was none. */
  movedAtMs: number
  failure: WeirError | null = null
  isClosed = false
  private readonly batches: OpenBatch[] = []
  private bufferedBytes = 0
  private waiting: (() => void)[] = []

  constructor({ topic, partition }: TopicPartition, offset: number, nowMs: number) {
    this.topic = topic
    this.partition = partition
    this.position = offset
    this.fetchOffset = offset
    this.movedAtMs = nowMs
  }

  get isEmpty(): boolean {
    return this.batches.length === 0
  }

  hasRoom(bytesMax: number): boolean {
    return this.bufferedBytes < bytesMax && this.failure === null
  }

  /** Takes in what a broker gave from `fetchOffset` on. True when there is something new to read. */
  accept(batches: readonly OpenBatch[], next: number, stableEnd: number, nowMs: number): boolean {
    const wasUnknown = this.stableEnd === null
    const hasMoved = next > this.fetchOffset
    for (const batch of batches) {
      this.batches.push(batch)
      this.bufferedBytes += batch.bytes.length
    }
    this.fetchOffset = next
    this.stableEnd = stableEnd
    if (this.batches.length === 0) this.position = next
    if (hasMoved) this.movedAtMs = nowMs
    if (hasMoved || wasUnknown) this.wake()
    return batches.length > 0
  }

  take(max: number): LogRecord[] {
    const records: LogRecord[] = []
    while (records.length < max) {
      const batch = this.batches[0]
      if (batch === undefined) break
      takeRecords(batch, this.position, max - records.length, this.topic, this.partition, records)
      const last = records.at(-1)
      if (last !== undefined) this.position = last.offset + 1
      if (batch.left > 0) continue
      this.batches.shift()
      this.bufferedBytes -= batch.bytes.length
      if (this.batches.length === 0) this.position = this.fetchOffset
    }
    return records
  }

  seek(offset: number, nowMs: number): void {
    this.batches.length = 0
    this.bufferedBytes = 0
    this.position = offset
    this.fetchOffset = offset
    this.stableEnd = null
    this.failure = null
    this.movedAtMs = nowMs
    this.epoch++
  }

  fail(error: WeirError): void {
    this.failure ??= error
    this.wake()
  }

  close(): void {
    this.isClosed = true
    this.epoch++
    this.batches.length = 0
    this.bufferedBytes = 0
    this.wake()
  }

  /** Resolves when something new is known of the partition. */
  progress(): Promise<void> {
    return new Promise((resolve) => {
      this.waiting.push(resolve)
    })
  }

  wake(): void {
    const waiting = this.waiting
    this.waiting = []
    for (const resolve of waiting) resolve()
  }
}
