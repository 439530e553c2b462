import { API, type RawBroker, sendRaw } from './kafkajs-internals.ts'
import { WireReader, WireWriter } from './wire.ts'

export interface BatchToProduce {
  readonly topic: string
  readonly partition: number
  readonly batch: Buffer
}

export interface ProducedBatch {
  readonly topic: string
  readonly partition: number
  readonly errorCode: number
  /** Offset of the batch's first record. */
  readonly baseOffset: number
}

/** The version that Kafka 2.1 has and 4.x still takes. */
const VERSION = 7
const ALL_IN_STEP = -1

/** Sends one batch for each of several partitions that the broker leads, and waits until all replicas in step have them. */
export function produce(
  broker: RawBroker,
  transactionalId: string | null,
  batches: readonly BatchToProduce[],
  timeoutMs: number,
): Promise<readonly ProducedBatch[]> {
  const body = new WireWriter()
  const topics = new Map<string, BatchToProduce[]>()
  for (const batch of batches) {
    const ofTopic = topics.get(batch.topic)
    if (ofTopic === undefined) topics.set(batch.topic, [batch])
    else ofTopic.push(batch)
  }
  body.string(transactionalId).int16(ALL_IN_STEP).int32(timeoutMs).int32(topics.size)
  for (const [topic, ofTopic] of topics) {
    body.string(topic).int32(ofTopic.length)
    for (const { partition, batch } of ofTopic) body.int32(partition).bytes(batch)
  }
  return sendRaw(
    broker,
    { apiKey: API.produce, apiVersion: VERSION, apiName: 'Produce', body: body.finish() },
    readResponse,
  )
}

function readResponse(payload: Buffer): { readonly throttleMs: number; readonly value: readonly ProducedBatch[] } {
  const from = new WireReader(payload)
  const value: ProducedBatch[] = []
  for (let topics = from.int32(); topics > 0; topics--) {
    const topic = from.string()
    for (let partitions = from.int32(); partitions > 0; partitions--) {
      const partition = from.int32()
      const errorCode = from.int16()
      const baseOffset = from.int64()
      from.int64()
      from.int64()
      value.push({ topic, partition, errorCode, baseOffset })
    }
  }
  return { throttleMs: from.int32(), value }
}
