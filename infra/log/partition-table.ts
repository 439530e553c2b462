import { WeirError } from '#schemas/errors.ts'
import type { PartitionRange, TopicPartition } from './log.ts'

const TOPIC_BYTES_MAX = 255
const PARTITION_MAX = 0x7fff_ffff

/** What a file log knows of one partition. */
export class PartitionState implements TopicPartition {
  readonly topic: string
  readonly partition: number
  readonly topicBytes: Buffer
  /** Declared by the configuration: exists before its first record. */
  declared = false
  /** First offset still there. */
  start = 0
  /** One past the last durable record. */
  end = 0
  /** The offset the next append is given: runs ahead of `end` by what is not durable yet. */
  next = 0
  /** Where the encoder keeps this partition's group while it builds one frame; -1 between frames. */
  slot = -1

  constructor(topic: string, partition: number) {
    this.topic = topic
    this.partition = partition
    this.topicBytes = checkName(topic, partition)
  }

  get exists(): boolean {
    return this.declared || this.end > 0
  }
}

/** All partitions of a log, found by topic and number. */
export class PartitionTable {
  private readonly byTopic = new Map<string, Map<number, PartitionState>>()

  /** The state of a partition, made when it is new. */
  state(topic: string, partition: number): PartitionState {
    let partitions = this.byTopic.get(topic)
    let state = partitions?.get(partition)
    if (state !== undefined) return state
    state = new PartitionState(topic, partition)
    if (partitions === undefined) {
      partitions = new Map()
      this.byTopic.set(topic, partitions)
    }
    partitions.set(partition, state)
    return state
  }

  /** Makes partitions 0 to count - 1 of every topic exist. */
  declare(topics: Readonly<Record<string, number>>): void {
    for (const [topic, count] of Object.entries(topics)) {
      for (let partition = 0; partition < count; partition++) this.state(topic, partition).declared = true
    }
  }

  *[Symbol.iterator](): IterableIterator<PartitionState> {
    for (const partitions of this.byTopic.values()) yield* partitions.values()
  }

  ranges(): readonly PartitionRange[] {
    return [...this]
      .filter((state) => state.exists)
      .map(({ topic, partition, start, end }) => ({ topic, partition, start, end }))
      .sort(byName)
  }

  /** Forgets every offset that was given out but did not become durable. */
  rollBack(): void {
    for (const state of this) state.next = state.end
  }
}

function byName(a: TopicPartition, b: TopicPartition): number {
  if (a.topic !== b.topic) return a.topic < b.topic ? -1 : 1
  return a.partition - b.partition
}

/**
 * The topic's name in UTF-8.
 *
 * @throws WeirError INVARIANT when no log can hold such a name or number
 */
function checkName(topic: string, partition: number): Buffer {
  const bytes = Buffer.from(topic, 'utf8')
  if (bytes.length === 0 || bytes.length > TOPIC_BYTES_MAX) {
    throw new WeirError('INVARIANT', `a topic's name has 1 to ${TOPIC_BYTES_MAX} bytes, this one ${bytes.length}`)
  }
  if (!Number.isInteger(partition) || partition < 0 || partition > PARTITION_MAX) {
    throw new WeirError('INVARIANT', `partition ${partition} of ${topic} is not a whole number from 0`)
  }
  return bytes
}
