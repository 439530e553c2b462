import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assetPath } from '#infra/assets.ts'
import { clusterDatabases, forCluster } from '#infra/clickhouse/cluster.ts'
import { migrate, readMigrations } from '#infra/clickhouse/migrate.ts'
import type { Store } from '#infra/clickhouse/store.ts'

const CREATE = `CREATE TABLE IF NOT EXISTS weir.things
(
    line UInt64,
    \`index\` UInt32
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(at)
ORDER BY (line, \`index\`)
SETTINGS non_replicated_deduplication_window = 10000`

test('a table becomes a replicated one on every shard and a distributed one over them', () => {
  const [own, spread, ...others] = forCluster(CREATE, "o'ne")
  assert.equal(
    own,
    CREATE.replace('weir.things', "weir_local.things ON CLUSTER 'o\\'ne'")
      .replace('= ReplacingMergeTree', '= ReplicatedReplacingMergeTree')
      .replace('non_replicated', 'replicated'),
  )
  assert.equal(
    spread,
    "CREATE TABLE IF NOT EXISTS weir.things ON CLUSTER 'o\\'ne' AS weir_local.things ENGINE = Distributed('o\\'ne', 'weir_local', 'things', cityHash64(line))",
  )
  assert.deepEqual(others, [])
})

const rendered: readonly (readonly [string, readonly string[]])[] = [
  [
    'CREATE MATERIALIZED VIEW weir.v TO weir.t AS\nSELECT a FROM weir.s',
    ["CREATE MATERIALIZED VIEW weir_local.v ON CLUSTER 'c' TO weir_local.t AS\nSELECT a FROM weir_local.s"],
  ],
  ['CREATE OR REPLACE VIEW weir.v AS SELECT a FROM weir.s', ["CREATE OR REPLACE VIEW weir.v ON CLUSTER 'c' AS SELECT a FROM weir.s"]],
  [
    'ALTER TABLE weir.t ADD COLUMN IF NOT EXISTS a Int64 DEFAULT -1',
    [
      "ALTER TABLE weir_local.t ON CLUSTER 'c' ADD COLUMN IF NOT EXISTS a Int64 DEFAULT -1",
      "ALTER TABLE weir.t ON CLUSTER 'c' ADD COLUMN IF NOT EXISTS a Int64 DEFAULT -1",
    ],
  ],
  [
    'ALTER TABLE weir.t MODIFY SETTING non_replicated_deduplication_window = 7',
    ["ALTER TABLE weir_local.t ON CLUSTER 'c' MODIFY SETTING replicated_deduplication_window = 7"],
  ],
  [
    'DROP TABLE IF EXISTS weir.t',
    ["DROP TABLE IF EXISTS weir.t ON CLUSTER 'c' SYNC", "DROP TABLE IF EXISTS weir_local.t ON CLUSTER 'c' SYNC"],
  ],
  ['INSERT INTO weir.t\nSELECT a FROM weir.s', ['INSERT INTO weir.t\nSELECT a FROM weir.s\nSETTINGS distributed_foreground_insert = 1']],
] // biome-ignore format: a table
for (const [statement, expected] of rendered) {
  test(`for a cluster: ${statement.split('\n')[0]}`, () => assert.deepEqual(forCluster(statement, 'c'), expected))
}

test('a form of statement that nobody thought of is refused rather than run on one server only', () => {
  for (const statement of ['TRUNCATE TABLE weir.t', 'OPTIMIZE TABLE weir.t FINAL', 'RENAME TABLE weir.a TO weir.b']) {
    assert.throws(() => forCluster(statement, 'c'), { code: 'INVARIANT' })
  }
})

test('every migration has a cluster’s form, in which nothing is kept outside of replicated tables', () => {
  for (const { name, statements } of readMigrations(assetPath('schemas/clickhouse'))) {
    for (const statement of statements) {
      for (const one of forCluster(statement, 'c')) {
        if (!one.startsWith('INSERT INTO')) assert.match(one, / ON CLUSTER 'c'/, name)
        assert.doesNotMatch(one, /ENGINE = (\w+)?(?<!Replicated|ReplicatedReplacing|ReplicatedSumming)MergeTree/, name)
        assert.doesNotMatch(one, /non_replicated/, name)
        if (one.startsWith('CREATE MATERIALIZED')) assert.doesNotMatch(one, /\bweir\./, name)
      }
    }
  }
})

test('a store that spans a cluster is migrated in its form, another as the files say', async () => {
  const said = async (cluster: string): Promise<string[]> => {
    const commands: string[] = []
    const store: Store = {
      cluster,
      command: async (sql) => void commands.push(sql),
      insert: async () => {},
      query: async (sql) => ({ columns: [], rows: sql.startsWith('EXISTS') ? [{ result: 0 }] : [], truncated: false }),
      analystQuery: () => assert.fail('nobody asks'),
      close: async () => {},
    }
    await migrate(store, assetPath('schemas/clickhouse'))
    return commands
  }
  const files = readMigrations(assetPath('schemas/clickhouse')).flatMap(({ statements }) => statements)
  const [first, ...rest] = await said('')
  assert.match(first!, /weir\.migrations/)
  assert.deepEqual(rest, files)
  assert.deepEqual(
    (await said('c')).slice(2),
    files.flatMap((statement) => forCluster(statement, 'c')),
  )
  assert.equal(clusterDatabases('c').length, 2)
})
