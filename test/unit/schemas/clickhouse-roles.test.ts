import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { COLUMNS } from '#pipeline/record/rows.ts'

const sql = readFileSync(new URL('../../../schemas/clickhouse/server/roles.sql', import.meta.url), 'utf8')
const grants = [...sql.matchAll(/^GRANT (.+?)(?:\((.+)\))? ON (weir\.[\w*]+) TO (\w+);$/gm)].map(
  ([, rights, columns, table, role]) => ({
    rights: rights!,
    columns: columns?.split(', ') ?? [],
    table: table!,
    role: role!,
  }),
)
const TOKENS = ['card_id', 'account_id']

test('an analyst is granted columns that exist, and no token of a card or an account', () => {
  const byColumn = grants.filter(({ role, columns }) => role === 'weir_analyst' && columns.length > 0)
  assert.deepEqual(byColumn.map(({ table }) => table).sort(), [
    'weir.alerts',
    'weir.labels',
    'weir.scored_transactions',
  ])
  for (const { table, columns } of byColumn) {
    const known = Object.keys(COLUMNS[table as keyof typeof COLUMNS])
    for (const column of columns) assert.ok(known.includes(column), `${table}.${column}`)
    for (const token of TOKENS) assert.ok(!columns.includes(token), table)
  }
})

test('nobody but the writer may do more than read, and an analyst reads no table as a whole that holds tokens', () => {
  for (const { rights, role, table, columns } of grants) {
    if (role !== 'weir_writer') assert.equal(rights, 'SELECT')
    if (role === 'weir_analyst' && columns.length === 0) {
      const holds = Object.keys(COLUMNS[table as keyof typeof COLUMNS] ?? {})
      assert.ok(!holds.some((column) => TOKENS.includes(column)), table)
      assert.doesNotMatch(table, /\*|card|device|transactions|lists|audit|control/)
    }
  }
  assert.deepEqual([...new Set(grants.map(({ role }) => role))].sort(), ['weir_analyst', 'weir_desk', 'weir_writer'])
})

test('no password stands in the file', () => {
  for (const [, password] of sql.matchAll(/ BY '([^']*)'/g)) assert.equal(password, '...')
})
