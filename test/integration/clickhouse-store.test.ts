import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { assetPath } from '#infra/assets.ts'
import { clusterDatabases, forCluster } from '#infra/clickhouse/cluster.ts'
import { openEmbeddedStore, type ProcessStore } from '#infra/clickhouse/embedded-store.ts'
import { migrate, readMigrations } from '#infra/clickhouse/migrate.ts'
import { rowBinaryHeader } from '#infra/clickhouse/row-binary.ts'
import { ANALYST_LIMITS, type Store } from '#infra/clickhouse/store.ts'
import { COLUMNS } from '#pipeline/record/rows.ts'
import { type ErrorCode, WeirError } from '#schemas/errors.ts'
import { decisionBytes, insertRows, rowBytes } from '#test/support/clickhouse-rows.ts'
import { decisionOf } from '#test/support/decisions.ts'
import { inTempFolder, newTempFolder } from '#test/support/temp-folder.ts'

const CARD = '4111111111111111'
const TABLE = 'weir.scored_transactions'

// The file is also the parent that is killed.
if (process.argv[2] === 'parent') await openAndTell(process.argv[3]!)
else defineTests()

function defineTests(): void {
  const folder = newTempFolder()
  let store: ProcessStore

  before(async () => {
    store = await openEmbeddedStore(join(folder.path, 'store'))
  })
  after(async () => {
    await store.close()
    folder.remove()
  })

  test('a dry run names the migrations and leaves the tables out', async () => {
    const names = readMigrations(assetPath('schemas/clickhouse')).map(({ name }) => name)
    assert.ok(names.length >= 3)
    assert.deepEqual(await migrate(store, assetPath('schemas/clickhouse'), { dryRun: true }), names)
    const { rows } = await store.query("SELECT name FROM system.tables WHERE database = 'weir'")
    assert.deepEqual(rows, [{ name: 'migrations' }])
  })

  test('migrations are applied once', async () => {
    const names = readMigrations(assetPath('schemas/clickhouse')).map(({ name }) => name)
    assert.deepEqual(await migrate(store, assetPath('schemas/clickhouse')), names)
    assert.deepEqual(await migrate(store, assetPath('schemas/clickhouse')), [])
    const { rows } = await store.query('SELECT name FROM weir.migrations ORDER BY name')
    assert.deepEqual(
      rows,
      names.map((name) => ({ name })),
    )
  })

  test('a migration that was edited after it had been applied is refused, and a new one beside it is not applied', () =>
    inTempFolder(async (other) => {
      const first = readMigrations(assetPath('schemas/clickhouse'))[0]!
      const text = readFileSync(join(assetPath('schemas/clickhouse'), first.name), 'utf8')
      writeFileSync(join(other, first.name), `${text}-- and more\n`)
      writeFileSync(join(other, '9999_later.sql'), 'CREATE TABLE weir.later (a UInt8) ENGINE = MergeTree ORDER BY a;')
      const error = await refusalOf(migrate(store, other), 'STORE_FAILED')
      assert.match(error.message, new RegExp(first.name))
      assert.equal(error.where, join(other, first.name))
      assert.deepEqual((await store.query('EXISTS TABLE weir.later')).rows, [{ result: 0 }])
    }))

  test('tables of an earlier version keep their figures when they are migrated, also when it takes two tries', () =>
    inTempFolder(async (other) => {
      const all = assetPath('schemas/clickhouse')
      const earlier = join(other, 'earlier')
      cpSync(all, earlier, { recursive: true, filter: (file) => !/000[6-9]_|server/.test(file) })
      const old = await openEmbeddedStore(join(other, 'store'))
      try {
        await migrate(old, earlier)
        const verdicts = ['approve', 'review', 'none', 'decline'] as const
        const decisions = Array.from({ length: 40 }, (_, index) =>
          decisionOf(
            {
              line: 1,
              index,
              verdict: verdicts[index % 4]!,
              score: index % 4 === 2 ? null : 0.25,
              amount_base: index * 40,
            },
            {
              transaction_id: `t${index}`,
              kind: index % 4 === 2 ? 'reversal' : 'authorization',
              merchant_id: index % 5 === 0 ? '' : `m${index % 3}`,
              card_id: `c${index % 7}`,
              device_id: index % 2 === 0 ? 'd' : '',
              event_time: Date.UTC(2026, 0, 15, 12 + (index % 2)),
            },
          ),
        )
        await insertRows(old, TABLE, decisionBytes(decisions), 'x')
        await old.insert('weir.recorder_progress', ['line', 'rows'], '1\t40\n', 'progress')
        const before = await hourly(old)
        const sql = readMigrations(all).find(({ name }) => name.startsWith('0007'))!.statements
        await migrate(old, all)
        assert.deepEqual(await hourly(old), before)
        for (const statement of sql) await old.command(statement)
        assert.deepEqual(await hourly(old), before)
        const progress = 'SELECT journal_offset, decisions_offset, alerts_offset, rows_max FROM weir.recorder_progress'
        assert.deepEqual((await old.query(progress)).rows, [
          { journal_offset: -1, decisions_offset: -1, alerts_offset: -1, rows_max: -1 },
        ])
      } finally {
        await old.close()
      }
    }))

  test('a block that is sent again counts once, in its table and in the hourly figures', async () => {
    await clear(store)
    const block = rowsOf(['a', 'b', 'c'], 1)
    for (let i = 0; i < 3; i++) await insertRows(store, TABLE, block, 'table:1-1')
    assert.deepEqual(await counts(store), { table: 3, merchants: 3, devices: 3, cards: 3, models: 3 })
    await insertRows(store, TABLE, rowsOf(['d'], 2), 'table:2-2')
    assert.deepEqual(await counts(store), { table: 4, merchants: 4, devices: 4, cards: 4, models: 4 })
  })

  test('blocks with the same rows and different tokens both count in the hourly figures', async () => {
    await clear(store)
    await insertRows(store, TABLE, rowsOf(['a'], 10), 'table:10-10')
    await insertRows(store, TABLE, rowsOf(['a'], 10), 'table:10-11')
    assert.equal((await counts(store))['merchants'], 2)
  })

  test('a token or a setting of one call is not there in the next', async () => {
    await clear(store)
    const audit = (who: string): string => `2026-01-01 00:00:00.000\t${who}\tlogin\t\n`
    const columns = ['at', 'who', 'what', 'detail']
    await insertRows(store, TABLE, rowsOf(['a'], 20), 'kept')
    await store.insert('weir.audit', columns, audit('one'), '')
    await store.insert('weir.audit', columns, audit('two'), '')
    assert.deepEqual((await store.query('SELECT who FROM weir.audit ORDER BY who')).rows, [
      { who: 'one' },
      { who: 'two' },
    ])
    // An analyst reads read-only and with a limit; afterwards the writer writes and own queries are not cut.
    await store.analystQuery('SELECT 1 AS one')
    await store.command('ALTER TABLE weir.audit DELETE WHERE 1 SETTINGS mutations_sync = 1')
    assert.deepEqual((await store.query('SELECT count() AS n FROM weir.audit')).rows, [{ n: 0 }])
    const own = await store.query(`SELECT number FROM numbers(${ANALYST_LIMITS.rowsMax + 500})`)
    assert.equal(own.rows.length, ANALYST_LIMITS.rowsMax + 500)
    assert.equal(own.truncated, false)
    const { rows } = await store.query("SELECT value FROM system.settings WHERE name = 'readonly'")
    assert.deepEqual(rows, [{ value: '0' }])
  })

  test('what a failed query left behind does not come first in the next answer', async () => {
    await refusalOf(store.query('SELECT number, throwIf(number = 90000) FROM numbers(100000)'), 'STORE_FAILED')
    assert.deepEqual((await store.query('SELECT 1 AS one')).rows, [{ one: 1 }])
    await refusalOf(store.analystQuery('SELECT sum(throwIf(number = 90000)) FROM numbers(100000)'), 'QUERY_INVALID')
    assert.deepEqual((await store.analystQuery('SELECT 1 AS one')).rows, [{ one: 1 }])
  })

  test('texts with separators, quotes, escapes and placeholders come back as they were', async () => {
    await clear(store)
    const texts = [
      '\t\n\r\b\f\0',
      '\\',
      "it's",
      '\\N',
      '\\t',
      '{id:String}',
      '; DROP TABLE x; --',
      '€ ü 🂡',
      "[',']",
      '$$',
    ]
    const attributes = Object.fromEntries(texts.map((text) => [text, text]))
    const decisions = texts.map((transaction_id, index) =>
      decisionOf({ line: 25, index, rule_hits: texts }, { transaction_id, attributes }),
    )
    await insertRows(store, TABLE, decisionBytes(decisions), '')
    const sql = `SELECT transaction_id, rule_hits, attributes FROM ${TABLE} ORDER BY index`
    const expected = texts.map((transaction_id) => ({ transaction_id, rule_hits: texts, attributes }))
    assert.deepEqual((await store.query(sql)).rows, expected)
  })

  test('an analyst reads tables of weir with bound values', async () => {
    await clear(store)
    await insertRows(store, TABLE, rowsOf(["it's"], 30), '')
    const sql = `WITH 1 AS one SELECT transaction_id, one FROM ${TABLE} WHERE transaction_id = {id:String};`
    const { rows, columns, truncated } = await store.analystQuery(sql, { id: "it's" })
    assert.deepEqual(rows, [{ transaction_id: "it's", one: 1 }])
    assert.deepEqual(columns[0], { name: 'transaction_id', type: 'String' })
    assert.equal(truncated, false)
    assert.equal(
      (await store.analystQuery('SHOW TABLES FROM weir')).rows.some((row) => row['name'] === 'alerts'),
      true,
    )
    assert.deepEqual((await store.analystQuery("SELECT 'file(; INTO OUTFILE' AS text")).rows, [
      { text: 'file(; INTO OUTFILE' },
    ])
  })

  const leak = join(folder.path, 'leak.csv')
  const insert = `INSERT INTO weir.audit VALUES (now(), 'x', 'y', 'z')`
  const refused: readonly string[] = [
    "SELECT file('/etc/passwd') AS f",
    "SELECT FILE /* x */ ('/etc/passwd')",
    'SELECT "file"(\'/etc/passwd\')',
    'SELECT "f\\x69le"(\'/etc/passwd\')',
    "SELECT `file`('/etc/passwd')",
    "SELECT $$'$$, file('/etc/passwd')",
    "SELECT \u201cfile\u201d('/etc/passwd')",
    "SELECT * FROM file('/etc/passwd', 'LineAsString')",
    "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
    "SELECT * FROM executable('id', 'LineAsString', 'a String')",
    `SELECT 1 INTO OUTFILE '${leak}'`,
    `SELECT 1 INTO/**/OUTFILE '${leak}'`,
    "DESCRIBE TABLE file('/etc/passwd', 'LineAsString')",
    "DESCRIBE url('http://127.0.0.1:1/', 'LineAsString')",
    insert,
    `WITH 1 AS x ${insert}`,
    'DROP TABLE weir.audit',
    'KILL QUERY WHERE 1',
    'SYSTEM SHUTDOWN',
    'SET readonly = 0',
    'SELECT 1; DROP TABLE weir.audit',
    "SELECT ';' ; SELECT 2",
    'SELECT 1 FORMAT Native',
    '',
    '-- nothing',
  ]
  for (const sql of refused) {
    test(`an analyst may not: ${sql === '' ? '(nothing)' : sql.replace(leak, 'leak.csv')}`, async () => {
      const error = await refusalOf(store.analystQuery(sql), 'QUERY_INVALID')
      assert.ok(error.fix.length > 0)
      assert.equal(existsSync(leak), false)
      assert.deepEqual((await store.query('SELECT count() AS n FROM weir.audit')).rows, [{ n: 0 }])
    })
  }

  test('an analyst cannot lift the limits in the query itself', async () => {
    for (const setting of ['readonly = 0', 'max_result_rows = 0', 'max_memory_usage = 0']) {
      await refusalOf(store.analystQuery(`SELECT 1 SETTINGS ${setting}`), 'QUERY_INVALID')
    }
  })

  test('an answer with more rows than are given back is cut and says so', async () => {
    const { rowsMax } = ANALYST_LIMITS
    const all = await store.analystQuery(`SELECT number FROM numbers(${rowsMax})`)
    assert.equal(all.rows.length, rowsMax)
    assert.equal(all.truncated, false)
    const more = await store.analystQuery(`SELECT number FROM numbers(${rowsMax * 3})`)
    assert.equal(more.rows.length, rowsMax)
    assert.equal(more.truncated, true)
  })

  test('a card number that stands in a row is not in the error about the row', async () => {
    const row = `${CARD}x\t${CARD}\ta\tb\n`
    const failures = [
      () => store.insert('weir.audit', ['at', 'who', 'what', 'detail'], row, ''),
      () => insertRows(store, TABLE, decisionBytes([decisionOf({ line: 40 }, { card_id: CARD })]).subarray(0, -5), ''),
      () => store.query(`SELECT toUInt8('4111-1111-1111-1111')`),
      () => store.query(`SELECT toDateTime(materialize('${CARD}abc'))`),
      () => store.analystQuery(`SELECT toUInt8(materialize('${CARD}x'))`),
      () => store.analystQuery(`SELECT nothing_of_the_kind_${CARD}`),
    ]
    for (const failure of failures) {
      const error = await refusalOf(failure())
      const shown = JSON.stringify([error.message, error.where, error.fix, error.stack, String(error.cause)])
      assert.doesNotMatch(shown, /4111[ -]?1111[ -]?1111/)
      assert.equal(error.cause, undefined)
    }
  })

  test('mistakes in a query are the analyst’s, the same mistake in one of Weir’s own is not', async () => {
    const error = await refusalOf(store.analystQuery('SELECT no_such_column FROM weir.audit'), 'QUERY_INVALID')
    assert.match(error.message, /no_such_column/)
    await refusalOf(store.query('SELECT no_such_column FROM weir.audit'), 'STORE_FAILED')
  })

  test('what the recorder writes is what the tables hold, column by column', async () => {
    for (const [table, columns] of Object.entries(COLUMNS)) {
      const { rows } = await store.query(
        "SELECT name, type FROM system.columns WHERE database = 'weir' AND table = {table:String} ORDER BY name",
        { table: table.slice('weir.'.length) },
      )
      const expected = Object.entries(columns).map(([name, type]) => ({ name, type }))
      expected.sort((a, b) => (a.name < b.name ? -1 : 1))
      assert.deepEqual(rows, expected, table)
    }
  })

  test('the engine understands the statements that a server’s administrator and a cluster are given', async () => {
    const roles = readFileSync(join(assetPath('schemas/clickhouse'), 'server/roles.sql'), 'utf8')
    const given = roles.replace(/^--.*$/gm, '').split(/;\s*\n/)
    const migrations = readMigrations(assetPath('schemas/clickhouse')).flatMap(({ statements }) => statements)
    const spread = migrations.flatMap((statement) => forCluster(statement, 'main'))
    for (const statement of [...given, ...clusterDatabases('main'), ...spread]) {
      if (statement.trim() !== '') await store.command(`EXPLAIN AST ${statement.trim()}`)
    }
  })

  test('rows of another shape, and rows for a table that is gone, are refused for good', async () => {
    const header = rowBinaryHeader({ at: "DateTime64(3, 'UTC')", who: 'UInt64' })
    const bytes = rowBytes((rows) => {
      rows.int64(1)
      rows.int64(2)
    })
    const format = 'RowBinaryWithNamesAndTypes'
    const mismatch = await refusalOf(
      store.insert('weir.audit', ['at', 'who'], [header, bytes], '', format),
      'STORE_MISMATCH',
    )
    assert.equal(mismatch.retryable, false)
    assert.ok(mismatch.fix.length > 0)
    await refusalOf(store.insert('weir.no_such_table', ['a'], '1\n', ''), 'STORE_MISMATCH')
    assert.deepEqual((await store.query("SELECT count() AS n FROM weir.audit WHERE who = '2'")).rows, [{ n: 0 }])
  })

  test('after the engine was killed the next request works, and a block sent again still counts once', async () => {
    await clear(store)
    const block = rowsOf(['a', 'b'], 50)
    await insertRows(store, TABLE, block, 'table:50-50')
    const pid = store.pid!
    process.kill(pid, 'SIGKILL')
    await untilDone(() => insertRows(store, TABLE, block, 'table:50-50'))
    assert.notEqual(store.pid, pid)
    assert.deepEqual(await counts(store), { table: 2, merchants: 2, devices: 2, cards: 2, models: 2 })
  })

  test('a block under way when the engine is killed fails as unavailable and counts once when it is sent again', async () => {
    await clear(store)
    const ids = Array.from({ length: 3_000 }, (_, i) => `k${i}`)
    const block = rowsOf(ids, 60)
    const pid = store.pid!
    const underWay = refusalOf(insertRows(store, TABLE, block, 'table:60-60'), 'STORE_UNAVAILABLE')
    process.kill(pid, 'SIGKILL')
    assert.equal((await underWay).retryable, true)
    await untilDone(() => insertRows(store, TABLE, block, 'table:60-60'))
    assert.deepEqual(await counts(store), {
      table: 3_000,
      merchants: 3_000,
      devices: 3_000,
      cards: 3_000,
      models: 3_000,
    })
  })

  test('a person’s query under way when the engine is killed is not blamed on the person', async () => {
    const underWay = refusalOf(store.analystQuery('SELECT sum(sipHash64(number)) FROM numbers(5000000000)'))
    process.kill(store.pid!, 'SIGKILL')
    assert.equal((await underWay).code, 'STORE_UNAVAILABLE')
    await untilDone(() => store.query('SELECT 1'))
  })

  test('an engine that hangs is ended, and the next request finds a new one', () =>
    inTempFolder(async (other) => {
      const hanging = await openEmbeddedStore(other, { requestTimeoutMs: 2_000 })
      try {
        await hanging.command('CREATE TABLE weir.kept (a UInt8) ENGINE = MergeTree ORDER BY a')
        await hanging.insert('weir.kept', ['a'], '7\n', '')
        const pid = hanging.pid!
        process.kill(pid, 'SIGSTOP')
        const [one, two] = [hanging.query('SELECT 1'), hanging.insert('weir.kept', ['a'], '8\n', 'eight')]
        await Promise.all([refusalOf(one, 'STORE_UNAVAILABLE'), refusalOf(two, 'STORE_UNAVAILABLE')])
        await untilDone(() => hanging.insert('weir.kept', ['a'], '8\n', 'eight'))
        assert.notEqual(hanging.pid, pid)
        assert.deepEqual((await hanging.query('SELECT a FROM weir.kept ORDER BY a')).rows, [{ a: 7 }, { a: 8 }])
      } finally {
        await hanging.close()
      }
    }))

  test('an engine that keeps dying is given up, one that was healthy in between is not', () =>
    inTempFolder(async (other) => {
      const killAndAsk = async (dying: ProcessStore): Promise<unknown> => {
        const asked = dying.query('SELECT sum(sipHash64(number)) FROM numbers(50000000000)')
        process.kill(dying.pid!, 'SIGKILL')
        await refusalOf(asked, 'STORE_UNAVAILABLE')
        return await dying.query('SELECT 1 AS one')
      }
      const dying = await openEmbeddedStore(join(other, 'a'), { restartsMax: 2, healthyMs: 3_600_000 })
      for (let i = 0; i < 2; i++) await killAndAsk(dying)
      assert.match((await refusalOf(killAndAsk(dying), 'STORE_UNAVAILABLE')).message, /died 2 times/)
      await dying.close()
      const healthy = await openEmbeddedStore(join(other, 'b'), { restartsMax: 2, healthyMs: 0 })
      for (let i = 0; i < 4; i++) await killAndAsk(healthy)
      await healthy.close()
    }))

  test('rows do not stay behind in files once they are in the tables', async () => {
    await store.insert('weir.audit', ['at', 'who', 'what', 'detail'], '2026-01-01 00:00:00.000\tone\tlogin\t\n', '')
    const incoming = join(folder.path, 'store', 'incoming')
    for (const name of readdirSync(incoming)) assert.equal(statSync(join(incoming, name)).size, 0, name)
  })

  test('the engine goes with a parent that is killed, and the folder can be opened again with what was in it', () =>
    inTempFolder(async (other) => {
      const parent = fork(fileURLToPath(import.meta.url), ['parent', other], { execArgv: ['--import', 'tsx'] })
      const [engine] = (await once(parent, 'message')) as [number]
      assert.equal(isAlive(engine), true)
      await kill(parent)
      const again = await untilDone(() => openEmbeddedStore(other))
      try {
        assert.equal(isAlive(engine), false)
        assert.deepEqual((await again.query('SELECT a FROM weir.left')).rows, [{ a: 7 }])
      } finally {
        await again.close()
      }
    }))

  test('a second process on the same folder is told that another one holds it', async () => {
    const error = await refusalOf(openEmbeddedStore(join(folder.path, 'store')), 'STORE_UNAVAILABLE')
    assert.match(error.message, /another process holds/)
  })

  test('a store that was closed refuses further work and its engine is gone', () =>
    inTempFolder(async (other) => {
      const closed = await openEmbeddedStore(other)
      const pid = closed.pid!
      await closed.close()
      assert.equal(isAlive(pid), false)
      await refusalOf(closed.query('SELECT 1'), 'STORE_UNAVAILABLE')
    }))
}

/** Every hourly figure, whatever it is kept in. */
async function hourly(store: Store): Promise<unknown[]> {
  const tables = [
    ['merchant_hours', 'hour, merchant_id', 'events, amount_base, flagged, small'],
    ['device_hours', 'hour, device_id', 'events, amount_base, flagged'],
    ['card_hours', 'hour, card_id', 'events, amount_base, flagged'],
    ['model_hours', 'hour, model_version', 'events, score_sum, flagged, amount_base, amount_flagged'],
  ] as const
  const found: unknown[] = []
  for (const [table, keys, figures] of tables) {
    const sums = figures.split(', ').map((figure) => `sum(h.${figure})`)
    const sql = `SELECT ${keys}, ${sums.join(', ')} FROM weir.${table} AS h GROUP BY ${keys} ORDER BY ${keys}`
    found.push([table, (await store.query(sql)).rows])
  }
  return found
}

function rowsOf(ids: readonly string[], line: number): Buffer {
  return decisionBytes(
    ids.map((id, index) => decisionOf({ line, index }, { transaction_id: id, device_id: 'device-1' })),
  )
}

async function clear(store: Store): Promise<void> {
  for (const table of [TABLE, 'weir.hourly']) {
    await store.command(`TRUNCATE TABLE ${table}`)
  }
  await store.command('TRUNCATE TABLE weir.audit')
}

async function counts(store: Store): Promise<Record<string, number>> {
  const { rows } = await store.query(`
    SELECT
      (SELECT count() FROM ${TABLE}) AS table,
      (SELECT sum(events) FROM weir.merchant_hours) AS merchants,
      (SELECT sum(events) FROM weir.device_hours) AS devices,
      (SELECT sum(events) FROM weir.card_hours) AS cards,
      (SELECT sum(events) FROM weir.model_hours) AS models`)
  return Object.fromEntries(Object.entries(rows[0]!).map(([name, value]) => [name, Number(value)]))
}

async function refusalOf(work: Promise<unknown>, code?: ErrorCode): Promise<WeirError> {
  const error = await work.then(
    () => assert.fail('this should have been refused'),
    (thrown: unknown) => thrown,
  )
  assert.ok(error instanceof WeirError, String(error))
  if (code !== undefined) assert.equal(error.code, code, error.message)
  return error
}

/** Again while the store is unavailable: what callers are told to do. */
async function untilDone<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries++) {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof WeirError) || error.code !== 'STORE_UNAVAILABLE' || tries > 20) throw error
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    // What nobody has collected yet keeps its number for a while.
    return !/^\d+ \(.*\) [ZX]/s.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}

async function kill(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit')
  child.kill('SIGKILL')
  await exited
}

async function openAndTell(folder: string): Promise<void> {
  const store = await openEmbeddedStore(folder)
  await store.command('CREATE TABLE weir.left (a UInt8) ENGINE = MergeTree ORDER BY a')
  await store.insert('weir.left', ['a'], '7\n', '')
  process.send!(store.pid)
}
