import { linkSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { WeirError } from '#schemas/errors.ts'
import { isProcessAlive } from './service-address.ts'

/** One process at a time may write in a data folder. */
export interface DataLock {
  /** Gives the folder free; a process that dies does so too. */
  release(): void
}

export interface LockHolder {
  readonly pid: number
  /** What it was started as: `run`, `demo`. */
  readonly command: string
  /** Epoch milliseconds. */
  readonly since: number
}

interface LockRecord extends LockHolder {
  /** Tells a process from a later one with the same number. */
  readonly identity: string
  readonly released: boolean
}

/**
 * Takes the folder for this process.
 *
 * Locks are numbered files, made by linking a finished file to the next number, which fails where another was first; the
 * highest number counts, and it is never removed, only marked as released or left behind by a process that died. So no
 * two can take over from the same dead holder. Whoever comes late with a low number sees the higher one and withdraws.
 *
 * @throws WeirError DATA_IN_USE that names the process
 */
export function acquireDataLock(folder: string, self: LockHolder): DataLock {
  const home = join(folder, LOCKS)
  mkdirSync(home, { recursive: true })
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const number = highestIn(home)
    refuseIfHeld(home, number, folder)
    if (!writeLock(home, number + 1, { ...self, identity: identityOf(self.pid), released: false })) continue
    if (highestIn(home) > number + 1) {
      rmSync(join(home, String(number + 1)), { force: true })
      continue
    }
    for (const lower of numbersIn(home).filter((other) => other <= number))
      rmSync(join(home, String(lower)), { force: true })
    return createLock(home, number + 1)
  }
  throw new WeirError('DATA_IN_USE', 'other processes kept taking the data folder', {
    where: folder,
    fix: 'Try again.',
  })
}

/** Who holds the folder now; null when nobody does. */
export function dataLockHolder(folder: string): LockHolder | null {
  const home = join(folder, LOCKS)
  const record = readLock(home, highestIn(home))
  return record !== null && isHeld(record) ? record : null
}

const LOCKS = 'lock'
const ATTEMPTS_MAX = 100

function createLock(home: string, number: number): DataLock {
  return {
    release() {
      const record = readLock(home, number)
      if (record === null || record.released) return
      const temporary = join(home, `.release-${number}`)
      writeFileSync(temporary, JSON.stringify({ ...record, released: true }))
      renameSync(temporary, join(home, String(number)))
    },
  }
}

function refuseIfHeld(home: string, number: number, folder: string): void {
  const record = readLock(home, number)
  if (record === null || !isHeld(record)) return
  const { pid, command, since } = record
  throw new WeirError(
    'DATA_IN_USE',
    `the data folder is in use by process ${pid} (weir ${command}, since ${new Date(since).toISOString()})`,
    { where: folder, fix: `Stop that process (kill ${pid}), or name another folder with --data.` },
  )
}

function isHeld(record: LockRecord): boolean {
  return !record.released && isProcessAlive(record.pid) && identityOf(record.pid) === record.identity
}

function writeLock(home: string, number: number, record: LockRecord): boolean {
  const temporary = join(home, `.take-${record.pid}-${number}`)
  writeFileSync(temporary, JSON.stringify(record))
  try {
    linkSync(temporary, join(home, String(number)))
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  } finally {
    rmSync(temporary, { force: true })
  }
}

function readLock(home: string, number: number): LockRecord | null {
  try {
    return JSON.parse(readFileSync(join(home, String(number)), 'utf8')) as LockRecord
  } catch (error) {
    // Cut short by a loss of power: its process cannot be there any more.
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

function highestIn(home: string): number {
  return Math.max(0, ...numbersIn(home))
}

function numbersIn(home: string): number[] {
  try {
    return readdirSync(home)
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

/** Boot and start time of a process, where the system tells them (Linux); else empty, and the number alone counts. */
function identityOf(pid: number): string {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name in brackets may hold spaces; field 22, counted from the state behind it, is the start time in ticks.
    return `${boot}/${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]}`
  } catch {
    return ''
  }
}
