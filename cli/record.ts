import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { assetPath } from '#infra/assets.ts'
import { migrate } from '#infra/clickhouse/migrate.ts'
import type { Store } from '#infra/clickhouse/store.ts'
import { wallClock } from '#infra/clock.ts'
import { type DataPaths, dataPaths } from '#infra/data-folder.ts'
import { acquireDataLock, dataLockHolder } from '#infra/folder-lock.ts'
import { openFollowingFileLog } from '#infra/log/following-file-log.ts'
import type { Log } from '#infra/log/log.ts'
import type { Logger } from '#infra/logger.ts'
import type { Metrics } from '#infra/metrics.ts'
import { createPrometheusMetrics } from '#infra/prometheus.ts'
import { openSchemas } from '#infra/schema-registry/open-schemas.ts'
import { findService } from '#infra/service-client.ts'
import { createTokenizer, loadTokenKey, type Tokenizer } from '#infra/tokenizer.ts'
import { Recorder } from '#pipeline/record/recorder.ts'
import { type Codec, createCodec } from '#schemas/codec.ts'
import type { Config } from '#schemas/config.ts'
import { WeirError } from '#schemas/errors.ts'
import type { CommandContext } from './context.ts'
import { loadApiToken } from './identity.ts'
import { createLabelReader } from './label-reader.ts'
import { type LogHome, openLog, type OpenLogDeps, withSchemas } from './open-log.ts'
import { serveHealth } from './serve-api.ts'
import { openStore } from './store.ts'
import { WEIR_VERSION } from './version.ts'

export interface RecordDeps {
  /** Told what recording waits for; '' when it goes on. */
  readonly onProblem?: (problem: string) => void
  readonly config: Pick<Config, 'topics' | 'recorder'>
  readonly log: Log
  readonly store: Store
  readonly codec: Codec
  readonly tokenizer: Tokenizer
  readonly metrics: Metrics
  readonly logger: Logger
}

/** What is on its way when the signal comes may take so long to be finished. */
const STOP_MS_MAX = 10_000
const TELL_EVERY_MS = 30_000
const SERVICE_TIMEOUT_MS = 2_000

/** Fills the tables in a process of its own, from the log wherever it is. */
export async function runRecord(context: CommandContext): Promise<number> {
  const { config, logger } = context
  const paths = dataPaths(config)
  const signal = context.stopSignal()
  await checkAlone(config, paths)
  const isEmbedded = config.clickhouse.home === 'embedded'
  const self = { pid: process.pid, command: 'record', since: wallClock.now() }
  const lock = isEmbedded ? acquireDataLock(paths.folder, self) : null
  const opened: { close(): Promise<void> }[] = []
  try {
    const tokenizer = createTokenizer(loadTokenKey(paths.tokenKeyFile))
    const metrics = createPrometheusMetrics({ withProcess: true })
    const schemas = await openSchemas({ config, clock: wallClock, logger, stop: signal })
    const home = await openHome({
      config,
      paths,
      logger,
      metrics,
      schemas,
      stop: signal,
      stillOwner: async () => false,
    })
    opened.push(home)
    const store = await openStore(config)
    opened.push(store)
    await migrate(store, assetPath('schemas/clickhouse'))
    let problem = ''
    const health = await serveHealth(
      {
        version: WEIR_VERSION,
        health: () => ({ ok: problem === '', problems: problem === '' ? [] : [problem] }),
        metrics: () => metrics.text(),
      },
      config,
      loadApiToken(paths.apiTokenFile),
      config.recorder.port,
    )
    opened.push(health)
    logger.info(`metrics and health at ${health.url}`)
    const { log } = home
    const codec = createCodec(schemas)
    const onProblem = (now: string): void => {
      problem = now
    }
    await record({ config, log, store, codec, tokenizer, metrics, logger, onProblem }, signal)
    return 0
  } finally {
    for (const part of opened) await part.close()
    lock?.release()
  }
}

/**
 * Records until the signal comes, then finishes the block that is on its way, for at most ten seconds: one that is not
 * finished is sent again at the next start, and counts once.
 *
 * @throws WeirError of the log or the tables that no repetition mends
 */
export async function record(deps: RecordDeps, signal: AbortSignal): Promise<void> {
  const { config, log, store, codec, tokenizer, metrics, logger, onProblem } = deps
  let told = -1
  const tell = (): void => {
    if (recorder.completeLine === told) return
    told = recorder.completeLine
    logger.info(`tables are complete through journal line ${told}; ${recorder.rowsRecorded} decisions since the start`)
  }
  const recorder = new Recorder({
    log,
    store,
    codec,
    topics: config.topics,
    limits: { rowsMax: config.recorder.rowsMax, clockMs: config.recorder.intervalMs },
    metrics,
    readLabel: createLabelReader(codec, tokenizer),
    onProblem: (problem) => {
      onProblem?.(problem)
      if (problem === '') logger.info('recording goes on')
      else logger.warn(`recording waits: ${problem}`)
    },
    // Caught up for the first time; from then on now and then.
    onIdle: () => told < 0 && tell(),
  })
  const timer = setInterval(tell, TELL_EVERY_MS)
  const running = recorder.run(signal)
  try {
    await Promise.race([running, stopped(signal)])
    const isDone = await Promise.race([running.then(() => true), sleep(STOP_MS_MAX, false, { ref: false })])
    if (!isDone) logger.warn('the last block was not finished in time; it is sent again at the next start')
    tell()
  } finally {
    clearInterval(timer)
    running.catch(() => {})
  }
}

function stopped(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

/** Kafka, or the log in the data folder beside the process that writes it. */
async function openHome(deps: OpenLogDeps): Promise<LogHome> {
  if (deps.config.log.home === 'kafka') return await openLog(deps)
  const log = await openFollowingFileLog({ folder: deps.paths.log })
  return { log: withSchemas(log, deps), shared: null, close: () => log.close() }
}

/**
 * @throws WeirError DATA_IN_USE where another process fills the tables, NOT_AVAILABLE where card numbers would get other tokens
 *   than in the service
 */
async function checkAlone(config: Config, paths: DataPaths): Promise<void> {
  const holder = dataLockHolder(paths.folder)
  if (config.clickhouse.home === 'embedded' && holder !== null) {
    throw new WeirError(
      'DATA_IN_USE',
      `the embedded ClickHouse serves one process at a time, and process ${holder.pid} (weir ${holder.command}) has it`,
      {
        where: paths.clickhouse,
        fix: 'A service with an embedded ClickHouse fills it itself; to record apart from it use a server: clickhouse.home.',
      },
    )
  }
  if (!existsSync(paths.tokenKeyFile)) {
    throw new WeirError('NOT_AVAILABLE', 'there is no token key, and a new one would give cards other tokens', {
      where: paths.tokenKeyFile,
      fix: 'Start `weir run` first, or put the key of the service there.',
    })
  }
  if (!config.recorder.inService || config.log.home === 'kafka') return
  const service = await findService(config.dataFolder, { timeoutMs: SERVICE_TIMEOUT_MS }).catch(() => null)
  if (service === null) return
  throw new WeirError('DATA_IN_USE', `the service (process ${service.address.pid}) fills the tables itself`, {
    where: paths.folder,
    fix: 'To record apart from it set recorder.inService to false for both and restart the service.',
  })
}
