import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { type CheckpointMeta, readNewestCheckpoint } from '#infra/checkpoint.ts'
import { ageText } from './age.ts'
import { bad, type Finding, ok, warn } from './finding.ts'

export interface CheckpointsOnDisk {
  /** Whole ones, newest first. */
  readonly whole: readonly CheckpointMeta[]
  readonly damaged: number
  /** When the newest file was written, epoch milliseconds; null where there is none. */
  readonly newestMs: number | null
  readonly newestBytes: number
}

/** Every checkpoint of a folder, each read through against its checksum. */
export function readCheckpoints(folder: string): CheckpointsOnDisk {
  for (let tries = 1; ; tries++) {
    try {
      return readOnce(folder)
    } catch (error) {
      // A running service removes the oldest when it has written another one.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || tries === TRIES) throw error
    }
  }
}

export function checkCheckpoints(found: CheckpointsOnDisk, specHash: string, nowMs: number): Finding {
  const { whole, damaged, newestMs } = found
  const total = whole.length + damaged
  if (newestMs === null) return ok('none yet: a start folds the journal from its beginning')
  const usable = whole.filter((meta) => meta.specHash === specHash)
  if (damaged > 0) {
    return warn(
      `${damaged} of ${total} are damaged; a start goes back to ${usable.length > 0 ? 'an earlier one' : "the journal's beginning"}`,
      'Look at the disk. Nothing is lost while the journal is there; the next checkpoint takes their place.',
    )
  }
  const newest = usable[0]
  if (newest === undefined) {
    return bad(
      `${total === 1 ? 'the checkpoint is' : `all ${total} are`} of another feature spec than the one in the settings`,
      'Correct path.spec, or begin a new data folder for the new spec (RUNBOOK: Changing the feature spec).',
    )
  }
  return ok(`${total}, the newest of journal line ${newest.line}, ${ageText(nowMs - newestMs)} old`)
}

const TRIES = 3

function readOnce(folder: string): CheckpointsOnDisk {
  const files = existsSync(folder) ? readdirSync(folder).filter((name) => /^checkpoint-\d{12}\.bin$/.test(name)) : []
  const newest = files.sort().at(-1)
  const stat = newest === undefined ? null : statSync(join(folder, newest))
  const whole: CheckpointMeta[] = []
  readNewestCheckpoint(folder, (meta) => {
    whole.push(meta)
    return false
  })
  return {
    whole,
    damaged: Math.max(0, files.length - whole.length),
    newestMs: stat?.mtimeMs ?? null,
    newestBytes: stat?.size ?? 0,
  }
}
