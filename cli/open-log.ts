import { randomUUID } from 'node:crypto'
import { wallClock } from '#infra/clock.ts'
import type { DataPaths } from '#infra/data-folder.ts'
import type { KafkaConfig } from '#infra/kafka/client.ts'
import type { KafkaSasl } from '#infra/kafka/security.ts'
import { openFileLog } from '#infra/log/file-log.ts'
import type { Log, LogRecord, RecordToAppend, TopicPartition } from '#infra/log/log.ts'
import type { Logger } from '#infra/logger.ts'
import type { Metrics } from '#infra/metrics.ts'
import type { EnsuredSchemas } from '#infra/schema-registry/registry-schemas.ts'
import { readWithSchemas } from '#infra/schema-registry/with-schemas.ts'
import type { Config } from '#schemas/config.ts'

/** A log that several processes share: one of them decides, the others stand by. */
export interface SharedLog extends Log {
  /** What it is kept on does not answer now: that nothing is heard then tells nothing of who writes to it. */
  readonly isAway: boolean
  /** Ends whatever the owner before was writing, and keeps it from writing more. */
  take(): Promise<void>
  /**
   * What the owner before wrote to a partition from an offset on and is not there: units that were not committed, or whose
   * commit the log has forgotten since. In order; good after `take`.
   */
  takenBack(from: TopicPartition & { readonly offset: number }): Promise<readonly LogRecord[]>
  /** Shows how far input was taken to tools that watch lag. @throws when it cannot */
  publishPositions(positions: readonly (TopicPartition & { readonly offset: number })[]): Promise<void>
  /** Appends input as any producer does; resolves when it is durable. */
  appendInput(records: readonly RecordToAppend[]): Promise<unknown>
  /** How many partitions a topic has. */
  partitions(topic: string): number
}

export interface LogHome {
  readonly log: Log
  /** The same log; null where one process has it to itself. */
  readonly shared: SharedLog | null
  close(): Promise<void>
}

export interface OpenLogDeps {
  readonly config: Config
  readonly paths: DataPaths
  readonly logger: Logger
  readonly metrics: Metrics
  /** What the records are written with. */
  readonly schemas: EnsuredSchemas
  /** Ends what is waited for. */
  readonly stop: AbortSignal
  /** Beside the process that writes. */
  readonly isReadOnly?: boolean
  /** Whether the journal still says that this process may write; asked when a commit failed. */
  readonly stillOwner: () => Promise<boolean>
}

const DAY_MS = 86_400_000
/** Partition counts are asked for again so often. */
const PARTITIONS_EVERY_MS = 30_000

/**
 * The log where the settings say it is.
 *
 * @throws WeirError LOG_DAMAGED, SERVICE_UNREACHABLE, FORBIDDEN, CONFIG_INVALID
 */
export async function openLog(deps: OpenLogDeps): Promise<LogHome> {
  if (deps.config.log.home === 'kafka') return await openKafkaHome(deps)
  const { config, paths, isReadOnly = false } = deps
  const log = await openFileLog({
    folder: paths.log,
    segmentBytesMax: config.log.segmentBytesMax,
    retentionMs: config.log.retentionDays * DAY_MS,
    reserveBytes: RESERVED_BYTES,
    clock: wallClock,
    readOnly: isReadOnly,
  })
  return { log: withSchemas(log, deps), shared: null, close: () => log.close() }
}

/** One or two seconds of a thousand events a second. */
const RESERVED_BYTES = 1_048_576

/** The same log, whose readers bring in the schemas that records need before they hand them out. */
export function withSchemas(log: Log, deps: Pick<OpenLogDeps, 'schemas' | 'logger' | 'stop'>): Log {
  const { schemas, logger, stop } = deps
  return {
    settleMs: log.settleMs,
    append: (records) => log.append(records),
    reader: (from) => readWithSchemas(log.reader(from), schemas, logger, stop),
    ranges: () => log.ranges(),
    changed: (since, signal) => log.changed(since, signal),
    retain: (keepFrom) => log.retain(keepFrom),
    close: () => log.close(),
  }
}

async function openKafkaHome(deps: OpenLogDeps): Promise<LogHome> {
  const { config, logger, metrics, stillOwner } = deps
  const { createKafkaClient } = await import('#infra/kafka/client.ts')
  const { openKafkaLog } = await import('#infra/log/kafka-log.ts')
  const { role, mode, transactionTimeoutMs } = config.kafka
  const client = await createKafkaClient({ config: kafkaConfigOf(config), logger })
  const common = {
    client,
    compression: 'none',
    transactionTimeoutMs,
    logger,
    metrics,
    clock: wallClock,
    nowMs: () => performance.now(),
  } as const
  const topics = Object.values(config.topics)
  const { journal, decisions, alerts, deadLetters } = config.topics
  const marked = [journal, decisions, alerts, deadLetters].map((topic) => ({ topic, partition: 0 }))
  const log = await openKafkaLog({ ...common, topics, transactionalId: role, mode, marked, stillOwner })
  // Requests are appended to the input as any producer does: without a transaction, and by every process under its own name.
  const inputs = [config.topics.transactions, config.topics.labels]
  const inputId = `${role}-input-${randomUUID()}`
  const input = await openKafkaLog({
    ...common,
    topics: inputs,
    transactionalId: inputId,
    mode: 'at-least-once',
  }).catch(async (error: unknown) => {
    await log.close()
    throw error
  })
  const partitions = new Map<string, number>()
  const count = async (): Promise<void> => {
    const counted = new Map<string, number>()
    for (const { topic } of await input.ranges()) counted.set(topic, (counted.get(topic) ?? 0) + 1)
    for (const [topic, found] of counted) partitions.set(topic, found)
  }
  const timer = setInterval(() => void count().catch(() => {}), PARTITIONS_EVERY_MS).unref()
  const close = async (): Promise<void> => {
    clearInterval(timer)
    await Promise.all([log.close(), input.close()])
  }
  try {
    await count()
  } catch (error) {
    await close()
    throw error
  }
  const shared: SharedLog = {
    ...withSchemas(log, deps),
    get isAway() {
      return log.isAway
    },
    take: () => log.take(),
    takenBack: (from) => log.takenBack(from),
    publishPositions: (positions) => log.publishPositions(positions),
    appendInput: (records) => input.append(records),
    partitions: (topic) => partitions.get(topic) ?? 1,
    close,
  }
  return { log: shared, shared, close }
}

export function kafkaConfigOf({ kafka }: Config): KafkaConfig {
  const { brokers, clientId, connectTimeoutMs, requestTimeoutMs, tls, sasl } = kafka
  const { enabled, ...files } = tls
  return {
    brokers,
    clientId,
    connectTimeoutMs,
    requestTimeoutMs,
    tls: enabled ? files : null,
    sasl: saslOf(sasl),
  }
}

function saslOf({ mechanism, username, password, passwordFile, tokenFile }: Config['kafka']['sasl']): KafkaSasl | null {
  if (mechanism === 'none') return null
  return mechanism === 'oauthbearer' ? { mechanism, tokenFile } : { mechanism, username, password, passwordFile }
}
