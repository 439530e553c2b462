import type { KafkaClient } from '#infra/kafka/client.ts'
import { sendRaw } from '#infra/kafka/kafkajs-internals.ts'
import { WireWriter } from '#infra/kafka/wire.ts'
import type { TopicPartition } from '#infra/log/log.ts'
import type { CommitRequest } from './kafka-cable.ts'

/** WriteTxnMarkers, what coordinators send to leaders: https://kafka.apache.org/protocol#The_Messages_WriteTxnMarkers */
const API_KEY = 27
const API_VERSION = 1
const COMMIT = 1

/**
 * Commits a transaction in one of its partitions and leaves it open in the others: the half of the work that a crashing
 * broker came to do.
 */
export async function commitOnlyIn(client: KafkaClient, writer: CommitRequest, of: TopicPartition): Promise<void> {
  const connection = client.createConnection([of.topic])
  try {
    await connection.refresh()
    const broker = await connection.node(connection.leaderOf(of)!)
    // Compact arrays and strings say one more than they have; no field has tags.
    const body = new WireWriter().int8(0).int8(2)
    body.int64(writer.producerId).int16(writer.producerEpoch).int8(COMMIT)
    body.int8(2).int8(of.topic.length + 1)
    for (const byte of Buffer.from(of.topic)) body.int8(byte)
    body.int8(2).int32(of.partition).int8(0)
    body.int32(0).int8(0).int8(0)
    const request = { apiKey: API_KEY, apiVersion: API_VERSION, apiName: 'WriteTxnMarkers', body: body.finish() }
    await sendRaw(broker, request, () => ({ throttleMs: 0, value: null }))
  } finally {
    await connection.close()
  }
}
