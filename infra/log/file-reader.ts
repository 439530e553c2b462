import { FRAME_HEADER_BYTES, type FrameGroup, isIntact, readDirectory, readHead, readRecords } from './frame.ts'
import type { LogReader, LogRecord, TopicPartition } from './log.ts'
import { positionGone } from './memory-log.ts'
import { damaged, type Segment } from './segment.ts'

const WINDOW_BYTES = 262_144

/** Reads one partition out of frames that hold many; never past what is durable. */
export class FileReader implements LogReader {
  position: number
  private readonly segments: readonly Segment[]
  private readonly of: TopicPartition
  private readonly refuse: () => void
  /** Where the frame that comes next stands; null: to be found by the index. */
  private place: { readonly segment: Segment; at: number } | null = null
  /** Bytes read ahead; handed out as views, so a window is never written again. */
  private window: { readonly segment: Segment; readonly at: number; readonly bytes: Buffer } | null = null

  constructor(segments: readonly Segment[], from: TopicPartition & { readonly offset: number }, refuse: () => void) {
    this.segments = segments
    this.of = from
    this.position = from.offset
    this.refuse = refuse
  }

  async read(max: number): Promise<readonly LogRecord[]> {
    this.refuse()
    const records: LogRecord[] = []
    while (records.length < max) {
      const found = await this.nextGroup()
      if (found === null) break
      const { group, frameAt, segment } = found
      const bytes = await this.bytesAt(segment, frameAt + group.at, group.bytes)
      const taken = readRecords(bytes, group, this.position, max - records.length)
      for (const record of taken) records.push(record)
      this.position += taken.length
      if (this.position >= group.firstOffset + group.count) this.place = { segment, at: found.frameEnd }
    }
    return records
  }

  seek(offset: number): void {
    this.position = offset
    this.place = null
  }

  close(): void {
    this.window = null
    this.place = null
  }

  /** The group that holds the position; null when nothing that is durable does. */
  private async nextGroup(): Promise<{
    readonly segment: Segment
    readonly frameAt: number
    readonly frameEnd: number
    readonly group: FrameGroup
  } | null> {
    for (;;) {
      const place = this.place ?? this.find()
      if (place === null) return null
      this.place = place
      if (place.at >= place.segment.bytes) {
        const next = this.segments.find((segment) => segment.number > place.segment.number)
        if (next === undefined) return null
        this.place = { segment: next, at: 0 }
        continue
      }
      const { segment, at } = place
      const head = await this.frameHead(segment, at)
      const group = head.groups.find((g) => g.topic === this.of.topic && g.partition === this.of.partition)
      if (group !== undefined && group.firstOffset + group.count > this.position) {
        return { segment, frameAt: at, frameEnd: at + head.bytes, group }
      }
      place.at = at + head.bytes
    }
  }

  private find(): { readonly segment: Segment; at: number } | null {
    let start: number | null = null
    for (const segment of this.segments) {
      const range = segment.rangeOf(this.of)
      if (range === undefined) continue
      start ??= range.first
      if (this.position < start) throw positionGone(this.of, this.position, start)
      if (this.position < range.next) return { segment, at: segment.seek(this.of, this.position) }
    }
    return null
  }

  private async frameHead(
    segment: Segment,
    at: number,
  ): Promise<{ readonly bytes: number; readonly groups: readonly FrameGroup[] }> {
    let bytes = await this.bytesAt(segment, at, Math.min(4_096, segment.bytes - at))
    const head = readHead(bytes)
    if (head === null) throw damaged(segment, at, 'no frame begins where one was written')
    let directory = readDirectory(bytes)
    if (directory === null || head.bytes <= WINDOW_BYTES) {
      bytes = await this.bytesAt(segment, at, head.bytes)
      if (!isIntact(bytes, head)) throw damaged(segment, at + FRAME_HEADER_BYTES, 'the checksum of a frame is wrong')
      directory = readDirectory(bytes)
    }
    return { bytes: head.bytes, groups: directory!.groups }
  }

  private async bytesAt(segment: Segment, at: number, length: number): Promise<Buffer> {
    const { window } = this
    if (window !== null && window.segment === segment && at >= window.at) {
      const from = at - window.at
      if (from + length <= window.bytes.length) return window.bytes.subarray(from, from + length)
    }
    if (length > WINDOW_BYTES) return segment.file.read(length, at)
    const bytes = await segment.file.read(Math.min(WINDOW_BYTES, segment.bytes - at), at)
    this.window = { segment, at, bytes }
    return bytes.subarray(0, length)
  }
}
