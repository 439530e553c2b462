import { type FileHandle, mkdir, open, readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { z } from 'zod'
import { messageOf, WeirError } from '#schemas/errors.ts'
import type { Clock } from './clock.ts'

const entryShape = z.object({
  /** Dense, from 1. */
  number: z.number().int().min(1),
  /** Epoch milliseconds. */
  at: z.number().int(),
  who: z.string(),
  what: z.string(),
  detail: z.string(),
})
export type AuditEntry = Readonly<z.infer<typeof entryShape>>

/** Who changed what and when: one JSON object a line, in a file that only grows. */
export interface AuditTrail {
  /** Resolves when the entry is on disk. @throws WeirError STORE_FAILED: then the change must not be made */
  append(entry: Pick<AuditEntry, 'who' | 'what' | 'detail'>): Promise<void>
  /** What is not taken yet, oldest first; after a start, everything. */
  entries(): readonly AuditEntry[]
  /** Entries up to this number are elsewhere too, and need not be held in memory any more. */
  taken(number: number): void
  close(): Promise<void>
}

/**
 * Opens the trail. A last line that is not whole was never acknowledged and is cut off.
 *
 * @throws WeirError STORE_FAILED when another line cannot be read, or the file cannot be opened
 */
export async function openAuditTrail(file: string, clock: Clock): Promise<AuditTrail> {
  let entries: AuditEntry[] = []
  const handle = await opened(file)
  try {
    const text = await readFile(file, 'utf8')
    const whole = text.slice(0, text.lastIndexOf('\n') + 1)
    for (const [i, line] of whole.split('\n').slice(0, -1).entries()) entries.push(entryOf(line, `${file}:${i + 1}`))
    if (whole !== text) await handle.truncate(Buffer.byteLength(whole))
  } catch (error) {
    await handle.close()
    throw error
  }
  let last = entries.at(-1)?.number ?? 0
  let writing: Promise<void> = Promise.resolve()
  let size = (await handle.stat()).size

  async function write(entry: Pick<AuditEntry, 'who' | 'what' | 'detail'>): Promise<void> {
    const full = { number: last + 1, at: clock.now(), ...entry }
    const line = Buffer.from(`${JSON.stringify(full)}\n`)
    try {
      await handle.write(line, 0, line.length, size)
      await handle.sync()
    } catch (cause) {
      // Half a line must not come before the next one.
      await handle.truncate(size).catch(() => {})
      throw new WeirError('STORE_FAILED', `the audit trail cannot be written: ${messageOf(cause)}`, {
        where: file,
        fix: 'Nothing was changed. Make room on the disk, then try again.',
        cause,
      })
    }
    size += line.length
    last = full.number
    entries.push(full)
  }

  return {
    append(entry) {
      const written = writing.then(() => write(entry))
      writing = written.catch(() => {})
      return written
    },
    // A copy: what is appended later is not among what its reader may say it has taken.
    entries: () => [...entries],
    taken(number) {
      entries = entries.filter((entry) => entry.number > number)
    },
    async close() {
      await writing
      await handle.close()
    },
  }
}

async function opened(file: string): Promise<FileHandle> {
  try {
    await mkdir(dirname(file), { recursive: true })
    return await open(file, 'r+').catch(() => open(file, 'wx+', 0o600))
  } catch (cause) {
    throw new WeirError('STORE_FAILED', `the audit trail cannot be opened: ${messageOf(cause)}`, { where: file, cause })
  }
}

function entryOf(line: string, where: string): AuditEntry {
  try {
    return entryShape.parse(JSON.parse(line))
  } catch (cause) {
    throw new WeirError('STORE_FAILED', 'a line of the audit trail cannot be read', {
      where,
      fix: 'Restore the file from its backup, or move it away: a new one is begun.',
      cause,
    })
  }
}
