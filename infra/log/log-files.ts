import { type FileHandle, mkdir, open, readdir, rename, unlink } from 'node:fs/promises'

/** The few file operations the log is made of, so that tests can make the disk fail. */
export interface LogFile {
  /** Writes all bytes at a position, or throws. */
  write(bytes: Uint8Array, position: number): Promise<void>
  /** Reads up to `length` bytes; fewer only at the end of the file. */
  read(length: number, position: number): Promise<Buffer>
  datasync(): Promise<void>
  truncate(length: number): Promise<void>
  size(): Promise<number>
  close(): Promise<void>
}

export interface LogFiles {
  makeFolder(folder: string): Promise<void>
  list(folder: string): Promise<readonly string[]>
  /** Opens for reading and writing; makes the file when `create` is set. */
  open(file: string, create: boolean): Promise<LogFile>
  remove(file: string): Promise<void>
  rename(from: string, to: string): Promise<void>
  /** Makes creations, renames and removals in the folder durable. */
  syncFolder(folder: string): Promise<void>
}

export const diskFiles: LogFiles = {
  async makeFolder(folder) {
    await mkdir(folder, { recursive: true })
  },
  list: (folder) => readdir(folder),
  async open(file, create) {
    return wrap(await open(file, create ? 'w+' : 'r+'))
  },
  remove: (file) => unlink(file),
  rename: (from, to) => rename(from, to),
  async syncFolder(folder) {
    const handle = await open(folder, 'r')
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
  },
}

function wrap(handle: FileHandle): LogFile {
  return {
    async write(bytes, position) {
      let done = 0
      while (done < bytes.length) {
        const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, position + done)
        done += bytesWritten
      }
    },
    async read(length, position) {
      const buffer = Buffer.allocUnsafeSlow(length)
      let done = 0
      while (done < length) {
        const { bytesRead } = await handle.read(buffer, done, length - done, position + done)
        if (bytesRead === 0) break
        done += bytesRead
      }
      return buffer.subarray(0, done)
    },
    datasync: () => handle.datasync(),
    truncate: (length) => handle.truncate(length),
    async size() {
      return (await handle.stat()).size
    },
    close: () => handle.close(),
  }
}
