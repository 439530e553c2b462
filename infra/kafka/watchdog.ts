import type { Logger } from '#infra/logger.ts'
import type { Metrics } from '#infra/metrics.ts'
import { type KafkaConnection, keyOf } from './connection.ts'
import type { Fetcher } from './fetcher.ts'
import { reasonOf } from './kafka-errors.ts'
import type { PartitionFeed } from './partition-feed.ts'

export interface WatchdogDeps {
  readonly fetchers: () => Iterable<Fetcher>
  /** A connection that no fetch stands in the way of. */
  readonly connection: KafkaConnection
  readonly stuckAfterMs: number
  readonly bufferBytesMax: number
  readonly logger: Logger
  readonly metrics: Metrics
  readonly nowMs: () => number
}

interface Suspect {
  readonly fetcher: Fetcher
  readonly feed: PartitionFeed
  readonly epoch: number
}

/**
 * Looks after readers that are silently stuck. A reader that has room and has not moved for a while is compared with
 * what the broker says of the partition's end over another connection; when there is more, the connection it waits on is
 * thrown away. A partition where nothing happens costs one small question each time.
 */
export class Watchdog {
  private readonly deps: WatchdogDeps
  private readonly timer: NodeJS.Timeout
  private isChecking = false

  constructor(deps: WatchdogDeps) {
    this.deps = deps
    this.timer = setInterval(() => void this.tick(), Math.max(1, deps.stuckAfterMs / 2))
    this.timer.unref()
  }

  stop(): void {
    clearInterval(this.timer)
  }

  private async tick(): Promise<void> {
    if (this.isChecking) return
    this.isChecking = true
    try {
      this.tellLag()
      await this.check(this.suspects())
    } catch (error) {
      this.deps.logger.debug({ reason: reasonOf(error) }, 'the ends of partitions could not be asked for')
    } finally {
      this.isChecking = false
    }
  }

  private suspects(): Suspect[] {
    const { fetchers, stuckAfterMs, bufferBytesMax, nowMs } = this.deps
    const suspects: Suspect[] = []
    for (const fetcher of fetchers()) {
      for (const feed of fetcher.openFeeds()) {
        if (feed.node === null || !feed.hasRoom(bufferBytesMax) || nowMs() - feed.movedAtMs < stuckAfterMs) continue
        suspects.push({ fetcher, feed, epoch: feed.epoch })
      }
    }
    return suspects
  }

  private async check(suspects: readonly Suspect[]): Promise<void> {
    const { connection, logger, metrics, nowMs } = this.deps
    if (suspects.length === 0) return
    const feeds = suspects.map(({ feed }) => feed)
    if (feeds.some((feed) => connection.leaderOf(feed) !== feed.node)) {
      connection.addTopics(feeds.map(({ topic }) => topic))
      await connection.refresh()
    }
    const ends = await connection.listOffsets(feeds, 'end')
    for (const { fetcher, feed, epoch } of suspects) {
      if (feed.epoch !== epoch) continue
      const end = ends.find(({ topic, partition }) => topic === feed.topic && partition === feed.partition)
      feed.movedAtMs = nowMs()
      if (end === undefined || end.errorCode !== 0 || end.offset <= feed.fetchOffset) continue
      logger.warn(
        { partition: keyOf(feed), position: feed.fetchOffset, end: end.offset, node: feed.node },
        'a reader was stuck: its connection is made anew',
      )
      metrics.count('weir_kafka_reader_restarts_total')
      fetcher.restart(feed, 'its reader was stuck')
    }
  }

  private tellLag(): void {
    const told = new Set<string>()
    for (const fetcher of this.deps.fetchers()) {
      for (const feed of fetcher.openFeeds()) {
        const key = keyOf(feed)
        if (feed.stableEnd === null || told.has(key)) continue
        told.add(key)
        const { topic, partition, stableEnd, position } = feed
        this.deps.metrics.gauge('weir_kafka_lag_records', Math.max(0, stableEnd - position), {
          topic,
          partition: String(partition),
        })
      }
    }
  }
}
