import { WeirError } from '#schemas/errors.ts'
import { API, type RawBroker, sendRaw } from './kafkajs-internals.ts'
import type { AbortedTransaction } from './record-batch.ts'
import { WireReader, WireWriter } from './wire.ts'

export interface PartitionToFetch {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly bytesMax: number
}

export interface FetchedPartition {
  readonly topic: string
  readonly partition: number
  readonly errorCode: number
  /** One past the last record that all replicas in step have; -1 with an error. */
  readonly highWatermark: number
  /** One past the last record whose transaction has ended: nothing behind it is visible yet. */
  readonly stableEnd: number
  readonly aborted: readonly AbortedTransaction[]
  readonly records: Buffer
}

/** Version 10 is what Kafka 2.1 has, 11 comes with 2.3; they differ in the rack and the replica to prefer. */
const VERSION_MIN = 10
const VERSION_MAX = 11
const CONSUMER = -1
const READ_COMMITTED = 1

/**
 * One fetch. Partitions are given in the order asked for: the first that has something gives a whole batch, whatever its
 * size; who asks puts another one first each time.
 */
export function fetchRecords(
  broker: RawBroker,
  partitions: readonly PartitionToFetch[],
  limits: { readonly maxWaitMs: number; readonly bytesMax: number },
): Promise<readonly FetchedPartition[]> {
  const apiVersion = Math.min(broker.versions?.[API.fetch]?.maxVersion ?? 0, VERSION_MAX)
  if (apiVersion < VERSION_MIN) {
    throw new WeirError('NOT_AVAILABLE', 'the broker is older than Kafka 2.1', {
      where: `${broker.connectionPool.host}:${broker.connectionPool.port}`,
      fix: 'Weir works with Kafka 2.1 and later.',
    })
  }
  const body = new WireWriter()
  body.int32(CONSUMER).int32(limits.maxWaitMs).int32(1).int32(limits.bytesMax).int8(READ_COMMITTED)
  // No fetch session: every request names all it wants.
  body.int32(0).int32(-1)
  body.int32(partitions.length)
  for (const { topic, partition, offset, bytesMax } of partitions) {
    body.string(topic).int32(1).int32(partition).int32(-1).int64(offset).int64(-1).int32(bytesMax)
  }
  body.int32(0)
  if (apiVersion >= 11) body.string('')
  return sendRaw(broker, { apiKey: API.fetch, apiVersion, apiName: 'Fetch', body: body.finish() }, (payload) =>
    readResponse(payload, apiVersion),
  )
}

function readResponse(
  payload: Buffer,
  apiVersion: number,
): { readonly throttleMs: number; readonly value: readonly FetchedPartition[] } {
  const from = new WireReader(payload)
  const throttleMs = from.int32()
  const sessionError = from.int16()
  from.int32()
  if (sessionError !== 0) throw new Error(`a fetch was answered with error ${sessionError}`)
  const value: FetchedPartition[] = []
  for (let topics = from.int32(); topics > 0; topics--) {
    const topic = from.string()
    for (let partitions = from.int32(); partitions > 0; partitions--) {
      const partition = from.int32()
      const errorCode = from.int16()
      const highWatermark = from.int64()
      const stableEnd = from.int64()
      from.int64()
      const aborted: AbortedTransaction[] = []
      for (let count = from.int32(); count > 0; count--) {
        aborted.push({ producerId: from.int64(), firstOffset: from.int64() })
      }
      if (apiVersion >= 11) from.int32()
      const records = from.bytes()
      value.push({ topic, partition, errorCode, highWatermark, stableEnd, aborted, records })
    }
  }
  return { throttleMs, value }
}
