import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type Edge, edgesOf, readSource, sourceFilesIn } from '#test/support/import-graph.ts'

/**
 * Who may import whom. A folder uses only the floors below its own; `test` stands outside and uses everything, and
 * nothing uses it, but for the benchmarks behind `weir bench`.
 */
const FLOORS: readonly (readonly string[])[] = [
  ['schemas'],
  ['infra'],
  ['models'],
  ['pipeline', 'simulator'],
  ['console', 'learning'],
  ['cli'],
]

/** The rooms along the path: each is a file or a folder of pipeline/, and only assemble.ts knows two of them. */
const STAGES = ['consume', 'decode', 'deduplicate', 'featurize', 'score', 'decide', 'commit', 'record']

const ROOT = join(fileURLToPath(import.meta.url), '../../..')
const FOLDERS = FLOORS.flat()

test('every import leads to a floor below, and none beside or above', () => {
  assert.deepEqual(allEdges().flatMap(offenceOf), [])
})

test('the rules themselves find a planted offence', () => {
  const planted = (file: string, text: string): string[] => edgesOf(file, text).flatMap(offenceOf)
  assert.deepEqual(planted('infra/log/log.ts', "import { x } from '#models/scorer.ts'"), [
    'infra/log/log.ts -> models/scorer.ts: models is not below infra',
  ])
  assert.deepEqual(planted('simulator/a.ts', "import type { Slice } from '../pipeline/slice.ts'"), [
    'simulator/a.ts -> pipeline/slice.ts: pipeline is not below simulator',
  ])
  assert.deepEqual(planted('models/a.ts', "const m = await import('#cli/main.ts')"), [
    'models/a.ts -> cli/main.ts: cli is not below models',
  ])
  assert.deepEqual(planted('pipeline/score.ts', "import { createDecode } from './decode.ts'"), [
    'pipeline/score.ts -> pipeline/decode.ts: stages do not import each other',
  ])
  assert.deepEqual(planted('pipeline/decide/rules/parse.ts', "import { a } from '../../record/rows.ts'"), [
    'pipeline/decide/rules/parse.ts -> pipeline/record/rows.ts: stages do not import each other',
  ])
  assert.deepEqual(planted('console/web/api.ts', "import {\n  a,\n  type B,\n} from '#schemas/errors.ts'"), [
    'console/web/api.ts -> schemas/errors.ts: the page takes types only',
  ])
  assert.deepEqual(planted('pipeline/a.ts', "export { x } from '#test/support/x.ts'"), [
    'pipeline/a.ts -> test/support/x.ts: nothing imports tests',
  ])
  assert.deepEqual(planted('console/web/api.ts', "import { type B } from '#schemas/errors.ts'"), [])
  assert.deepEqual(planted('cli/bench.ts', "await import('#test/bench/path.ts')"), [])
})

test('only assemble.ts brings stages together', () => {
  const stagesUsed = new Map<string, Set<string>>()
  for (const { from, to, isTypeOnly } of allEdges()) {
    const stage = stageOf(to)
    if (isTypeOnly || stage === null || stageOf(from) !== null || !from.startsWith('pipeline/')) continue
    stagesUsed.set(from, (stagesUsed.get(from) ?? new Set()).add(stage))
  }
  const joining = [...stagesUsed].filter(([, stages]) => stages.size > 1).map(([file]) => file)
  assert.deepEqual(joining, ['pipeline/assemble.ts'])
})

function allEdges(): Edge[] {
  return sourceFilesIn(ROOT, FOLDERS).flatMap((file) => edgesOf(file, readSource(ROOT, file)))
}

function offenceOf({ from, to, isTypeOnly }: Edge): string[] {
  const reason = reasonAgainst(from, to, isTypeOnly)
  return reason === null ? [] : [`${from} -> ${to}: ${reason}`]
}

function reasonAgainst(from: string, to: string, isTypeOnly: boolean): string | null {
  const source = folderOf(from)
  const target = folderOf(to)
  if (target === 'test') return from === 'cli/bench.ts' && to.startsWith('test/bench/') ? null : 'nothing imports tests'
  if (from.startsWith('console/web/') && !to.startsWith('console/web/') && !isTypeOnly)
    return 'the page takes types only'
  if (from.startsWith('console/server/') && to.startsWith('console/web/')) return 'the server does not know the page'
  const stage = stageOf(from)
  const otherStage = stageOf(to)
  if (stage !== null && otherStage !== null && stage !== otherStage) return 'stages do not import each other'
  if (source === target) return null
  return floorOf(target) < floorOf(source) ? null : `${target} is not below ${source}`
}

function folderOf(file: string): string {
  return file.split('/')[0]!
}

function floorOf(folder: string): number {
  const floor = FLOORS.findIndex((folders) => folders.includes(folder))
  assert.notEqual(floor, -1, `${folder} stands on no floor`)
  return floor
}

function stageOf(file: string): string | null {
  const [folder, room] = file.split('/')
  const name = room?.replace(/\.ts$/, '')
  return folder === 'pipeline' && name !== undefined && STAGES.includes(name) ? name : null
}
