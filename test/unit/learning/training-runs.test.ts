import assert from 'node:assert/strict'
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { readTrainingRuns, writeTrainingRun } from '#learning/training-runs.ts'
import { WeirError } from '#schemas/errors.ts'
import { inTempFolder } from '#test/support/temp-folder.ts'

const runOf = (at: number, version: string) =>
  ({ at, version, outcome: 'kept', reason: 'no', figures: { a: 1 } }) as const

test('what became of trainings is kept, oldest first; what is half written is not there', async () => {
  await inTempFolder(async (folder) => {
    const runs = join(folder, 'runs')
    assert.deepEqual(await readTrainingRuns(runs), [])
    await writeTrainingRun(runs, runOf(20, 'lean-2'))
    await writeTrainingRun(runs, runOf(3, 'lean-1'))
    writeFileSync(join(runs, '.30-lean-3.json'), '{"at":30')
    assert.deepEqual(await readTrainingRuns(runs), [runOf(3, 'lean-1'), runOf(20, 'lean-2')])
    assert.deepEqual(readdirSync(runs).sort(), ['.30-lean-3.json', '20-lean-2.json', '3-lean-1.json'])
  })
})

test('a run that cannot be read is named', async () => {
  await inTempFolder(async (folder) => {
    writeFileSync(join(folder, '5-lean-1.json'), '{"at":5,"version":"lean-1","outcome":"won"}')
    await assert.rejects(
      readTrainingRuns(folder),
      (error: unknown) =>
        error instanceof WeirError && error.code === 'STORE_FAILED' && error.where.endsWith('5-lean-1.json'),
    )
  })
})
