import type { LogRecord, TopicPartition } from '#infra/log/log.ts'
import { type KafkaConnection, keyOf, offsetIn } from './connection.ts'
import { type FetchedPartition, fetchRecords } from './fetch-protocol.ts'
import { CODE, KafkaError, positionGone } from './kafka-errors.ts'
import { readBatches, takeRecords } from './record-batch.ts'

const WAIT_MS = 100
const BYTES_MAX = 1_048_576
/** A new leader may not know for a moment how far the log is confirmed; ten seconds are more than a moment. */
const SHORT_TRIES_MAX = 100

/**
 * The committed record at an offset, or null when there is none: it belonged to an aborted transaction, or the log was
 * cut off before it. Waits while the transaction that holds the offset has not ended.
 *
 * @throws WeirError LOG_POSITION_GONE when retention has passed the offset
 * @throws when a broker does not answer; nothing is known then
 */
export async function readCommitted(
  connection: KafkaConnection,
  of: TopicPartition,
  offset: number,
  signal: AbortSignal,
): Promise<LogRecord | null> {
  for (let shortTries = 0; ; ) {
    signal.throwIfAborted()
    const answer = await fetchOnce(connection, of, offset)
    if (answer.errorCode === CODE.offsetOutOfRange) {
      const [start] = await connection.listOffsets([of], 'start')
      if (start !== undefined && offset < offsetIn(start))
        throw positionGone(of.topic, of.partition, offset, start.offset)
      return null
    }
    if (answer.errorCode !== CODE.none) throw new KafkaError(answer.errorCode, `reading ${keyOf(of)}`)
    const { batches, next } = await readBatches(answer.records, offset, answer.aborted, keyOf(of))
    const records: LogRecord[] = []
    for (const batch of batches) {
      if (takeRecords(batch, offset, 1, of.topic, of.partition, records) > 0) break
    }
    const first = records[0]
    if (first !== undefined) return first.offset === offset ? first : null
    if (next > offset || answer.stableEnd > offset) return null
    if (answer.highWatermark <= offset && ++shortTries >= SHORT_TRIES_MAX) return null
  }
}

/**
 * Records of aborted transactions between two offsets, in order. Nothing below `end` may be undecided any more.
 *
 * @throws when a broker does not answer, or retention has passed `from`
 */
export async function readTakenBack(
  connection: KafkaConnection,
  of: TopicPartition,
  from: number,
  end: number,
  signal: AbortSignal,
): Promise<LogRecord[]> {
  const records: LogRecord[] = []
  for (let at = from; at < end; ) {
    signal.throwIfAborted()
    const answer = await fetchOnce(connection, of, at)
    if (answer.errorCode !== CODE.none) throw new KafkaError(answer.errorCode, `reading ${keyOf(of)}`)
    const { batches, next } = await readBatches(answer.records, at, answer.aborted, keyOf(of), 'taken back')
    for (const batch of batches) takeRecords(batch, from, batch.left, of.topic, of.partition, records)
    at = next
  }
  return records
}

async function fetchOnce(connection: KafkaConnection, of: TopicPartition, offset: number): Promise<FetchedPartition> {
  await connection.refresh()
  const node = connection.leaderOf(of)
  if (node === null) throw new KafkaError(CODE.unknownTopicOrPartition, `reading ${keyOf(of)}`)
  const [answer] = await fetchRecords(
    await connection.node(node),
    [{ topic: of.topic, partition: of.partition, offset, bytesMax: BYTES_MAX }],
    { maxWaitMs: WAIT_MS, bytesMax: BYTES_MAX },
  )
  if (answer === undefined) throw new Error(`no answer for ${keyOf(of)}`)
  return answer
}
