import type { Clock } from '#infra/clock.ts'
import { messageOf, WeirError } from '#schemas/errors.ts'
import { ChangeSignal } from './change-signal.ts'
import { FileReader } from './file-reader.ts'
import { encodeFrame, readDirectory } from './frame.ts'
import type { Log, LogReader, PartitionRange, RecordToAppend, TopicPartition } from './log.ts'
import { diskFiles, type LogFiles } from './log-files.ts'
import { damaged, listSegments, openSegment, type Segment, scanSegment } from './segment.ts'

export interface FileLogOptions {
  readonly folder: string
  /** A segment is closed at this size. */
  readonly segmentBytesMax: number
  /** Whole segments older than this may go, once nobody needs them. */
  readonly retentionMs: number
  /**
   * The file is made so much longer than what is in it, each time it is full: what is then written over zeros needs no new
   * blocks, so that making it durable does not wait for what other files have under way. Absent: no longer than it must be.
   */
  readonly reserveBytes?: number
  readonly clock: Clock
  /** Beside the process that writes: nothing is changed, and what was torn or appended since is not seen. */
  readonly readOnly?: boolean
  readonly files?: LogFiles
}

interface Pending {
  readonly records: readonly RecordToAppend[]
  readonly done: (offsets: readonly number[]) => void
  readonly failed: (error: unknown) => void
}

/** Appends that wait while the disk works are written together, up to this many bytes. */
const GROUP_BYTES_MAX = 16_777_216

/**
 * Opens the log in a folder. The caller holds the folder's lock: there is one writer.
 *
 * @throws WeirError LOG_DAMAGED when a place that had been durable cannot be read; damage behind it is cut off
 */
export async function openFileLog(options: FileLogOptions): Promise<Log> {
  const files = options.files ?? diskFiles
  const isReader = options.readOnly === true
  if (!isReader) await files.makeFolder(options.folder)
  const segments: Segment[] = []
  let base = 0
  const numbers = await listSegments(files, options.folder)
  for (const [i, number] of numbers.entries()) {
    const segment = await openSegment(files, options.folder, number, base, false)
    const { end, size, durableEnd } = await scanSegment(segment)
    if (end < size) {
      const isLast = i === numbers.length - 1
      if (!isLast || base + end < durableEnd) throw damaged(segment, end, 'a frame is torn or its checksum is wrong')
      if (!isReader) {
        await segment.file.truncate(end)
        await segment.file.datasync()
      }
    }
    segment.reserved = end
    segments.push(segment)
    base += end
  }
  if (segments.length === 0 && !isReader) {
    segments.push(await openSegment(files, options.folder, 1, 0, true))
    await files.syncFolder(options.folder)
  }
  return new FileLog(options, files, segments)
}

class FileLog implements Log {
  readonly settleMs = 0
  private readonly options: FileLogOptions
  private readonly files: LogFiles
  private readonly segments: Segment[]
  private readonly next = new Map<string, number>()
  private readonly change = new ChangeSignal()
  private pending: Pending[] = []
  private working: Promise<void> | null = null
  private fatal: WeirError | null = null

  constructor(options: FileLogOptions, files: LogFiles, segments: Segment[]) {
    this.options = options
    this.files = files
    this.segments = segments
    for (const segment of segments) {
      for (const { topic, partition, next } of segment.ranges()) this.next.set(`${topic}/${partition}`, next)
    }
  }

  append(records: readonly RecordToAppend[]): Promise<readonly number[]> {
    if (this.fatal !== null) return Promise.reject(this.fatal)
    if (this.options.readOnly === true) {
      return Promise.reject(
        new WeirError('LOG_CLOSED', 'the log was opened for reading', { where: this.options.folder }),
      )
    }
    if (records.length === 0) return Promise.resolve([])
    return new Promise((done, failed) => {
      this.pending.push({ records, done, failed })
      this.working ??= this.work()
    })
  }

  reader(from: TopicPartition & { readonly offset: number }): LogReader {
    return new FileReader(this.segments, from, () => {
      if (this.fatal !== null) throw this.fatal
    })
  }

  async ranges(): Promise<readonly PartitionRange[]> {
    if (this.fatal !== null) throw this.fatal
    const ranges = new Map<string, { topic: string; partition: number; start: number; end: number }>()
    for (const segment of this.segments) {
      for (const { topic, partition, first, next } of segment.ranges()) {
        const known = ranges.get(`${topic}/${partition}`)
        if (known === undefined) ranges.set(`${topic}/${partition}`, { topic, partition, start: first, end: next })
        else known.end = next
      }
    }
    return [...ranges.values()]
  }

  changed(since: number, signal: AbortSignal): Promise<number> {
    return this.change.after(since, signal)
  }

  async retain(keepFrom: readonly (TopicPartition & { readonly offset: number })[]): Promise<void> {
    const oldestMs = this.options.clock.now() - this.options.retentionMs
    while (this.segments.length > 1) {
      const segment = this.segments[0]!
      const needed = keepFrom.some((keep) => (segment.rangeOf(keep)?.next ?? 0) > keep.offset)
      if (needed || segment.newestMs >= oldestMs) return
      this.segments.shift()
      await segment.file.close()
      await this.files.remove(segment.path)
      await this.files.syncFolder(this.options.folder)
    }
  }

  async close(): Promise<void> {
    await this.working
    if (this.fatal?.code === 'LOG_CLOSED') return
    this.fatal ??= new WeirError('LOG_CLOSED', 'the log was closed')
    this.change.notify()
    const last = this.segments.at(-1)
    if (last !== undefined && last.reserved > last.bytes) await last.file.truncate(last.bytes).catch(() => {})
    for (const segment of this.segments) await segment.file.close()
  }

  /** Writes what waits, group by group: one write and one sync for all appends that came meanwhile. */
  private async work(): Promise<void> {
    // Appends made in the same turn of the event loop join the first group.
    await Promise.resolve()
    while (this.pending.length > 0 && this.fatal === null) await this.writeGroup(this.takeGroup())
    for (const { failed } of this.pending.splice(0)) failed(this.fatal)
    this.working = null
  }

  private takeGroup(): Pending[] {
    let bytes = 0
    let count = 0
    while (count < this.pending.length && (count === 0 || bytes < GROUP_BYTES_MAX)) {
      for (const { value } of this.pending[count]!.records) bytes += value?.length ?? 0
      count++
    }
    return this.pending.splice(0, count)
  }

  private async writeGroup(group: readonly Pending[]): Promise<void> {
    const before = new Map(this.next)
    let segment = this.segments.at(-1)!
    try {
      if (segment.bytes >= this.options.segmentBytesMax) segment = await this.roll(segment)
    } catch (error) {
      this.refuse(group, before, error)
      return
    }
    const start = segment.bytes
    const clockMs = this.options.clock.now()
    const offsets: number[][] = []
    const frames = group.map(({ records }) => {
      const own: number[] = []
      offsets.push(own)
      return encodeFrame(records, segment.base + start, clockMs, (topic, partition) => this.take(topic, partition), own)
    })
    try {
      await this.write(segment, frames.length === 1 ? frames[0]! : Buffer.concat(frames))
    } catch (error) {
      await this.cutBack(segment, start)
      this.refuse(group, before, error)
      return
    }
    try {
      await segment.file.datasync()
    } catch (error) {
      this.fatal = new WeirError(
        'LOG_FSYNC_FAILED',
        'the disk did not confirm what was written; its outcome is unknown',
        {
          where: segment.path,
          fix: 'Check the disk, then start again: what was not durable is cut off.',
          cause: error,
        },
      )
      for (const { failed } of group) failed(this.fatal)
      return
    }
    let at = start
    for (const frame of frames) {
      segment.index(at, frame.length, readDirectory(frame)!)
      at += frame.length
    }
    this.change.notify()
    for (const [i, { done }] of group.entries()) done(offsets[i]!)
  }

  /** Writes behind what is there, and where that fills the file makes it longer than it must be. */
  private async write(segment: Segment, frames: Buffer): Promise<void> {
    const start = segment.bytes
    const { reserveBytes = 0 } = this.options
    if (reserveBytes === 0 || start + frames.length <= segment.reserved) {
      await segment.file.write(frames, start)
      return
    }
    try {
      await segment.file.write(Buffer.concat([frames, Buffer.alloc(reserveBytes)]), start)
      segment.reserved = start + frames.length + reserveBytes
    } catch (error) {
      if (!isDiskFull(error)) throw error
      // Perhaps there is room for what must be written.
      await segment.file.truncate(start)
      segment.reserved = start
      await segment.file.write(frames, start)
    }
  }

  private take(topic: string, partition: number): number {
    const key = `${topic}/${partition}`
    const offset = this.next.get(key) ?? 0
    this.next.set(key, offset + 1)
    return offset
  }

  private async roll(full: Segment): Promise<Segment> {
    const { folder } = this.options
    if (full.reserved > full.bytes) {
      // A file that is followed by another one ends where its frames end.
      await full.file.truncate(full.bytes)
      await full.file.datasync()
      full.reserved = full.bytes
    }
    const segment = await openSegment(this.files, folder, full.number + 1, full.base + full.bytes, true)
    await this.files.syncFolder(folder)
    this.segments.push(segment)
    return segment
  }

  /** What a failed write left behind must not be found at the next start; if even that fails, the next start cuts it. */
  private async cutBack(segment: Segment, length: number): Promise<void> {
    try {
      await segment.file.truncate(length)
      segment.reserved = length
    } catch (error) {
      this.fatal = new WeirError('LOG_FSYNC_FAILED', `a failed write could not be taken back: ${messageOf(error)}`, {
        where: segment.path,
        fix: 'Check the disk, then start again.',
      })
    }
  }

  private refuse(group: readonly Pending[], before: ReadonlyMap<string, number>, error: unknown): void {
    this.next.clear()
    for (const [key, offset] of before) this.next.set(key, offset)
    const refused = this.fatal ?? writeProblem(error, this.options.folder)
    if (!refused.retryable) this.fatal = refused
    for (const { failed } of group) failed(refused)
  }
}

function isDiskFull(error: unknown): boolean {
  const { code } = error as { readonly code?: string }
  return code === 'ENOSPC' || code === 'EDQUOT'
}

function writeProblem(error: unknown, folder: string): WeirError {
  const code = (error as { readonly code?: string }).code
  if (isDiskFull(error)) {
    return new WeirError('LOG_DISK_FULL', 'the disk is full; nothing of this append was kept', {
      where: folder,
      fix: 'Free space; Weir waits and goes on by itself.',
    })
  }
  return new WeirError('LOG_FSYNC_FAILED', `the log cannot be written: ${code ?? messageOf(error)}`, {
    where: folder,
    fix: 'Check the disk, then start again.',
    cause: error,
  })
}
