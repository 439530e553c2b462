import type { LogReader, LogRecord } from '#infra/log/log.ts'
import { WeirError } from '#schemas/errors.ts'
import type { PartitionFeed } from './partition-feed.ts'

export interface KafkaReaderDeps {
  readonly feed: PartitionFeed
  /** One past the last record of the partition that this process has appended; 0 when none. */
  readonly ownEnd: () => number
  /** Aborted, with the reason, once the log is closed. */
  readonly closed: AbortSignal
  /** Room was made in the buffer. */
  readonly onTaken: () => void
  readonly onSeek: () => void
  readonly onClose: () => void
  readonly nowMs: () => number
}

/** Gives what was fetched; waits only where it is known that more is there. */
export class KafkaReader implements LogReader {
  private readonly deps: KafkaReaderDeps

  constructor(deps: KafkaReaderDeps) {
    this.deps = deps
  }

  get position(): number {
    return this.deps.feed.position
  }

  get isDry(): boolean {
    const { feed, closed } = this.deps
    return feed.isEmpty && feed.failure === null && !feed.isClosed && !closed.aborted && !this.isMoreKnown()
  }

  async read(max: number): Promise<readonly LogRecord[]> {
    const { feed, closed, onTaken, nowMs } = this.deps
    for (;;) {
      closed.throwIfAborted()
      if (feed.isClosed) throw new WeirError('LOG_CLOSED', 'the reader was closed')
      const records = feed.take(max)
      if (records.length > 0) {
        // A buffer that was full until now has not kept anybody waiting.
        feed.movedAtMs = nowMs()
        onTaken()
        return records
      }
      if (feed.failure !== null) throw feed.failure
      if (!this.isMoreKnown()) return []
      await feed.progress()
    }
  }

  seek(offset: number): void {
    this.deps.feed.seek(offset, this.deps.nowMs())
    this.deps.onSeek()
  }

  close(): void {
    this.deps.feed.close()
    this.deps.onClose()
  }

  private isMoreKnown(): boolean {
    const { feed, ownEnd } = this.deps
    return feed.stableEnd === null || feed.position < Math.max(feed.stableEnd, ownEnd())
  }
}
