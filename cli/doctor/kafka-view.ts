import { KafkaAdmin, type BrokerFacts, type TopicFacts } from '#infra/kafka/admin.ts'
import { createKafkaClient } from '#infra/kafka/client.ts'
import type { PartitionRange } from '#infra/log/log.ts'
import { openKafkaLog } from '#infra/log/kafka-log.ts'
import { noMetrics } from '#infra/metrics.ts'
import { openSchemas } from '#infra/schema-registry/open-schemas.ts'
import { createCodec } from '#schemas/codec.ts'
import type { CommandContext } from '../context.ts'
import { kafkaConfigOf } from '../open-log.ts'
import { type JournalTail, readJournalTail } from './journal-tail.ts'

/** What several checks want to know of a Kafka cluster. Each thing is asked for once, when it is first wanted. */
export interface KafkaView {
  brokers(): Promise<readonly BrokerFacts[]>
  /** By topic; null for one that is missing. */
  topics(): Promise<ReadonlyMap<string, TopicFacts | null>>
  /** Of the topics that are there. */
  ranges(): Promise<readonly PartitionRange[]>
  /** Null where nothing was decided yet. */
  tail(): Promise<JournalTail | null>
  close(): Promise<void>
}

const ANSWER_MS_MAX = 5_000

export function createKafkaView({ config, io, logger }: CommandContext): KafkaView {
  const nowMs = (): number => performance.now()
  const names = Object.values(config.topics)
  const client = once(() => createKafkaClient({ config: kafkaConfigOf(config), logger }))
  let opened: KafkaAdmin | null = null
  const admin = once(async () => {
    opened = new KafkaAdmin({ client: await client(), logger, nowMs })
    return opened
  })
  const topics = once(async () => {
    const facts = await (await admin()).describeTopics(names)
    return new Map(names.map((name, i) => [name, facts[i] ?? null]))
  })
  const tail = once(async () => {
    if ((await topics()).get(config.topics.journal) === null) return null
    const codec = createCodec(await openSchemas({ config: readingOnly(config), clock: io, logger }))
    const log = await openKafkaLog({
      client: await client(),
      topics: [config.topics.journal],
      // Never used: nothing is written.
      transactionalId: `${config.kafka.role}-doctor`,
      mode: 'at-least-once',
      compression: 'none',
      transactionTimeoutMs: config.kafka.transactionTimeoutMs,
      logger,
      metrics: noMetrics,
      clock: io,
      nowMs,
      tuning: { openWithinMs: ANSWER_MS_MAX },
    })
    try {
      const listenMs = 2 * config.kafka.heartbeatMs
      return await readJournalTail({ log, codec, topic: config.topics.journal, now: () => io.now(), listenMs })
    } finally {
      await log.close()
    }
  })
  return {
    brokers: once(async () => (await admin()).describeBrokers()),
    topics,
    ranges: once(async () => {
      const there = [...(await topics())].flatMap(([name, facts]) => (facts === null ? [] : [name]))
      return (await admin()).ranges(there, AbortSignal.timeout(ANSWER_MS_MAX))
    }),
    tail,
    close: async () => {
      await opened?.close()
    },
  }
}

/** Nothing is registered by looking. */
function readingOnly<T extends { readonly registry: { readonly register: boolean } }>(config: T): T {
  return { ...config, registry: { ...config.registry, register: false } }
}

function once<T>(ask: () => Promise<T>): () => Promise<T> {
  let answer: Promise<T> | null = null
  return () => {
    answer ??= ask()
    return answer
  }
}
