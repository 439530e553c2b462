import type { Dirent } from 'node:fs'
import { mkdir, open, readdir, stat, writeFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'

/** Writes a file; its content is on disk when the call returns, its name only after the folder is synced. */
export async function writeDurably(file: string, content: string | Uint8Array): Promise<void> {
  await writeFile(file, content, { flush: true })
}

/** Puts the names in a folder on disk: after files were made, renamed or linked there. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Makes a folder and those above it; all of them are on disk when the call returns. */
export async function makeFolder(folder: string): Promise<void> {
  const path = resolve(folder)
  const made = await mkdir(path, { recursive: true })
  if (made === undefined) return
  for (let inner = path; inner.length >= made.length; inner = dirname(inner)) await syncFolder(dirname(inner))
}

/** What is in a folder; nothing where there is no such folder. */
export async function entriesOf(folder: string): Promise<Dirent[]> {
  try {
    return await readdir(folder, { withFileTypes: true })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

export async function isFile(file: string): Promise<boolean> {
  try {
    return (await stat(file)).isFile()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
}
