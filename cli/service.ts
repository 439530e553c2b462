import { mkdirSync } from 'node:fs'
import { wallClock } from '#infra/clock.ts'
import type { Store } from '#infra/clickhouse/store.ts'
import { type DataPaths, dataPaths } from '#infra/data-folder.ts'
import { acquireDataLock, type DataLock } from '#infra/folder-lock.ts'
import type { Log } from '#infra/log/log.ts'
import { createPrometheusMetrics, type PrometheusMetrics } from '#infra/prometheus.ts'
import { openSchemas } from '#infra/schema-registry/open-schemas.ts'
import { createTokenizer, loadTokenKey, type Tokenizer } from '#infra/tokenizer.ts'
import { AppendingIntake } from '#pipeline/appending-intake.ts'
import { Consumer } from '#pipeline/consume.ts'
import { BudgetController } from '#pipeline/decide/budget.ts'
import { createProvisional, type Provisional } from '#pipeline/decide/provisional.ts'
import { Engine } from '#pipeline/engine.ts'
import { Gateway } from '#pipeline/gateway.ts'
import { Intake, type Requests } from '#pipeline/intake.ts'
import { Positions } from '#pipeline/journal.ts'
import { createPeekTime } from '#pipeline/peek-time.ts'
import { Recorder } from '#pipeline/record/recorder.ts'
import { type Explained, SliceBuffers } from '#pipeline/slice.ts'
import type { Config } from '#schemas/config.ts'
import { messageOf, WeirError } from '#schemas/errors.ts'
import type { JournalLine } from '#schemas/journal.ts'
import type { RateTable } from '#schemas/rates.ts'
import { Causes, checkCauses } from './causes.ts'
import { Checkpointing } from './checkpointing.ts'
import type { CommandContext } from './context.ts'
import { featureSpecOf } from './feature-spec.ts'
import { findDecision } from './find-decision.ts'
import { createLabelReader } from './label-reader.ts'
import { LiveStats } from './live-stats.ts'
import { loadApiToken, ownerName } from './identity.ts'
import { type LogHome, openLog } from './open-log.ts'
import { PathRuntime } from './path-runtime.ts'
import { publishPositions } from './publish-positions.ts'
import { Follower, isSentAfterLine, type Standing } from './recover.ts'
import { RoleMembership } from './role.ts'
import { createServiceMetrics, type ServiceMetrics } from './service-metrics.ts'
import { openStore } from './store.ts'
import { Tables } from './make-tables.ts'

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

/** Standing by: another process of the role decides. */
export type ServiceState = 'starting' | 'standby' | 'active' | 'stopped'

const FLUSH_IDLE_MS = 1_000
/** New partitions are looked for so often where looking asks the brokers. */
const PARTITIONS_EVERY_MS = 5_000
const DECISIONS_REMEMBERED = 50_000

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
  readonly intake: Requests
  readonly gateway: Gateway
  readonly engine: Engine
  readonly recorder: Recorder
  readonly causes: Causes
  readonly stats = new LiveStats()
  /** Why nothing is recorded any more; empty while it is. */
  recorderFailure = ''
  readonly apiToken: string
  /** Who decides, as far as this process knows. */
  readonly follower: Follower
  state: ServiceState = 'starting'
  private readonly options: ServiceOptions
  private readonly owner: string
  private readonly home: LogHome
  /** Null where this process has the log to itself. */
  private readonly role: RoleMembership | null
  private readonly lock: DataLock
  private readonly tables: Tables
  private readonly context: CommandContext
  private readonly stop = new AbortController()
  private readonly recorderStop = new AbortController()
  private readonly checkpoints: Checkpointing
  private readonly budget: BudgetController
  private readonly positions: Positions
  private readonly figures: ServiceMetrics
  private working: Promise<void> = Promise.resolve()
  private recording: Promise<void> | null = null
  private publishing: Promise<void> = Promise.resolve()
  private closing: Promise<void> | null = null

  private constructor(parts: ServiceParts) {
    const { options, context, runtime, positions, metrics, home, tokenizer } = parts
    const { config } = context
    const { topics } = config
    const { log } = home
    this.options = options
    this.context = context
    this.config = config
    this.paths = parts.paths
    this.lock = parts.lock
    this.home = home
    this.log = log
    this.store = parts.store
    this.metrics = metrics
    this.runtime = runtime
    this.positions = positions
    this.follower = parts.follower
    this.owner = parts.owner
    this.apiToken = parts.apiToken
    this.tables = parts.tables
    this.budget = new BudgetController(options.alertsPerDay)
    const { shared } = home
    const queue = new Intake(config.api.queueRowsMax)
    const appending =
      shared === null
        ? null
        : new AppendingIntake({
            append: (records) => shared.appendInput(records),
            partitions: (topic) => shared.partitions(topic),
            capacity: config.api.queueRowsMax,
          })
    this.intake = appending ?? queue
    this.gateway = new Gateway({
      intake: this.intake,
      codec: runtime.codec,
      tokenizer,
      topics,
      recentMax: DECISIONS_REMEMBERED,
      findDecision: (id) => findDecision(parts.store, id),
      ...(config.api.provisional ? { provisional: this.provisional() } : {}),
    })
    this.engine = new Engine(
      {
        path: runtime.path,
        log,
        codec: runtime.codec,
        topics,
        consumer: new Consumer({
          log,
          intake: queue,
          ...(appending === null ? {} : { claim: (topic, value) => appending.claim(topic, value) }),
          positions,
          inputTopics: [topics.transactions, topics.labels],
          intakePartition: runtime.intakePartition,
          partitionsEveryMs: shared === null ? 0 : PARTITIONS_EVERY_MS,
          clock: wallClock,
          peekTime: createPeekTime(runtime.codec, topics.labels),
          rowsMax: config.path.sliceRowsMax,
        }),
        positions,
        slice: parts.slice,
        metrics,
        clock: wallClock,
        clockMode: options.clockMode,
        aheadMs: config.path.guard.aheadMs,
        deadLettersInARowMax: config.path.deadLettersInARowMax,
        heartbeatMs: shared === null ? FLUSH_IDLE_MS : config.kafka.heartbeatMs,
        isWatched: shared !== null,
        isAtomic: !isSentAfterLine(config),
        onTerm: async () => this.role?.confirmTerm(this.engine.term),
        applyControl: (control) => runtime.apply(control),
        onSlice: (line, slice) => this.onSlice(line, slice),
        onDiskFull: (isFull) =>
          isFull
            ? context.logger.error(
                'the disk is full: nothing is decided until there is room; the same bytes are tried again',
              )
            : context.logger.info('there is room on the disk again'),
        onDurable: (ms) => this.stats.addLatency(ms),
        betweenSlices: () => this.checkpoints.step(() => this.standing),
      },
      parts.follower.standing,
    )
    this.checkpoints = new Checkpointing({
      config,
      paths: parts.paths,
      runtime,
      positions,
      metrics,
      logger: context.logger,
      settled: () => this.engine.settled(),
      onDone: () => this.retain(),
    })
    this.role =
      shared === null
        ? null
        : new RoleMembership({
            log: shared,
            config,
            follower: parts.follower,
            runtime,
            positions,
            owner: parts.owner,
            logger: context.logger,
            betweenLines: () => this.checkpoints.step(() => this.standing),
          })
    this.causes = new Causes({
      config,
      paths: parts.paths,
      runtime,
      engine: this.engine,
      tokenizer,
      ...(options.rates === undefined ? {} : { rates: options.rates }),
    })
    this.recorder = new Recorder({
      log,
      store: this.store,
      codec: runtime.codec,
      topics,
      readLabel: createLabelReader(runtime.codec, tokenizer),
      limits: { rowsMax: config.recorder.rowsMax, clockMs: options.blockClockMs },
      metrics,
      onProblem: (problem) => context.logger.warn(`not recorded yet, tried again: ${problem}`),
    })
    this.figures = createServiceMetrics(tokenizer)
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
    // Asked when a commit fails, which cannot happen before there is a service.
    let service: Service | null = null
    try {
      const tokenizer = createTokenizer(loadTokenKey(paths.tokenKeyFile))
      const metrics = createPrometheusMetrics({ withProcess: true })
      const stop = context.stopSignal()
      const schemas = await openSchemas({ config, clock: wallClock, logger, stop })
      const runtime = new PathRuntime({
        config,
        paths,
        spec: featureSpecOf(config),
        tokenizer,
        metrics,
        clock: wallClock,
        alertsPerDay: options.alertsPerDay,
        schemas,
      })
      checkCauses(config, paths, runtime)
      const stillOwner = async (): Promise<boolean> =>
        service === null || service.role === null || (await service.role.isOwner(service.engine.term))
      const home = await openLog({ config, paths, logger, metrics, schemas, stop, stillOwner })
      opened.push(home)
      const store = await openStore(config)
      opened.push(store)
      // ClickHouse may be away: what is decided meanwhile is recorded when it is back.
      const tables = new Tables(store, logger)
      await tables.make()
      const slice = new SliceBuffers(config.path.sliceRowsMax, runtime.layout)
      const positions = new Positions()
      const startedMs = performance.now()
      const follower = new Follower({ config, paths, log: home.log, runtime, positions, slice })
      await follower.restore()
      await follower.follow({ signal: stop })
      const seconds = (performance.now() - startedMs) / 1_000
      logger.info(`state is at journal line ${follower.standing.nextLine}, ${seconds.toFixed(1)} s`)
      service = new Service({
        options,
        context,
        paths,
        lock,
        home,
        store,
        metrics,
        runtime,
        positions,
        slice,
        follower,
        tokenizer,
        tables,
        owner: ownerName(paths),
        apiToken: loadApiToken(paths.apiTokenFile),
      })
      return service
    } catch (error) {
      for (const part of opened) await part.close()
      lock.release()
      throw error
    }
  }

  /**
   * Stands by while another process of the role is active, then records and decides; resolves when the causes that
   * files and registry name are in force, or when the signal comes before.
   */
  async start(stop: AbortSignal): Promise<void> {
    if (this.role !== null) {
      this.state = 'standby'
      if (!(await this.role.becomeActive(AbortSignal.any([this.stop.signal, stop])))) return
    }
    await this.runtime.settle()
    this.engine.startFrom(this.follower.standing)
    this.state = 'active'
    this.working = this.engine.run(this.stop.signal, this.owner)
    this.working.catch((error: unknown) => {
      this.context.logger.error(`the path stopped: ${messageOf(error)}`)
      this.intake.close(error)
      this.stop.abort()
    })
    this.publishing = this.publish()
    if (this.config.recorder.inService) {
      this.recording = this.record(this.recorderStop.signal)
      this.recording.catch((error: unknown) => {
        this.recorderFailure = messageOf(error)
        this.context.logger.error(`the recorder stopped: ${this.recorderFailure}`)
      })
    }
    await this.causes.sync().catch((error: unknown) => this.giveUp(error))
  }

  private async publish(): Promise<void> {
    const { positions, home, config } = this
    if (home.shared === null) return
    const { logger } = this.context
    const inputTopics = [config.topics.transactions, config.topics.labels]
    await publishPositions({ log: home.shared, positions, inputTopics, logger }, this.stop.signal)
  }

  private async record(signal: AbortSignal): Promise<void> {
    await this.tables.waitFor(signal)
    if (!signal.aborted) await this.recorder.run(signal)
  }

  /** After a failed start: closes everything, then throws what failed. */
  async giveUp(error: unknown): Promise<never> {
    await this.close(0).catch(() => {})
    throw error
  }

  /** Several processes share the log: this one may have to wait until it is its turn. */
  get mayStandBy(): boolean {
    return this.home.shared !== null
  }

  get failed(): AbortSignal {
    return this.stop.signal
  }

  /** When the newest checkpoint became whole, epoch milliseconds; the start where there was none since. */
  get checkpointedAtMs(): number {
    return this.checkpoints.lastDoneMs
  }

  /** Resolves when everything decided so far is in ClickHouse. */
  async recorded(signal: AbortSignal): Promise<void> {
    if (this.recording === null) return
    await this.engine.settled()
    await this.engine.heartbeat()
    await this.recorder.reached(this.engine.nextLine - 1, signal)
  }

  /** Finishes the slice under way, commits, lets the recorder catch up for a moment, and closes everything. */
  close(recorderGraceMs: number): Promise<void> {
    this.closing ??= this.closeAll(recorderGraceMs)
    return this.closing
  }

  private async closeAll(recorderGraceMs: number): Promise<void> {
    this.intake.close(new WeirError('LOG_CLOSED', 'the service is stopping'))
    this.stop.abort()
    let failure: unknown = null
    await this.working.catch((error: unknown) => {
      failure = error
    })
    if (failure === null) await this.checkpoints.last(() => this.standing)
    if (this.recording !== null) {
      await this.recorder.reached(this.engine.nextLine - 1, AbortSignal.timeout(recorderGraceMs))
      this.recorderStop.abort()
      await this.recording.catch(() => {})
    }
    this.state = 'stopped'
    await this.checkpoints.abort()
    await this.home.close()
    await this.publishing
    await this.store.close()
    await this.runtime.close()
    this.lock.release()
    if (failure !== null) throw failure
  }

  /** Figures that are read rather than counted, brought up to date; Prometheus text. */
  metricsText(): Promise<string> {
    return this.figures.text(this)
  }

  private get standing(): Standing {
    if (this.state !== 'active' && this.state !== 'stopped') return this.follower.standing
    const { nextLine, term, clockMs } = this.engine
    return { nextLine, term, clock: clockMs }
  }

  private provisional(): Provisional {
    const { runtime, config } = this
    return createProvisional({
      decode: runtime.path.fold.decode,
      policy: () => runtime.path.decide.policy(),
      layout: runtime.layout,
      topic: config.topics.transactions,
      clock: () => this.engine.clockMs,
      now: () => wallClock.now(),
      aheadMs: config.path.guard.aheadMs,
    })
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

  /** Old log files go once nobody needs them: not the state, not the recorder. */
  private async retain(): Promise<void> {
    const { topics } = this.config
    const journal = this.positions.of(topics.journal, 0)
    const recorded = this.recording === null ? journal : this.recorder.journalOffset
    const others = this.positions.list().filter(({ topic }) => topic !== topics.journal)
    await this.log.retain([{ topic: topics.journal, partition: 0, offset: Math.min(recorded, journal) }, ...others])
  }
}

interface ServiceParts {
  readonly options: ServiceOptions
  readonly context: CommandContext
  readonly paths: DataPaths
  readonly lock: DataLock
  readonly home: LogHome
  readonly store: Store
  readonly metrics: PrometheusMetrics
  readonly runtime: PathRuntime
  readonly positions: Positions
  readonly slice: SliceBuffers
  readonly follower: Follower
  readonly tokenizer: Tokenizer
  readonly tables: Tables
  readonly owner: string
  readonly apiToken: string
}
