import fs from 'node:fs'

/** One open file. Positions are byte offsets in the file; reads and writes may be short. */
export interface OpenFile {
  /** Returns the number of bytes written, which may be less than asked for. */
  write(bytes: Uint8Array, offset: number, length: number, position: number): Promise<number>
  /** Returns the number of bytes read; 0 at the end of the file. */
  read(bytes: Uint8Array, offset: number, length: number, position: number): Promise<number>
  datasync(): Promise<void>
  truncate(length: number): Promise<void>
  size(): Promise<number>
  close(): Promise<void>
}

/** `read`: must exist. `write`: read and write, must exist. `create`: read and write, must not exist. */
export type OpenMode = 'read' | 'write' | 'create'

/** The little of a file system that the log and the checkpoints need, so that tests can let it fail. */
export interface FileSystem {
  open(path: string, mode: OpenMode): Promise<OpenFile>
  rename(from: string, to: string): Promise<void>
  unlink(path: string): Promise<void>
  makeFolder(path: string): Promise<void>
  /** Names in a folder; empty when there is no such folder. */
  list(folder: string): Promise<readonly string[]>
  /** Makes creations, renames and removals in the folder durable. */
  syncFolder(folder: string): Promise<void>
}

const FLAGS: Readonly<Record<OpenMode, string>> = { read: 'r', write: 'r+', create: 'wx+' }

/** The real one. Callbacks of `node:fs` rather than its promises: half the cost per call. */
export const nodeFileSystem: FileSystem = {
  async open(path, mode) {
    const descriptor = await new Promise<number>((resolve, reject) => {
      fs.open(path, FLAGS[mode], 0o600, (error, fd) => (error === null ? resolve(fd) : reject(error)))
    })
    return createOpenFile(descriptor)
  },
  rename: (from, to) => settle((done) => fs.rename(from, to, done)),
  unlink: (path) => settle((done) => fs.unlink(path, done)),
  async makeFolder(path) {
    await fs.promises.mkdir(path, { recursive: true })
  },
  async list(folder) {
    try {
      return await fs.promises.readdir(folder)
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return []
      throw error
    }
  },
  async syncFolder(folder) {
    const handle = await fs.promises.open(folder, 'r')
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
  },
}

/** Writes all of it, however short the single writes are. */
export async function writeFully(file: OpenFile, bytes: Uint8Array, length: number, position: number): Promise<void> {
  let done = 0
  while (done < length) {
    const written = await file.write(bytes, done, length - done, position + done)
    if (written === 0) throw Object.assign(new Error('the disk took no bytes'), { code: 'ENOSPC' })
    done += written
  }
}

/** Reads until `length` bytes are there or the file ends; returns how many were read. */
export async function readFully(
  file: OpenFile,
  bytes: Uint8Array,
  offset: number,
  length: number,
  position: number,
): Promise<number> {
  let done = 0
  while (done < length) {
    const read = await file.read(bytes, offset + done, length - done, position + done)
    if (read === 0) break
    done += read
  }
  return done
}

/** The `code` of a system error (`ENOSPC`), or an empty string. */
export function errorCode(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('code' in error)) return ''
  return typeof error.code === 'string' ? error.code : ''
}

/** Whether the disk, or this user's share of it, is full: worth another try later. */
export function isDiskFull(error: unknown): boolean {
  const code = errorCode(error)
  return code === 'ENOSPC' || code === 'EDQUOT'
}

function createOpenFile(fd: number): OpenFile {
  return {
    write: (bytes, offset, length, position) =>
      new Promise((resolve, reject) => {
        fs.write(fd, bytes, offset, length, position, (error, written) =>
          error === null ? resolve(written) : reject(error),
        )
      }),
    read: (bytes, offset, length, position) =>
      new Promise((resolve, reject) => {
        fs.read(fd, bytes, offset, length, position, (error, read) => (error === null ? resolve(read) : reject(error)))
      }),
    datasync: () => settle((done) => fs.fdatasync(fd, done)),
    truncate: (length) => settle((done) => fs.ftruncate(fd, length, done)),
    size: () =>
      new Promise((resolve, reject) => {
        fs.fstat(fd, (error, stats) => (error === null ? resolve(stats.size) : reject(error)))
      }),
    close: () => settle((done) => fs.close(fd, done)),
  }
}

function settle(start: (done: (error: Error | null | undefined) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    start((error) => (error === null || error === undefined ? resolve() : reject(error)))
  })
}
