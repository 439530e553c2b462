import { setTimeout as sleep } from 'node:timers/promises'
import type { TopicPartition } from '#infra/log/log.ts'
import type { WrittenCompression } from './compression.ts'
import { type KafkaConnection, keyOf } from './connection.ts'
import { CODE, codeOf, KafkaError } from './kafka-errors.ts'
import type { RawBroker } from './kafkajs-internals.ts'
import { type BatchToProduce, produce } from './produce-protocol.ts'
import { type PackedRecords, sealBatch, type WriterIdentity } from './record-batch-writer.ts'

export interface ProducerOptions {
  readonly transactionalId: string
  readonly transactionTimeoutMs: number
  /** False: batches are visible as soon as they are written; the transactional id only tells owners apart. */
  readonly isTransactional: boolean
  readonly compression: WrittenCompression
  /** Brokers give up a batch that its replicas do not confirm in this time. */
  readonly produceTimeoutMs: number
}

export interface PackedBatch extends TopicPartition {
  readonly packed: PackedRecords
}

/** The broker is still writing the end of the transaction before; asked again at these intervals. */
const BUSY_FIRST_MS = 1
const BUSY_LONGEST_MS = 20
const BUSY_TRIES = 500
const SEQUENCE_LIMIT = 2 ** 31

/**
 * One incarnation of a writer: it is good until its first error and then thrown away. That makes its rules simple: a
 * sequence number is never taken back, no two requests for a partition are under way, nothing is tried again by it but
 * what the broker calls busy.
 */
export class KafkaProducer {
  private readonly connection: KafkaConnection
  private readonly options: ProducerOptions
  private readonly coordinator: RawBroker
  private readonly id: string
  private readonly writer: WriterIdentity
  private readonly sequences = new Map<string, number>()
  private readonly clockMs: () => number
  private isOpen = false

  private constructor(
    connection: KafkaConnection,
    options: ProducerOptions,
    clockMs: () => number,
    coordinator: RawBroker,
    identity: { readonly producerId: string; readonly producerEpoch: number },
  ) {
    this.connection = connection
    this.options = options
    this.clockMs = clockMs
    this.coordinator = coordinator
    this.id = identity.producerId
    this.writer = {
      producerId: Number(identity.producerId),
      producerEpoch: identity.producerEpoch,
      isTransactional: options.isTransactional,
    }
  }

  /**
   * Takes the transactional id over: whoever had it is fenced, its transaction ended (committed if its commit had been
   * taken, else aborted) before this resolves.
   */
  static async start(
    connection: KafkaConnection,
    options: ProducerOptions,
    clockMs: () => number,
    signal: AbortSignal,
  ): Promise<KafkaProducer> {
    const { transactionalId, transactionTimeoutMs } = options
    await connection.refresh()
    const coordinator = await connection.coordinatorOf(transactionalId)
    const identity = await whileBusy(signal, () =>
      coordinator.initProducerId({ transactionalId, transactionTimeout: transactionTimeoutMs }),
    )
    return new KafkaProducer(connection, options, clockMs, coordinator, identity)
  }

  /** Names the partitions of the transaction that begins with this. */
  async begin(partitions: readonly TopicPartition[], signal: AbortSignal): Promise<void> {
    const topics = new Map<string, number[]>()
    for (const { topic, partition } of partitions) {
      const ofTopic = topics.get(topic)
      if (ofTopic === undefined) topics.set(topic, [partition])
      else ofTopic.push(partition)
    }
    this.isOpen = true
    await whileBusy(signal, () =>
      this.coordinator.addPartitionsToTxn({
        ...this.identity(),
        topics: [...topics].map(([topic, ofTopic]) => ({ topic, partitions: ofTopic })),
      }),
    )
  }

  /**
   * Writes one batch for each of several partitions, to all their leaders at once.
   *
   * @returns the offset of each batch's first record, in the order given
   */
  async write(batches: readonly PackedBatch[], isTransactional = this.options.isTransactional): Promise<number[]> {
    const byNode = new Map<number, (BatchToProduce & { readonly at: number })[]>()
    for (const [at, { topic, partition, packed }] of batches.entries()) {
      const node = this.connection.leaderOf({ topic, partition })
      if (node === null) throw new KafkaError(CODE.unknownTopicOrPartition, `writing to ${topic}/${partition}`)
      const batch = this.seal(`${topic}/${partition}`, packed, isTransactional)
      const ofNode = byNode.get(node)
      if (ofNode === undefined) byNode.set(node, [{ topic, partition, batch, at }])
      else ofNode.push({ topic, partition, batch, at })
    }
    const offsets = new Array<number>(batches.length).fill(-1)
    // All are waited for, also when one fails: nothing of this incarnation may be under way when the next one begins.
    const results = await Promise.allSettled(
      [...byNode].map(async ([node, ofNode]) =>
        this.writeTo(await this.connection.node(node), ofNode, offsets, isTransactional),
      ),
    )
    for (const result of results) if (result.status === 'rejected') throw result.reason
    return offsets
  }

  /**
   * Writes batches that nobody will see, one a partition, and gives their offsets: whatever others wrote to a partition
   * before they were fenced lies below, and its fate is settled. A stable end does not tell as much: a broker that was just
   * started may not know its own yet.
   */
  async mark(batches: readonly PackedBatch[], signal: AbortSignal): Promise<number[]> {
    await this.begin(batches, signal)
    const offsets = await this.write(batches, true)
    await this.abort()
    return offsets
  }

  /** Makes everything since `begin` visible. An error leaves open whether it was: see whether a record is there. */
  async commit(): Promise<void> {
    this.isOpen = false
    await this.coordinator.endTxn({ ...this.identity(), transactionResult: true })
  }

  /** Takes back what was begun and not committed, so that readers do not wait for it until it times out. */
  async abort(): Promise<void> {
    if (!this.isOpen) return
    this.isOpen = false
    await this.coordinator.endTxn({ ...this.identity(), transactionResult: false })
  }

  private async writeTo(
    broker: RawBroker,
    batches: readonly (BatchToProduce & { readonly at: number })[],
    offsets: number[],
    isTransactional: boolean,
  ): Promise<void> {
    const { transactionalId, produceTimeoutMs } = this.options
    const answers = await produce(broker, isTransactional ? transactionalId : null, batches, produceTimeoutMs)
    for (const { topic, partition, at } of batches) {
      const answer = answers.find((a) => a.topic === topic && a.partition === partition)
      if (answer === undefined) throw new Error(`no answer for ${topic}/${partition}`)
      if (answer.errorCode !== CODE.none) throw new KafkaError(answer.errorCode, `writing to ${keyOf(answer)}`)
      offsets[at] = answer.baseOffset
    }
  }

  private seal(key: string, packed: PackedRecords, isTransactional: boolean): Buffer {
    const sequence = this.sequences.get(key) ?? 0
    this.sequences.set(key, (sequence + packed.count) % SEQUENCE_LIMIT)
    const writer = { ...this.writer, isTransactional }
    return sealBatch(packed, this.options.compression, writer, sequence, this.clockMs())
  }

  private identity() {
    return {
      transactionalId: this.options.transactionalId,
      producerId: this.id,
      producerEpoch: this.writer.producerEpoch,
    }
  }
}

/** Right after a commit its markers are still being written, and the broker takes nothing new of this writer. */
async function whileBusy<T>(signal: AbortSignal, ask: () => Promise<T>): Promise<T> {
  let pauseMs = BUSY_FIRST_MS
  for (let tries = 1; ; tries++) {
    try {
      return await ask()
    } catch (error) {
      if (codeOf(error) !== CODE.concurrentTransactions || tries >= BUSY_TRIES) throw error
      await sleep(pauseMs, undefined, { signal })
      pauseMs = Math.min(BUSY_LONGEST_MS, pauseMs * 2)
    }
  }
}
