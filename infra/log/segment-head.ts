import { crc32 } from 'node:zlib'
import type { PartitionState, PartitionTable } from './partition-table.ts'

/*
 * A segment is a file: a head, then frames. The head, little endian:
 *
 *    0  u32  magic
 *    4  u32  checksum of the head from byte 8 on
 *    8  u32  bytes of the head
 *   12  u32  partitions
 *   16  f64  position of the first frame
 *   24  f64  wall clock of the newest frame before this segment, epoch milliseconds
 *   32  for each partition that existed: u32 partition, f64 next offset, u8 + n topic
 *
 * So the offsets at which a segment begins are known without reading the segment before it, which may be gone. The head
 * is durable before the file gets its name.
 */
const SEGMENT_MAGIC = 0x31474553
const FIXED_BYTES = 32
const ENTRY_FIXED_BYTES = 13
const NAME = /^(\d{16})\.frames$/
const NAME_DIGITS = 16

export interface SegmentHead {
  readonly headBytes: number
  /** Position of the first frame. */
  readonly base: number
  readonly newestBeforeMs: number
  /** First offset of this segment, of the partitions that existed; 0 for any other. */
  readonly starts: ReadonlyMap<PartitionState, number>
}

export function segmentName(base: number): string {
  return `${String(base).padStart(NAME_DIGITS, '0')}.frames`
}

/** The position in a segment's name, or null when the file is none. */
export function baseOfName(name: string): number | null {
  const match = NAME.exec(name)
  return match === null ? null : Number(match[1])
}

export function encodeSegmentHead(base: number, newestBeforeMs: number, partitions: readonly PartitionState[]): Buffer {
  let headBytes = FIXED_BYTES
  for (const state of partitions) headBytes += ENTRY_FIXED_BYTES + state.topicBytes.length
  const bytes = Buffer.alloc(headBytes)
  bytes.writeUInt32LE(SEGMENT_MAGIC, 0)
  bytes.writeUInt32LE(headBytes, 8)
  bytes.writeUInt32LE(partitions.length, 12)
  bytes.writeDoubleLE(base, 16)
  bytes.writeDoubleLE(newestBeforeMs, 24)
  let at = FIXED_BYTES
  for (const state of partitions) {
    bytes.writeUInt32LE(state.partition, at)
    bytes.writeDoubleLE(state.end, at + 4)
    bytes[at + 12] = state.topicBytes.length
    bytes.set(state.topicBytes, at + ENTRY_FIXED_BYTES)
    at += ENTRY_FIXED_BYTES + state.topicBytes.length
  }
  bytes.writeUInt32LE(crc32(bytes.subarray(8)), 4)
  return bytes
}

/** How many bytes the head has that begins with these 16 (or fewer) bytes; null when it is none. */
export function segmentHeadBytes(bytes: Buffer): number | null {
  if (bytes.length < 16 || bytes.readUInt32LE(0) !== SEGMENT_MAGIC) return null
  const headBytes = bytes.readUInt32LE(8)
  return headBytes < FIXED_BYTES ? null : headBytes
}

/** The head, or null when it is damaged. */
export function decodeSegmentHead(bytes: Buffer, table: PartitionTable): SegmentHead | null {
  if (segmentHeadBytes(bytes) !== bytes.length) return null
  if (crc32(bytes.subarray(8)) !== bytes.readUInt32LE(4)) return null
  const starts = new Map<PartitionState, number>()
  let at = FIXED_BYTES
  for (let left = bytes.readUInt32LE(12); left > 0; left--) {
    const end = at + ENTRY_FIXED_BYTES + bytes[at + 12]!
    const topic = bytes.toString('utf8', at + ENTRY_FIXED_BYTES, end)
    starts.set(table.state(topic, bytes.readUInt32LE(at)), bytes.readDoubleLE(at + 4))
    at = end
  }
  return { headBytes: bytes.length, base: bytes.readDoubleLE(16), newestBeforeMs: bytes.readDoubleLE(24), starts }
}
