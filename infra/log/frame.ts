import { crc32 } from 'node:zlib'
import type { PartitionState, PartitionTable } from './partition-table.ts'

/*
 * A frame is one append. Little endian:
 *
 *    0  u32  magic
 *    4  u32  checksum of the head from byte 8 on, directory included
 *    8  u32  bytes of the whole frame
 *   12  u32  bytes of the head
 *   16  f64  position of this frame in the log: a frame that stands elsewhere is not taken for one
 *   24  f64  position up to which the log was known to be durable when this frame was made
 *   32  f64  wall clock, epoch milliseconds
 *   40  u32  sections
 *   44  directory, for each section:
 *         u32 partition, f64 first offset, u32 records, u32 bytes, u32 checksum of the section, u8 + n topic
 *   ..  sections, one for each partition, for each record:
 *         i32 bytes of the key (-1: null), i32 bytes of the value (-1: null), key, value
 *
 * The directory has a checksum of its own and names each section's, so whoever reads one topic neither reads nor checks
 * the bytes of the others. Offsets and positions are doubles: exact up to 2^53.
 */
export const FRAME_MAGIC = 0x31524657
export const FRAME_FIXED_BYTES = 44
/** More than any commit needs; keeps a damaged length from being believed. */
export const FRAME_BYTES_MAX = 512 * 1024 * 1024
export const ENTRY_FIXED_BYTES = 25
export const RECORD_FIXED_BYTES = 8

/** What the directory of a frame says of one section. */
export interface SectionInfo {
  readonly state: PartitionState
  readonly first: number
  readonly count: number
}

export interface FrameSize {
  readonly headBytes: number
  readonly frameBytes: number
}

/** The sizes that stand at `at`, or null when no frame of this position can begin there. Needs FRAME_FIXED_BYTES. */
export function frameSizeAt(bytes: Buffer, at: number, position: number): FrameSize | null {
  if (bytes.readUInt32LE(at) !== FRAME_MAGIC || bytes.readDoubleLE(at + 16) !== position) return null
  const frameBytes = bytes.readUInt32LE(at + 8)
  const headBytes = bytes.readUInt32LE(at + 12)
  if (headBytes < FRAME_FIXED_BYTES || frameBytes < headBytes || frameBytes > FRAME_BYTES_MAX) return null
  return { headBytes, frameBytes }
}

/** Whether the head at `at` (all of it in `bytes`) is as it was written. */
export function isHeadWhole(bytes: Buffer, at: number, headBytes: number): boolean {
  return crc32(bytes.subarray(at + 8, at + headBytes)) === bytes.readUInt32LE(at + 4)
}

export function frameDurableAt(bytes: Buffer, at: number): number {
  return bytes.readDoubleLE(at + 24)
}

export function frameTimestampAt(bytes: Buffer, at: number): number {
  return bytes.readDoubleLE(at + 32)
}

/** One section as the directory describes it. */
export interface FoundSection {
  /** From the first byte of the frame. */
  readonly at: number
  readonly bytes: number
  readonly first: number
  readonly count: number
  readonly checksum: number
}

/** The section of one partition in a whole head, or null when the frame has none. */
export function findSection(bytes: Buffer, at: number, state: PartitionState): FoundSection | null {
  const { topicBytes, partition } = state
  const sections = bytes.readUInt32LE(at + 40)
  let entry = at + FRAME_FIXED_BYTES
  let section = bytes.readUInt32LE(at + 12)
  for (let i = 0; i < sections; i++) {
    const length = bytes.readUInt32LE(entry + 16)
    if (bytes.readUInt32LE(entry) === partition && isTopicAt(bytes, entry + 24, topicBytes)) {
      return {
        at: section,
        bytes: length,
        first: bytes.readDoubleLE(entry + 4),
        count: bytes.readUInt32LE(entry + 12),
        checksum: bytes.readUInt32LE(entry + 20),
      }
    }
    section += length
    entry += ENTRY_FIXED_BYTES + bytes[entry + 24]!
  }
  return null
}

/**
 * Reads the directory of a whole head.
 *
 * @returns the sections, or null when they do not add up to the frame's size
 */
export function readDirectory(bytes: Buffer, at: number, table: PartitionTable): readonly SectionInfo[] | null {
  const headBytes = bytes.readUInt32LE(at + 12)
  const sections = bytes.readUInt32LE(at + 40)
  const infos: SectionInfo[] = []
  let entry = at + FRAME_FIXED_BYTES
  let total = headBytes
  for (let i = 0; i < sections; i++) {
    if (entry + ENTRY_FIXED_BYTES > at + headBytes) return null
    const topicEnd = entry + ENTRY_FIXED_BYTES + bytes[entry + 24]!
    if (topicEnd > at + headBytes) return null
    const topic = bytes.toString('utf8', entry + ENTRY_FIXED_BYTES, topicEnd)
    infos.push({
      state: table.state(topic, bytes.readUInt32LE(entry)),
      first: bytes.readDoubleLE(entry + 4),
      count: bytes.readUInt32LE(entry + 12),
    })
    total += bytes.readUInt32LE(entry + 16)
    entry = topicEnd
  }
  return total === bytes.readUInt32LE(at + 8) ? infos : null
}

/** Whether every section of a whole frame at `at` matches its checksum. */
export function areSectionsWhole(bytes: Buffer, at: number): boolean {
  const sections = bytes.readUInt32LE(at + 40)
  let entry = at + FRAME_FIXED_BYTES
  let section = at + bytes.readUInt32LE(at + 12)
  for (let i = 0; i < sections; i++) {
    const length = bytes.readUInt32LE(entry + 16)
    if (!isSectionWhole(bytes.subarray(section, section + length), bytes.readUInt32LE(entry + 20))) return false
    section += length
    entry += ENTRY_FIXED_BYTES + bytes[entry + 24]!
  }
  return true
}

export function isSectionWhole(section: Buffer, checksum: number): boolean {
  return crc32(section) === checksum
}

function isTopicAt(bytes: Buffer, at: number, topicBytes: Buffer): boolean {
  const length = topicBytes.length
  if (bytes[at] !== length) return false
  for (let i = 0; i < length; i++) if (bytes[at + 1 + i] !== topicBytes[i]) return false
  return true
}
