import { join } from 'node:path'
import type { FileSystem, OpenFile } from '#infra/file-system.ts'
import { readFully } from '#infra/file-system.ts'
import { WeirError } from '#schemas/errors.ts'
import type { PartitionState, PartitionTable } from './partition-table.ts'
import { decodeSegmentHead, type SegmentHead, segmentHeadBytes, segmentName } from './segment-head.ts'

/** A place to begin reading a partition is kept about every so many bytes. */
const INDEX_INTERVAL_BYTES = 1024 * 1024
const HEAD_BYTES_MAX = 64 * 1024 * 1024

interface IndexEntries {
  readonly offsets: number[]
  readonly positions: number[]
}

/** Sparse: for each partition, offsets at which a frame holds it, and where that frame is. */
export class SegmentIndex {
  private readonly byPartition = new Map<PartitionState, IndexEntries>()

  /** To be called for frames in order. */
  add(state: PartitionState, first: number, position: number): void {
    let entries = this.byPartition.get(state)
    if (entries === undefined) {
      entries = { offsets: [], positions: [] }
      this.byPartition.set(state, entries)
    }
    const { offsets, positions } = entries
    if (positions.length > 0 && position - positions.at(-1)! < INDEX_INTERVAL_BYTES) return
    offsets.push(first)
    positions.push(position)
  }

  /** Position of a frame at or before the one that holds `offset`; -1 when nothing is known. */
  find(state: PartitionState, offset: number): number {
    const entries = this.byPartition.get(state)
    if (entries === undefined) return -1
    let low = 0
    let high = entries.offsets.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (entries.offsets[middle]! <= offset) low = middle + 1
      else high = middle
    }
    return low === 0 ? -1 : entries.positions[low - 1]!
  }
}

/** One file of the log. Positions are those of the whole log; `base` is the position of the first frame. */
export class Segment {
  readonly path: string
  readonly head: SegmentHead
  /** Bytes of frames. */
  size: number
  /** Null until somebody needs to seek in it. */
  index: SegmentIndex | null = null
  /** Taken away by retention. */
  removed = false

  constructor(path: string, head: SegmentHead, size: number) {
    this.path = path
    this.head = head
    this.size = size
  }

  get base(): number {
    return this.head.base
  }

  get end(): number {
    return this.base + this.size
  }

  /** Where a position of the log stands in the file. */
  fileOffset(position: number): number {
    return position - this.base + this.head.headBytes
  }

  startOf(state: PartitionState): number {
    return this.head.starts.get(state) ?? 0
  }
}

/**
 * Reads the head of a segment's file; its frames are not looked at.
 *
 * @throws WeirError LOG_DAMAGED
 */
export async function readSegment(fs: FileSystem, folder: string, base: number, table: PartitionTable): Promise<Segment> {
  const path = join(folder, segmentName(base))
  const file = await fs.open(path, 'read')
  try {
    const size = await file.size()
    const head = await readHead(file, size, table)
    if (head === null || head.base !== base) throw damaged(path, 0, 'the head of the segment is not as it was written')
    return new Segment(path, head, size - head.headBytes)
  } finally {
    await file.close()
  }
}

/** The error for damage that cutting the end off would not mend. */
export function damaged(path: string, byte: number, what: string, cause?: unknown): WeirError {
  return new WeirError('LOG_DAMAGED', `the log is damaged: ${what} (${path}, byte ${byte})`, {
    where: `${path}, byte ${byte}`,
    fix: 'Records that were acknowledged are lost here. Restore the log folder from a copy, or move it away to begin a new log.',
    cause,
  })
}

async function readHead(file: OpenFile, fileBytes: number, table: PartitionTable): Promise<SegmentHead | null> {
  let bytes: Buffer = Buffer.alloc(Math.min(fileBytes, 4096))
  let read = await readFully(file, bytes, 0, bytes.length, 0)
  const headBytes = segmentHeadBytes(bytes.subarray(0, read))
  if (headBytes === null || headBytes > Math.min(fileBytes, HEAD_BYTES_MAX)) return null
  if (headBytes > read) {
    bytes = Buffer.alloc(headBytes)
    read = await readFully(file, bytes, 0, headBytes, 0)
  }
  return decodeSegmentHead(bytes.subarray(0, headBytes), table)
}
