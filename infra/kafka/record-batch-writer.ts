import type { RecordToAppend } from '#infra/log/log.ts'
import { COMPRESSIONS, compress, type WrittenCompression } from './compression.ts'
import { crc32c } from './crc32c.ts'
import { BATCH, TRANSACTIONAL, writeLong } from './record-batch.ts'

/** Who writes, as the brokers know it; sequence numbers let them drop what arrives twice. */
export interface WriterIdentity {
  readonly producerId: number
  readonly producerEpoch: number
  readonly isTransactional: boolean
}

/** Records of one partition, encoded as far as they do not depend on who sends them. */
export interface PackedRecords {
  readonly bytes: Buffer
  readonly count: number
}

/** Upper bound of a record's own bytes beside key and value: six numbers of at most five bytes each. */
const RECORD_OVERHEAD_BYTES = 30

export function recordBytesMax({ key, value }: RecordToAppend): number {
  return RECORD_OVERHEAD_BYTES + (key?.length ?? 0) + (value?.length ?? 0)
}

/** Encodes records one behind the other behind room for the batch's header, and packs them. */
export async function packRecords(
  records: readonly RecordToAppend[],
  compression: WrittenCompression,
): Promise<PackedRecords> {
  let bytesMax = BATCH.headerBytes
  for (const record of records) bytesMax += recordBytesMax(record)
  const bytes = Buffer.allocUnsafe(bytesMax)
  let at: number = BATCH.headerBytes
  for (let i = 0; i < records.length; i++) at = writeRecord(bytes, at, records[i]!, i)
  const plain = bytes.subarray(0, at)
  if (compression === 'none') return { bytes: plain, count: records.length }
  const packed = await compress(compression, plain.subarray(BATCH.headerBytes))
  return { bytes: Buffer.concat([plain.subarray(0, BATCH.headerBytes), packed]), count: records.length }
}

/** Fills the header in. The same records can be sealed again for another writer, once the batch before was sent. */
export function sealBatch(
  { bytes, count }: PackedRecords,
  compression: WrittenCompression,
  writer: WriterIdentity,
  baseSequence: number,
  clockMs: number,
): Buffer {
  writeLong(bytes, 0, BATCH.baseOffset)
  bytes.writeInt32BE(bytes.length - BATCH.leaderEpoch, BATCH.length)
  bytes.writeInt32BE(-1, BATCH.leaderEpoch)
  bytes.writeInt8(2, BATCH.magic)
  bytes.writeInt16BE(COMPRESSIONS.indexOf(compression) | (writer.isTransactional ? TRANSACTIONAL : 0), BATCH.attributes)
  bytes.writeInt32BE(count - 1, BATCH.lastOffsetDelta)
  writeLong(bytes, clockMs, BATCH.baseTimestamp)
  writeLong(bytes, clockMs, BATCH.maxTimestamp)
  writeLong(bytes, writer.producerId, BATCH.producerId)
  bytes.writeInt16BE(writer.producerEpoch, BATCH.producerEpoch)
  bytes.writeInt32BE(baseSequence, BATCH.baseSequence)
  bytes.writeInt32BE(count, BATCH.count)
  bytes.writeUInt32BE(crc32c(bytes, BATCH.attributes), BATCH.crc)
  return bytes
}

/** Attributes, timestamp and headers are zero bytes: all records of a batch have the batch's time. */
function writeRecord(bytes: Buffer, start: number, record: RecordToAppend, index: number): number {
  const keyBytes = record.key === null ? 0 : record.key.length
  const valueBytes = record.value === null ? 0 : record.value.length
  const length =
    3 +
    varintBytes(index) +
    varintBytes(record.key === null ? -1 : keyBytes) +
    keyBytes +
    varintBytes(record.value === null ? -1 : valueBytes) +
    valueBytes
  let at = writeVarint(bytes, start, length)
  bytes[at++] = 0
  bytes[at++] = 0
  at = writeVarint(bytes, at, index)
  at = writeBytes(bytes, at, record.key)
  at = writeBytes(bytes, at, record.value)
  bytes[at++] = 0
  return at
}

function writeBytes(bytes: Buffer, start: number, value: Uint8Array | null): number {
  if (value === null) return writeVarint(bytes, start, -1)
  const at = writeVarint(bytes, start, value.length)
  bytes.set(value, at)
  return at + value.length
}

function writeVarint(bytes: Buffer, start: number, value: number): number {
  let at = start
  let raw = ((value << 1) ^ (value >> 31)) >>> 0
  while (raw >= 0x80) {
    bytes[at++] = (raw & 0x7f) | 0x80
    raw >>>= 7
  }
  bytes[at++] = raw
  return at
}

function varintBytes(value: number): number {
  let raw = ((value << 1) ^ (value >> 31)) >>> 0
  let bytes = 1
  for (; raw >= 0x80; raw >>>= 7) bytes++
  return bytes
}
