import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { featureSpecOf } from '#cli/feature-spec.ts'
import { PathRuntime } from '#cli/path-runtime.ts'
import { recover } from '#cli/recover.ts'
import { openStore } from '#cli/store.ts'
import { wallClock } from '#infra/clock.ts'
import { dataPaths } from '#infra/data-folder.ts'
import type { Log } from '#infra/log/log.ts'
import { noMetrics } from '#infra/metrics.ts'
import { createTokenizer, loadTokenKey } from '#infra/tokenizer.ts'
import { inputHash } from '#pipeline/decision-writer.ts'
import { follow } from '#pipeline/follow.ts'
import { Positions } from '#pipeline/journal.ts'
import { ACCEPTED, SliceBuffers } from '#pipeline/slice.ts'
import type { Config } from '#schemas/config.ts'
import { type Decision, isFlagged } from '#schemas/decision.ts'
import { messageOf } from '#schemas/errors.ts'
import { LABEL } from '#schemas/event-columns.ts'
import type { KafkaStage } from '#test/support/kafka-stage.ts'
import { loadId } from './kafka-load-order.ts'

export interface ChaosFindings {
  /** Confirmed to the producer. */
  readonly accepted: number
  readonly decisions: number
  readonly flagged: number
  readonly alerts: number
  /** In the tables of the process that was active at the end. */
  readonly rows: number
  readonly journalLines: number
  readonly stateHash: string
  /** Checkpoints from which the same state came out. */
  readonly checkpoints: number
  /** Everything that is not as it must be; empty when all is well. */
  readonly problems: readonly string[]
}

export interface ChaosCheck {
  readonly stage: KafkaStage
  readonly log: Log
  /** Data folder of the process that was active at the end. */
  readonly survivor: string
  readonly names: readonly string[]
  /** Of the ids that were sent. */
  readonly prefix: string
  readonly accepted: number
}

/** Looks at what the processes left behind; they must have ended. */
export async function checkChaos(check: ChaosCheck): Promise<ChaosFindings> {
  const { stage, log, survivor } = check
  const { topics } = stage.config
  const problems: string[] = []
  const runtime = runtimeOf(stage.configOf(survivor))
  try {
    const { decision, alert } = runtime.codec
    const decisions = await readAll(log, topics.decisions, (value) => decision.decode(value))
    const alerts = await readAll(log, topics.alerts, (value) => alert.decode(value))
    checkDecisions(check, decisions, problems)
    const flagged = decisions.filter(({ verdict }) => isFlagged(verdict))
    const flaggedIds = flagged.map(({ transaction }) => transaction.transaction_id)
    expectSame(
      'alerts',
      flaggedIds,
      alerts.map(({ transaction_id }) => transaction_id),
      problems,
    )
    if (new Set(alerts.map(({ alert_id }) => alert_id)).size !== alerts.length)
      problems.push('alerts share an alert_id')
    let rows = 0
    for (const name of check.names) {
      const found = await checkTables(stage.configOf(name), decisions, flagged, name === survivor, problems)
      if (name === survivor) rows = found
    }
    const replay = await checkReplay(check, runtime, decisions, problems)
    return {
      accepted: check.accepted,
      decisions: decisions.length,
      flagged: flagged.length,
      alerts: alerts.length,
      rows,
      ...replay,
      problems,
    }
  } finally {
    await runtime.close()
  }
}

function checkDecisions({ accepted, prefix }: ChaosCheck, decisions: readonly Decision[], problems: string[]): void {
  const counts = new Map<string, number>()
  for (const { transaction } of decisions) {
    counts.set(transaction.transaction_id, (counts.get(transaction.transaction_id) ?? 0) + 1)
  }
  const twice = [...counts].filter(([, count]) => count > 1).map(([id]) => id)
  if (twice.length > 0) problems.push(`${twice.length} transactions were decided more than once: ${some(twice)}`)
  const missing: string[] = []
  for (let n = 0; n < accepted; n++) if (!counts.has(loadId(prefix, n))) missing.push(loadId(prefix, n))
  if (missing.length > 0) problems.push(`${missing.length} accepted transactions were never decided: ${some(missing)}`)
  if (counts.size > accepted) problems.push(`${counts.size - accepted} decisions are of transactions nobody sent`)
  for (let i = 1; i < decisions.length; i++) {
    const [before, now] = [decisions[i - 1]!, decisions[i]!]
    if (now.line > before.line || (now.line === before.line && now.index > before.index)) continue
    problems.push(`decision ${now.line}/${now.index} follows ${before.line}/${before.index}`)
    break
  }
}

/** Rows of the survivor are all decisions; the other one's are those of the lines it has recorded. */
async function checkTables(
  config: Config,
  decisions: readonly Decision[],
  flagged: readonly Decision[],
  isSurvivor: boolean,
  problems: string[],
): Promise<number> {
  const store = await openStore(config)
  try {
    const textsOf = async (sql: string): Promise<string[]> =>
      (await store.query(sql)).rows.map((row) => Object.values(row).map(String).join(' '))
    const [completed] = await textsOf('SELECT max(line) FROM weir.recorder_progress')
    const upTo = isSurvivor ? Number.POSITIVE_INFINITY : Number(completed ?? -1)
    const place = ({ line, index, transaction }: Decision): string => `${line} ${index} ${transaction.transaction_id}`
    const within = (all: readonly Decision[]): string[] => all.filter(({ line }) => line <= upTo).map(place)
    const limit = isSurvivor ? '' : `WHERE line <= ${upTo}`
    const name = `of ${config.dataFolder.split('/').at(-1)}`
    const order = `${limit} ORDER BY line, index`
    const rows = await textsOf(`SELECT line, index, transaction_id FROM weir.scored_transactions ${order}`)
    expectSame(`rows ${name}`, within(decisions), rows, problems)
    const alerts = await textsOf(`SELECT line, index, transaction_id FROM weir.alerts ${order}`)
    expectSame(`alert rows ${name}`, within(flagged), alerts, problems)
    return rows.length
  } finally {
    await store.close()
  }
}

/** The journal from its first line, here and by `weir replay`, which also scores and decides again, and from each checkpoint of the survivor: the same state, and the inputs of every decision. */
async function checkReplay(
  { stage, log, survivor }: ChaosCheck,
  runtime: PathRuntime,
  decisions: readonly Decision[],
  problems: string[],
): Promise<Pick<ChaosFindings, 'journalLines' | 'stateHash' | 'checkpoints'>> {
  const config = stage.configOf(survivor)
  const hashes = new Map<string, string>()
  const { nextLine } = await follow({
    log,
    codec: runtime.codec,
    topics: config.topics,
    fold: runtime.path.fold,
    positions: new Positions(),
    sliceOf: (rows) => new SliceBuffers(Math.max(rows, config.path.sliceRowsMax), runtime.layout),
    fromLine: 0,
    fromOffset: 0,
    onControl: (control) => runtime.applyWhileFollowing(control),
    onSlice: (slice, { line }) => {
      for (let row = 0; row < slice.count; row++) {
        if (slice.outcome[row] !== ACCEPTED || slice.events.kind[row] === LABEL) continue
        hashes.set(`${line}/${row} ${slice.events.text.transaction_id.at(row)}`, inputHash(slice, row))
      }
    },
    signal: new AbortController().signal,
  })
  const differing = decisions.filter(
    ({ line, index, transaction, input_hash: hash }) =>
      hash !== '' && hash !== hashes.get(`${line}/${index} ${transaction.transaction_id}`),
  )
  if (differing.length > 0) {
    const where = differing.map(({ line, index }) => `${line}/${index}`)
    problems.push(`${differing.length} decisions have other inputs than the replay: ${some(where)}`)
  }
  const stateHash = runtime.memory.hash()
  for (const source of ['log', 'clickhouse']) {
    const name = `weir replay --from ${source}`
    const replayed = await stage.command(survivor, ['replay', '--hash', '--from', source]).then(
      (document) => document as ReplayDocument,
      (error: unknown) => void problems.push(`${name}: ${messageOf(error)}`),
    )
    if (replayed === undefined) continue
    if (replayed.stateHash !== stateHash) problems.push(`${name} gives the state ${replayed.stateHash}`)
    if (replayed.decisions !== decisions.length) problems.push(`${name} gives ${replayed.decisions} decisions`)
  }
  const { checkpoints: folder } = dataPaths(config)
  const checkpoints = existsSync(folder)
    ? readdirSync(folder)
        .filter((name) => name.endsWith('.bin'))
        .toSorted()
        .toReversed()
    : []
  if (checkpoints.length === 0) problems.push('the process that was active at the end left no checkpoint')
  for (const name of checkpoints) {
    const recovered = runtimeOf(config)
    const slice = new SliceBuffers(config.path.sliceRowsMax, recovered.layout)
    const deps = { config, paths: dataPaths(config), log, runtime: recovered, positions: new Positions(), slice }
    const end = await recover(deps)
    const hash = recovered.memory.hash()
    await recovered.close()
    if (end.nextLine !== nextLine) problems.push(`checkpoint ${name} leads to line ${end.nextLine}, not ${nextLine}`)
    if (hash !== stateHash) problems.push(`the state from checkpoint ${name} is not that of the replay`)
    rmSync(join(folder, name))
  }
  return { journalLines: nextLine, stateHash, checkpoints: checkpoints.length }
}

interface ReplayDocument {
  readonly stateHash: string
  readonly decisions: number
}

function runtimeOf(config: Config): PathRuntime {
  const paths = dataPaths(config)
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

async function readAll<T>(log: Log, topic: string, read: (value: Buffer) => T): Promise<T[]> {
  const reader = log.reader({ topic, partition: 0, offset: 0 })
  const all: T[] = []
  for (let records = await reader.read(READ_ROWS); records.length > 0; records = await reader.read(READ_ROWS)) {
    for (const { value } of records) all.push(read(value!))
  }
  reader.close()
  return all
}

const READ_ROWS = 2_048

function expectSame(what: string, expected: readonly string[], found: readonly string[], problems: string[]): void {
  const at = expected.findIndex((place, i) => place !== found[i])
  if (at < 0 && expected.length === found.length) return
  const first = at < 0 ? expected.length : at
  problems.push(
    `${what}: ${found.length}, not ${expected.length}; the first difference is ${found[first] ?? 'none'} where ${expected[first] ?? 'none'} belongs`,
  )
}

function some(all: readonly string[]): string {
  return all.slice(0, 5).join(', ')
}
