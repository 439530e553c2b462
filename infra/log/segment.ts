import { join } from 'node:path'
import { WeirError } from '#schemas/errors.ts'
import { FRAME_HEADER_BYTES, type FrameDirectory, isIntact, readDirectory, readHead } from './frame.ts'
import type { TopicPartition } from './log.ts'
import type { LogFile, LogFiles } from './log-files.ts'

/** A frame is found by reading on from the nearest entry before it. */
const INDEX_EVERY_BYTES = 262_144
const SCAN_BYTES = 1_048_576

interface IndexEntry {
  readonly offset: number
  readonly at: number
}

interface PartitionInSegment extends TopicPartition {
  readonly first: number
  next: number
  readonly entries: IndexEntry[]
}

/**
 * One file of the log. Positions in it are counted from the log's beginning: `base` is what all files before it held.
 */
export class Segment {
  readonly number: number
  readonly base: number
  readonly path: string
  readonly file: LogFile
  /** Bytes written and known to be whole frames. */
  bytes = 0
  /** Bytes of the file, those that hold nothing yet included; kept by whoever writes it. */
  reserved = 0
  newestMs = 0
  private readonly partitions = new Map<string, PartitionInSegment>()

  constructor(number: number, base: number, path: string, file: LogFile) {
    this.number = number
    this.base = base
    this.path = path
    this.file = file
  }

  /** Notes a frame that stands at `at` of this file. */
  index(at: number, frameBytes: number, directory: FrameDirectory): void {
    for (const { topic, partition, firstOffset, count } of directory.groups) {
      const key = `${topic}/${partition}`
      let known = this.partitions.get(key)
      if (known === undefined) {
        known = { topic, partition, first: firstOffset, next: firstOffset, entries: [] }
        this.partitions.set(key, known)
      }
      const last = known.entries.at(-1)
      if (last === undefined || at - last.at >= INDEX_EVERY_BYTES) known.entries.push({ offset: firstOffset, at })
      known.next = firstOffset + count
    }
    this.newestMs = Math.max(this.newestMs, directory.clockMs)
    this.bytes = at + frameBytes
  }

  rangeOf({ topic, partition }: TopicPartition): { readonly first: number; readonly next: number } | undefined {
    return this.partitions.get(`${topic}/${partition}`)
  }

  ranges(): Iterable<TopicPartition & { readonly first: number; readonly next: number }> {
    return this.partitions.values()
  }

  /** Where to begin reading to meet `offset` of a partition that this segment holds. */
  seek({ topic, partition }: TopicPartition, offset: number): number {
    const entries = this.partitions.get(`${topic}/${partition}`)!.entries
    let low = 0
    let high = entries.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if (entries[middle]!.offset <= offset) low = middle
      else high = middle - 1
    }
    return entries[low]!.at
  }
}

export const segmentName = (number: number): string => `segment-${String(number).padStart(8, '0')}.log`

/** Numbers of the segments in a folder, ascending. */
export async function listSegments(files: LogFiles, folder: string): Promise<number[]> {
  const numbers: number[] = []
  for (const name of await files.list(folder)) {
    const match = /^segment-(\d{8})\.log$/.exec(name)
    if (match !== null) numbers.push(Number(match[1]))
  }
  return numbers.sort((a, b) => a - b)
}

export async function openSegment(
  files: LogFiles,
  folder: string,
  number: number,
  base: number,
  create: boolean,
): Promise<Segment> {
  const path = join(folder, segmentName(number))
  return new Segment(number, base, path, await files.open(path, create))
}

export interface Scanned {
  /** First byte that is not part of a whole frame; the file's size when all is well. */
  readonly end: number
  readonly size: number
  /** Highest durable end that any readable frame names, those behind damage included; counted from the log's beginning. */
  readonly durableEnd: number
}

/** Reads a segment from its beginning, checks every frame and fills the index. */
export async function scanSegment(segment: Segment): Promise<Scanned> {
  const size = await segment.file.size()
  const frames = new FrameScanner(segment.file)
  let durableEnd = 0
  let at = 0
  while (at < size) {
    const frame = await frames.at(at, size)
    if (frame === null) break
    durableEnd = Math.max(durableEnd, frame.directory.durableEnd)
    segment.index(at, frame.bytes, frame.directory)
    at += frame.bytes
  }
  if (at < size) durableEnd = Math.max(durableEnd, await durableEndBehind(segment.file, at, size))
  return { end: at, size, durableEnd }
}

export interface ScannedFrame {
  readonly bytes: number
  readonly frame: Buffer
  readonly directory: FrameDirectory
}

/** Reads frames one behind the other, and asks the file for many at once. */
export class FrameScanner {
  private readonly file: LogFile
  private window: Buffer = Buffer.alloc(0)
  private from = 0

  constructor(file: LogFile) {
    this.file = file
  }

  /** The whole frame at this byte of a file of `size` bytes, or null. */
  async at(at: number, size: number): Promise<ScannedFrame | null> {
    if (!this.holds(at, FRAME_HEADER_BYTES)) {
      // A file may be longer than what is in it, and its end is looked at again and again.
      if (readHead(await this.file.read(FRAME_HEADER_BYTES, at)) === null) return null
      await this.fill(at, SCAN_BYTES)
    }
    const head = readHead(this.take(at, FRAME_HEADER_BYTES))
    if (head === null || head.bytes > size - at) return null
    if (!this.holds(at, head.bytes)) await this.fill(at, Math.max(head.bytes, SCAN_BYTES))
    const frame = this.take(at, head.bytes)
    if (!isIntact(frame, head)) return null
    const directory = readDirectory(frame)
    return directory === null ? null : { bytes: head.bytes, frame, directory }
  }

  private holds(at: number, length: number): boolean {
    return at >= this.from && at + length <= this.from + this.window.length
  }

  private take(at: number, length: number): Buffer {
    return this.window.subarray(at - this.from, at - this.from + length)
  }

  private async fill(at: number, length: number): Promise<void> {
    this.window = await this.file.read(length, at)
    this.from = at
  }
}

/** Whole frames behind damage tell whether the damaged place had been reported durable. */
async function durableEndBehind(file: LogFile, from: number, size: number): Promise<number> {
  let durableEnd = 0
  for (let start = from + 1; start < size; start += SCAN_BYTES - FRAME_HEADER_BYTES) {
    const bytes = await file.read(Math.min(SCAN_BYTES, size - start), start)
    for (let i = bytes.indexOf('WFR1'); i >= 0; i = bytes.indexOf('WFR1', i + 1)) {
      const frame = await new FrameScanner(file).at(start + i, size)
      if (frame !== null) durableEnd = Math.max(durableEnd, frame.directory.durableEnd)
    }
  }
  return durableEnd
}

export function damaged(segment: Segment, at: number, what: string): WeirError {
  return new WeirError('LOG_DAMAGED', `the log is damaged where it had been durable: ${what}`, {
    where: `${segment.path} byte ${at}`,
    fix: 'Restore the file from a backup; Weir does not go on behind a hole in what it had promised to keep.',
  })
}
