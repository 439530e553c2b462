import type { Clock } from '#infra/clock.ts'
import { Appender, MARK } from '#infra/kafka/appender.ts'
import type { KafkaClient } from '#infra/kafka/client.ts'
import type { WrittenCompression } from '#infra/kafka/compression.ts'
import type { KafkaConnection } from '#infra/kafka/connection.ts'
import { readTakenBack } from '#infra/kafka/committed-read.ts'
import { Fetcher, type FetchLimits } from '#infra/kafka/fetcher.ts'
import { publishOffsets } from '#infra/kafka/group-offsets.ts'
import { lastingError, reasonOf, refusedConnection } from '#infra/kafka/kafka-errors.ts'
import { KafkaReader } from '#infra/kafka/kafka-reader.ts'
import { PartitionFeed } from '#infra/kafka/partition-feed.ts'
import { Patience } from '#infra/kafka/patience.ts'
import { listRanges } from '#infra/kafka/ranges.ts'
import { Watchdog } from '#infra/kafka/watchdog.ts'
import type { Logger } from '#infra/logger.ts'
import type { Metrics } from '#infra/metrics.ts'
import { WeirError } from '#schemas/errors.ts'
import { ChangeSignal } from './change-signal.ts'
import type { Log, LogReader, LogRecord, PartitionRange, RecordToAppend, TopicPartition } from './log.ts'

export interface KafkaLogOptions {
  readonly client: KafkaClient
  /** Topics that `ranges` tells of; those that are read or appended to join them. */
  readonly topics: readonly string[]
  /**
   * Name of the role that writes. Processes that stand in for one another share it: at most one of them writes, and the
   * one that took the log over last is it.
   */
  readonly transactionalId: string
  /**
   * `exact`: an append is one transaction, seen whole or not at all. `at-least-once`: its records are seen as soon as
   * they are written; after a crash or a fault in the middle some may be there without the others, or twice.
   */
  readonly mode: 'exact' | 'at-least-once'
  readonly compression: WrittenCompression
  /** A process that stops in the middle of a transaction holds readers up for at most this long. */
  readonly transactionTimeoutMs: number
  /**
   * What tells who writes, and how far it came: after `take`, and before `stillOwner` is asked a second time, a reader of
   * one of these partitions does not come to its end before everything that others had written there. Absent: none.
   */
  readonly marked?: readonly TopicPartition[]
  /**
   * Whether no other process is known to have become active. Asked when a writer has to be made anew, before and after;
   * with false every append fails with LOG_FENCED until `take`. Absent: always true.
   */
  readonly stillOwner?: () => Promise<boolean>
  readonly logger: Logger
  readonly metrics: Metrics
  readonly clock: Clock
  /** Monotonic milliseconds. */
  readonly nowMs: () => number
  readonly tuning?: Partial<KafkaLogTuning>
}

export interface KafkaLogTuning {
  /** A fetch waits this long for something new. */
  readonly fetchMaxWaitMs: number
  readonly fetchBytesMax: number
  readonly fetchPartitionBytesMax: number
  /** What a reader holds ready beyond what is being read. */
  readonly bufferBytesMax: number
  /** Largest batch written; it must fit into max.message.bytes of every topic (1 MiB unless set otherwise). */
  readonly batchBytesMax: number
  /** A reader that has not moved for so long, while there is more, gets a new connection. */
  readonly stuckAfterMs: number
  /** A topic that brokers do not know for so long is gone; just after a restart they may not know it yet. */
  readonly missingAfterMs: number
  /** Brokers that do not answer for so long when the log is opened are called unreachable. */
  readonly openWithinMs: number
  /** Closing waits this long for appends under way. */
  readonly closeWithinMs: number
  /** Partitions of one transaction become visible one after the other; a broker that fails meanwhile takes its time. */
  readonly settleMs: number
}

const TUNING: KafkaLogTuning = {
  fetchMaxWaitMs: 50,
  fetchBytesMax: 8_388_608,
  fetchPartitionBytesMax: 1_048_576,
  bufferBytesMax: 2_097_152,
  batchBytesMax: 900_000,
  stuckAfterMs: 10_000,
  missingAfterMs: 5_000,
  openWithinMs: 30_000,
  closeWithinMs: 5_000,
  settleMs: 30_000,
}

export interface KafkaLog extends Log {
  /** Some broker does not answer now. */
  readonly isAway: boolean
  /** Makes this process the writer: when it resolves, whoever was it before can append no more. */
  take(): Promise<void>
  /**
   * What was written to a marked partition from an offset on and is not there, in order: of aborted transactions, and of
   * those that a broker confirmed and forgot. Good after `take`.
   */
  takenBack(from: TopicPartition & { readonly offset: number }): Promise<readonly LogRecord[]>
  /**
   * Shows positions as those of a consumer group that has the role's name, for tools that show lag.
   *
   * @throws WeirError FORBIDDEN, or whatever the brokers' answer says
   */
  publishPositions(positions: readonly (TopicPartition & { readonly offset: number })[]): Promise<void>
}

/**
 * The log's home in Kafka. Its partitions are read at positions that the caller keeps, without a consumer group;
 * `retain` does nothing, since brokers keep topics as long as their retention says.
 *
 * Offsets grow in order but are not dense: the end of every transaction takes one. `append` may also fail with
 * LOG_FENCED, LOG_TOPIC_MISSING, LOG_REFUSED and FORBIDDEN; everything else is tried again until it works.
 *
 * @throws WeirError SERVICE_UNREACHABLE when no broker answers, FORBIDDEN when they refuse to log in, CONFIG_INVALID when
 *   TLS fails
 */
export async function openKafkaLog(options: KafkaLogOptions): Promise<KafkaLog> {
  const tuning = { ...TUNING, ...options.tuning }
  const asking = options.client.createConnection(options.topics)
  try {
    await reach(options, asking, tuning.openWithinMs)
  } catch (error) {
    await asking.close()
    throw error
  }
  return new KafkaHome(options, tuning, asking)
}

class KafkaHome implements KafkaLog {
  readonly settleMs: number
  private readonly options: KafkaLogOptions
  private readonly tuning: KafkaLogTuning
  /** For questions that nothing else may stand in the way of. */
  private readonly asking: KafkaConnection
  private readonly appender: Appender
  private readonly watchdog: Watchdog
  private readonly topics: Set<string>
  /** Readers of one partition sit in different fetchers: a request names a partition once. */
  private readonly fetchers: Fetcher[] = []
  private readonly ownEnds = new Map<string, Map<number, number>>()
  private readonly change = new ChangeSignal()
  private readonly stop = new AbortController()
  private closing: Promise<void> | null = null

  constructor(options: KafkaLogOptions, tuning: KafkaLogTuning, asking: KafkaConnection) {
    const { client, topics, transactionalId, mode, compression, transactionTimeoutMs, logger, metrics } = options
    this.settleMs = tuning.settleMs
    this.options = options
    this.tuning = tuning
    this.asking = asking
    this.topics = new Set(topics)
    this.appender = new Appender({
      connection: client.createConnection(topics),
      producer: {
        transactionalId,
        transactionTimeoutMs,
        isTransactional: mode === 'exact',
        compression,
        produceTimeoutMs: client.config.requestTimeoutMs,
      },
      batchBytesMax: tuning.batchBytesMax,
      stillOwner: options.stillOwner ?? (async () => true),
      missingAfterMs: tuning.missingAfterMs,
      logger,
      metrics,
      clockMs: () => options.clock.now(),
      nowMs: options.nowMs,
      marked: options.marked ?? [],
      onMarked: (partition, end) => this.noteEnd(partition, end),
      onAppended: (records, offsets) => this.noteAppended(records, offsets),
    })
    this.watchdog = new Watchdog({
      fetchers: () => this.fetchers,
      connection: asking,
      stuckAfterMs: tuning.stuckAfterMs,
      bufferBytesMax: tuning.bufferBytesMax,
      logger,
      metrics,
      nowMs: options.nowMs,
    })
  }

  append(records: readonly RecordToAppend[]): Promise<readonly number[]> {
    for (const { topic } of records) this.topics.add(topic)
    return this.appender.append(records)
  }

  take(): Promise<void> {
    return this.appender.take()
  }

  async takenBack(from: TopicPartition & { readonly offset: number }): Promise<readonly LogRecord[]> {
    const { logger, nowMs } = this.options
    const { signal } = this.stop
    const end = this.ownEnds.get(from.topic)?.get(from.partition) ?? 0
    this.asking.addTopics([from.topic])
    const patience = new Patience(nowMs)
    for (;;) {
      try {
        const records = await readTakenBack(this.asking, from, from.offset, end, signal)
        return records.filter(({ value }) => value === null || !value.equals(MARK))
      } catch (error) {
        signal.throwIfAborted()
        const lasting = lastingError(error, from.topic)
        if (lasting !== null) throw lasting
        if (patience.isWorthTelling())
          logger.warn({ reason: reasonOf(error) }, 'the end of the log cannot be read; trying on')
      }
      await patience.wait(signal)
    }
  }

  async publishPositions(positions: readonly (TopicPartition & { readonly offset: number })[]): Promise<void> {
    const { transactionalId, nowMs } = this.options
    try {
      await publishOffsets(this.asking, transactionalId, positions, nowMs, this.stop.signal)
    } catch (error) {
      throw lastingError(error, `group ${transactionalId}`) ?? error
    }
  }

  reader(from: TopicPartition & { readonly offset: number }): LogReader {
    const { nowMs } = this.options
    const { topic, partition } = from
    const feed = new PartitionFeed(from, from.offset, nowMs())
    this.topics.add(topic)
    const fetcher = this.stop.signal.aborted ? null : this.fetcherFor(from)
    fetcher?.open(feed)
    return new KafkaReader({
      feed,
      ownEnd: () => this.ownEnds.get(topic)?.get(partition) ?? 0,
      closed: this.stop.signal,
      onTaken: () => fetcher?.stir(),
      onSeek: () => fetcher?.resume(),
      onClose: () => fetcher?.drop(feed),
      nowMs,
    })
  }

  async ranges(): Promise<readonly PartitionRange[]> {
    const { logger, nowMs } = this.options
    const ranges = await listRanges({
      connection: this.asking,
      topics: this.topics,
      missingAfterMs: this.tuning.missingAfterMs,
      logger,
      nowMs,
      signal: this.stop.signal,
    })
    // The end of a transaction reaches its partitions a moment after the commit was confirmed.
    return ranges.map((range) => {
      const ownEnd = this.ownEnds.get(range.topic)?.get(range.partition) ?? 0
      return ownEnd > range.end ? { ...range, end: ownEnd } : range
    })
  }

  get isAway(): boolean {
    return this.fetchers.some((fetcher) => fetcher.isAway)
  }

  changed(since: number, signal: AbortSignal): Promise<number> {
    return this.change.after(since, signal)
  }

  async retain(): Promise<void> {
    this.stop.signal.throwIfAborted()
  }

  close(): Promise<void> {
    this.closing ??= this.closeAll()
    return this.closing
  }

  private async closeAll(): Promise<void> {
    await this.appender.close(this.tuning.closeWithinMs)
    this.watchdog.stop()
    this.stop.abort(new WeirError('LOG_CLOSED', 'the log was closed'))
    this.change.notify()
    for (const fetcher of this.fetchers) for (const feed of fetcher.openFeeds()) feed.wake()
    await Promise.all([...this.fetchers.map((fetcher) => fetcher.close()), this.asking.close()])
  }

  private noteAppended(records: readonly RecordToAppend[], offsets: readonly number[]): void {
    for (const [i, record] of records.entries()) this.noteEnd(record, offsets[i]! + 1)
    this.change.notify()
  }

  private noteEnd({ topic, partition }: TopicPartition, end: number): void {
    let ends = this.ownEnds.get(topic)
    if (ends === undefined) {
      ends = new Map()
      this.ownEnds.set(topic, ends)
    }
    ends.set(partition, end)
  }

  private fetcherFor({ topic, partition }: TopicPartition): Fetcher {
    const free = this.fetchers.find((fetcher) => !fetcher.serves(topic, partition))
    if (free !== undefined) return free
    const { client, logger, metrics, nowMs } = this.options
    const { tuning } = this
    const limits: FetchLimits = {
      maxWaitMs: tuning.fetchMaxWaitMs,
      bytesMax: tuning.fetchBytesMax,
      partitionBytesMax: tuning.fetchPartitionBytesMax,
      bufferBytesMax: tuning.bufferBytesMax,
      missingAfterMs: tuning.missingAfterMs,
    }
    const connection = client.createConnection([topic])
    const fetcher = new Fetcher({ connection, limits, logger, metrics, onArrival: () => this.change.notify(), nowMs })
    this.fetchers.push(fetcher)
    return fetcher
  }
}

/** Waits for a broker that answers. */
async function reach(options: KafkaLogOptions, connection: KafkaConnection, withinMs: number): Promise<void> {
  const { client, logger, nowMs } = options
  const brokers = client.config.brokers.join(', ')
  const deadline = AbortSignal.timeout(withinMs)
  const patience = new Patience(nowMs)
  for (;;) {
    try {
      await connection.refresh()
      return
    } catch (error) {
      const refused = refusedConnection(error, brokers)
      if (refused !== null) throw refused
      if (patience.isWorthTelling()) logger.warn({ brokers, reason: reasonOf(error) }, 'no Kafka broker answers yet')
      await patience.wait(deadline)
      if (!deadline.aborted) continue
      throw new WeirError(
        'SERVICE_UNREACHABLE',
        `no Kafka broker answered within ${withinMs / 1_000} s: ${reasonOf(error)}`,
        {
          where: brokers,
          fix: 'Check kafka.brokers, the network, and whether the port speaks plain text or TLS.',
        },
      )
    }
  }
}
