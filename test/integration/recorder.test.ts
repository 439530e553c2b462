import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { assetPath } from '#infra/assets.ts'
import { openEmbeddedStore, type ProcessStore } from '#infra/clickhouse/embedded-store.ts'
import { migrate } from '#infra/clickhouse/migrate.ts'
import type { Store } from '#infra/clickhouse/store.ts'
import type { Log, RecordToAppend } from '#infra/log/log.ts'
import { createMemoryLog } from '#infra/log/memory-log.ts'
import { noMetrics } from '#infra/metrics.ts'
import { Recorder } from '#pipeline/record/recorder.ts'
import { DEFAULT_TOPICS } from '#pipeline/topics.ts'
import { WeirError } from '#schemas/errors.ts'
import type { Control, Piece } from '#schemas/journal.ts'
import type { Label } from '#schemas/label.ts'
import { alertOf, decisionOf } from '#test/support/decisions.ts'
import { newTempFolder } from '#test/support/temp-folder.ts'
import { labelOf, testCodec } from '#test/support/transactions.ts'

const { transactions, labels, decisions, alerts, journal } = DEFAULT_TOPICS
const TABLES = ['scored_transactions', 'alerts', 'labels', 'control_lines'] as const
const HOURS = ['merchant_hours', 'device_hours', 'card_hours', 'model_hours'] as const
const FROM_MS = Date.UTC(2026, 0, 15, 12)
const MINUTE_MS = 60_000
const LIMITS = { rowsMax: 20, clockMs: 1_000 }
const WAIT_MS_MAX = 60_000

const folder = newTempFolder()
const codec = testCodec()
let store: ProcessStore

before(async () => {
  store = await openEmbeddedStore(folder.path)
  await migrate(store, assetPath('schemas/clickhouse'))
})
beforeEach(async () => {
  for (const table of [...TABLES, 'hourly', 'recorder_progress']) await store.command(`TRUNCATE TABLE weir.${table}`)
})
after(async () => {
  await store.close()
  folder.remove()
})

test('every committed decision, alert, label and control line becomes exactly one row', async () => {
  const path = new FakePath()
  await path.commit({ control: { type: 'rules', value: '{"rules":"it\'s\\n"}', sha256: 'ab' } })
  for (let i = 0; i < 12; i++) await path.commit({ decisions: 7, alerts: 2, labels: 3 })
  await path.commit({ labels: 2 })
  await path.commit({})
  await whileRecording(path.log, store, (recorder) => reached(recorder, path.lastLine))

  assert.deepEqual(await counts(), { scored_transactions: 84, alerts: 24, labels: 38, control_lines: 1, hours: 84 })
  const sql = (table: string): string => `SELECT line, index, transaction_id FROM weir.${table} ORDER BY line, index`
  assert.deepEqual((await store.query(sql('scored_transactions'))).rows, path.decided)
  assert.deepEqual((await store.query(sql('alerts'))).rows, path.alerted)
  const heard = await store.query('SELECT line, transaction_id FROM weir.labels ORDER BY topic_offset')
  assert.deepEqual(heard.rows, path.labelled)
  assert.deepEqual((await store.query('SELECT line, term, type, value, sha256 FROM weir.control_lines')).rows, [
    { line: 0, term: 1, type: 'rules', value: '{"rules":"it\'s\\n"}', sha256: 'ab' },
  ])
})

test('labels that were rejected or came twice are left out, and kept ones are read as the path reads them', async () => {
  const path = new FakePath()
  await path.log.append([
    { topic: labels, partition: 1, key: null, value: codec.label.encode(labelOf({ transaction_id: 'kept' })) },
    { topic: labels, partition: 1, key: null, value: Buffer.from('not a label') },
    { topic: labels, partition: 1, key: null, value: codec.label.encode(labelOf({ transaction_id: 'kept' })) },
    { topic: labels, partition: 1, key: null, value: Buffer.from(JSON.stringify(labelOf({ transaction_id: 'json' }))) },
    { topic: labels, partition: 1, key: null, value: codec.label.encode(labelOf({ transaction_id: 'not taken yet' })) },
  ])
  const piece = { topic: labels, partition: 1, first: 0, last: 3, count: 2, rejected: [1], repeated: [2] }
  await path.commit({ pieces: [piece] })
  await path.commit({})
  await whileRecording(path.log, store, (recorder) => reached(recorder, path.lastLine))
  const { rows } = await store.query('SELECT transaction_id, card_id, topic_partition, topic_offset FROM weir.labels')
  assert.deepEqual(rows, [
    { transaction_id: 'kept', card_id: 'tk_card-1', topic_partition: 1, topic_offset: 0 },
    { transaction_id: 'json', card_id: 'tk_card-1', topic_partition: 1, topic_offset: 3 },
  ])
})

test('what is committed while the recorder runs is recorded too', async () => {
  const path = new FakePath()
  await whileRecording(path.log, store, async (recorder) => {
    for (let i = 0; i < 5; i++) {
      await path.commit({ decisions: 3, alerts: 1, labels: 1 })
      await path.commit({})
      await reached(recorder, path.lastLine)
      assert.equal((await counts())['scored_transactions'], 3 * (i + 1))
    }
    assert.equal(recorder.rowsRecorded, 15)
  })
})

test('rows that wait for a fuller block are not there yet, and progress says so', async () => {
  const path = new FakePath()
  await whileRecording(path.log, store, async (recorder) => {
    await path.commit({ decisions: 3 })
    await path.commit({})
    await path.commit({ decisions: 4 })
    await reached(recorder, 1)
    assert.equal(recorder.completeLine, 1)
    assert.equal((await counts())['scored_transactions'], 3)
  })
})

test('a recorder goes on where the last one was, and sends nothing twice', async () => {
  const path = new FakePath()
  for (let i = 0; i < 10; i++) await path.commit({ decisions: 5, alerts: 2, labels: 2 })
  await path.commit({})
  await whileRecording(path.log, store, (recorder) => reached(recorder, path.lastLine))
  for (let i = 0; i < 10; i++) await path.commit({ decisions: 5, alerts: 2, labels: 2 })
  await path.commit({})
  const watched = new WatchedStore(store)
  await whileRecording(path.log, watched, (recorder) => reached(recorder, path.lastLine))
  assert.deepEqual(await counts(), { scored_transactions: 100, alerts: 40, labels: 40, control_lines: 0, hours: 100 })
  assert.deepEqual(path.decided, (await decidedRows()).rows)
  for (const token of watched.tokens) assert.ok(Number(/:(\d+)-/.exec(token)![1]) > 10, token)
})

test('with progress that is behind, the same blocks are sent again and every count stays', async () => {
  const path = new FakePath()
  for (let i = 0; i < 30; i++) await path.commit({ decisions: 6, alerts: 1, labels: 2 })
  await path.commit({})
  const first = new WatchedStore(store)
  await whileRecording(path.log, first, (recorder) => reached(recorder, path.lastLine))
  const before = await counts()
  assert.equal(before['scored_transactions'], 180)
  assert.equal(before['hours'], 180)

  const lines = (await store.query('SELECT line FROM weir.recorder_progress ORDER BY line')).rows
  for (const stale of [-1, Number(lines[0]!['line']), Number(lines.at(-2)!['line'])]) {
    const again = new WatchedStore(store)
    again.progress = stale
    await whileRecording(path.log, again, (recorder) => reached(recorder, path.lastLine))
    const expected = first.tokens.filter((token) => Number(/:(\d+)-/.exec(token)![1]) > stale)
    assert.ok(expected.length > 0)
    assert.deepEqual(again.tokens, expected)
    assert.deepEqual(await counts(), before)
  }
})

test('while the store is away nothing is lost, and afterwards the recorder catches up', async () => {
  const path = new FakePath()
  const flaky = new WatchedStore(store)
  flaky.isAway = true
  await whileRecording(path.log, flaky, async (recorder) => {
    for (let i = 0; i < 15; i++) await path.commit({ decisions: 6, alerts: 1, labels: 2 })
    await path.commit({})
    await flaky.refusals(2)
    assert.equal(recorder.completeLine, -1)
    assert.match(recorder.problem, /away/)
    flaky.isAway = false
    await reached(recorder, path.lastLine)
    assert.equal(recorder.problem, '')
  })
  assert.deepEqual(await counts(), { scored_transactions: 90, alerts: 15, labels: 30, control_lines: 0, hours: 90 })
})

test('an insert that was done and whose answer was lost counts once', async () => {
  const path = new FakePath()
  for (let i = 0; i < 15; i++) await path.commit({ decisions: 6, alerts: 1, labels: 2 })
  await path.commit({})
  const flaky = new WatchedStore(store)
  flaky.answersLost = 3
  await whileRecording(path.log, flaky, (recorder) => reached(recorder, path.lastLine))
  assert.equal(flaky.answersLost, 0)
  assert.deepEqual(await counts(), { scored_transactions: 90, alerts: 15, labels: 30, control_lines: 0, hours: 90 })
})

test('when the engine is killed in the midst of it, every row is there once in the end', async () => {
  const path = new FakePath()
  const watched = new WatchedStore(store)
  await whileRecording(path.log, watched, async (recorder) => {
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 20; i++) await path.commit({ decisions: 6, alerts: 1, labels: 2 })
      await path.commit({})
      await watched.inserts(2)
      if (store.pid !== null) process.kill(store.pid, 'SIGKILL')
      await reached(recorder, path.lastLine)
    }
  })
  assert.deepEqual(await counts(), { scored_transactions: 360, alerts: 60, labels: 120, control_lines: 0, hours: 360 })
  assert.deepEqual((await decidedRows()).rows, path.decided)
})

test('a mistake that no repetition mends ends the recorder with its error', async () => {
  const path = new FakePath()
  await path.commit({ decisions: 1 })
  await path.commit({})
  const broken = new WatchedStore(store)
  broken.fault = new WeirError('INVARIANT', 'broken for good')
  const recorder = recorderOf(path.log, broken)
  await assert.rejects(recorder.run(AbortSignal.timeout(WAIT_MS_MAX)), { code: 'INVARIANT' })
})

interface Commit {
  readonly decisions?: number
  readonly alerts?: number
  readonly labels?: number
  readonly pieces?: readonly Piece[]
  readonly control?: Control
}

/** Commits what the path would have, and remembers it. */
class FakePath {
  readonly log: Log = createMemoryLog()
  readonly decided: object[] = []
  readonly alerted: object[] = []
  readonly labelled: object[] = []
  lastLine = -1
  private transactionsSeen = 0
  private labelsSeen = 0

  async commit(what: Commit): Promise<void> {
    const line = ++this.lastLine
    const records: RecordToAppend[] = []
    const pieces: Piece[] = [...(what.pieces ?? [])]
    const [decided, alerted, heard] = [what.decisions ?? 0, what.alerts ?? 0, what.labels ?? 0]
    for (let offset = this.labelsSeen; offset < this.labelsSeen + heard; offset++) {
      const transaction_id = `label-${offset}`
      records.push(recordOf(labels, codec.label.encode(labelOf({ transaction_id }))))
      this.labelled.push({ line, transaction_id })
    }
    for (let index = 0; index < decided; index++) {
      const transaction_id = `t-${line}-${index}\t'`
      const event_time = FROM_MS + line * MINUTE_MS
      const of = { transaction_id, event_time, device_id: 'd' }
      records.push(recordOf(decisions, codec.decision.encode(decisionOf({ line, index }, of))))
      this.decided.push({ line, index, transaction_id })
    }
    for (let index = 0; index < alerted; index++) {
      const transaction_id = `t-${line}-${index}\t'`
      const alert_id = `${line}-${index}`
      records.push(recordOf(alerts, codec.alert.encode(alertOf({ line, index, alert_id, transaction_id }))))
      this.alerted.push({ line, index, transaction_id })
    }
    if (heard > 0) pieces.push(pieceOf(labels, this.labelsSeen, heard))
    if (decided > 0) pieces.push(pieceOf(transactions, this.transactionsSeen, decided))
    this.labelsSeen += heard
    this.transactionsSeen += decided
    // Lines of before do not say how many alerts they have.
    const said = line % 2 === 0 ? alerted : null
    const written = { line, term: 1, clock: FROM_MS + line * 10, pieces, control: what.control ?? null, alerts: said }
    records.push(recordOf(journal, codec.journalLine.encode(written)))
    await this.log.append(records)
  }
}

function recordOf(topic: string, value: Buffer): RecordToAppend {
  return { topic, partition: 0, key: null, value }
}

function pieceOf(topic: string, first: number, count: number): Piece {
  return { topic, partition: 0, first, last: first + count - 1, count, rejected: [], repeated: [] }
}

/** The store, with a memory of what was sent and with faults on demand. */
class WatchedStore implements Store {
  readonly tokens: string[] = []
  /** What a query of progress is answered; null: the truth. */
  progress: number | null = null
  isAway = false
  /** So many inserts are done and then fail. */
  answersLost = 0
  fault: WeirError | null = null
  private readonly real: Store
  private refused = 0
  private readonly waits: { readonly isDone: () => boolean; readonly wake: () => void }[] = []

  constructor(real: Store) {
    this.real = real
  }

  command(sql: string): Promise<void> {
    return this.real.command(sql)
  }

  async insert(...given: Parameters<Store['insert']>): Promise<void> {
    this.refuseWhenAway()
    this.tokens.push(given[3])
    this.wake()
    await this.real.insert(...given)
    if (this.answersLost > 0) {
      this.answersLost--
      throw new WeirError('STORE_UNAVAILABLE', 'the answer was lost')
    }
  }

  async query(...given: Parameters<Store['query']>): ReturnType<Store['query']> {
    this.refuseWhenAway()
    if (this.progress === null) return await this.real.query(...given)
    const row = { line: this.progress, rows: 1, journal_offset: -1, decisions_offset: -1, alerts_offset: -1 }
    const rows = this.progress < 0 ? [] : [{ ...row, rows_max: -1, clock_ms: -1 }]
    return { columns: [], rows, truncated: false }
  }

  analystQuery(...given: Parameters<Store['analystQuery']>): ReturnType<Store['analystQuery']> {
    return this.real.analystQuery(...given)
  }

  close(): Promise<void> {
    return this.real.close()
  }

  /** Resolves when so many further requests were refused. */
  refusals(count: number): Promise<void> {
    const target = this.refused + count
    return this.until(() => this.refused >= target)
  }

  /** Resolves when so many further inserts have begun. */
  inserts(count: number): Promise<void> {
    const target = this.tokens.length + count
    return this.until(() => this.tokens.length >= target)
  }

  private until(isDone: () => boolean): Promise<void> {
    return new Promise((wake) => this.waits.push({ isDone, wake }))
  }

  private wake(): void {
    for (const { isDone, wake } of this.waits) if (isDone()) wake()
  }

  private refuseWhenAway(): void {
    if (this.fault !== null) throw this.fault
    if (!this.isAway) return
    this.refused++
    this.wake()
    throw new WeirError('STORE_UNAVAILABLE', 'the store is away')
  }
}

function recorderOf(log: Log, of: Store): Recorder {
  const readLabel = (value: Buffer): Label => {
    const label = value[0] === 0x7b ? (JSON.parse(value.toString()) as Label) : codec.label.decode(value)
    return { ...label, card_id: `tk_${label.card_id}` }
  }
  return new Recorder({ log, store: of, codec, topics: DEFAULT_TOPICS, limits: LIMITS, metrics: noMetrics, readLabel })
}

/** Runs a recorder beside the work; a recorder that fails fails the test. */
async function whileRecording(log: Log, of: Store, work: (recorder: Recorder) => Promise<void>): Promise<void> {
  const recorder = recorderOf(log, of)
  const stop = new AbortController()
  const running = recorder.run(stop.signal)
  try {
    await Promise.race([work(recorder), running])
  } finally {
    stop.abort()
    await running
  }
}

async function reached(recorder: Recorder, line: number): Promise<void> {
  await recorder.reached(line, AbortSignal.timeout(WAIT_MS_MAX))
  assert.ok(recorder.completeLine >= line, `through line ${recorder.completeLine} of ${line}: ${recorder.problem}`)
}

async function counts(): Promise<Record<string, number>> {
  const parts = TABLES.map((table) => `(SELECT count() FROM weir.${table}) AS ${table}`)
  const { rows } = await store.query(`SELECT ${parts.join(', ')}`)
  const hours = new Set<number>()
  for (const table of HOURS) {
    hours.add(Number((await store.query(`SELECT sum(events) AS n FROM weir.${table}`)).rows[0]!['n']))
  }
  assert.equal(hours.size, 1, 'the hourly figures differ from each other')
  return {
    ...Object.fromEntries(Object.entries(rows[0]!).map(([name, n]) => [name, Number(n)])),
    hours: [...hours][0]!,
  }
}

function decidedRows(): ReturnType<Store['query']> {
  return store.query('SELECT line, index, transaction_id FROM weir.scored_transactions ORDER BY line, index')
}
