import type { RecordToAppend } from '#infra/log/log.ts'
import type { WrittenCompression } from './compression.ts'
import type { PackedBatch } from './producer.ts'
import { packRecords, recordBytesMax } from './record-batch-writer.ts'

/** Records in the order of the call, cut into batches by partition. */
export interface TransactionPlan {
  /** Batches that may be sent together: one a partition. What is too much for one batch follows in the next round. */
  readonly rounds: readonly (readonly PackedBatch[])[]
  /** Offsets by record, from the first offset of each round's batches. */
  offsetsOf(firstOffsets: readonly (readonly number[])[]): number[]
}

interface Part {
  readonly topic: string
  readonly partition: number
  readonly round: number
  readonly records: RecordToAppend[]
  /** Places of the records in the call. */
  readonly places: number[]
  bytes: number
}

export async function planTransaction(
  records: readonly RecordToAppend[],
  batchBytesMax: number,
  compression: WrittenCompression,
): Promise<TransactionPlan> {
  const open = new Map<string, Map<number, Part>>()
  const parts: Part[] = []
  for (const [place, record] of records.entries()) {
    const { topic, partition } = record
    let ofTopic = open.get(topic)
    if (ofTopic === undefined) {
      ofTopic = new Map()
      open.set(topic, ofTopic)
    }
    const bytes = recordBytesMax(record)
    let part = ofTopic.get(partition)
    if (part === undefined || part.bytes + bytes > batchBytesMax) {
      part = { topic, partition, round: part === undefined ? 0 : part.round + 1, records: [], places: [], bytes: 0 }
      ofTopic.set(partition, part)
      parts.push(part)
    }
    part.records.push(record)
    part.places.push(place)
    part.bytes += bytes
  }
  const rounds: Part[][] = []
  for (const part of parts) {
    rounds[part.round] ??= []
    rounds[part.round]!.push(part)
  }
  return {
    rounds: await Promise.all(rounds.map((round) => Promise.all(round.map((part) => pack(part, compression))))),
    offsetsOf(firstOffsets) {
      const offsets = new Array<number>(records.length)
      for (const [r, round] of rounds.entries()) {
        for (const [p, { places }] of round.entries()) {
          for (const [i, place] of places.entries()) offsets[place] = firstOffsets[r]![p]! + i
        }
      }
      return offsets
    },
  }
}

async function pack({ topic, partition, records }: Part, compression: WrittenCompression): Promise<PackedBatch> {
  return { topic, partition, packed: await packRecords(records, compression) }
}
