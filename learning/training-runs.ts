import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { WeirError } from '#schemas/errors.ts'

/** `kept`: the candidate was judged and stays out; `dry_run`: judged, and nothing changed whatever came of it. */
const RUN_OUTCOMES = ['promoted', 'kept', 'dry_run', 'failed'] as const

const runShape = z.object({
  /** When it ended, epoch milliseconds. */
  at: z.number().int(),
  version: z.string(),
  outcome: z.enum(RUN_OUTCOMES),
  reason: z.string(),
  /** What it was compared with and what came of it, as `weir retrain --json` tells; null where it got no model. */
  figures: z.unknown(),
})

/** What became of one retraining. */
export type TrainingRun = Readonly<z.infer<typeof runShape>>

const RUN_FILE = /^\d+-[\w.-]+\.json$/

/** Keeps a run in a file of its own; whole or not at all. */
export async function writeTrainingRun(folder: string, run: TrainingRun): Promise<void> {
  await mkdir(folder, { recursive: true })
  const name = `${run.at}-${run.version}.json`
  await writeFile(join(folder, `.${name}`), `${JSON.stringify(run)}\n`)
  await rename(join(folder, `.${name}`), join(folder, name))
}

/** Every run that was kept, oldest first. @throws WeirError STORE_FAILED naming a file that cannot be read */
export async function readTrainingRuns(folder: string): Promise<TrainingRun[]> {
  const names = await readdir(folder).catch(() => [])
  const runs: TrainingRun[] = []
  for (const name of names.filter((file) => RUN_FILE.test(file))) {
    try {
      runs.push(runShape.parse(JSON.parse(await readFile(join(folder, name), 'utf8'))))
    } catch (cause) {
      throw new WeirError('STORE_FAILED', 'what became of a training run cannot be read', {
        where: join(folder, name),
        fix: 'Remove the file: that run is then missing in the tables.',
        cause,
      })
    }
  }
  return runs.sort((a, b) => a.at - b.at)
}
