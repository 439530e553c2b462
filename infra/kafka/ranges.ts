import type { PartitionRange, TopicPartition } from '#infra/log/log.ts'
import type { Logger } from '#infra/logger.ts'
import { type KafkaConnection, keyOf, offsetIn } from './connection.ts'
import { CODE, codeOf, KafkaError, lastingError, reasonOf, topicMissing } from './kafka-errors.ts'
import { Patience } from './patience.ts'

export interface ListRangesDeps {
  readonly connection: KafkaConnection
  readonly topics: Iterable<string>
  readonly missingAfterMs: number
  readonly logger: Logger
  readonly nowMs: () => number
  readonly signal: AbortSignal
}

/**
 * Every partition of the topics with its first offset and its stable end, as the leaders say it now. Waits for brokers
 * that do not answer and partitions that have no leader.
 *
 * @throws WeirError LOG_TOPIC_MISSING, FORBIDDEN; the signal's reason on abort
 */
export async function listRanges(deps: ListRangesDeps): Promise<PartitionRange[]> {
  const { connection, missingAfterMs, logger, nowMs, signal } = deps
  const topics = [...deps.topics]
  const patience = new Patience(nowMs)
  let missingSince: number | null = null
  for (;;) {
    signal.throwIfAborted()
    try {
      return await listOnce(connection, topics)
    } catch (error) {
      signal.throwIfAborted()
      const lasting = lastingError(error, topics.join(', '))
      if (lasting !== null) throw lasting
      const code = codeOf(error)
      if (code === undefined) connection.cutAll('a request failed')
      missingSince = code === CODE.unknownTopicOrPartition ? (missingSince ?? nowMs()) : null
      if (missingSince !== null && nowMs() - missingSince >= missingAfterMs) {
        const missing = topics.find((topic) => connection.partitionCount(topic) === 0)
        if (missing !== undefined) throw topicMissing(missing)
      }
      if (patience.isWorthTelling()) {
        logger.warn({ reason: reasonOf(error) }, 'the ends of the log cannot be learnt; trying on')
      }
    }
    await patience.wait(signal)
  }
}

async function listOnce(connection: KafkaConnection, topics: readonly string[]): Promise<PartitionRange[]> {
  connection.addTopics(topics)
  await connection.refresh()
  const partitions: TopicPartition[] = []
  for (const topic of topics) {
    const count = connection.partitionCount(topic)
    if (count === 0) throw new KafkaError(CODE.unknownTopicOrPartition, `looking for ${topic}`)
    for (let partition = 0; partition < count; partition++) partitions.push({ topic, partition })
  }
  const [starts, ends] = await Promise.all([
    connection.listOffsets(partitions, 'start'),
    connection.listOffsets(partitions, 'end'),
  ])
  const startOf = new Map(starts.map((listed) => [keyOf(listed), listed]))
  const endOf = new Map(ends.map((listed) => [keyOf(listed), listed]))
  return partitions.map(({ topic, partition }) => {
    const key = keyOf({ topic, partition })
    const start = startOf.get(key)
    const end = endOf.get(key)
    if (start === undefined || end === undefined) throw new Error(`${key} has no leader`)
    return { topic, partition, start: offsetIn(start), end: offsetIn(end) }
  })
}
