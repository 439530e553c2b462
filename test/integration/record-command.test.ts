import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { openEmbeddedStore } from '#infra/clickhouse/embedded-store.ts'
import { openServerStore } from '#infra/clickhouse/server-store.ts'
import type { Store } from '#infra/clickhouse/store.ts'
import { acquireDataLock } from '#infra/folder-lock.ts'
import { openFileLog } from '#infra/log/file-log.ts'
import type { Log } from '#infra/log/log.ts'
import { loadTokenKey } from '#infra/tokenizer.ts'
import { type ClickHouseFront, startClickHouseFront } from '#test/support/clickhouse-front.ts'
import { inTempFolder, newTempFolder } from '#test/support/temp-folder.ts'
import { appendLine, JournalMaker } from '#test/support/written-journal.ts'

const MAIN = fileURLToPath(new URL('../../cli/main.ts', import.meta.url))
const WAIT_MS_MAX = 60_000
const STOP_MS_MAX = 10_000

const folder = newTempFolder()
let front: ClickHouseFront
let store: Store

before(async () => {
  front = await startClickHouseFront({ folder: join(folder.path, 'front') })
  const { url, user, password } = front
  store = openServerStore({ url, user, password, requestTimeoutMs: 30_000 })
})
after(async () => {
  await store.close()
  await front.close()
  folder.remove()
})

test('beside the process that writes the log it fills a server’s tables, and goes on where it stopped', () =>
  inTempFolder(async (data) => {
    loadTokenKey(join(data, 'token.key'))
    const log = await openWriter(data)
    const maker = new JournalMaker()
    for (let i = 0; i < 10; i++) await appendLine(log, maker.next({ decisions: 5, alerts: 1, labels: 1 }))
    await appendLine(log, maker.next({}))
    const first = startRecord(data, serverFlags())
    await rowsReach(50)
    for (let i = 0; i < 10; i++) await appendLine(log, maker.next({ decisions: 5 }))
    await appendLine(log, maker.next({}))
    await rowsReach(100)
    await assertTells(first, join(data, 'api.token'), /^weir_recorder_rows_total \d+$/m)
    assert.deepEqual(await stop(first.child), { code: 0, isQuick: true })
    for (let i = 0; i < 4; i++) await appendLine(log, maker.next({ decisions: 5 }))
    await appendLine(log, maker.next({}))
    const second = startRecord(data, serverFlags())
    await rowsReach(120)
    assert.deepEqual(await stop(second.child), { code: 0, isQuick: true })
    const { rows } = await store.query(`
      SELECT (SELECT count() FROM weir.alerts) AS alerts, (SELECT count() FROM weir.labels) AS labels,
        (SELECT sum(events) FROM weir.merchant_hours) AS hours`)
    assert.deepEqual(rows, [{ alerts: 10, labels: 10, hours: 120 }])
    assert.ok(!`${first.said()}${second.said()}`.includes(front.password))
    await log.close()
  }))

test('without a server it fills the embedded tables of a folder that nobody else has', () =>
  inTempFolder(async (data) => {
    loadTokenKey(join(data, 'token.key'))
    const log = await openWriter(data)
    const maker = new JournalMaker()
    for (let i = 0; i < 4; i++) await appendLine(log, maker.next({ decisions: 5 }))
    await appendLine(log, maker.next({}))
    const recording = startRecord(data, [])
    await recording.until(/complete through journal line 4/, () => recording.child.kill('SIGTERM'))
    await log.close()
    const tables = await openEmbeddedStore(join(data, 'clickhouse'))
    try {
      assert.deepEqual((await tables.query('SELECT count() AS n FROM weir.scored_transactions')).rows, [{ n: 20 }])
    } finally {
      await tables.close()
    }
  }))

test('embedded tables that another process fills are left to it', () =>
  inTempFolder(async (data) => {
    loadTokenKey(join(data, 'token.key'))
    const lock = acquireDataLock(data, { pid: process.pid, command: 'run', since: Date.now() })
    try {
      const error = await failureOf(data, [])
      assert.equal(error.code, 'DATA_IN_USE')
      assert.match(error.message, /serves one process at a time, and process \d+ \(weir run\) has it/)
      assert.match(error.fix, /clickhouse\.home/)
    } finally {
      lock.release()
    }
  }))

test('without the token key of the service nothing is recorded under other tokens', () =>
  inTempFolder(async (data) => {
    const error = await failureOf(data, serverFlags())
    assert.equal(error.code, 'NOT_AVAILABLE')
    assert.match(error.message, /token key/)
  }))

test('a wrong password ends it with what to do, and stands in no output', () =>
  inTempFolder(async (data) => {
    loadTokenKey(join(data, 'token.key'))
    const error = await failureOf(data, serverFlags(), 'hunter2')
    assert.equal(error.code, 'STORE_REFUSED')
    assert.match(error.fix, /clickhouse\.user/)
    assert.doesNotMatch(JSON.stringify(error), /hunter2/)
  }))

/** It is ready, and tells its metrics to whoever has the token. */
async function assertTells(recording: Started, tokenFile: string, metric: RegExp): Promise<void> {
  const url = /metrics and health at (http:\/\/[\d.:]+)/.exec(recording.said())?.[1]
  assert.ok(url !== undefined, recording.said())
  assert.equal((await fetch(`${url}/metrics`)).status, 401)
  const ready = await fetch(`${url}/readyz`)
  assert.deepEqual([ready.status, await ready.json()], [200, { ok: true, problems: [] }])
  const headers = { Authorization: `Bearer ${readFileSync(tokenFile, 'utf8').trim()}` }
  assert.match(await (await fetch(`${url}/metrics`, { headers })).text(), metric)
}

interface Started {
  readonly child: ChildProcess
  said(): string
  /** Does something when the process has said it; resolves when it has ended. */
  until(what: RegExp, act: () => void): Promise<void>
}

function startRecord(data: string, flags: readonly string[], password = front.password): Started {
  const argv = ['--import', 'tsx', MAIN, 'record', '--data', data, ...flags]
  const env = { ...process.env, WEIR_CLICKHOUSE_PASSWORD: password, WEIR_RECORDER_INTERVAL_MS: '100' }
  const child = spawn(process.execPath, argv, { env, stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      said += text
    })
  }
  const ended = once(child, 'close')
  return {
    child,
    said: () => said,
    async until(what, act) {
      await new Promise<void>((resolve) => {
        const look = (): void => {
          if (what.test(said)) resolve()
        }
        for (const stream of [child.stdout, child.stderr]) stream.on('data', look)
        child.once('close', () => resolve())
      })
      assert.match(said, what)
      act()
      await ended
    },
  }
}

function serverFlags(): string[] {
  return [
    '--set',
    'clickhouse.home=server',
    '--set',
    `clickhouse.url=${front.url}`,
    '--set',
    `clickhouse.user=${front.user}`,
  ]
}

async function rowsReach(count: number): Promise<void> {
  const giveUpMs = performance.now() + WAIT_MS_MAX
  for (;;) {
    const n = await store.query('SELECT count() AS n FROM weir.scored_transactions').then(
      ({ rows }) => Number(rows[0]!['n']),
      () => 0,
    )
    assert.ok(n <= count, `${n} rows, more than the ${count} that were written`)
    if (n === count) return
    assert.ok(performance.now() < giveUpMs, `${n} of ${count} rows`)
    await pause()
  }
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 50))
}

async function stop(child: ChildProcess): Promise<{ readonly code: number | null; readonly isQuick: boolean }> {
  const startedMs = performance.now()
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  const [code] = (await exited) as [number | null]
  return { code, isQuick: performance.now() - startedMs < STOP_MS_MAX }
}

async function failureOf(
  data: string,
  flags: readonly string[],
  password = front.password,
): Promise<{ readonly code: string; readonly message: string; readonly fix: string }> {
  const failing = startRecord(data, [...flags, '--json', '--quiet'], password)
  const [code] = (await once(failing.child, 'close')) as [number]
  assert.notEqual(code, 0)
  const line = failing
    .said()
    .split('\n')
    .find((text) => text.startsWith('{"error"'))
  assert.ok(line !== undefined, failing.said())
  return (JSON.parse(line) as { error: { code: string; message: string; fix: string } }).error
}

function openWriter(data: string): Promise<Log> {
  return openFileLog({
    folder: join(data, 'log'),
    segmentBytesMax: 1_048_576,
    retentionMs: 1e12,
    clock: { now: () => Date.now() },
  })
}
