import type { Admin } from 'kafkajs'
import { wallClock } from '#infra/clock.ts'
import { KafkaAdmin, type TopicPlan } from '#infra/kafka/admin.ts'
import { createKafkaClient, type KafkaClient, type KafkaConfig } from '#infra/kafka/client.ts'
import type { ConnectSocket } from '#infra/kafka/sockets.ts'
import { type KafkaLog, type KafkaLogOptions, openKafkaLog } from '#infra/log/kafka-log.ts'
import { createSilentLogger } from '#infra/logger.ts'
import { noMetrics } from '#infra/metrics.ts'

export const nowMs = (): number => performance.now()

export function kafkaClientOf(
  brokers: readonly string[],
  over: Partial<KafkaConfig> = {},
  connect?: ConnectSocket,
): Promise<KafkaClient> {
  return createKafkaClient({
    config: {
      brokers,
      clientId: 'weir-test',
      tls: null,
      sasl: null,
      connectTimeoutMs: 3_000,
      requestTimeoutMs: 10_000,
      ...over,
    },
    logger: createSilentLogger(),
    ...(connect !== undefined && { connect }),
  })
}

/** A log with a role of its own, unless told otherwise. */
export function openLog(client: KafkaClient, over: Partial<KafkaLogOptions> = {}): Promise<KafkaLog> {
  return openKafkaLog({
    client,
    topics: [],
    transactionalId: `weir-${Math.random().toString(36).slice(2)}`,
    mode: 'exact',
    compression: 'none',
    transactionTimeoutMs: 10_000,
    logger: createSilentLogger(),
    metrics: noMetrics,
    clock: wallClock,
    nowMs,
    ...over,
  })
}

export function adminOf(client: KafkaClient): KafkaAdmin {
  return new KafkaAdmin({ client, logger: createSilentLogger(), nowMs })
}

export function planOf(topic: string, partitions = 1, over: Partial<TopicPlan> = {}): TopicPlan {
  return { topic, partitions, replicas: -1, settings: {}, ...over }
}

/** For what only tests do to a cluster. */
export async function withTool<T>(client: KafkaClient, work: (tool: Admin) => Promise<T>): Promise<T> {
  const tool = client.createAdmin()
  await tool.connect()
  try {
    return await work(tool)
  } finally {
    await tool.disconnect()
  }
}

export function deleteRecords(client: KafkaClient, topic: string, before: number): Promise<void> {
  return withTool(client, async (tool) => {
    // It looks for leaders in what it knows already, and a topic becomes known by being asked about.
    await tool.fetchTopicOffsets(topic)
    await tool.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: String(before) }] })
  })
}
