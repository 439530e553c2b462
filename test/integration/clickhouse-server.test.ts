import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { assetPath } from '#infra/assets.ts'
import { migrate, readMigrations } from '#infra/clickhouse/migrate.ts'
import { openServerStore, type ServerStoreOptions } from '#infra/clickhouse/server-store.ts'
import type { Store } from '#infra/clickhouse/store.ts'
import { createMemoryLog } from '#infra/log/memory-log.ts'
import { noMetrics } from '#infra/metrics.ts'
import { Recorder } from '#pipeline/record/recorder.ts'
import { DEFAULT_TOPICS } from '#pipeline/topics.ts'
import { type ErrorCode, WeirError } from '#schemas/errors.ts'
import { decisionBytes, insertRows } from '#test/support/clickhouse-rows.ts'
import { type ClickHouseFront, type Fault, startClickHouseFront } from '#test/support/clickhouse-front.ts'
import { decisionOf } from '#test/support/decisions.ts'
import { type Optional, skipWithout } from '#test/support/optional-tool.ts'
import { newTempFolder } from '#test/support/temp-folder.ts'
import { testCodec } from '#test/support/transactions.ts'
import { appendLine, JournalMaker } from '#test/support/written-journal.ts'

const TABLE = 'weir.scored_transactions'
const TIMEOUT_MS = 1_500

describe('a ClickHouse server over HTTP', () => {
  const folder = newTempFolder()
  let front: ClickHouseFront
  let store: Store

  before(async () => {
    front = await startClickHouseFront({ folder: join(folder.path, 'front') })
    store = open()
    await migrate(store, assetPath('schemas/clickhouse'))
  })
  after(async () => {
    await store.close()
    await front.close()
    folder.remove()
  })

  function open(other: Partial<ServerStoreOptions> = {}): Store {
    const { url, user, password } = front
    return openServerStore({ url, user, password, requestTimeoutMs: TIMEOUT_MS, ...other })
  }

  test('migrations are applied once, and where all is done nothing is made or changed', async () => {
    const names = readMigrations(assetPath('schemas/clickhouse')).map(({ name }) => name)
    const { rows } = await store.query('SELECT name FROM weir.migrations ORDER BY name')
    assert.deepEqual(
      rows,
      names.map((name) => ({ name })),
    )
    const { length } = front.statements
    assert.deepEqual(await migrate(store, assetPath('schemas/clickhouse')), [])
    for (const statement of front.statements.slice(length)) assert.match(statement, /^\s*(SELECT|EXISTS)/)
  })

  test('rows, bound values and texts come through unharmed', async () => {
    await clear()
    const texts = ["it's", '\t\n\\', '{id:String}', '€ 🂡', '']
    const decisions = texts.map((transaction_id, index) => decisionOf({ line: 1, index }, { transaction_id }))
    await insertRows(store, TABLE, decisionBytes(decisions), 'texts')
    for (const id of texts) {
      const sql = `SELECT transaction_id FROM ${TABLE} WHERE transaction_id = {id:String} -- all of it`
      assert.deepEqual((await store.query(sql, { id })).rows, [{ transaction_id: id }])
    }
    const many = await store.analystQuery('SELECT number FROM numbers(30000);')
    assert.deepEqual([many.rows.length, many.truncated], [10_000, true])
  })

  const lost: readonly (readonly [string, Fault])[] = [
    ['the connection is cut before the answer', { kind: 'lost-answer' }],
    ['the connection is cut in the middle of the answer', { kind: 'lost-headers' }],
    ['the answer does not come in time', { kind: 'late' }],
  ]
  for (const [what, fault] of lost) {
    test(`a block counts once, in its table and in every view, when ${what} and it is sent again`, async () => {
      await clear()
      front.fail(/^INSERT INTO weir\.scored_transactions/, fault, fault)
      const bytes = decisionBytes(
        ['a', 'b', 'c'].map((id, index) => decisionOf({ line: 7, index }, { transaction_id: id, device_id: 'd' })),
      )
      for (let i = 0; i < 2; i++) {
        const error = await refusalOf(insertRows(store, TABLE, bytes, 'table:7-7'), 'STORE_UNAVAILABLE')
        assert.equal(error.retryable, true)
        assert.equal(error.where, front.url)
      }
      await insertRows(store, TABLE, bytes, 'table:7-7')
      assert.deepEqual(await counts(), { table: 3, merchants: 3, devices: 3, cards: 3, models: 3 })
    })
  }

  test('a control line and the lists that follow from it count once as well', async () => {
    await clear()
    front.fail(/^INSERT INTO weir\.control_lines/, { kind: 'lost-headers' })
    const entries = [{ list: 'block', field: 'card_id', value: 'x', reason: '', author: '' }]
    const row = `3\t1\t2026-01-01 00:00:00.000\tlists\t${JSON.stringify({ entries })}\t\n`
    const columns = ['line', 'term', 'clock', 'type', 'value', 'sha256']
    const insert = (): Promise<void> => store.insert('weir.control_lines', columns, row, 'control:3-3')
    await refusalOf(insert(), 'STORE_UNAVAILABLE')
    await insert()
    const { rows } = await store.query(
      'SELECT (SELECT count() FROM weir.control_lines) AS lines, (SELECT count() FROM weir.lists) AS entries',
    )
    assert.deepEqual(rows, [{ lines: 1, entries: 1 }])
  })

  const faults: readonly (readonly [string, Fault, ErrorCode, RegExp])[] = [
    ['a connection that is reset', { kind: 'reset' }, 'STORE_UNAVAILABLE', /cut/],
    ['an answer that never comes', { kind: 'endless' }, 'STORE_UNAVAILABLE', /no answer within 1\.5 s/],
    ['a proxy without a server', { kind: 'status', status: 502, body: '<html>secret</html>' }, 'STORE_UNAVAILABLE', /status 502/],
    ['a server that is too busy', { kind: 'status', status: 503, body: '' }, 'STORE_UNAVAILABLE', /503/],
    ['a fault inside the server', { kind: 'status', status: 500, body: 'oops' }, 'STORE_FAILED', /status 500/],
    ['an engine short of memory', { kind: 'exception', code: 241, name: 'MEMORY_LIMIT_EXCEEDED', text: 'Memory limit exceeded' }, 'STORE_FAILED', /MEMORY/],
    ['too many parts', { kind: 'exception', code: 252, name: 'TOO_MANY_PARTS', text: 'Too many parts' }, 'STORE_FAILED', /parts/],
    ['a full disk', { kind: 'exception', code: 243, name: 'NOT_ENOUGH_SPACE', text: 'Cannot reserve 1.00 MiB' }, 'STORE_FULL', /reserve/],
    ['a disk that fills up while writing', { kind: 'exception', code: 75, name: 'CANNOT_WRITE_TO_FILE_DESCRIPTOR', text: 'Cannot write to file, errno: 28, strerror: No space left on device' }, 'STORE_FULL', /errno: 28/],
    ['a table that is gone', { kind: 'exception', code: 60, name: 'UNKNOWN_TABLE', text: 'Table weir.x does not exist' }, 'STORE_MISMATCH', /does not exist/],
    ['rights that are missing', { kind: 'exception', code: 497, name: 'ACCESS_DENIED', text: 'weir: Not enough privileges' }, 'STORE_REFUSED', /privileges/],
    ['a door in front that wants a password', { kind: 'status', status: 401, body: 'who?' }, 'STORE_REFUSED', /401/],
  ] // biome-ignore format: a table
  for (const [what, fault, code, message] of faults) {
    test(`${what}: ${code}`, async () => {
      front.fail(/^INSERT INTO weir\.audit/, fault)
      const columns = ['at', 'who', 'what', 'detail']
      const error = await refusalOf(store.insert('weir.audit', columns, '2026-01-01 00:00:00.000\ta\tb\tc\n', ''), code)
      assert.match(error.message, message)
      assert.doesNotMatch(error.message, /secret|oops|who\?/)
      if (!error.retryable || code === 'STORE_FULL') assert.ok(error.fix.length > 0)
      assert.equal(error.cause, undefined)
    })
  }

  test('an answer that ends in the middle is not taken for a whole one', async () => {
    front.fail(/numbers\(100\)/, { kind: 'cut-answer' }, { kind: 'lost-headers' })
    for (let i = 0; i < 2; i++) {
      await refusalOf(store.query('SELECT number FROM numbers(100)'), 'STORE_UNAVAILABLE')
    }
    assert.equal((await store.query('SELECT number FROM numbers(100)')).rows.length, 100)
  })

  test('a person’s mistake is the person’s, a fault of the server is not', async () => {
    await refusalOf(store.analystQuery('SELECT no_such_column FROM weir.audit'), 'QUERY_INVALID')
    front.fail(
      /^SELECT 5/,
      { kind: 'exception', code: 497, name: 'ACCESS_DENIED', text: 'Not enough privileges' },
      { kind: 'status', status: 502, body: '' },
      { kind: 'exception', code: 241, name: 'MEMORY_LIMIT_EXCEEDED', text: 'Memory limit' },
    )
    await refusalOf(store.analystQuery('SELECT 5'), 'QUERY_INVALID')
    await refusalOf(store.analystQuery('SELECT 5'), 'STORE_UNAVAILABLE')
    await refusalOf(store.analystQuery('SELECT 5'), 'STORE_FAILED')
  })

  test('a wrong password is refused at once, and it is told nowhere', async () => {
    const error = await refusalOf(
      migrate(open({ password: 'hunter2' }), assetPath('schemas/clickhouse')),
      'STORE_REFUSED',
    )
    assert.equal(error.retryable, false)
    assert.match(error.fix, /clickhouse\.user/)
    assert.doesNotMatch(JSON.stringify([error.message, error.where, error.fix, error.stack]), /hunter2/)
  })

  test('people’s questions go over the connection of their own user', async () => {
    const asked = open({ reader: { user: 'someone', password: 'else' } })
    try {
      assert.deepEqual((await asked.query('SELECT 1 AS one')).rows, [{ one: 1 }])
      await refusalOf(asked.analystQuery('SELECT 1 AS one'), 'STORE_REFUSED')
    } finally {
      await asked.close()
    }
  })

  test('a server that is away, and comes back, is found again', async () => {
    await front.shut()
    const error = await refusalOf(store.query('SELECT 1'), 'STORE_UNAVAILABLE')
    assert.match(error.message, /ECONNREFUSED|ECONNRESET/)
    await front.open()
    assert.deepEqual((await store.query('SELECT 1 AS one')).rows, [{ one: 1 }])
  })

  test('a recorder on a line that fails in every way leaves every row once, in tables and views', async () => {
    await clear()
    for (const table of ['alerts', 'labels', 'recorder_progress']) await store.command(`TRUNCATE TABLE weir.${table}`)
    const kinds = ['lost-headers', 'reset', 'late', 'lost-answer', 'endless'] as const
    front.fail(/^INSERT INTO weir\./, ...kinds.map((kind): Fault => ({ kind })), {
      kind: 'status',
      status: 502,
      body: '',
    })
    front.fail(
      /^INSERT INTO weir\.recorder_progress/,
      { kind: 'lost-answer' },
      { kind: 'status', status: 500, body: '' },
    )
    front.fail(/FROM weir\.recorder_progress/, { kind: 'reset' }, { kind: 'cut-answer' })
    const log = createMemoryLog({ gapAfterUnit: 1 })
    const maker = new JournalMaker()
    for (let i = 0; i < 12; i++) await appendLine(log, maker.next({ decisions: 5, alerts: 2 }))
    await appendLine(log, maker.next({}))
    const codec = testCodec()
    const told: string[] = []
    const recorder = new Recorder({
      log,
      store,
      codec,
      topics: DEFAULT_TOPICS,
      limits: { rowsMax: 20, clockMs: 60_000 },
      metrics: noMetrics,
      readLabel: (value) => codec.label.decode(value),
      onProblem: (problem) => told.push(problem),
    })
    const stop = new AbortController()
    const running = recorder.run(stop.signal)
    await Promise.race([recorder.reached(maker.lastLine, AbortSignal.timeout(60_000)), running])
    stop.abort()
    await running
    assert.equal(recorder.completeLine, maker.lastLine, recorder.problem)
    assert.equal(told.at(-1), '')
    assert.ok(told.length >= 4, told.join())
    assert.deepEqual(await counts(), { table: 60, merchants: 60, devices: 0, cards: 60, models: 60 })
    assert.deepEqual((await store.query('SELECT count() AS n FROM weir.alerts')).rows, [{ n: 24 }])
  })

  async function clear(): Promise<void> {
    for (const table of [TABLE, 'weir.hourly', 'weir.control_lines', 'weir.lists']) {
      await store.command(`TRUNCATE TABLE ${table}`)
    }
  }

  async function counts(): Promise<Record<string, number>> {
    const { rows } = await store.query(`
      SELECT
        (SELECT count() FROM ${TABLE}) AS table,
        (SELECT sum(events) FROM weir.merchant_hours) AS merchants,
        (SELECT sum(events) FROM weir.device_hours) AS devices,
        (SELECT sum(events) FROM weir.card_hours) AS cards,
        (SELECT sum(events) FROM weir.model_hours) AS models`)
    return Object.fromEntries(Object.entries(rows[0]!).map(([name, value]) => [name, Number(value)]))
  }
})

const certificate = makeCertificate()
describe('a ClickHouse server over TLS', { skip: skipWithout(certificate) }, () => {
  const folder = newTempFolder()
  let front: ClickHouseFront

  before(async () => {
    front = await startClickHouseFront({ folder: join(folder.path, 'front'), tls: certificate.tool! })
  })
  after(async () => {
    await front.close()
    folder.remove()
  })

  test('is trusted with its authority named', async () => {
    const { url, user, password } = front
    const ca = Buffer.from(certificate.tool!.cert)
    const store = openServerStore({ url, user, password, ca, requestTimeoutMs: TIMEOUT_MS })
    assert.deepEqual((await store.query('SELECT 1 AS one')).rows, [{ one: 1 }])
    await store.close()
  })

  test('is not trusted without, and gets no password', async () => {
    const { url, user, password } = front
    const { length } = front.statements
    const error = await refusalOf(
      openServerStore({ url, user, password, requestTimeoutMs: TIMEOUT_MS }).query('SELECT 1'),
      'STORE_REFUSED',
    )
    assert.match(error.fix, /clickhouse\.caFile/)
    assert.equal(error.retryable, false)
    assert.equal(front.statements.length, length)
  })
})

async function refusalOf(work: Promise<unknown>, code: ErrorCode): Promise<WeirError> {
  const error = await work.then(
    () => assert.fail('this should have been refused'),
    (thrown: unknown) => thrown,
  )
  assert.ok(error instanceof WeirError, String(error))
  assert.equal(error.code, code, error.message)
  return error
}

/** A certificate for 127.0.0.1 that only itself vouches for, made for this run. */
function makeCertificate(): Optional<{ readonly key: string; readonly cert: string }> {
  const argv = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2']
  const names = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', '-', '-out', '-']
  try {
    const text = execFileSync('openssl', [...argv, ...names], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
    const [key, cert] = text.split(/(?=-----BEGIN CERTIFICATE-----)/)
    return { tool: { key: key!, cert: cert! }, missing: null }
  } catch {
    return { tool: null, missing: 'no openssl to make a certificate with' }
  }
}
