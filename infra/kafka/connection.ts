import type { TopicPartition } from '#infra/log/log.ts'
import { KafkaError } from './kafka-errors.ts'
import { brokersOf, cutConnections, type RawBroker, type RawCluster, sendUnchecked } from './kafkajs-internals.ts'

const TRANSACTION_COORDINATOR = 1
const READ_COMMITTED = 1
const EARLIEST = '-2'
const LATEST = '-1'

export interface ListedOffset extends TopicPartition {
  readonly errorCode: number
  readonly offset: number
}

export const keyOf = ({ topic, partition }: TopicPartition): string => `${topic}/${partition}`

/**
 * One set of connections to the brokers, with what is known of topics and leaders. Each duty (fetching, appending,
 * asking) has its own, so that none waits behind another on a connection. It connects when it is first used and again
 * after a loss; it retries nothing.
 */
export class KafkaConnection {
  private readonly cluster: RawCluster
  private readonly countLosses: () => number
  private isClosed = false

  constructor(cluster: RawCluster, topics: Iterable<string>, countLosses: () => number) {
    this.cluster = cluster
    this.countLosses = countLosses
    this.addTopics(topics)
  }

  /** How many connections were there and are gone: with more than before, a broker may have crashed in between. */
  get losses(): number {
    return this.countLosses()
  }

  /** Adds topics to those whose metadata is asked for at the next refresh. */
  addTopics(topics: Iterable<string>): void {
    for (const topic of topics) this.cluster.targetTopics.add(topic)
  }

  /** Connects if need be and asks for brokers, topics and leaders. */
  async refresh(): Promise<void> {
    this.refuseClosed()
    await this.cluster.connect()
    await this.cluster.refreshMetadata()
  }

  /** Number of partitions of a topic as of the last refresh; 0 when it is not on the cluster or nothing is known. */
  partitionCount(topic: string): number {
    return this.metadataOf(topic)?.partitionMetadata.length ?? 0
  }

  /** Partitions of a topic as of the last refresh. */
  partitionsOf(topic: string): readonly { readonly leader: number; readonly replicas: readonly number[] }[] {
    return this.metadataOf(topic)?.partitionMetadata ?? []
  }

  /** Node that leads a partition as of the last refresh; null when there is none. */
  leaderOf({ topic, partition }: TopicPartition): number | null {
    const found = this.metadataOf(topic)?.partitionMetadata.find(({ partitionId }) => partitionId === partition)
    return found === undefined || found.leader < 0 ? null : found.leader
  }

  async node(nodeId: number): Promise<RawBroker> {
    this.refuseClosed()
    return this.cluster.findBroker({ nodeId })
  }

  /** The broker that keeps a transactional id's state. */
  async coordinatorOf(transactionalId: string): Promise<RawBroker> {
    this.refuseClosed()
    return this.cluster.findGroupCoordinator({
      groupId: transactionalId,
      coordinatorType: TRANSACTION_COORDINATOR,
    })
  }

  async groupCoordinatorOf(groupId: string): Promise<RawBroker> {
    this.refuseClosed()
    return this.cluster.findGroupCoordinator({ groupId, coordinatorType: 0 })
  }

  brokers(): readonly { readonly nodeId: number; readonly host: string; readonly port: number }[] {
    return this.cluster.brokerPool.metadata?.brokers ?? []
  }

  /**
   * First offset or stable end of partitions. Those without a known leader are left out.
   *
   * @throws when a broker does not answer
   */
  async listOffsets(partitions: readonly TopicPartition[], which: 'start' | 'end'): Promise<ListedOffset[]> {
    const byNode = new Map<number, TopicPartition[]>()
    for (const partition of partitions) {
      const node = this.leaderOf(partition)
      if (node === null) continue
      const ofNode = byNode.get(node)
      if (ofNode === undefined) byNode.set(node, [partition])
      else ofNode.push(partition)
    }
    const answers = await Promise.all(
      [...byNode].map(async ([node, ofNode]) => listOffsets(await this.node(node), ofNode, which)),
    )
    return answers.flat()
  }

  /** Throws a node's connections away; requests under way fail. */
  cut(nodeId: number, reason: string): void {
    for (const broker of brokersOf(this.cluster)) {
      if (broker.nodeId === nodeId) cutConnections(broker, new Error(reason))
    }
  }

  cutAll(reason: string): void {
    for (const broker of brokersOf(this.cluster)) cutConnections(broker, new Error(reason))
  }

  async close(): Promise<void> {
    this.isClosed = true
    this.cluster.shut()
    this.cutAll('the connection was closed')
    await this.cluster.disconnect()
  }

  private metadataOf(topic: string) {
    return this.cluster.brokerPool.metadata?.topicMetadata.find(
      (metadata) => metadata.topic === topic && metadata.topicErrorCode === 0,
    )
  }

  private refuseClosed(): void {
    if (this.isClosed) throw new Error('the connection was closed')
  }
}

interface ListOffsetsAnswer {
  readonly responses: readonly {
    readonly topic: string
    readonly partitions: readonly { readonly partition: number; readonly errorCode: number; readonly offset: string }[]
  }[]
}

async function listOffsets(
  broker: RawBroker,
  partitions: readonly TopicPartition[],
  which: 'start' | 'end',
): Promise<ListedOffset[]> {
  const topics = new Map<string, { partition: number; timestamp: string }[]>()
  const timestamp = which === 'start' ? EARLIEST : LATEST
  for (const { topic, partition } of partitions) {
    const ofTopic = topics.get(topic) ?? []
    ofTopic.push({ partition, timestamp })
    topics.set(topic, ofTopic)
  }
  const answer = await sendUnchecked<ListOffsetsAnswer>(broker, 'ListOffsets', {
    isolationLevel: READ_COMMITTED,
    topics: [...topics].map(([topic, ofTopic]) => ({ topic, partitions: ofTopic })),
  })
  return answer.responses.flatMap(({ topic, partitions }) =>
    partitions.map(({ partition, errorCode, offset }) => ({ topic, partition, errorCode, offset: Number(offset) })),
  )
}

/** The offset in an answer. @throws KafkaError */
export function offsetIn(listed: ListedOffset): number {
  if (listed.errorCode !== 0) throw new KafkaError(listed.errorCode, `listing offsets of ${keyOf(listed)}`)
  return listed.offset
}
