import { randomUUID } from 'node:crypto'
import { wallClock } from '#infra/clock.ts'
import { createKafkaClient } from '#infra/kafka/client.ts'
import type { RecordToAppend } from '#infra/log/log.ts'
import { type KafkaLog, openKafkaLog } from '#infra/log/kafka-log.ts'
import { noMetrics } from '#infra/metrics.ts'
import { openSchemas } from '#infra/schema-registry/open-schemas.ts'
import { createCodec } from '#schemas/codec.ts'
import { Hash64 } from '#schemas/hash64.ts'
import type { CommandContext } from '../context.ts'
import { kafkaConfigOf } from '../open-log.ts'
import type { Sink } from './sink.ts'

const BATCH_EVENTS = 2_000
/** One is written while the next is made. */
const BATCHES_UNDER_WAY_MAX = 2

/**
 * Into the input topics of a Kafka cluster, as a producer of a payment platform would write them: without transactions,
 * keyed by card, in batches. Whoever runs on these topics decides them.
 *
 * @throws WeirError SERVICE_UNREACHABLE, FORBIDDEN, CONFIG_INVALID, LOG_TOPIC_MISSING
 */
export async function createKafkaSink(context: CommandContext): Promise<Sink> {
  const { config, io, logger } = context
  const { topics } = config
  const codec = createCodec(await openSchemas({ config, clock: io, logger, stop: context.stopSignal() }))
  const client = await createKafkaClient({ config: kafkaConfigOf(config), logger })
  const log = await openKafkaLog({
    client,
    topics: [topics.transactions, topics.labels],
    transactionalId: `${config.kafka.role}-simulate-${randomUUID()}`,
    mode: 'at-least-once',
    compression: 'none',
    transactionTimeoutMs: config.kafka.transactionTimeoutMs,
    logger,
    metrics: noMetrics,
    clock: wallClock,
    nowMs: () => performance.now(),
  })
  try {
    const partitions = await countPartitions(log)
    const writer = new BatchWriter(log)
    const hash = new Hash64()
    const put = (topic: string, key: string, value: Buffer): Promise<void> => {
      const partition = hash.ofText(key).lo % (partitions.get(topic) ?? 1)
      return writer.put({ topic, partition, key: Buffer.from(key), value })
    }
    return {
      transaction: (from) => put(topics.transactions, from.card_id, codec.transaction.encode(from)),
      label: (from) => put(topics.labels, from.card_id, codec.label.encode(from)),
      async finish() {
        await writer.flush()
        await log.close()
        return { brokers: config.kafka.brokers, appended: writer.appended }
      },
      abandon: () => log.close(),
    }
  } catch (error) {
    await log.close()
    throw error
  }
}

async function countPartitions(log: KafkaLog): Promise<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>()
  for (const { topic } of await log.ranges()) counts.set(topic, (counts.get(topic) ?? 0) + 1)
  return counts
}

/** Hands records on in batches and waits when too many are on their way. */
class BatchWriter {
  /** Records that brokers have confirmed. */
  appended = 0
  private readonly log: KafkaLog
  private records: RecordToAppend[] = []
  private readonly underWay: Promise<void>[] = []

  constructor(log: KafkaLog) {
    this.log = log
  }

  async put(record: RecordToAppend): Promise<void> {
    if (this.records.push(record) < BATCH_EVENTS) return
    this.send()
    if (this.underWay.length >= BATCHES_UNDER_WAY_MAX) await this.underWay.shift()
  }

  async flush(): Promise<void> {
    if (this.records.length > 0) this.send()
    for (const sending of this.underWay.splice(0)) await sending
  }

  private send(): void {
    const { records } = this
    this.records = []
    const sending = this.log.append(records).then(() => {
      this.appended += records.length
    })
    // A failure is told where it is waited for.
    sending.catch(() => {})
    this.underWay.push(sending)
  }
}
