import { crc32 } from 'node:zlib'
import type { LogRecord, RecordToAppend, TopicPartition } from './log.ts'

/**
 * One append on disk. Little-endian:
 *
 *     u32 magic | u32 crc of all that follows | u32 length of all that follows
 *     f64 durable end known when it was written | f64 wall clock, epoch ms | u32 groups
 *     groups: u16 topic bytes, topic, u32 partition, f64 first offset, u32 count, u32 bytes of records
 *     records, group by group: u32 key bytes, key, u32 value bytes, value (NULL_BYTES for null)
 *
 * The directory of groups comes first, so a reader of one topic skips the bytes of the others.
 */
export const FRAME_MAGIC = 0x31_52_46_57
export const FRAME_HEADER_BYTES = 12
const FIXED_BYTES = 20
const NULL_BYTES = 0xffff_ffff

export interface FrameGroup extends TopicPartition {
  readonly firstOffset: number
  readonly count: number
  /** Where its records begin, from the start of the frame. */
  readonly at: number
  readonly bytes: number
}

export interface FrameHead {
  /** Whole frame, header included. */
  readonly bytes: number
  readonly crc: number
}

export interface FrameDirectory {
  readonly durableEnd: number
  readonly clockMs: number
  readonly groups: readonly FrameGroup[]
}

/** Gives the next offset of a partition and counts it. */
export type TakeOffset = (topic: string, partition: number) => number

/** Encodes one append; `offsets[i]` becomes the offset of `records[i]`. */
export function encodeFrame(
  records: readonly RecordToAppend[],
  durableEnd: number,
  clockMs: number,
  takeOffset: TakeOffset,
  offsets: number[],
): Buffer {
  const groups = groupRecords(records)
  let bytes = FRAME_HEADER_BYTES + FIXED_BYTES
  for (const group of groups) bytes += 22 + Buffer.byteLength(group.topic) + group.bytes
  const frame = Buffer.allocUnsafe(bytes)
  let at = FRAME_HEADER_BYTES
  at = frame.writeDoubleLE(durableEnd, at)
  at = frame.writeDoubleLE(clockMs, at)
  at = frame.writeUInt32LE(groups.length, at)
  for (const group of groups) {
    const firstOffset = takeOffset(group.topic, group.partition)
    offsets[group.rows[0]!] = firstOffset
    for (let i = 1; i < group.rows.length; i++) offsets[group.rows[i]!] = takeOffset(group.topic, group.partition)
    const topicBytes = frame.write(group.topic, at + 2)
    frame.writeUInt16LE(topicBytes, at)
    at += 2 + topicBytes
    at = frame.writeUInt32LE(group.partition, at)
    at = frame.writeDoubleLE(firstOffset, at)
    at = frame.writeUInt32LE(group.rows.length, at)
    at = frame.writeUInt32LE(group.bytes, at)
  }
  for (const group of groups) {
    for (const row of group.rows) {
      at = writeBytes(frame, records[row]!.key, at)
      at = writeBytes(frame, records[row]!.value, at)
    }
  }
  frame.writeUInt32LE(FRAME_MAGIC, 0)
  frame.writeUInt32LE(bytes - FRAME_HEADER_BYTES, 8)
  frame.writeUInt32LE(crc32(frame.subarray(8)), 4)
  return frame
}

/** Null when these are not the first bytes of a frame. */
export function readHead(bytes: Buffer): FrameHead | null {
  if (bytes.length < FRAME_HEADER_BYTES || bytes.readUInt32LE(0) !== FRAME_MAGIC) return null
  const length = bytes.readUInt32LE(8)
  if (length < FIXED_BYTES) return null
  return { bytes: FRAME_HEADER_BYTES + length, crc: bytes.readUInt32LE(4) }
}

export function isIntact(frame: Buffer, head: FrameHead): boolean {
  return frame.length === head.bytes && crc32(frame.subarray(8)) === head.crc
}

/** Reads the directory of a frame; `bytes` holds at least the directory. Null when it needs more bytes. */
export function readDirectory(bytes: Buffer): FrameDirectory | null {
  if (bytes.length < FRAME_HEADER_BYTES + FIXED_BYTES) return null
  const durableEnd = bytes.readDoubleLE(FRAME_HEADER_BYTES)
  const clockMs = bytes.readDoubleLE(FRAME_HEADER_BYTES + 8)
  const count = bytes.readUInt32LE(FRAME_HEADER_BYTES + 16)
  let at = FRAME_HEADER_BYTES + FIXED_BYTES
  const heads: Omit<FrameGroup, 'at'>[] = []
  for (let i = 0; i < count; i++) {
    if (at + 2 > bytes.length) return null
    const topicBytes = bytes.readUInt16LE(at)
    if (at + 22 + topicBytes > bytes.length) return null
    const topic = bytes.toString('utf8', at + 2, at + 2 + topicBytes)
    at += 2 + topicBytes
    heads.push({
      topic,
      partition: bytes.readUInt32LE(at),
      firstOffset: bytes.readDoubleLE(at + 4),
      count: bytes.readUInt32LE(at + 12),
      bytes: bytes.readUInt32LE(at + 16),
    })
    at += 20
  }
  const groups = heads.map((head) => {
    const group = { ...head, at }
    at += head.bytes
    return group
  })
  return { durableEnd, clockMs, groups }
}

/** Records of one group from `offset` on, at most `max`, as views of `bytes`. */
export function readRecords(bytes: Buffer, group: FrameGroup, offset: number, max: number): LogRecord[] {
  const records: LogRecord[] = []
  let at = 0
  for (let i = 0; i < group.count && records.length < max; i++) {
    const keyBytes = bytes.readUInt32LE(at)
    const keyEnd = at + 4 + (keyBytes === NULL_BYTES ? 0 : keyBytes)
    const valueBytes = bytes.readUInt32LE(keyEnd)
    const valueEnd = keyEnd + 4 + (valueBytes === NULL_BYTES ? 0 : valueBytes)
    if (group.firstOffset + i >= offset) {
      records.push({
        topic: group.topic,
        partition: group.partition,
        offset: group.firstOffset + i,
        key: keyBytes === NULL_BYTES ? null : bytes.subarray(at + 4, keyEnd),
        value: valueBytes === NULL_BYTES ? null : bytes.subarray(keyEnd + 4, valueEnd),
      })
    }
    at = valueEnd
  }
  return records
}

interface Group extends TopicPartition {
  readonly rows: number[]
  bytes: number
}

function groupRecords(records: readonly RecordToAppend[]): Group[] {
  const groups: Group[] = []
  for (const [row, record] of records.entries()) {
    let group = groups.find((g) => g.topic === record.topic && g.partition === record.partition)
    if (group === undefined) {
      group = { topic: record.topic, partition: record.partition, rows: [], bytes: 0 }
      groups.push(group)
    }
    group.rows.push(row)
    group.bytes += 8 + (record.key?.length ?? 0) + (record.value?.length ?? 0)
  }
  return groups
}

function writeBytes(frame: Buffer, bytes: Uint8Array | null, at: number): number {
  if (bytes === null) return frame.writeUInt32LE(NULL_BYTES, at)
  const from = frame.writeUInt32LE(bytes.length, at)
  frame.set(bytes, from)
  return from + bytes.length
}
