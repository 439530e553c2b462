import assert from 'node:assert/strict'
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { recover } from '#cli/recover.ts'
import { featureSpecOf } from '#cli/feature-spec.ts'
import { PathRuntime } from '#cli/path-runtime.ts'
import { openStore } from '#cli/store.ts'
import { wallClock } from '#infra/clock.ts'
import { type DataPaths, dataPaths } from '#infra/data-folder.ts'
import { openFileLog } from '#infra/log/file-log.ts'
import type { Log } from '#infra/log/log.ts'
import { noMetrics } from '#infra/metrics.ts'
import { createTokenizer, loadTokenKey } from '#infra/tokenizer.ts'
import { inputHash } from '#pipeline/decision-writer.ts'
import { follow } from '#pipeline/follow.ts'
import { Positions } from '#pipeline/journal.ts'
import { ACCEPTED, SliceBuffers } from '#pipeline/slice.ts'
import { DEFAULT_TOPICS } from '#pipeline/topics.ts'
import { type Config, loadConfig } from '#schemas/config.ts'
import { type Decision, isFlagged } from '#schemas/decision.ts'
import { LABEL } from '#schemas/event-columns.ts'
import type { Label } from '#schemas/label.ts'
import type { Transaction } from '#schemas/transaction.ts'
import { Random } from '#simulator/random.ts'
import { Simulator } from '#simulator/simulator.ts'
import { type Answer, RunningService, WEIR, type WeirProcess } from '#test/support/running-service.ts'
import { newTempFolder } from '#test/support/temp-folder.ts'

const KILLS = 20
/** Every so many kills hit a process that has only begun to start. */
const EARLY_EVERY = 5
const EARLY_MS_MAX = 900
const LATE_MS_MAX = 1_100
const BATCH_EVENTS = 50
const SETTINGS = {
  'path.checkpointIntervalMs': '300',
  'path.deduplicateIds': '65536',
  'recorder.intervalMs': '200',
}

interface Batch {
  readonly path: '/v1/transactions' | '/v1/labels'
  readonly events: readonly (Transaction | Label)[]
}

describe('one process, killed again and again', () => {
  const folder = newTempFolder()
  const accepted = new Set<string>()
  let acceptedLabels = 0
  let config: Config
  let paths: DataPaths
  let log: Log
  let decisions: readonly Decision[]

  before(async () => {
    assert.ok(existsSync(WEIR), 'build first: npm run build')
    config = loadConfig({
      folder: folder.path,
      file: null,
      env: {},
      flags: [
        { key: 'dataFolder', value: folder.path, flag: '--data' },
        ...Object.entries(SETTINGS).map(([key, value]) => ({ key, value, flag: '--set' })),
      ],
    }).config
    paths = dataPaths(config)
    await feedAndKill()
    log = await openLog(config, paths)
    const { codec } = runtimeOf(config, paths)
    decisions = await readAll(log, config.topics.decisions, (value) => codec.decision.decode(value))
  })

  after(async () => {
    await log?.close()
    folder.remove()
  })

  /** Sends batch after batch, each again and again until it is acknowledged, while the process is killed under it. */
  async function feedAndKill(): Promise<void> {
    const random = new Random(20)
    const batches = batchesOf(7)
    let batch = batches.next().value
    for (let kill = 0; kill <= KILLS; kill++) {
      const isLast = kill === KILLS
      const started = RunningService.spawn(
        folder.path,
        Object.entries(SETTINGS).map(([key, value]) => `${key}=${value}`),
      )
      const isEarly = !isLast && kill % EARLY_EVERY === EARLY_EVERY - 1
      const killed = isEarly ? killAfter(started, random.unit() * EARLY_MS_MAX) : null
      const service = await RunningService.listening(started, folder.path)
      if (service !== null) {
        const ending = isLast ? null : (killed ?? killAfter(started, random.unit() * LATE_MS_MAX))
        const batchesMax = isLast ? 5 : Number.POSITIVE_INFINITY
        for (let sent = 0; sent < batchesMax; sent++) {
          const answer: Answer | null = await service.post(batch.path, batch.events).catch(() => null)
          if (answer === null) break
          assert.equal(answer.status, 200, answer.text)
          take(batch, answer.json)
          batch = batches.next().value
        }
        if (isLast) assert.deepEqual(await endOf(service), { exitCode: 0, signal: null })
        await ending
      } else {
        assert.ok(isEarly, `the service did not start: ${started.stderr}`)
        await killed
      }
    }
  }

  function take({ path, events }: Batch, answer: unknown): void {
    assert.deepEqual((answer as { rejected: unknown[] }).rejected, [])
    if (path === '/v1/labels') acceptedLabels += events.length
    else for (const event of events) accepted.add(event.transaction_id)
  }

  test('every acknowledged transaction was decided exactly once', () => {
    const counts = new Map<string, number>()
    for (const { transaction } of decisions) {
      counts.set(transaction.transaction_id, (counts.get(transaction.transaction_id) ?? 0) + 1)
    }
    assert.ok(accepted.size > KILLS * BATCH_EVENTS, `only ${accepted.size} transactions were taken`)
    assert.ok(acceptedLabels > 0)
    assert.deepEqual(
      [...counts].filter(([, count]) => count !== 1),
      [],
    )
    assert.deepEqual(new Set(counts.keys()), accepted)
  })

  test('the tables hold one row for each decision, the same ones, without any clearing up', async () => {
    const store = await openStore(config)
    try {
      const rowsIn = async (sql: string): Promise<unknown[]> =>
        (await store.query(sql)).rows.map((row) => Object.values(row).map(String))
      const places = 'SELECT line, index, transaction_id, input_hash FROM weir.scored_transactions'
      const expected = decisions.map((d) => [`${d.line}`, `${d.index}`, d.transaction.transaction_id, d.input_hash])
      assert.deepEqual(await rowsIn(`${places} ORDER BY line, index`), expected)
      assert.deepEqual(await rowsIn(`${places} FINAL ORDER BY line, index`), expected)
      const flagged = decisions
        .filter(({ verdict }) => isFlagged(verdict))
        .map((d) => [`${d.line}`, `${d.index}`, d.transaction.transaction_id])
      assert.ok(flagged.length > 0, 'nothing was flagged')
      assert.deepEqual(
        await rowsIn('SELECT line, index, transaction_id FROM weir.alerts ORDER BY line, index'),
        flagged,
      )
    } finally {
      await store.close()
    }
  })

  test('there is one alert for each flagged decision', async () => {
    const { codec } = runtimeOf(config, paths)
    const alerts = await readAll(log, config.topics.alerts, (value) => codec.alert.decode(value))
    assert.deepEqual(
      alerts.map(({ transaction_id, verdict }) => ({ transaction_id, verdict })),
      decisions
        .filter(({ verdict }) => isFlagged(verdict))
        .map(({ transaction, verdict }) => ({ transaction_id: transaction.transaction_id, verdict })),
    )
    assert.equal(new Set(alerts.map(({ alert_id }) => alert_id)).size, alerts.length)
  })

  test('the journal from its first line gives every decision its inputs, and checkpoints give the same state', async () => {
    const replayed = runtimeOf(config, paths)
    const hashes = new Map<string, string>()
    const replayedPositions = new Positions()
    const { nextLine, events, term } = await follow({
      log,
      codec: replayed.codec,
      topics: config.topics,
      fold: replayed.path.fold,
      positions: replayedPositions,
      sliceOf: (rows) => new SliceBuffers(Math.max(rows, config.path.sliceRowsMax), replayed.layout),
      fromLine: 0,
      fromOffset: 0,
      onControl: (control) => replayed.applyWhileFollowing(control),
      onSlice: (slice, { line }) => {
        for (let row = 0; row < slice.count; row++) {
          if (slice.outcome[row] !== ACCEPTED || slice.events.kind[row] === LABEL) continue
          hashes.set(`${line}/${row} ${slice.events.text.transaction_id.at(row)}`, inputHash(slice, row))
        }
      },
      signal: new AbortController().signal,
    })
    assert.ok(term > KILLS / 2, `only ${term} processes got so far as to write`)
    assert.ok(events >= decisions.length)
    assert.equal(hashes.size, decisions.length)
    const scored = decisions.filter(({ score }) => score !== null)
    for (const { line, index, transaction, input_hash } of scored) {
      assert.equal(input_hash, hashes.get(`${line}/${index} ${transaction.transaction_id}`))
    }
    assert.ok(scored.length > 0, 'no model has scored')

    // The newest is the one of the graceful stop; the one before it lies somewhere in the run.
    const state = replayed.memory.hash()
    const found = readdirSync(paths.checkpoints).filter((name) => name.endsWith('.bin'))
    assert.equal(found.length, config.path.checkpointsKept)
    for (const name of [...found.sort().reverse(), null]) {
      const recovered = runtimeOf(config, paths)
      const positions = new Positions()
      const slice = new SliceBuffers(config.path.sliceRowsMax, recovered.layout)
      const end = await recover({ config, paths, log, runtime: recovered, positions, slice })
      assert.equal(end.nextLine, nextLine)
      assert.equal(recovered.memory.hash(), state, `state after recovering from ${name ?? 'nothing'}`)
      assert.deepEqual(inputsOf(positions), inputsOf(replayedPositions))
      await recovered.close()
      if (name !== null) rmSync(join(paths.checkpoints, name))
    }
    await replayed.close()
  })
})

async function killAfter(started: WeirProcess, ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms))
  await started.kill('SIGKILL')
}

async function endOf(service: RunningService): Promise<unknown> {
  const { exitCode, signal } = await service.stop()
  return { exitCode, signal }
}

/** An endless simulated stream, cut into what is sent at once: transactions, and labels where some have come up. */
function* batchesOf(seed: number): Generator<Batch, never> {
  const simulator = new Simulator({
    preset: 'demo',
    seed,
    startMs: Date.UTC(2025, 0, 6),
    accounts: 400,
    merchants: 80,
    eventsPerDay: 400,
  })
  let labels: Label[] = []
  let transactions: Transaction[] = []
  for (;;) {
    const item = simulator.next()
    if (item.kind === 'label') labels.push(item.label)
    else transactions.push(item.transaction)
    if (transactions.length < BATCH_EVENTS) continue
    yield { path: '/v1/transactions', events: transactions }
    transactions = []
    if (labels.length > 0) yield { path: '/v1/labels', events: labels }
    labels = []
  }
}

function runtimeOf(config: Config, paths: DataPaths): PathRuntime {
  return new PathRuntime({
    config,
    paths,
    spec: featureSpecOf(config),
    tokenizer: createTokenizer(loadTokenKey(paths.tokenKeyFile)),
    metrics: noMetrics,
    clock: wallClock,
    alertsPerDay: config.threshold.alertsPerDay,
  })
}

function openLog(config: Config, paths: DataPaths): Promise<Log> {
  return openFileLog({
    folder: paths.log,
    segmentBytesMax: config.log.segmentBytesMax,
    retentionMs: 1e12,
    clock: wallClock,
  })
}

async function readAll<T>(log: Log, topic: string, read: (value: Buffer) => T): Promise<T[]> {
  const reader = log.reader({ topic, partition: 0, offset: 0 })
  const all: T[] = []
  for (let records = await reader.read(1_024); records.length > 0; records = await reader.read(1_024)) {
    for (const { value } of records) all.push(read(value!))
  }
  reader.close()
  return all
}

/** Of inputs and journal; where outputs are read is no part of a replay. */
function inputsOf(positions: Positions): unknown[] {
  const inputs = positions
    .list()
    .filter(({ topic }) => topic !== DEFAULT_TOPICS.alerts && topic !== DEFAULT_TOPICS.decisions)
  return inputs.toSorted((a, b) => `${a.topic}${a.partition}`.localeCompare(`${b.topic}${b.partition}`))
}
