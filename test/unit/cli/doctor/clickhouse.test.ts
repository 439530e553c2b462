import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type AskedStore, checkServerTables, describeStoreFailure } from '#cli/doctor/clickhouse.ts'
import { assetPath } from '#infra/assets.ts'
import { readMigrations } from '#infra/clickhouse/migrate.ts'
import type { QueryResult } from '#infra/clickhouse/store.ts'
import { WeirError } from '#schemas/errors.ts'

const FOLDER = assetPath('schemas/clickhouse')
const URL = 'http://clickhouse:8123'

interface Server {
  readonly version?: string
  readonly tables?: readonly { readonly name: string; readonly engine?: string; readonly engine_full: string }[]
  readonly migrations?: readonly { readonly name: string; readonly sha256: string }[]
  readonly refuses?: 'read' | 'write'
}

const GOOD = 'MergeTree ORDER BY x SETTINGS non_replicated_deduplication_window = 10000, index_granularity = 8192'
const TABLES = [
  { name: 'migrations', engine_full: 'MergeTree ORDER BY name SETTINGS index_granularity = 8192' },
  { name: 'recorder_progress', engine_full: GOOD },
]
const APPLIED = readMigrations(FOLDER).map(({ name, sha256 }) => ({ name, sha256 }))

function serverOf({ version = '25.8.1.1', tables = TABLES, migrations = APPLIED, refuses }: Server): AskedStore {
  const refusal = new WeirError('STORE_REFUSED', 'not enough privileges')
  const result = (rows: readonly object[]): QueryResult => ({
    columns: [],
    rows: rows as QueryResult['rows'],
    truncated: false,
  })
  return {
    async query(sql) {
      if (sql.includes('version()')) return result([{ version, user: 'weir' }])
      if (sql.includes('system.tables')) return result(tables.map((table) => ({ engine: 'MergeTree', ...table })))
      if (sql.includes('weir.migrations')) return result(migrations)
      if (refuses === 'read') throw refusal
      return result([])
    },
    async command(sql) {
      assert.match(sql, /WHERE 0$/, 'nothing is written')
      if (refuses === 'write') throw refusal
    },
  }
}

const check = (server: Server) => checkServerTables(serverOf(server), URL, FOLDER)

describe('doctor: a ClickHouse server', () => {
  test('is in order with all tables, rights and windows', async () => {
    const { status, detail } = await check({})
    assert.equal(status, 'ok', detail)
    assert.equal(detail, `server 25.8.1.1 at ${URL}, user weir, 2 tables`)
  })

  test('may be empty: tables are made at start', async () => {
    const { status, detail } = await check({ tables: [], migrations: [] })
    assert.equal(status, 'ok')
    assert.match(detail, /made at start: 0001_events\.sql/)
  })

  test('is refused when it is too old', async () => {
    assert.equal((await check({ version: '23.8.2.7' })).status, 'fail')
  })

  test('fails when a right is missing, and says which', async () => {
    assert.match((await check({ refuses: 'read' })).detail, /may not read/)
    assert.match((await check({ refuses: 'write' })).detail, /may not write/)
  })

  test('fails when a table forgets blocks, since one that is sent again would count twice', async () => {
    const forgetful = {
      name: 'card_hours',
      engine_full: 'SummingMergeTree ORDER BY x SETTINGS index_granularity = 8192',
    }
    const { status, detail } = await check({ tables: [...TABLES, forgetful] })
    assert.equal(status, 'fail')
    assert.match(detail, /card_hours remembers 0 blocks/)
  })

  test("trusts the server's default for replicated tables, unless it is changed", async () => {
    const replicated = { name: 'card_hours', engine: 'ReplicatedSummingMergeTree' }
    const all = (engine_full: string) => check({ tables: [...TABLES, { ...replicated, engine_full }] })
    assert.equal((await all('ReplicatedSummingMergeTree ORDER BY x')).status, 'ok')
    assert.equal(
      (await all('ReplicatedSummingMergeTree ORDER BY x SETTINGS replicated_deduplication_window = 1')).status,
      'fail',
    )
  })

  test('fails when its tables were made by another build', async () => {
    const { status, detail } = await check({ migrations: [{ name: '0001_events.sql', sha256: 'other' }] })
    assert.equal(status, 'fail')
    assert.match(detail, /0001_events\.sql was applied in another form/)
  })

  test('that is away is told apart from one that refuses', () => {
    assert.match(describeStoreFailure('STORE_UNAVAILABLE', 'm', 'f').fix, /Decisions go out all the same/)
    assert.equal(describeStoreFailure('STORE_REFUSED', 'm', 'f').fix, 'f')
  })
})
