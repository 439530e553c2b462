import type { OpenFile } from '#infra/file-system.ts'
import { readFully } from '#infra/file-system.ts'
import {
  areSectionsWhole,
  FRAME_FIXED_BYTES,
  FRAME_MAGIC,
  frameDurableAt,
  frameSizeAt,
  frameTimestampAt,
  isHeadWhole,
  readDirectory,
  type SectionInfo,
} from './frame.ts'
import type { PartitionTable } from './partition-table.ts'
import type { Segment } from './segment.ts'

const CHUNK_BYTES = 1024 * 1024
const HEADS_CHUNK_BYTES = 64 * 1024

export interface ScannedFrame {
  readonly position: number
  readonly end: number
  readonly durable: number
  readonly timestampMs: number
  readonly sections: readonly SectionInfo[]
}

export interface ScanRange {
  readonly from: number
  readonly to: number
  /** True: every byte is read and checked. False: heads only. */
  readonly verify: boolean
}

/**
 * Visits the frames of a segment from one position to another.
 *
 * @returns the position at which the first frame begins that is not whole; `to` when all are
 */
export async function scanFrames(
  file: OpenFile,
  segment: Segment,
  range: ScanRange,
  table: PartitionTable,
  visit: (frame: ScannedFrame) => void,
): Promise<number> {
  const { to, verify } = range
  const window = new ScanWindow(file, segment, to, verify ? CHUNK_BYTES : HEADS_CHUNK_BYTES)
  let position = range.from
  while (position < to) {
    if (!(await window.hold(position, FRAME_FIXED_BYTES))) return position
    const size = frameSizeAt(window.bytes, window.at(position), position)
    if (size === null || position + size.frameBytes > to) return position
    if (!(await window.hold(position, verify ? size.frameBytes : size.headBytes))) return position
    const at = window.at(position)
    if (!isHeadWhole(window.bytes, at, size.headBytes)) return position
    const sections = readDirectory(window.bytes, at, table)
    if (sections === null || (verify && !areSectionsWhole(window.bytes, at))) return position
    visit({
      position,
      end: position + size.frameBytes,
      durable: frameDurableAt(window.bytes, at),
      timestampMs: frameTimestampAt(window.bytes, at),
      sections,
    })
    position += size.frameBytes
  }
  return position
}

/**
 * Looks behind damage for frames that are whole, and returns the greatest position one of them knew to be durable; 0
 * when there is none. A frame is believed only where it says it stands.
 */
export async function durableKnownBehind(file: OpenFile, segment: Segment, damageAt: number): Promise<number> {
  const magic = Buffer.alloc(4)
  magic.writeUInt32LE(FRAME_MAGIC)
  const window = new ScanWindow(file, segment, segment.end, CHUNK_BYTES)
  let known = 0
  let position = damageAt + 1
  while (position + FRAME_FIXED_BYTES <= segment.end) {
    if (!(await window.hold(position, FRAME_FIXED_BYTES))) break
    const found = window.bytes.indexOf(magic, window.at(position))
    if (found < 0 || found >= window.length) {
      position = window.end - FRAME_FIXED_BYTES + 1 > position ? window.end - FRAME_FIXED_BYTES + 1 : position + 1
      continue
    }
    position = window.positionOf(found)
    if (!(await window.hold(position, FRAME_FIXED_BYTES))) break
    const size = frameSizeAt(window.bytes, window.at(position), position)
    if (size !== null && position + size.headBytes <= segment.end && (await window.hold(position, size.headBytes))) {
      const at = window.at(position)
      if (isHeadWhole(window.bytes, at, size.headBytes)) known = Math.max(known, frameDurableAt(window.bytes, at))
    }
    position++
  }
  return known
}

/** A sliding piece of a segment in memory. */
class ScanWindow {
  bytes: Buffer
  length = 0
  private start = 0
  private readonly file: OpenFile
  private readonly segment: Segment
  private readonly to: number

  constructor(file: OpenFile, segment: Segment, to: number, chunkBytes: number) {
    this.file = file
    this.segment = segment
    this.to = to
    this.bytes = Buffer.allocUnsafe(chunkBytes)
  }

  /** Position one past the bytes held. */
  get end(): number {
    return this.start + this.length
  }

  at(position: number): number {
    return position - this.start
  }

  positionOf(at: number): number {
    return this.start + at
  }

  /** Sees to it that `length` bytes from `position` are in memory; false when the segment ends before. */
  async hold(position: number, length: number): Promise<boolean> {
    if (position >= this.start && position + length <= this.end) return true
    if (position + length > this.to) return false
    if (length > this.bytes.length) this.bytes = Buffer.allocUnsafe(length)
    this.start = position
    const wanted = Math.min(this.bytes.length, this.to - position)
    this.length = await readFully(this.file, this.bytes, 0, wanted, this.segment.fileOffset(position))
    return this.length >= length
  }
}
