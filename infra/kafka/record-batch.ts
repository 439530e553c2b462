import type { LogRecord } from '#infra/log/log.ts'
import { WeirError } from '#schemas/errors.ts'
import { COMPRESSIONS, decompress } from './compression.ts'
import { crc32c } from './crc32c.ts'

/**
 * The record batch, format 2 (Kafka 0.11 and later), https://kafka.apache.org/documentation/#recordbatch: a header of 61
 * bytes, then the records, packed together where the producer compresses.
 */
export const BATCH = {
  baseOffset: 0,
  length: 8,
  leaderEpoch: 12,
  magic: 16,
  crc: 17,
  attributes: 21,
  lastOffsetDelta: 23,
  baseTimestamp: 27,
  maxTimestamp: 35,
  producerId: 43,
  producerEpoch: 51,
  baseSequence: 53,
  count: 57,
  headerBytes: 61,
} as const

export const TRANSACTIONAL = 0x10
const CONTROL = 0x20
const COMPRESSION_MASK = 0x07
/** Bytes that stand before what `length` counts. */
const LENGTH_END = 12
const ABORT_MARKER = 0

/** A transaction that was taken back: its records begin at `firstOffset` and end at its marker. */
export interface AbortedTransaction {
  readonly producerId: number
  readonly firstOffset: number
}

/** What became of a batch. */
type Fate = 'visible' | 'taken back' | 'marker'

/** One batch of records, taken out one by one. */
export interface OpenBatch {
  readonly bytes: Buffer
  readonly baseOffset: number
  readonly lastOffset: number
  /** Records not taken yet, and where the next one stands. */
  left: number
  at: number
}

export interface BatchesRead {
  readonly batches: readonly OpenBatch[]
  /** Where to read on: behind the last whole batch, be it visible or not. */
  readonly next: number
}

/**
 * Takes apart what a broker gives for one partition: leaves out markers and what belongs to aborted transactions, and
 * stops at a batch that was cut off by the request's size.
 *
 * @param aborted those among these records, in any order
 * @param wanted 'taken back': only what belongs to aborted transactions
 * @throws WeirError LOG_DAMAGED when a checksum is wrong or a batch cannot be unpacked
 * @throws WeirError LOG_UNREADABLE when a batch has a format or a compression that is not known here
 */
export async function readBatches(
  records: Buffer,
  from: number,
  aborted: readonly AbortedTransaction[],
  where: string,
  wanted: Exclude<Fate, 'marker'> = 'visible',
): Promise<BatchesRead> {
  const batches: OpenBatch[] = []
  const filter = new AbortedFilter(aborted)
  let next = from
  let at = 0
  while (at + BATCH.headerBytes <= records.length) {
    const end = at + LENGTH_END + records.readInt32BE(at + BATCH.length)
    if (end > records.length) break
    const batch = records.subarray(at, end)
    const baseOffset = readLong(batch, BATCH.baseOffset)
    const place = `${where} offset ${baseOffset}`
    checkBatch(batch, place)
    const lastOffset = baseOffset + batch.readInt32BE(BATCH.lastOffsetDelta)
    if (filter.fateOf(batch, lastOffset) === wanted && lastOffset >= from) {
      batches.push({
        bytes: await unpack(batch, place),
        baseOffset,
        lastOffset,
        left: batch.readInt32BE(BATCH.count),
        at: 0,
      })
    }
    next = Math.max(next, lastOffset + 1)
    at = end
  }
  return { batches, next }
}

/**
 * Takes up to `max` records at or behind `from` out of a batch.
 *
 * @throws WeirError LOG_DAMAGED when the records are not what the header says
 */
export function takeRecords(
  batch: OpenBatch,
  from: number,
  max: number,
  topic: string,
  partition: number,
  into: LogRecord[],
): number {
  const { bytes, baseOffset } = batch
  const cursor = new Cursor(bytes, batch.at)
  let taken = 0
  while (batch.left > 0 && taken < max) {
    const length = cursor.varint()
    const end = cursor.at + length
    if (length < 0 || end > bytes.length) throw damagedBatch(topic, partition, baseOffset)
    cursor.at++
    cursor.skipVarint()
    const offset = baseOffset + cursor.varint()
    if (offset >= from) {
      const key = cursor.bytesOrNull()
      const value = cursor.bytesOrNull()
      if (cursor.at > end) throw damagedBatch(topic, partition, baseOffset)
      into.push({ topic, partition, offset, key, value })
      taken++
    }
    cursor.at = end
    batch.at = end
    batch.left--
  }
  return taken
}

/** Broker offsets and producer ids: 64 bits, of which Kafka will not use more than 53 in the sun's lifetime. */
export function readLong(bytes: Buffer, at: number): number {
  return bytes.readInt32BE(at) * 2 ** 32 + bytes.readUInt32BE(at + 4)
}

export function writeLong(bytes: Buffer, value: number, at: number): void {
  bytes.writeInt32BE(Math.floor(value / 2 ** 32), at)
  bytes.writeUInt32BE(value >>> 0, at + 4)
}

/**
 * Keeps out what was taken back. A transaction is aborted from its first offset to its marker; several may lie across
 * each other, and the broker lists them in the order of their ends.
 */
class AbortedFilter {
  private readonly waiting: AbortedTransaction[]
  private readonly under = new Set<number>()

  constructor(aborted: readonly AbortedTransaction[]) {
    this.waiting = [...aborted].sort((a, b) => b.firstOffset - a.firstOffset)
  }

  fateOf(batch: Buffer, lastOffset: number): Fate {
    while (this.waiting.length > 0 && this.waiting.at(-1)!.firstOffset <= lastOffset) {
      this.under.add(this.waiting.pop()!.producerId)
    }
    const attributes = batch.readInt16BE(BATCH.attributes)
    const producerId = readLong(batch, BATCH.producerId)
    if ((attributes & CONTROL) !== 0) {
      if (markerOf(batch) === ABORT_MARKER) this.under.delete(producerId)
      return 'marker'
    }
    return (attributes & TRANSACTIONAL) !== 0 && this.under.has(producerId) ? 'taken back' : 'visible'
  }
}

/** The kind of a control batch's one record: its key is a version and a type, two bytes each. */
function markerOf(batch: Buffer): number {
  if (batch.readInt32BE(BATCH.count) < 1) return -1
  const cursor = new Cursor(batch, BATCH.headerBytes)
  cursor.varint()
  cursor.at++
  cursor.skipVarint()
  cursor.skipVarint()
  const key = cursor.bytesOrNull()
  return key === null || key.length < 4 ? -1 : key.readInt16BE(2)
}

function checkBatch(batch: Buffer, place: string): void {
  const magic = batch[BATCH.magic]!
  if (magic !== 2) {
    throw new WeirError('LOG_UNREADABLE', `a batch is in message format ${magic}; Weir reads format 2`, {
      where: place,
      fix: 'Set message.format.version of the topic to 0.11 or later, and copy what is older into a new topic.',
    })
  }
  if (batch.readUInt32BE(BATCH.crc) !== crc32c(batch, BATCH.attributes)) {
    throw new WeirError('LOG_DAMAGED', 'the checksum of a batch is wrong', {
      where: place,
      fix: "Check the brokers' disks and the network between; Weir does not go on over a hole.",
    })
  }
}

async function unpack(batch: Buffer, place: string): Promise<Buffer> {
  const code = batch.readInt16BE(BATCH.attributes) & COMPRESSION_MASK
  const compression = COMPRESSIONS[code]
  if (compression === undefined) {
    throw new WeirError('LOG_UNREADABLE', `a batch has compression ${code}, which Weir does not know`, {
      where: place,
      fix: `Let producers compress with one of ${COMPRESSIONS.slice(1).join(', ')}, and copy these records into a new topic.`,
    })
  }
  try {
    return await decompress(compression, batch.subarray(BATCH.headerBytes))
  } catch (error) {
    throw new WeirError('LOG_UNREADABLE', `a batch with ${compression} compression cannot be unpacked`, {
      where: place,
      fix: 'Look at its producer; records that nobody can read have to be passed over by hand.',
      cause: error,
    })
  }
}

function damagedBatch(topic: string, partition: number, baseOffset: number): WeirError {
  return new WeirError('LOG_DAMAGED', 'the records of a batch are not what its header says', {
    where: `${topic}/${partition} offset ${baseOffset}`,
    fix: 'Look at its producer; its checksum is right, so it was written like this.',
  })
}

/** Reads records' fields: numbers in zigzag form, seven bits a byte. */
class Cursor {
  at: number
  private readonly bytes: Buffer

  constructor(bytes: Buffer, at: number) {
    this.bytes = bytes
    this.at = at
  }

  varint(): number {
    const { bytes } = this
    let byte = bytes[this.at++]!
    let raw = byte & 0x7f
    for (let shift = 7; byte >= 0x80 && shift < 35; shift += 7) {
      byte = bytes[this.at++]!
      raw |= (byte & 0x7f) << shift
    }
    return (raw >>> 1) ^ -(raw & 1)
  }

  skipVarint(): void {
    while (this.bytes[this.at++]! >= 0x80);
  }

  bytesOrNull(): Buffer | null {
    const length = this.varint()
    if (length < 0) return null
    const start = this.at
    this.at += length
    return this.bytes.subarray(start, this.at)
  }
}
