import { closeSync, existsSync, openSync, readdirSync, readSync, statSync } from 'node:fs'
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { WeirError } from '#schemas/errors.ts'
import { PAGE_BYTES, type StateMemory, type StateSnapshot } from './state-memory.ts'

/** What a checkpoint says of itself: the state after a journal line, and what else is needed to go on from there. */
export interface CheckpointMeta {
  /** The journal line that comes next. */
  readonly line: number
  readonly term: number
  /** Clock of the last line, epoch milliseconds. */
  readonly clock: number
  readonly specHash: string
  /** Next offset of every input partition, and of the outputs that are folded besides. */
  readonly positions: readonly { readonly topic: string; readonly partition: number; readonly offset: number }[]
  /** Causes in force and other JSON of the owner. */
  readonly extra: unknown
}

interface Header extends CheckpointMeta {
  readonly format: 1
  readonly regions: StateSnapshot['regions']
}

const MAGIC = 'WEIRCKP1'
const ZERO_PAGE = Buffer.alloc(PAGE_BYTES)
/** Pages written at once. */
const BATCH_PAGES = 64

const nameOf = (line: number): string => `checkpoint-${String(line).padStart(12, '0')}.bin`

/**
 * Writes a snapshot page by page while the path goes on: each step copies some pages at once and then writes them. The
 * file gets its name only when it is whole and durable; the newest `keep` stay.
 *
 * File: magic, u32 header length, header JSON, then for each page a byte (0: all zero, 1: the page follows), then the
 * CRC-32 of everything before.
 */
export class CheckpointWriter {
  private readonly folder: string
  private readonly keep: number
  private snapshot: StateSnapshot | null = null
  private file: FileHandle | null = null
  private line = 0
  private crc = 0
  private head: Buffer | null = null

  constructor(options: { readonly folder: string; readonly keep: number }) {
    this.folder = options.folder
    this.keep = options.keep
  }

  get active(): boolean {
    return this.snapshot !== null
  }

  /** Begins with a snapshot that was taken between two slices. */
  begin(meta: CheckpointMeta, snapshot: StateSnapshot): void {
    const header: Header = { ...meta, format: 1, regions: snapshot.regions }
    const json = Buffer.from(JSON.stringify(header))
    const length = Buffer.alloc(4)
    length.writeUInt32LE(json.length)
    this.head = Buffer.concat([Buffer.from(MAGIC), length, json])
    this.snapshot = snapshot
    this.line = meta.line
    this.crc = 0
  }

  /**
   * Copies up to `pagesMax` pages and writes them; true when the checkpoint is whole and durable. One step at a time. An
   * error ends this checkpoint and leaves the earlier ones as they are.
   */
  async step(pagesMax: number): Promise<boolean> {
    try {
      return await this.copyAndWrite(pagesMax)
    } catch (error) {
      // A file with a hole must never get its name.
      await this.abort()
      throw error
    }
  }

  private async copyAndWrite(pagesMax: number): Promise<boolean> {
    const { snapshot } = this
    if (snapshot === null) return true
    const parts: Buffer[] = []
    if (this.head !== null) parts.push(this.head)
    this.head = null
    const page = Buffer.allocUnsafe(PAGE_BYTES)
    let isOver = false
    for (let i = 0; i < pagesMax; i++) {
      isOver = !snapshot.copyNext(page)
      if (isOver) break
      if (page.equals(ZERO_PAGE)) parts.push(Buffer.of(0))
      else parts.push(Buffer.of(1), Buffer.from(page))
    }
    // Everything that was to be copied is copied: the path may go on.
    await this.write(Buffer.concat(parts))
    if (!isOver) return false
    await this.finish()
    return true
  }

  /** Writes the whole checkpoint, with nothing else going on. */
  async finishNow(): Promise<void> {
    while (!(await this.step(BATCH_PAGES)));
  }

  async abort(): Promise<void> {
    this.snapshot?.cancel()
    this.snapshot = null
    await this.file?.close()
    this.file = null
    await rm(this.temporary, { force: true })
  }

  private get temporary(): string {
    return join(this.folder, 'checkpoint.tmp')
  }

  private async write(bytes: Buffer): Promise<void> {
    if (this.file === null) {
      await mkdir(this.folder, { recursive: true })
      this.file = await open(this.temporary, 'w')
    }
    this.crc = crc32(bytes, this.crc)
    await this.file.writeFile(bytes)
  }

  private async finish(): Promise<void> {
    const trailer = Buffer.alloc(4)
    trailer.writeUInt32LE(this.crc)
    await this.file!.writeFile(trailer)
    await this.file!.sync()
    await this.file!.close()
    this.file = null
    await rename(this.temporary, join(this.folder, nameOf(this.line)))
    const folder = await open(this.folder, 'r')
    await folder.sync()
    await folder.close()
    this.snapshot = null
    for (const line of listLines(this.folder).slice(this.keep)) await rm(join(this.folder, nameOf(line)))
  }
}

export interface FoundCheckpoint {
  readonly meta: CheckpointMeta
  /** Newer ones that could not be used, and why; empty when this is the newest. */
  readonly warnings: readonly string[]
  restoreInto(memory: StateMemory): void
}

/**
 * The newest checkpoint that is whole and that `accept` takes; null when there is none. A damaged one gives way to the one
 * before: it only costs time.
 */
export function readNewestCheckpoint(
  folder: string,
  accept: (meta: CheckpointMeta) => boolean,
): FoundCheckpoint | null {
  const warnings: string[] = []
  for (const line of listLines(folder)) {
    const path = join(folder, nameOf(line))
    const header = readHeader(path)
    if (header === null) warnings.push(`${path} is damaged`)
    else if (!accept(header.meta)) warnings.push(`${path} is of another feature spec or ahead of the journal`)
    else return { meta: header.meta, warnings, restoreInto: (memory) => restore(path, header, memory) }
  }
  return null
}

/** The line a checkpoint file stands for, newest first. */
function listLines(folder: string): number[] {
  if (!existsSync(folder)) return []
  return readdirSync(folder)
    .flatMap((name) => {
      const match = /^checkpoint-(\d{12})\.bin$/.exec(name)
      return match === null ? [] : [Number(match[1])]
    })
    .sort((a, b) => b - a)
}

interface ReadHeader {
  readonly meta: CheckpointMeta
  readonly regions: StateSnapshot['regions']
  /** Where the pages begin. */
  readonly at: number
  readonly size: number
}

function readHeader(path: string): ReadHeader | null {
  const size = statSync(path).size
  if (size < MAGIC.length + 8 || !isWhole(path, size)) return null
  const file = openSync(path, 'r')
  try {
    const start = Buffer.alloc(MAGIC.length + 4)
    readSync(file, start, 0, start.length, 0)
    if (start.toString('latin1', 0, MAGIC.length) !== MAGIC) return null
    const json = Buffer.alloc(start.readUInt32LE(MAGIC.length))
    readSync(file, json, 0, json.length, start.length)
    const { regions, format, ...meta } = JSON.parse(json.toString()) as Header
    return format === 1 ? { meta, regions, at: start.length + json.length, size } : null
  } finally {
    closeSync(file)
  }
}

const READ_BYTES = 4_194_304

function isWhole(path: string, size: number): boolean {
  const file = openSync(path, 'r')
  try {
    const buffer = Buffer.allocUnsafe(READ_BYTES)
    let crc = 0
    for (let at = 0; at < size - 4; ) {
      const read = readSync(file, buffer, 0, Math.min(READ_BYTES, size - 4 - at), at)
      if (read === 0) return false
      crc = crc32(buffer.subarray(0, read), crc)
      at += read
    }
    const trailer = Buffer.alloc(4)
    readSync(file, trailer, 0, 4, size - 4)
    return trailer.readUInt32LE(0) === crc
  } finally {
    closeSync(file)
  }
}

function restore(path: string, header: ReadHeader, memory: StateMemory): void {
  const file = openSync(path, 'r')
  try {
    const buffer = Buffer.allocUnsafe(READ_BYTES)
    let from = header.at
    let filled = 0
    let used = 0
    const take = (length: number): Buffer => {
      if (filled - used < length) {
        buffer.copyWithin(0, used, filled)
        filled -= used
        used = 0
        const read = readSync(file, buffer, filled, READ_BYTES - filled, from)
        from += read
        filled += read
      }
      if (filled - used < length) {
        throw new WeirError('CHECKPOINT_DAMAGED', 'the checkpoint ends too early', { where: path })
      }
      used += length
      return buffer.subarray(used - length, used)
    }
    memory.restore(header.regions, (target) => {
      if (take(1)[0] === 0) target.fill(0)
      else target.set(take(PAGE_BYTES))
    })
  } finally {
    closeSync(file)
  }
}
