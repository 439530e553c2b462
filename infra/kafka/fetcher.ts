import { ChangeSignal } from '#infra/log/change-signal.ts'
import type { Logger } from '#infra/logger.ts'
import type { Metrics } from '#infra/metrics.ts'
import { WeirError } from '#schemas/errors.ts'
import { type KafkaConnection, keyOf, offsetIn } from './connection.ts'
import { type FetchedPartition, fetchRecords } from './fetch-protocol.ts'
import { CODE, KafkaError, lastingError, nameOfCode, positionGone, reasonOf, topicMissing } from './kafka-errors.ts'
import type { PartitionFeed } from './partition-feed.ts'
import { Patience } from './patience.ts'
import { type OpenBatch, readBatches } from './record-batch.ts'

export interface FetchLimits {
  /** A broker with nothing new waits this long for something. */
  readonly maxWaitMs: number
  /** One answer holds no more, but for a single batch that is larger. */
  readonly bytesMax: number
  readonly partitionBytesMax: number
  /** A reader's buffer is not filled further above this. */
  readonly bufferBytesMax: number
  /** A topic that brokers do not know for so long is gone. */
  readonly missingAfterMs: number
}

export interface FetcherDeps {
  readonly connection: KafkaConnection
  readonly limits: FetchLimits
  readonly logger: Logger
  readonly metrics: Metrics
  /** Something can be read that could not be before, or a reader has failed. */
  readonly onArrival: () => void
  /** Monotonic milliseconds. */
  readonly nowMs: () => number
}

/** Wrong checksums in a row that may be the network's fault; after these the batch is taken for damaged. */
const DAMAGED_TRIES = 3
const NOTHING: readonly OpenBatch[] = []

/**
 * Fetches for readers: one loop a broker, one request at a time, over all partitions that it leads and that have room.
 * A broker that is gone, a leader that moved, an answer that does not come: the connection is made anew and the leader
 * looked for, for ever. What no new try can mend fails the reader concerned, and only that one.
 */
export class Fetcher {
  private readonly deps: FetcherDeps
  private readonly feeds = new Set<PartitionFeed>()
  private readonly loops = new Map<number, Promise<void>>()
  private readonly patience = new Map<number, Patience>()
  private readonly damaged = new Map<PartitionFeed, number>()
  private readonly stirred = new ChangeSignal()
  private readonly stop = new AbortController()
  private readonly placePatience: Patience
  private placing: Promise<void> | null = null
  /** What is known of leaders was found wrong. */
  private isStale = false
  private turn = 0

  constructor(deps: FetcherDeps) {
    this.deps = deps
    this.placePatience = new Patience(deps.nowMs)
  }

  /** Some broker does not answer now. */
  get isAway(): boolean {
    return this.isStale || this.patience.size > 0
  }

  open(feed: PartitionFeed): void {
    this.feeds.add(feed)
    this.deps.connection.addTopics([feed.topic])
    this.place()
  }

  drop(feed: PartitionFeed): void {
    this.feeds.delete(feed)
    this.damaged.delete(feed)
    this.stirred.notify()
  }

  serves(topic: string, partition: number): boolean {
    for (const feed of this.feeds) if (feed.topic === topic && feed.partition === partition) return true
    return false
  }

  openFeeds(): Iterable<PartitionFeed> {
    return this.feeds
  }

  /** Room was made. */
  stir(): void {
    this.stirred.notify()
  }

  /** A reader was sought elsewhere, also one that had failed where it was. */
  resume(): void {
    this.stirred.notify()
    this.place()
  }

  /** Throws the connection that serves a reader away; the loop makes a new one. */
  restart(feed: PartitionFeed, reason: string): void {
    if (feed.node !== null) this.deps.connection.cut(feed.node, reason)
  }

  async close(): Promise<void> {
    this.stop.abort()
    this.stirred.notify()
    await this.deps.connection.close()
    await Promise.all([...this.loops.values(), this.placing])
  }

  /** Finds the leaders of readers that have none, as long as there are such. */
  private place(): void {
    this.placing ??= this.placeAll().finally(() => {
      this.placing = null
      if (!this.stop.signal.aborted && this.homeless().length > 0) this.place()
    })
  }

  private homeless(): PartitionFeed[] {
    return [...this.feeds].filter((feed) => feed.node === null && feed.failure === null)
  }

  private async placeAll(): Promise<void> {
    const { connection, logger } = this.deps
    const { signal } = this.stop
    const missingSince = new Map<PartitionFeed, number>()
    for (let round = 0; ; round++) {
      if (!this.isStale) this.settle()
      if (this.homeless().length === 0 || signal.aborted) return
      if (this.isStale || round > 0) await this.placePatience.wait(signal)
      try {
        await connection.refresh()
        this.isStale = false
      } catch (error) {
        if (signal.aborted) return
        this.isStale = true
        if (this.placePatience.isWorthTelling()) {
          logger.warn({ reason: reasonOf(error) }, 'no broker of the Kafka cluster answers; trying on')
        }
        continue
      }
      this.settle()
      for (const feed of this.homeless()) this.noteMissing(feed, missingSince)
    }
  }

  /** Gives readers to the loops of the nodes that lead their partitions, as far as they are known. */
  private settle(): void {
    for (const feed of this.homeless()) {
      feed.node = this.deps.connection.leaderOf(feed)
      if (feed.node !== null) this.runLoop(feed.node)
    }
    this.stirred.notify()
  }

  private noteMissing(feed: PartitionFeed, missingSince: Map<PartitionFeed, number>): void {
    const { connection, limits, nowMs } = this.deps
    const partitions = connection.partitionCount(feed.topic)
    if (partitions > feed.partition) {
      missingSince.delete(feed)
      return
    }
    const since = missingSince.get(feed) ?? nowMs()
    missingSince.set(feed, since)
    if (nowMs() - since < limits.missingAfterMs) return
    this.fail(feed, topicMissing(feed.topic, partitions === 0 ? undefined : feed.partition))
  }

  private runLoop(node: number): void {
    if (!this.loops.has(node) && !this.stop.signal.aborted) this.loops.set(node, this.loop(node))
  }

  /** Ends when no reader is left on the node; it takes itself off the list in the same turn, so that none is missed. */
  private async loop(node: number): Promise<void> {
    const { signal } = this.stop
    for (;;) {
      const seen = await this.stirred.after(-1, signal)
      const own = [...this.feeds].filter((feed) => feed.node === node)
      if (own.length === 0 || signal.aborted) {
        this.loops.delete(node)
        return
      }
      const ready = own.filter((feed) => feed.hasRoom(this.deps.limits.bufferBytesMax))
      if (ready.length === 0) {
        await this.stirred.after(seen, signal)
        continue
      }
      try {
        await this.patience.get(node)?.wait(signal)
        await this.fetchOnce(node, ready)
        this.patience.delete(node)
      } catch (error) {
        if (!signal.aborted) this.lose(node, error)
      }
    }
  }

  private async fetchOnce(node: number, ready: readonly PartitionFeed[]): Promise<void> {
    const { connection, limits } = this.deps
    const first = this.turn++ % ready.length
    const asked = [...ready.slice(first), ...ready.slice(0, first)].map((feed) => ({
      feed,
      epoch: feed.epoch,
      topic: feed.topic,
      partition: feed.partition,
      offset: feed.fetchOffset,
      bytesMax: limits.partitionBytesMax,
    }))
    // Whoever has not heard of a partition yet is told at once, even that there is nothing.
    const isNew = ready.some((feed) => feed.stableEnd === null)
    const maxWaitMs = isNew ? 0 : limits.maxWaitMs
    const broker = await connection.node(node)
    const answers = await fetchRecords(broker, asked, { maxWaitMs, bytesMax: limits.bytesMax })
    for (const answer of answers) {
      const question = asked.find((a) => a.topic === answer.topic && a.partition === answer.partition)
      if (question === undefined || question.feed.epoch !== question.epoch) continue
      await this.take(question.feed, question.epoch, question.offset, answer)
    }
  }

  private async take(feed: PartitionFeed, epoch: number, offset: number, answer: FetchedPartition): Promise<void> {
    if (answer.errorCode !== CODE.none) {
      await this.takeError(feed, epoch, offset, answer.errorCode)
      return
    }
    this.placePatience.reset()
    if (answer.records.length === 0) {
      // The rule, where many partitions are asked for at once.
      feed.accept(NOTHING, offset, answer.stableEnd, this.deps.nowMs())
      return
    }
    try {
      const { batches, next } = await readBatches(answer.records, offset, answer.aborted, keyOf(feed))
      if (feed.epoch !== epoch) return
      this.damaged.delete(feed)
      if (feed.accept(batches, next, answer.stableEnd, this.deps.nowMs())) this.deps.onArrival()
    } catch (error) {
      const failure =
        error instanceof WeirError ? error : new WeirError('LOG_DAMAGED', reasonOf(error), { cause: error })
      const tries = (this.damaged.get(feed) ?? 0) + 1
      this.damaged.set(feed, tries)
      if (failure.code !== 'LOG_DAMAGED' || tries >= DAMAGED_TRIES) this.fail(feed, failure)
    }
  }

  private async takeError(feed: PartitionFeed, epoch: number, offset: number, code: number): Promise<void> {
    const { logger } = this.deps
    if (code === CODE.offsetOutOfRange) {
      const failure = await this.explainOutOfRange(feed, offset)
      if (failure !== null && feed.epoch === epoch) this.fail(feed, failure)
      return
    }
    const lasting = lastingError(new KafkaError(code, 'fetching'), keyOf(feed))
    if (lasting !== null) {
      this.fail(feed, lasting)
      return
    }
    logger.debug({ partition: keyOf(feed), reason: nameOfCode(code) }, 'looking for the leader of a partition')
    feed.node = null
    this.isStale = true
    this.place()
  }

  /** Null when the position is in range after all. */
  private async explainOutOfRange(feed: PartitionFeed, offset: number): Promise<WeirError | null> {
    const { connection } = this.deps
    const [start, end] = await Promise.all(
      (['start', 'end'] as const).map(async (which) => (await connection.listOffsets([feed], which))[0]),
    )
    if (start === undefined || end === undefined) return null
    if (offset < offsetIn(start)) {
      return positionGone(feed.topic, feed.partition, offset, start.offset)
    }
    if (offset <= offsetIn(end)) return null
    return new WeirError(
      'LOG_POSITION_GONE',
      `offset ${offset} was read up to, but the log now ends at ${end.offset}`,
      {
        where: keyOf(feed),
        fix: 'Records that had been acknowledged are lost (unclean leader election), or the topic was made anew: restore it, or start with a new journal and data folder.',
      },
    )
  }

  private fail(feed: PartitionFeed, failure: WeirError): void {
    feed.fail(failure)
    this.deps.onArrival()
  }

  private lose(node: number, error: unknown): void {
    const { connection, logger, metrics, nowMs } = this.deps
    const patience = this.patience.get(node) ?? new Patience(nowMs)
    this.patience.set(node, patience)
    if (patience.isWorthTelling()) logger.warn({ node, reason: reasonOf(error) }, 'a Kafka broker was lost; trying on')
    metrics.count('weir_kafka_reconnects_total', 1, { duty: 'fetch' })
    connection.cut(node, 'a request failed')
    const lasting = lastingError(error, `broker ${node}`)
    for (const feed of this.feeds) {
      if (feed.node !== node) continue
      feed.node = null
      if (lasting !== null) this.fail(feed, lasting)
    }
    this.isStale = true
    this.place()
  }
}
