import { readdirSync, readFileSync } from 'node:fs'

const TICKS_PER_SECOND = 100
const KIB = 1_024

/** Processor seconds that a process has used in all its threads; NaN where it is gone (Linux). */
export function cpuSecondsOf(pid: number): number {
  const fields = statOf(pid)
  return fields === null ? Number.NaN : (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

/** Resident memory; NaN where it is gone. */
export function rssBytesOf(pid: number): number {
  try {
    const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
    return kib === undefined ? Number.NaN : Number(kib) * KIB
  } catch {
    return Number.NaN
  }
}

/** Processes that a process has started and that still run. */
export function childrenOf(pid: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && statOf(Number(name))?.[1] === String(pid))
    .map(Number)
}

/** The fields behind the name, which may hold anything: state, parent and so on, as proc(5) counts them from 3. */
function statOf(pid: number): string[] | null {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ')
  } catch {
    return null
  }
}
