import type { TopicPartition } from '#infra/log/log.ts'
import type { KafkaConnection } from './connection.ts'
import { CODE, codeOf } from './kafka-errors.ts'
import { Patience } from './patience.ts'

const COORDINATOR_MS_MAX = 20_000
const MOVING: ReadonlySet<number> = new Set([
  CODE.coordinatorLoading,
  CODE.coordinatorNotAvailable,
  CODE.notCoordinator,
])

/**
 * Writes positions as those of a consumer group without members, for tools that show lag. Nothing ever reads them back. A
 * group's coordinator may be on the move, or still be made: that is waited for, a matter of seconds.
 *
 * @throws when the brokers refuse, or do not answer
 */
export async function publishOffsets(
  connection: KafkaConnection,
  groupId: string,
  offsets: readonly (TopicPartition & { readonly offset: number })[],
  nowMs: () => number,
  signal: AbortSignal,
): Promise<void> {
  const topics = new Map<string, { partition: number; offset: string }[]>()
  for (const { topic, partition, offset } of offsets) {
    const ofTopic = topics.get(topic) ?? []
    ofTopic.push({ partition, offset: String(offset) })
    topics.set(topic, ofTopic)
  }
  const patience = new Patience(nowMs)
  const over = AbortSignal.any([signal, AbortSignal.timeout(COORDINATOR_MS_MAX)])
  for (;;) {
    try {
      await connection.refresh()
      const coordinator = await connection.groupCoordinatorOf(groupId)
      await coordinator.offsetCommit({
        groupId,
        groupGenerationId: -1,
        memberId: '',
        topics: [...topics].map(([topic, partitions]) => ({ topic, partitions })),
      })
      return
    } catch (error) {
      if (!isMoving(error) || over.aborted) throw error
      await patience.wait(over)
    }
  }
}

/** kafkajs tells that nobody knows the coordinator yet by a name of its own. */
function isMoving(error: unknown): boolean {
  return (error as Error).name === 'KafkaJSGroupCoordinatorNotFound' || MOVING.has(codeOf(error) ?? CODE.none)
}
