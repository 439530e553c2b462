import { WeirError } from '#schemas/errors.ts'
import { ChangeSignal } from './change-signal.ts'
import { FileReader } from './file-reader.ts'
import type { Log, LogReader, PartitionRange, TopicPartition } from './log.ts'
import { diskFiles, type LogFiles } from './log-files.ts'
import { damaged, FrameScanner, listSegments, openSegment, type Segment } from './segment.ts'

export interface FollowingFileLogOptions {
  readonly folder: string
  /** How often the folder is looked at. */
  readonly everyMs?: number
  /** A frame at the very end, of which no later one says that it is durable, counts once it has stood there so long. */
  readonly settledMs?: number
  readonly files?: LogFiles
}

const EVERY_MS = 50
const SETTLED_MS = 1_000
/** Readers may still stand in a file that retention has removed. */
const RETIRED_MS = 60_000

/**
 * Reads the log in a folder while another process writes it, and sees what is appended. What a later frame names as durable is
 * given out at once. The last frame is not named by any: it may be the leftover of a write that failed, which its writer
 * takes back right away, so it counts when it has stood there for a while and this process has made it durable itself.
 *
 * @throws WeirError LOG_DAMAGED
 */
export async function openFollowingFileLog(options: FollowingFileLogOptions): Promise<Log> {
  const log = new FollowingFileLog(options)
  try {
    await log.refresh()
  } catch (error) {
    await log.close()
    throw error
  }
  log.follow()
  return log
}

class FollowingFileLog implements Log {
  readonly settleMs = 0
  private readonly folder: string
  private readonly everyMs: number
  private readonly settledMs: number
  private readonly files: LogFiles
  private readonly segments: Segment[] = []
  private retired: { readonly segment: Segment; readonly atMs: number }[] = []
  private readonly change = new ChangeSignal()
  private durableEnd = 0
  /** End of the whole frames seen last, and since when it has been there. */
  private tail = { end: -1, sinceMs: 0 }
  private failure: unknown = null
  private timer: NodeJS.Timeout | undefined
  private working: Promise<void> = Promise.resolve()

  constructor(options: FollowingFileLogOptions) {
    this.folder = options.folder
    this.everyMs = options.everyMs ?? EVERY_MS
    this.settledMs = options.settledMs ?? SETTLED_MS
    this.files = options.files ?? diskFiles
  }

  append(): Promise<never> {
    return Promise.reject(new WeirError('LOG_CLOSED', 'the log was opened for reading', { where: this.folder }))
  }

  reader(from: TopicPartition & { readonly offset: number }): LogReader {
    return new FileReader(this.segments, from, () => {
      if (this.failure !== null) throw this.failure
    })
  }

  async ranges(): Promise<readonly PartitionRange[]> {
    if (this.failure !== null) throw this.failure
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

  async retain(): Promise<void> {}

  async close(): Promise<void> {
    this.failure ??= new WeirError('LOG_CLOSED', 'the log was closed')
    clearTimeout(this.timer)
    await this.working
    this.change.notify()
    for (const segment of [...this.segments.splice(0), ...this.retired.map(({ segment }) => segment)]) {
      await segment.file.close()
    }
    this.retired = []
  }

  follow(): void {
    this.timer = setTimeout(() => {
      this.working = this.refresh().catch((error: unknown) => {
        this.failure ??= error
        this.change.notify()
      })
      void this.working.then(() => {
        if (this.failure === null) this.follow()
      })
    }, this.everyMs)
  }

  /** Looks for what was appended, begun and removed since. */
  async refresh(): Promise<void> {
    // A file is begun when the one before is full, so its end is read after the list of files.
    const numbers = await listSegments(this.files, this.folder).catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
      throw error
    })
    await this.retire(numbers[0] ?? 0)
    let hasMore = await this.readOn(numbers.at(-1) ?? 0)
    for (const number of numbers) {
      const last = this.segments.at(-1)
      if (last !== undefined && number <= last.number) continue
      if (last !== undefined && number !== last.number + 1) {
        throw damaged(last, last.bytes, `the file with number ${last.number + 1} is missing`)
      }
      const base = last === undefined ? 0 : last.base + last.bytes
      this.segments.push(await openSegment(this.files, this.folder, number, base, false))
      hasMore = (await this.readOn(numbers.at(-1)!)) || hasMore
    }
    if (hasMore) this.change.notify()
  }

  /** Takes whole frames at the end of the newest file; true when there were any. */
  private async readOn(newest: number): Promise<boolean> {
    const segment = this.segments.at(-1)
    if (segment === undefined) return false
    const before = segment.bytes
    const isFull = segment.number < newest
    const size = await segment.file.size()
    const frames: { readonly at: number; readonly bytes: number; readonly take: () => void }[] = []
    const scanner = new FrameScanner(segment.file)
    let at = segment.bytes
    while (at < size) {
      const frame = await scanner.at(at, size)
      if (frame === null) break
      const { bytes, directory } = frame
      const start = at
      this.durableEnd = Math.max(this.durableEnd, directory.durableEnd)
      frames.push({ at, bytes, take: () => segment.index(start, bytes, directory) })
      at += bytes
    }
    if (isFull && at < size) throw damaged(segment, at, 'a frame is torn or its checksum is wrong')
    const mayTakeAll = isFull || (frames.length > 0 && (await this.isSettled(segment, at)))
    for (const frame of frames) {
      const end = segment.base + frame.at + frame.bytes
      if (end <= this.durableEnd || mayTakeAll) frame.take()
    }
    return segment.bytes > before
  }

  private async isSettled(segment: Segment, at: number): Promise<boolean> {
    const end = segment.base + at
    const nowMs = performance.now()
    if (this.tail.end !== end) this.tail = { end, sinceMs: nowMs }
    if (nowMs - this.tail.sinceMs < this.settledMs) return false
    await segment.file.datasync()
    return true
  }

  private async retire(oldest: number): Promise<void> {
    const nowMs = performance.now()
    while (this.segments.length > 1 && this.segments[0]!.number < oldest) {
      this.retired.push({ segment: this.segments.shift()!, atMs: nowMs })
    }
    const [first] = this.retired
    if (first === undefined || nowMs - first.atMs < RETIRED_MS) return
    this.retired.shift()
    await first.segment.file.close()
  }
}
