import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { assetPath } from '#infra/assets.ts'
import { CheckpointWriter, readNewestCheckpoint } from '#infra/checkpoint.ts'
import { wallClock } from '#infra/clock.ts'
import { migrate } from '#infra/clickhouse/migrate.ts'
import type { Store } from '#infra/clickhouse/store.ts'
import { type DataPaths, dataPaths } from '#infra/data-folder.ts'
import { acquireDataLock, type DataLock } from '#infra/folder-lock.ts'
import { openFileLog } from '#infra/log/file-log.ts'
import type { Log } from '#infra/log/log.ts'
import { createPrometheusMetrics, type PrometheusMetrics } from '#infra/prometheus.ts'
import { createTokenizer, loadTokenKey, type Tokenizer } from '#infra/tokenizer.ts'
import { Consumer } from '#pipeline/consume.ts'
import { BudgetController } from '#pipeline/decide/budget.ts'
import { cleanLists, type Lists, loadLists, NO_LISTS } from '#pipeline/decide/lists.ts'
import { BookRebuilder } from '#pipeline/decide/rebuild-book.ts'
import { DEFAULT_COSTS, type Threshold } from '#pipeline/decide/threshold.ts'
import { Engine } from '#pipeline/engine.ts'
import { follow } from '#pipeline/follow.ts'
import { Gateway } from '#pipeline/gateway.ts'
import { Intake } from '#pipeline/intake.ts'
import { Positions } from '#pipeline/journal.ts'
import { createPeekTime } from '#pipeline/peek-time.ts'
import { Recorder } from '#pipeline/record/recorder.ts'
import { type Explained, SliceBuffers } from '#pipeline/slice.ts'
import type { Codec } from '#schemas/codec.ts'
import type { Config } from '#schemas/config.ts'
import { messageOf, WeirError } from '#schemas/errors.ts'
import type { Control, JournalLine } from '#schemas/journal.ts'
import { parseLabel } from '#schemas/json-input.ts'
import type { Label } from '#schemas/label.ts'
import type { RateTable } from '#schemas/rates.ts'
import type { CommandContext } from './context.ts'
import { featureSpecOf } from './feature-spec.ts'
import { findDecision } from './find-decision.ts'
import { LiveStats } from './live-stats.ts'
import { openStore } from './store.ts'
import { WEIR_VERSION } from './version.ts'
import { INTAKE_PARTITION, type ModelControl, PathRuntime, readRates, readRules } from './path-runtime.ts'

export interface ServiceOptions {
  readonly command: 'run' | 'demo'
  readonly clockMode: 'wall' | 'stream'
  readonly alertsPerDay: number
  /** Clock that a block of rows may span, milliseconds. */
  readonly blockClockMs: number
  /** Rates other than the configured ones. */
  readonly rates?: RateTable
  readonly onSlice?: (slice: Explained) => void
}

const DAY_MS = 86_400_000
/** A state up to this size gets a checkpoint when the service stops; a larger one would take longer than it may. */
const STOP_CHECKPOINT_BYTES_MAX = 268_435_456
const CHECKPOINT_PAGES_A_SLICE = 32
const FLUSH_IDLE_MS = 1_000

/**
 * The service in one process: log, path, recorder and tables. It goes on where the journal ends, and stops with
 * everything committed.
 */
export class Service {
  readonly config: Config
  readonly paths: DataPaths
  readonly log: Log
  readonly store: Store
  readonly metrics: PrometheusMetrics
  readonly runtime: PathRuntime
  readonly intake: Intake
  readonly gateway: Gateway
  readonly engine: Engine
  readonly recorder: Recorder
  readonly stats = new LiveStats()
  readonly apiToken: string
  private readonly tokenizer: Tokenizer
  private readonly replacedBefore = new Map<string, number>()
  private readonly options: ServiceOptions
  private readonly lock: DataLock
  private readonly context: CommandContext
  private readonly stop = new AbortController()
  private readonly recorderStop = new AbortController()
  private readonly checkpoints: CheckpointWriter
  private readonly budget: BudgetController
  private readonly positions: Positions
  private lastCheckpointMs = wallClock.now()
  private lastWholeCheckpointMs = wallClock.now()
  private working: Promise<void> = Promise.resolve()
  private recording: Promise<void> = Promise.resolve()

  private constructor(parts: ServiceParts) {
    this.options = parts.options
    this.context = parts.context
    this.config = parts.context.config
    this.paths = parts.paths
    this.lock = parts.lock
    this.log = parts.log
    this.store = parts.store
    this.metrics = parts.metrics
    this.runtime = parts.runtime
    this.positions = parts.positions
    this.apiToken = parts.apiToken
    this.tokenizer = parts.tokenizer
    const { config, runtime, log, metrics } = this
    const { topics } = config
    this.intake = new Intake(config.api.queueRowsMax)
    this.budget = new BudgetController(parts.options.alertsPerDay)
    this.checkpoints = new CheckpointWriter({ folder: parts.paths.checkpoints, keep: config.path.checkpointsKept })
    this.gateway = new Gateway({
      intake: this.intake,
      codec: runtime.codec,
      tokenizer: parts.tokenizer,
      topics,
      recentMax: 50_000,
      findDecision: (id) => findDecision(parts.store, id),
    })
    this.engine = new Engine(
      {
        path: runtime.path,
        log,
        codec: runtime.codec,
        topics,
        consumer: new Consumer({
          log,
          intake: this.intake,
          positions: this.positions,
          inputTopics: [topics.transactions, topics.labels],
          intakePartition: INTAKE_PARTITION,
          peekTime: createPeekTime(runtime.codec, topics.labels),
          rowsMax: config.path.sliceRowsMax,
        }),
        positions: this.positions,
        slice: parts.slice,
        metrics,
        clock: wallClock,
        clockMode: parts.options.clockMode,
        aheadMs: config.path.guard.aheadMs,
        deadLettersInARowMax: config.path.deadLettersInARowMax,
        heartbeatMs: FLUSH_IDLE_MS,
        applyControl: (control) => runtime.apply(control),
        onSlice: (line, slice) => this.onSlice(line, slice),
        onDurable: (ms) => this.stats.addLatency(ms),
        betweenSlices: (nextLine) => this.stepCheckpoint(nextLine),
      },
      parts.followed,
    )
    this.recorder = new Recorder({
      log,
      store: this.store,
      codec: runtime.codec,
      topics,
      readLabel: labelReader(runtime.codec, parts.tokenizer),
      limits: { rowsMax: config.recorder.rowsMax, clockMs: parts.options.blockClockMs },
      metrics,
    })
  }

  /**
   * Opens everything and brings the state to the journal's end.
   *
   * @throws WeirError DATA_IN_USE, LOG_DAMAGED, REPLAY_MISMATCH, RULES_INVALID, MODEL_INVALID and others of the parts
   */
  static async open(context: CommandContext, options: ServiceOptions): Promise<Service> {
    const { config, logger } = context
    const paths = dataPaths(config)
    mkdirSync(paths.folder, { recursive: true })
    const lock = acquireDataLock(paths.folder, { pid: process.pid, command: options.command, since: wallClock.now() })
    const opened: { close(): Promise<void> }[] = []
    try {
      const tokenizer = createTokenizer(loadTokenKey(paths.tokenKeyFile))
      const metrics = createPrometheusMetrics({ withProcess: true })
      const runtime = new PathRuntime({
        config,
        paths,
        spec: featureSpecOf(config),
        tokenizer,
        metrics,
        clock: wallClock,
        alertsPerDay: options.alertsPerDay,
      })
      checkCauses(config, paths, runtime)
      const log = await openFileLog({
        folder: paths.log,
        segmentBytesMax: config.log.segmentBytesMax,
        retentionMs: config.log.retentionDays * DAY_MS,
        clock: wallClock,
      })
      opened.push(log)
      const store = await openStore(config)
      opened.push(store)
      await migrate(store, assetPath('schemas/clickhouse'))
      const slice = new SliceBuffers(config.path.sliceRowsMax, runtime.layout)
      const positions = new Positions()
      const startedMs = performance.now()
      const followed = await recover({ config, paths, log, runtime, positions, slice })
      logger.info(
        `state is at journal line ${followed.nextLine}, ${((performance.now() - startedMs) / 1000).toFixed(1)} s`,
      )
      const apiToken = loadApiToken(paths.apiTokenFile)
      return new Service({
        options,
        context,
        paths,
        lock,
        log,
        store,
        metrics,
        runtime,
        positions,
        slice,
        followed,
        tokenizer,
        apiToken,
      })
    } catch (error) {
      for (const part of opened) await part.close()
      lock.release()
      throw error
    }
  }

  /** Starts recording and deciding; resolves when the causes that files and registry name are in force. */
  async start(): Promise<void> {
    this.working = this.engine.run(this.stop.signal, `${hostname()}:${process.pid}`)
    this.working.catch((error: unknown) => {
      this.context.logger.error(`the path stopped: ${messageOf(error)}`)
      this.intake.close(error)
      this.stop.abort()
    })
    this.recording = this.recorder.run(this.recorderStop.signal)
    this.recording.catch((error: unknown) => this.context.logger.error(`the recorder stopped: ${messageOf(error)}`))
    await this.syncCauses().catch((error: unknown) => this.giveUp(error))
  }

  /** After a failed start: closes everything, then throws what failed. */
  async giveUp(error: unknown): Promise<never> {
    await this.close(0).catch(() => {})
    throw error
  }

  get failed(): AbortSignal {
    return this.stop.signal
  }

  /** Resolves when everything decided so far is in ClickHouse. */
  async recorded(signal: AbortSignal): Promise<void> {
    await this.engine.settled()
    await this.engine.heartbeat()
    await this.recorder.reached(this.engine.nextLine - 1, signal)
  }

  /** Finishes the slice under way, commits, lets the recorder catch up for a moment, and closes everything. */
  async close(recorderGraceMs: number): Promise<void> {
    this.intake.close(new WeirError('LOG_CLOSED', 'the service is stopping'))
    this.stop.abort()
    let failure: unknown = null
    await this.working.catch((error: unknown) => {
      failure = error
    })
    if (failure === null && this.runtime.memory.byteLength <= STOP_CHECKPOINT_BYTES_MAX) await this.checkpointNow()
    const grace = AbortSignal.timeout(recorderGraceMs)
    await this.recorder.reached(this.engine.nextLine - 1, grace)
    this.recorderStop.abort()
    await this.recording.catch(() => {})
    await this.checkpoints.abort()
    await this.log.close()
    await this.store.close()
    await this.runtime.close()
    this.lock.release()
    if (failure !== null) throw failure
  }

  /** Figures that are read rather than counted, brought up to date; Prometheus text. */
  async metricsText(): Promise<string> {
    const { metrics, runtime, engine } = this
    const { featurizer } = runtime.path.fold
    const { entities, stateBytes, tiledEntities } = featurizer.stats
    const { threshold, champion } = runtime
    metrics.gauge('weir_build_info', 1, {
      version: WEIR_VERSION,
      node: process.versions.node,
      spec: runtime.layout.specName,
    })
    metrics.gauge('weir_intake_rows', this.intake.length)
    metrics.gauge('weir_journal_line', engine.nextLine - 1)
    metrics.gauge('weir_stream_time_seconds', engine.clockMs / 1_000)
    metrics.gauge('weir_state_bytes', stateBytes)
    metrics.gauge('weir_state_entities', entities)
    metrics.gauge('weir_state_tiled_entities', tiledEntities)
    metrics.gauge('weir_checkpoint_age_seconds', (wallClock.now() - this.lastWholeCheckpointMs) / 1_000)
    if (threshold.mode !== 'cost') metrics.gauge('weir_threshold', threshold.review)
    if (champion !== null) {
      metrics.gauge('weir_model_info', 1, { version: champion.modelVersion, provider: champion.provider })
    }
    metrics.gauge('weir_rules_info', 1, { version: runtime.rules.version })
    for (const [field, count] of this.tokenizer.replaced) {
      metrics.count('weir_card_numbers_replaced_total', count - (this.replacedBefore.get(field) ?? 0), { field })
      this.replacedBefore.set(field, count)
    }
    return metrics.text()
  }

  /** Checks the rules file and puts it in force. @throws WeirError RULES_INVALID and changes nothing */
  async reloadRules(): Promise<{ readonly version: string; readonly rules: number }> {
    const rules = this.withoutCardNumbers(readRules(this.config))
    const compiled = this.runtime.compile(rules.text, rules.file)
    await this.engine.control('rules', rules)
    return { version: compiled.version, rules: compiled.rules.length }
  }

  /** @throws WeirError MODEL_NOT_FOUND, MODEL_INVALID and changes nothing */
  async promote(version: string, reason: string): Promise<void> {
    const { manifest } = await this.runtime.registry.show(version)
    // Before it is written down: a journal that names a model that cannot run could not be followed.
    await this.runtime.tryModel(version)
    await this.runtime.registry.promote(version, reason)
    await this.takeModel(version, manifest.thresholds.review)
  }

  /** Back to the champion before, which may be the one that came with Weir; gives its version. */
  async rollback(reason: string): Promise<string> {
    const { registry, layout } = this.runtime
    await registry.rollback(layout.specName, reason)
    const champion = await registry.champion(layout.specName)
    if (champion === null) throw new WeirError('MODEL_NOT_FOUND', 'there is no model to go back to')
    const { version, manifest } = champion
    await this.runtime.tryModel(version)
    await this.takeModel(version, manifest.thresholds.review)
    return version
  }

  /** Model and threshold change together: a score means little under another model's threshold. */
  private async takeModel(version: string, review: number): Promise<void> {
    const isBudget = this.config.threshold.mode === 'budget'
    const control: ModelControl = isBudget
      ? { version, threshold: { mode: 'budget', review, decline: null } }
      : { version }
    await this.engine.control('model', control)
  }

  /** What files and registry say now goes into the journal where it differs from what is in force. */
  private async syncCauses(): Promise<void> {
    const { config, runtime, engine } = this
    const differs = (type: Control['type'], value: unknown): boolean =>
      runtime.inForce.get(type)?.value !== JSON.stringify(value)
    const send = async (type: Control['type'], given: unknown): Promise<void> => {
      const value = this.withoutCardNumbers(given)
      if (differs(type, value)) await engine.control(type, value)
    }
    await send('spec', { name: runtime.layout.specName, hash: runtime.layout.specHash })
    await send('rates', this.options.rates ?? readRates(config))
    await send('lists', { entries: this.readLists().entries })
    await send('rules', readRules(config))
    const champion = await runtime.registry.champion(runtime.layout.specName)
    const model: ModelControl = { version: champion?.version ?? null }
    const threshold = firstThreshold(config, champion?.manifest.thresholds.review ?? 1)
    if (differs('model', model)) await engine.control('model', { ...model, threshold } satisfies ModelControl)
    else if (config.threshold.mode !== 'budget') await send('threshold', threshold)
  }

  /** Entries of the lists file, with tokens in place of card numbers: as events have them, and fit for the journal. */
  private readLists(): Lists {
    const { listsFile } = this.paths
    if (!existsSync(listsFile)) return NO_LISTS
    return cleanLists(loadLists(listsFile), (text) => this.tokenizer.text(text), listsFile)
  }

  /** What is written down holds tokens, which are also what a rule or list has to compare with. */
  private withoutCardNumbers<T>(value: T): T {
    const clean = (_key: string, part: unknown): unknown =>
      typeof part === 'string' ? this.tokenizer.text(part) : part
    return JSON.parse(JSON.stringify(value, clean)) as T
  }

  private onSlice(_line: JournalLine, slice: Explained): void {
    this.stats.add(slice)
    this.options.onSlice?.(slice)
    if (this.config.threshold.mode !== 'budget' || !this.budget.observe(slice)) return
    const { threshold } = this.runtime
    const proposed = this.budget.propose(threshold.mode === 'cost' ? null : threshold.decline)
    if (proposed === null) return
    this.engine.control('threshold', proposed).catch((error: unknown) => this.context.logger.warn(messageOf(error)))
  }

  private async stepCheckpoint(nextLine: number): Promise<void> {
    if (this.checkpoints.active) {
      try {
        if (!(await this.checkpoints.step(CHECKPOINT_PAGES_A_SLICE))) return
        this.lastWholeCheckpointMs = wallClock.now()
        await this.retain()
      } catch (error) {
        // The journal still rebuilds the state; only a restart would take longer.
        this.metrics.count('weir_checkpoint_failures_total')
        this.context.logger.warn(`a checkpoint could not be written: ${messageOf(error)}`)
      }
      return
    }
    if (wallClock.now() - this.lastCheckpointMs < this.config.path.checkpointIntervalMs) return
    this.lastCheckpointMs = wallClock.now()
    await this.beginCheckpoint(nextLine)
  }

  private async beginCheckpoint(nextLine: number): Promise<void> {
    await this.engine.settled()
    const alerts = (await this.log.ranges()).find(({ topic }) => topic === this.config.topics.alerts)
    this.checkpoints.begin(
      {
        line: nextLine,
        term: this.engine.term,
        clock: this.engine.clockMs,
        specHash: this.runtime.layout.specHash,
        positions: this.positions.list(),
        extra: {
          controls: [...this.runtime.inForce.values()],
          alerts: this.runtime.book.snapshot(),
          alertsOffset: alerts?.end ?? 0,
        } satisfies CheckpointExtra,
      },
      this.runtime.memory.beginSnapshot(),
    )
  }

  private async checkpointNow(): Promise<void> {
    if (this.checkpoints.active) await this.checkpoints.abort()
    await this.beginCheckpoint(this.engine.nextLine)
    await this.checkpoints.finishNow()
  }

  /** Old log files go once nobody needs them: not the state, not the recorder. */
  private async retain(): Promise<void> {
    const { topics } = this.config
    const line = Math.min(this.recorder.completeLine + 1, this.engine.nextLine)
    await this.log.retain([{ topic: topics.journal, partition: 0, offset: line }, ...this.positions.list()])
  }
}

interface ServiceParts {
  readonly options: ServiceOptions
  readonly context: CommandContext
  readonly paths: DataPaths
  readonly lock: DataLock
  readonly log: Log
  readonly store: Store
  readonly metrics: PrometheusMetrics
  readonly runtime: PathRuntime
  readonly positions: Positions
  readonly slice: SliceBuffers
  readonly followed: Recovered
  readonly tokenizer: Tokenizer
  readonly apiToken: string
}

interface CheckpointExtra {
  readonly controls: readonly Control[]
  readonly alerts: unknown
  /** Alerts below this offset are in the book already. */
  readonly alertsOffset: number
}

interface Recovered {
  readonly nextLine: number
  readonly term: number
  readonly clock: number
}

export interface RecoverDeps {
  readonly config: Config
  readonly paths: DataPaths
  readonly log: Log
  readonly runtime: PathRuntime
  readonly positions: Positions
  readonly slice: SliceBuffers
}

/** The newest checkpoint, then the journal to its end: the state is then the one that wrote it. */
export async function recover(deps: RecoverDeps): Promise<Recovered> {
  const { config, paths, log, runtime, positions } = deps
  const journal = (await log.ranges()).find(({ topic }) => topic === config.topics.journal)
  const end = journal?.end ?? 0
  const found = readNewestCheckpoint(
    paths.checkpoints,
    ({ specHash, line }) => specHash === runtime.layout.specHash && line <= end,
  )
  let start: Recovered = { nextLine: 0, term: 0, clock: 0 }
  let alertsOffset = 0
  if (found !== null) {
    const extra = found.meta.extra as CheckpointExtra
    for (const control of extra.controls) runtime.applyWhileFollowing(control)
    found.restoreInto(runtime.memory)
    runtime.book.restore(extra.alerts)
    alertsOffset = extra.alertsOffset
    for (const { topic, partition, offset } of found.meta.positions) positions.set(topic, partition, offset)
    start = { nextLine: found.meta.line, term: found.meta.term, clock: found.meta.clock }
  }
  // The alert book is not part of the folded state, since scores are not.
  const alerts = log.reader({ topic: config.topics.alerts, partition: 0, offset: alertsOffset })
  const rebuilder = new BookRebuilder(runtime.book, async () =>
    (await alerts.read(1_024)).map(({ value }) => runtime.codec.alert.decode(value!)),
  )
  const followed = await follow({
    log,
    codec: runtime.codec,
    topics: config.topics,
    fold: runtime.path.fold,
    positions,
    sliceOf: (rows) => (rows <= deps.slice.capacity ? deps.slice : new SliceBuffers(rows, runtime.layout)),
    fromLine: start.nextLine,
    onControl: (control) => runtime.applyWhileFollowing(control),
    onSlice: (slice) => rebuilder.onSlice(slice),
    signal: new AbortController().signal,
  }).finally(() => alerts.close())
  await runtime.settle()
  return {
    nextLine: followed.nextLine,
    term: Math.max(start.term, followed.term),
    clock: Math.max(start.clock, followed.clock),
  }
}

/** A label that was accepted once, as the path read it: framed or plain JSON, without card numbers. */
function labelReader(codec: Codec, tokenizer: Tokenizer): (value: Buffer) => Label {
  return (value) => {
    const framed = codec.label.tryDecode(value)
    if (framed !== null) return tokenizer.label(framed)
    const parsed = parseLabel(JSON.parse(value.toString('utf8')))
    if (!parsed.ok) throw new WeirError('INVARIANT', `an accepted label cannot be read: ${parsed.problem}`)
    return tokenizer.label(parsed.value)
  }
}

/**
 * Before anything is opened: what is written into the journal and then found wrong could not be followed.
 *
 * @throws WeirError RULES_INVALID, LISTS_INVALID
 */
function checkCauses(config: Config, paths: DataPaths, runtime: PathRuntime): void {
  const { text, file } = readRules(config)
  runtime.compile(text, file)
  if (existsSync(paths.listsFile)) loadLists(paths.listsFile)
}

function firstThreshold({ threshold }: Config, review: number): Threshold {
  if (threshold.mode === 'fixed') return { mode: 'fixed', ...threshold.fixed }
  if (threshold.mode === 'cost') return { mode: 'cost', costs: { ...DEFAULT_COSTS, ...threshold.cost } }
  return { mode: 'budget', review, decline: null }
}

function loadApiToken(file: string): string {
  if (!existsSync(file)) writeFileSync(file, `${randomBytes(24).toString('base64url')}\n`, { mode: 0o600, flag: 'wx' })
  return readFileSync(file, 'utf8').trim()
}
