import { setTimeout as sleep } from 'node:timers/promises'
import { wallClock } from '#infra/clock.ts'
import type { KafkaStage } from '#test/support/kafka-stage.ts'
import type { StagedRun } from '#test/support/staged-run.ts'
import { JournalWatch } from './journal-watch.ts'
import {
  ALERT_SETTINGS,
  type KafkaBenchOptions,
  loadAverage,
  onKafkaStage,
  plainCodec,
  READY_MS_MAX,
  startLoad,
  until,
  WARM_UP_SECONDS,
} from './kafka-bench.ts'
import type { KafkaLoad } from './kafka-load-handle.ts'
import { EVENTS_PER_ACCOUNT_DAY } from './kafka-load-order.ts'
import { slopeOf } from './percentiles.ts'
import { childrenOf, cpuSecondsOf, rssBytesOf } from './processes.ts'
import { histogramMs, type MetricsSnapshot, parseMetrics, totalOf } from './prometheus-text.ts'

export interface KafkaOptions extends KafkaBenchOptions {
  /** How long the rate is held. */
  readonly seconds: number
  /** Events a second; null: the highest that holds is looked for. */
  readonly rate: number | null
  /** So many events in one run rather than so many seconds, and the memory over it; null: none. */
  readonly events: number | null
  /** Where a processor profile of the service is written; null: none. */
  readonly profileFolder: string | null
}

/** Cores used on average: 1 is one core the whole time. */
interface Cores {
  readonly broker: number
  /** `weir run`: path, commits, API and the recorder's own part. */
  readonly path: number
  /** The embedded ClickHouse, a process of its own. */
  readonly clickhouse: number
  readonly load: number
  /** This measurement's own. */
  readonly watch: number
}

export interface KafkaTrial {
  readonly wantedPerSecond: number
  /** Decided, committed and seen in the journal. */
  readonly eventsPerSecond: number
  readonly seconds: number
  readonly isSustained: boolean
  /** How fast the records that were not taken yet grew, and how many there were at the end. */
  readonly lagSlopePerSecond: number
  readonly lagEnd: number
  /** The same for decisions that were not in ClickHouse yet. */
  readonly recorderLagSlopePerSecond: number
  readonly recorderLagEnd: number
  readonly cores: Cores
  /** Of what broker, path and ClickHouse used together. */
  readonly share: { readonly broker: number; readonly path: number; readonly clickhouse: number }
  readonly cpuMicrosecondsPerEvent: { readonly broker: number; readonly path: number; readonly clickhouse: number }
  readonly commitMs: { readonly p50: number; readonly p99: number }
  readonly sliceMs: { readonly p50: number; readonly p99: number }
  readonly eventsPerCommit: number
  readonly alertsPerThousand: number
  readonly loadAverage: number
}

export interface KafkaFigures {
  readonly spec: string
  readonly mode: string
  readonly partitions: number
  readonly accounts: number
  /** The rate that held, for as long as was asked. */
  readonly held: KafkaTrial | null
  readonly trials: readonly KafkaTrial[]
  readonly memory: MemoryFigures | null
}

interface MemoryFigures {
  readonly events: number
  readonly rssMiBStart: number
  readonly rssMiBEnd: number
  readonly rssMiBMax: number
  /** MiB more for a million events, over the second half of the run. */
  readonly slopeMiBPerMillion: number
  readonly stateMiBEnd: number
  readonly clickhouseRssMiBEnd: number
  /** Every tenth of the run. */
  readonly rssMiB: readonly number[]
}

const ACCOUNTS = 150_000
/** Time goes on faster than the clock, so that accounts do in minutes what they do in months; it begins so long ago. */
const SPAN_DAYS = 85
const WARM_RATE = 10_000
const TRIAL_SECONDS = 15
const FLOOR_RATE = 20_000
const TRIALS_MAX = 6
/** Rates that lie closer together than this are the same on a machine like this. */
const STEP_MIN = 1.06
const SAMPLE_EVERY_MS = 500
const DRAIN_MS_MAX = 180_000
/** Part of the rate by which a lag may grow and still be noise. */
const SLOPE_SHARE_MAX = 0.01
/** Seconds' worth of events that may wait: what ClickHouse's larger inserts take. */
const LAG_SECONDS_MAX = 3
const LINGER_MS = 20
const DAY_MS = 86_400_000
const MIB = 1_048_576

/** Events a second from Kafka through the path into Kafka and ClickHouse, all on this machine. */
export async function benchKafka(options: KafkaOptions): Promise<KafkaFigures> {
  return await onKafkaStage({ ...options, isMeasured: true }, ALERT_SETTINGS, async (stage) => {
    const bench = await KafkaBench.start(stage, options)
    try {
      const trials: KafkaTrial[] = []
      let held: KafkaTrial | null = null
      let memory: MemoryFigures | null = null
      if (options.events !== null) {
        memory = await bench.memory(options.events, options.rate ?? FLOOR_RATE)
      } else if (options.rate === null) {
        held = await bench.search(trials, options.seconds)
      } else {
        const trial = await bench.trial(options.rate, options.seconds)
        trials.push(trial)
        held = trial.isSustained ? trial : null
      }
      const { config } = stage
      const { mode, topicPartitions: partitions } = config.kafka
      return { spec: config.path.spec, mode, partitions, accounts: bench.accounts, held, trials, memory }
    } finally {
      await bench.close()
    }
  })
}

class KafkaBench {
  readonly accounts: number
  private readonly run: StagedRun
  private readonly stage: KafkaStage
  private readonly load: KafkaLoad
  private readonly watch: JournalWatch
  private readonly closeLog: () => Promise<void>

  private constructor(parts: {
    readonly accounts: number
    readonly run: StagedRun
    readonly stage: KafkaStage
    readonly load: KafkaLoad
    readonly watch: JournalWatch
    readonly closeLog: () => Promise<void>
  }) {
    this.accounts = parts.accounts
    this.run = parts.run
    this.stage = parts.stage
    this.load = parts.load
    this.watch = parts.watch
    this.closeLog = parts.closeLog
  }

  static async start(stage: KafkaStage, { events, profileFolder }: KafkaOptions): Promise<KafkaBench> {
    const nodeArgs = profileFolder === null ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileFolder}`]
    const run = stage.run('service', { nodeArgs })
    // So many that their time does not overtake the clock: what happens in the future is no transaction.
    const eventsMax = (events ?? 0) + WARM_RATE * WARM_UP_SECONDS
    const accounts = Math.max(ACCOUNTS, Math.ceil(eventsMax / (SPAN_DAYS * EVENTS_PER_ACCOUNT_DAY)))
    const load = await startLoad(stage, {
      accounts,
      merchants: Math.ceil(accounts / 6),
      pool: accounts * 2,
      lingerMs: LINGER_MS,
      startMs: wallClock.now() - SPAN_DAYS * DAY_MS,
    })
    const log = await stage.reading([stage.config.topics.journal])
    const watch = new JournalWatch(log, plainCodec(), stage.config.topics.journal)
    await run.becomes('active', READY_MS_MAX)
    const bench = new KafkaBench({ accounts, run, stage, load, watch, closeLog: () => log.close() })
    load.send(WARM_RATE)
    await sleep(WARM_UP_SECONDS * 1_000)
    await bench.drain()
    return bench
  }

  /** Looks for the highest rate that holds: up while it does, then between what held and what did not. */
  async search(trials: KafkaTrial[], seconds: number): Promise<KafkaTrial | null> {
    let holds = 0
    let fails = Number.POSITIVE_INFINITY
    let rate = FLOOR_RATE
    for (let i = 0; i < TRIALS_MAX && fails / Math.max(1, holds) > STEP_MIN; i++) {
      const trial = await this.trial(rate, TRIAL_SECONDS)
      trials.push(trial)
      if (trial.isSustained) holds = rate
      else fails = Math.min(fails, rate)
      rate = Math.round(
        fails === Number.POSITIVE_INFINITY ? rate * 1.4 : holds === 0 ? fails * 0.75 : Math.sqrt(holds * fails),
      )
    }
    // What held for a while may not hold for longer.
    for (let wanted = holds; wanted > 1_000; wanted = Math.round(wanted * 0.92)) {
      const trial = await this.trial(wanted, seconds)
      trials.push(trial)
      if (trial.isSustained) return trial
    }
    return null
  }

  /** Holds a rate for so long. */
  async trial(rate: number, seconds: number): Promise<KafkaTrial> {
    const { load, watch } = this
    await this.drain()
    load.send(rate)
    // The load's first moments are not its rate yet.
    await sleep(1_000)
    const before = await this.sample()
    const lags: { x: number; y: number }[] = []
    const recorderLags: { x: number; y: number }[] = []
    const endMs = performance.now() + seconds * 1_000
    let recorderLag = 0
    for (let n = 0; performance.now() < endMs; n++) {
      await sleep(Math.min(SAMPLE_EVERY_MS, Math.max(0, endMs - performance.now())))
      const x = performance.now() / 1_000
      lags.push({ x, y: load.acked - watch.taken })
      // Asking costs the service something.
      if (n % 4 !== 3) continue
      recorderLag = await this.recorderLag()
      recorderLags.push({ x, y: recorderLag })
    }
    const after = await this.sample()
    load.send(0)
    const took = (after.atMs - before.atMs) / 1_000
    const events = after.accepted - before.accepted
    const lagEnd = lags.at(-1)?.y ?? 0
    const lagSlope = slopeOf(lags.slice(lags.length >> 2))
    const recorderSlope = slopeOf(recorderLags.slice(recorderLags.length >> 2))
    const eventsPerSecond = events / took
    const isKept = (slope: number, end: number): boolean =>
      slope <= rate * SLOPE_SHARE_MAX && end <= rate * LAG_SECONDS_MAX
    const cores = coresOf(before.cpu, after.cpu, took)
    return {
      wantedPerSecond: rate,
      eventsPerSecond: Math.round(eventsPerSecond),
      seconds: Number(took.toFixed(1)),
      isSustained: eventsPerSecond >= rate * 0.99 && isKept(lagSlope, lagEnd) && isKept(recorderSlope, recorderLag),
      lagSlopePerSecond: Math.round(lagSlope),
      lagEnd,
      recorderLagSlopePerSecond: Math.round(recorderSlope),
      recorderLagEnd: recorderLag,
      cores,
      share: shareOf(cores),
      cpuMicrosecondsPerEvent: {
        broker: microseconds(cores.broker, eventsPerSecond),
        path: microseconds(cores.path, eventsPerSecond),
        clickhouse: microseconds(cores.clickhouse, eventsPerSecond),
      },
      commitMs: histogramMs(before.metrics, after.metrics, 'weir_commit_seconds'),
      sliceMs: histogramMs(before.metrics, after.metrics, 'weir_slice_seconds'),
      eventsPerCommit: Math.round(events / (after.lines - before.lines)),
      alertsPerThousand: Number(
        (
          ((totalOf(after.metrics, 'weir_alerts_total') - totalOf(before.metrics, 'weir_alerts_total')) / events) *
          1e3
        ).toFixed(2),
      ),
      loadAverage: loadAverage(),
    }
  }

  /** So many events at a rate, and what memory they take. */
  async memory(events: number, rate: number): Promise<MemoryFigures> {
    const from = this.watch.taken
    const points: { x: number; y: number }[] = []
    const first = rssBytesOf(this.run.pid)
    this.load.send(rate, from + events)
    while (this.watch.taken < from + events) {
      await sleep(SAMPLE_EVERY_MS)
      if (!this.run.isRunning) await this.run.said(/^never$/, 1)
      points.push({ x: (this.watch.taken - from) / 1e6, y: rssBytesOf(this.run.pid) / MIB })
    }
    const metrics = parseMetrics(await this.run.metrics())
    const tenths = Array.from(
      { length: 10 },
      (_, i) => points[Math.floor(((i + 1) * points.length) / 10) - 1]?.y ?? Number.NaN,
    )
    return {
      events,
      rssMiBStart: Math.round(first / MIB),
      rssMiBEnd: Math.round(points.at(-1)?.y ?? Number.NaN),
      rssMiBMax: Math.round(Math.max(...points.map(({ y }) => y))),
      slopeMiBPerMillion: Number(slopeOf(points.filter(({ x }) => x * 2e6 > events)).toFixed(2)),
      stateMiBEnd: Math.round((metrics.get('weir_state_bytes') ?? Number.NaN) / MIB),
      clickhouseRssMiBEnd: Math.round(childrenOf(this.run.pid).reduce((sum, pid) => sum + rssBytesOf(pid), 0) / MIB),
      rssMiB: tenths.map(Math.round),
    }
  }

  /** Nothing waits any more, neither for the path nor for the recorder. */
  async drain(): Promise<void> {
    this.load.send(0)
    await until('everything that was sent is taken', DRAIN_MS_MAX, async () => {
      if (!this.run.isRunning) await this.run.said(/^never$/, 1)
      return this.load.acked === this.load.made && this.watch.taken >= this.load.acked
    })
    await until('everything decided is in ClickHouse', DRAIN_MS_MAX, async () => (await this.recorderLag()) <= 0)
  }

  async close(): Promise<void> {
    await this.load.stop().catch(() => {})
    await this.watch.close()
    await this.closeLog()
    // Gracefully, since only then a profile is written.
    await this.run.kill('SIGTERM')
  }

  private async recorderLag(): Promise<number> {
    const metrics = parseMetrics(await this.run.metrics())
    return this.watch.taken - this.watch.takenThrough(metrics.get('weir_recorder_complete_line') ?? -1)
  }

  private async sample() {
    const metrics: MetricsSnapshot = parseMetrics(await this.run.metrics())
    const { accepted, nextLine: lines } = this.watch
    return { atMs: performance.now(), accepted, lines, metrics, cpu: this.cpuSeconds() }
  }

  private cpuSeconds(): Cores {
    const used = process.cpuUsage()
    return {
      broker: cpuSecondsOf(this.stage.kafka.pidOf(0)),
      path: cpuSecondsOf(this.run.pid),
      clickhouse: childrenOf(this.run.pid).reduce((sum, pid) => sum + cpuSecondsOf(pid), 0),
      load: cpuSecondsOf(this.load.pid),
      watch: (used.user + used.system) / 1e6,
    }
  }
}

function coresOf(before: Cores, after: Cores, seconds: number): Cores {
  const of = (part: keyof Cores): number => Number(((after[part] - before[part]) / seconds).toFixed(3))
  return { broker: of('broker'), path: of('path'), clickhouse: of('clickhouse'), load: of('load'), watch: of('watch') }
}

function shareOf({ broker, path, clickhouse }: Cores): KafkaTrial['share'] {
  const of = (cores: number): number => Number((cores / (broker + path + clickhouse)).toFixed(3))
  return { broker: of(broker), path: of(path), clickhouse: of(clickhouse) }
}

function microseconds(cores: number, eventsPerSecond: number): number {
  return Number(((cores * 1e6) / eventsPerSecond).toFixed(2))
}
