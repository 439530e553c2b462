import assert from 'node:assert/strict'
import { cpSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { OperationTables } from '#cli/operation-tables.ts'
import { assetPath } from '#infra/assets.ts'
import { openAuditTrail } from '#infra/audit-trail.ts'
import { openEmbeddedStore, type ProcessStore } from '#infra/clickhouse/embedded-store.ts'
import { migrate } from '#infra/clickhouse/migrate.ts'
import { writeTrainingRun } from '#learning/training-runs.ts'
import { createRegistry } from '#models/registry.ts'
import { newTempFolder } from '#test/support/temp-folder.ts'

const START_MS = Date.UTC(2026, 0, 15, 12)
const FIRST_OF_THIS = '0005_operation_rows.sql'
const CONTROL_LINES = 'weir.control_lines'
const CONTROL_COLUMNS = ['line', 'term', 'clock', 'type', 'value', 'sha256']

const folder = newTempFolder()
let store: ProcessStore

/** Records a change of the lists, as the recorder does. */
async function listsChanged(line: number, entries: readonly object[]): Promise<void> {
  const value = JSON.stringify({ entries }).replaceAll('\\', '\\\\')
  const row = `${line}\t1\t${(START_MS / 1_000 + line).toFixed(3)}\tlists\t${value}\t\n`
  for (let n = 0; n < 2; n++) {
    await store.insert(CONTROL_LINES, CONTROL_COLUMNS, row, `${CONTROL_LINES}:${line}-${line}`)
  }
}

const entryOf = (value: string, more: object = {}) => ({
  list: 'block',
  field: 'card_id',
  value,
  reason: "it's\tstolen",
  author: 'ann',
  ...more,
})

before(async () => {
  store = await openEmbeddedStore(join(folder.path, 'clickhouse'))
  // A data folder of before: its journal had lists already.
  const older = join(folder.path, 'older')
  mkdirSync(older)
  for (const name of readdirSync(assetPath('schemas/clickhouse'))) {
    if (name < FIRST_OF_THIS) cpSync(join(assetPath('schemas/clickhouse'), name), join(older, name))
  }
  await migrate(store, older)
  await listsChanged(1, [entryOf('old-1'), entryOf('old-2', { expires: '2026-03-01' })])
  await migrate(store, assetPath('schemas/clickhouse'))
})
after(async () => {
  await store.close()
  folder.remove()
})

test('the lists in force are rows from each change on, of before the table followed the journal too', async () => {
  await listsChanged(5, [entryOf('old-2', { expires: '2026-03-01T10:00:00+02:00' }), entryOf('new', { list: 'watch' })])
  const rows = async (sql: string) => (await store.query(sql)).rows
  assert.deepEqual(
    await rows(
      'SELECT line, list, value, reason, author, toString(expires) AS until FROM weir.lists ORDER BY line, value',
    ),
    [
      { line: 1, list: 'block', value: 'old-1', reason: "it's\tstolen", author: 'ann', until: null },
      {
        line: 1,
        list: 'block',
        value: 'old-2',
        reason: "it's\tstolen",
        author: 'ann',
        until: '2026-03-01 00:00:00.000',
      },
      { line: 5, list: 'watch', value: 'new', reason: "it's\tstolen", author: 'ann', until: null },
      {
        line: 5,
        list: 'block',
        value: 'old-2',
        reason: "it's\tstolen",
        author: 'ann',
        until: '2026-03-01 08:00:00.000',
      },
    ],
  )
  assert.deepEqual(await rows('SELECT value FROM weir.lists_now ORDER BY value'), [
    { value: 'new' },
    { value: 'old-2' },
  ])
  await listsChanged(9, [])
  assert.deepEqual(await rows('SELECT value FROM weir.lists_now'), [])
})

test('audit, versions and trainings come into the tables once, whoever sends them and however often', async () => {
  const trail = await openAuditTrail(join(folder.path, 'audit.jsonl'), { now: () => START_MS })
  const trainingRuns = join(folder.path, 'training-runs')
  const registry = createRegistry({
    folder: join(folder.path, 'models'),
    shippedFolder: assetPath('models/shipped'),
    clock: { now: () => START_MS },
  })
  const tables = () =>
    new OperationTables({ store, trail, registry, trainingRuns, watched: [], warn: (text) => assert.fail(text) })
  try {
    await trail.append({ who: 'api.token', what: 'models.promote', detail: '{"reason":"it\'s\\tbetter"}' })
    const [first] = await registry.list()
    await registry.promote(first!.version, 'better')
    const figures = { gate: { passed: false } }
    await writeTrainingRun(trainingRuns, { at: START_MS, version: 'v', outcome: 'kept', reason: 'no', figures })
    const running = tables()
    await running.sync()
    await trail.append({ who: 'api.token', what: 'rules.reload', detail: '{}' })
    await running.sync()
    await tables().sync()
    const audit = await store.query('SELECT toString(at) AS at, who, what, detail FROM weir.audit ORDER BY id')
    const at = '2026-01-15 12:00:00.000'
    assert.deepEqual(audit.rows, [
      { at, who: 'api.token', what: 'models.promote', detail: '{"reason":"it\'s\\tbetter"}' },
      { at, who: 'api.token', what: 'rules.reload', detail: '{}' },
    ])
    const versions = await store.query(
      "SELECT event, version, reason, JSONExtractString(manifest, 'version') AS said FROM weir.model_versions WHERE spec_name = 'default' ORDER BY event, version",
    )
    const shipped = (await registry.list()).filter(({ manifest }) => manifest?.spec.name === 'default')
    assert.deepEqual(
      versions.rows.filter(({ event }) => event === 'registered'),
      shipped
        .map(({ version }) => ({ event: 'registered', version, reason: 'came with Weir', said: version }))
        .sort((a, b) => (a.version < b.version ? -1 : 1)),
    )
    const promoted = await store.query("SELECT version, reason FROM weir.model_versions WHERE event = 'promoted'")
    assert.deepEqual(promoted.rows, [{ version: first!.version, reason: 'better' }])
    const runs = await store.query('SELECT version, outcome, reason, figures FROM weir.training_runs')
    assert.deepEqual(runs.rows, [{ version: 'v', outcome: 'kept', reason: 'no', figures: JSON.stringify(figures) }])
  } finally {
    await trail.close()
  }
})

test('a row that is sent again with its token is not there twice, though the table holds more', async () => {
  const columns = ['id', 'at', 'who', 'what', 'detail']
  const row = (id: string): string => `${id}\t1768478400.000\tw\t${id}\t\n`
  for (const id of ['x', 'y', 'x', 'y']) await store.insert('weir.audit', columns, row(id), `weir.audit:${id}`)
  const { rows } = await store.query("SELECT id FROM weir.audit WHERE who = 'w' ORDER BY id")
  assert.deepEqual(rows, [{ id: 'x' }, { id: 'y' }])
})
