import { setTimeout as sleep } from 'node:timers/promises'
import type { KafkaLog } from '#infra/log/kafka-log.ts'
import type { KafkaStage } from '#test/support/kafka-stage.ts'
import type { StagedRun } from '#test/support/staged-run.ts'
import { checkChaos } from './chaos-check.ts'
import { DecisionWatch } from './decision-watch.ts'
import { JournalWatch } from './journal-watch.ts'
import {
  type KafkaBenchOptions,
  loadAverage,
  onKafkaStage,
  plainCodec,
  READY_MS_MAX,
  startLoad,
  until,
} from './kafka-bench.ts'
import type { KafkaLoad } from './kafka-load-handle.ts'

export interface FailoverFigures {
  readonly default: ProfileFigures
  readonly quick: ProfileFigures
}

interface ProfileFigures {
  readonly takeoverAfterMs: number
  /** Longest time without a decision, by what happened to the active process. */
  readonly gapMs: Readonly<Record<Fault, number>>
  /** What the process did whose place was taken, once it could speak again. */
  readonly afterwards: Readonly<Partial<Record<Fault, string>>>
  readonly accepted: number
  readonly decisions: number
  readonly terms: number
  /** Whatever was lost, doubled or otherwise not as it must be; empty when all is well. */
  readonly problems: readonly string[]
  readonly loadAverage: number
}

export const FAULTS = ['killed', 'stopped', 'frozen', 'cut'] as const
/** SIGKILL; SIGTERM; SIGSTOP and, when another one decides, SIGCONT; its connections to the brokers go dead, then come back. */
export type Fault = (typeof FAULTS)[number]

const PROFILES = {
  default: [],
  quick: ['kafka.takeoverAfterMs=1000', 'kafka.heartbeatMs=200', 'kafka.requestTimeoutMs=3000'],
} as const
const COMMON = ['path.checkpointIntervalMs=5000', 'path.deduplicateIds=1048576', 'recorder.intervalMs=200']
const RATE = 500
const BEFORE_MS = 2_000
const AFTERWARDS_MS = 3_000
const TAKEN_MS_MAX = 60_000
const SETTLED_MS_MAX = 120_000

/** How long nothing is decided when the active process is lost, in four ways, each with a standby that has caught up. */
export async function benchFailover(options: KafkaBenchOptions): Promise<FailoverFigures> {
  return { default: await withProfile(options, 'default'), quick: await withProfile(options, 'quick') }
}

async function withProfile(options: KafkaBenchOptions, profile: keyof typeof PROFILES): Promise<ProfileFigures> {
  return await onKafkaStage(options, [...COMMON, ...PROFILES[profile]], async (stage) => {
    const { topics } = stage.config
    const log = await stage.reading(Object.values(topics))
    const journal = new JournalWatch(log, plainCodec(), topics.journal)
    const decisions = new DecisionWatch(log, topics.decisions)
    const load = await startLoad(stage, { accounts: 2_000, merchants: 200, pool: 20_000, prefix: 'fail' })
    try {
      const pair = await Pair.start(stage)
      load.send(RATE)
      await until('the first decisions', TAKEN_MS_MAX, () => decisions.count > RATE)
      const gapMs: Record<Fault, number> = { killed: 0, stopped: 0, frozen: 0, cut: 0 }
      const afterwards: Partial<Record<Fault, string>> = {}
      for (const fault of FAULTS) {
        await sleep(BEFORE_MS)
        const fromMs = performance.timeOrigin + performance.now()
        const lost = await pair.lose(fault)
        // Decisions of its last commit may come in after the fault; what is decided by another one counts.
        await until(
          'somebody else decides',
          TAKEN_MS_MAX,
          () => decisions.count >= load.acked - RATE && pair.hasMoved(),
        )
        await until('a decision after that', TAKEN_MS_MAX, () => decisions.longestGapSince(fromMs).gapMs > 0)
        await sleep(BEFORE_MS)
        gapMs[fault] = Math.round(decisions.longestGapSince(fromMs).gapMs)
        const what = await pair.recover(fault, lost)
        if (what !== null) afterwards[fault] = what
      }
      const found = await finish(stage, log, journal, load, pair)
      return {
        takeoverAfterMs: stage.config.kafka.takeoverAfterMs,
        gapMs,
        afterwards,
        terms: journal.term,
        loadAverage: loadAverage(),
        ...found,
        problems: [...journal.problems, ...found.problems],
      }
    } finally {
      load.kill()
      await journal.close()
      await decisions.close()
      await log.close()
    }
  })
}

/** The active process and its standby; `lose` swaps them. Every other one is connected through the relay. */
class Pair {
  active: StagedRun
  standby: StagedRun
  private readonly stage: KafkaStage

  private constructor(stage: KafkaStage, active: StagedRun, standby: StagedRun) {
    this.stage = stage
    this.active = active
    this.standby = standby
  }

  static async start(stage: KafkaStage): Promise<Pair> {
    const active = stage.run('a')
    await active.becomes('active', READY_MS_MAX)
    const standby = stage.run('b')
    await standby.becomes('standby', READY_MS_MAX)
    return new Pair(stage, active, standby)
  }

  hasMoved(): boolean {
    return this.active.role === 'active'
  }

  async lose(fault: Fault): Promise<StagedRun> {
    if (fault === 'cut') await this.connectThroughRelay()
    const lost = this.active
    this.active = this.standby
    this.standby = lost
    if (fault === 'killed') await lost.kill('SIGKILL')
    else if (fault === 'stopped') lost.signal('SIGTERM')
    else if (fault === 'frozen') lost.signal('SIGSTOP')
    else this.stage.relay.freeze()
    return lost
  }

  /** Lets the process that was lost speak again and sees what it does; then there is a standby as before. */
  async recover(fault: Fault, lost: StagedRun): Promise<string | null> {
    let what: string | null = null
    if (fault === 'frozen' || fault === 'cut') {
      if (fault === 'frozen') lost.signal('SIGCONT')
      else this.stage.relay.mend()
      await Promise.race([lost.ended, lost.becomes('standby', AFTERWARDS_MS).catch(() => {}), sleep(AFTERWARDS_MS)])
      const { end } = lost
      what = end === null ? 'goes on' : `ended with ${end.signal ?? end.exitCode}`
      what += `: ${lost.lines.slice(-3).join(' | ').slice(-400)}`
    }
    if (fault === 'stopped') await lost.ended
    if (lost.isRunning) await lost.kill('SIGKILL')
    this.standby = this.stage.run(lost.name)
    await this.standby.becomes('standby', READY_MS_MAX)
    return what
  }

  /** The standby is started anew behind the relay, then becomes active by the other one's stopping. */
  private async connectThroughRelay(): Promise<void> {
    const { stage } = this
    await this.standby.kill('SIGKILL')
    const relayed = stage.run(this.standby.name, { isRelayed: true })
    await relayed.becomes('standby', READY_MS_MAX)
    const before = this.active
    await before.kill('SIGTERM')
    await relayed.becomes('active', READY_MS_MAX)
    this.active = relayed
    this.standby = stage.run(before.name)
    await this.standby.becomes('standby', READY_MS_MAX)
    await sleep(BEFORE_MS)
  }
}

async function finish(stage: KafkaStage, log: KafkaLog, journal: JournalWatch, load: KafkaLoad, pair: Pair) {
  const { topics } = stage.config
  await load.stop()
  const endsOf = async (topic: string) => (await log.ranges()).filter((range) => range.topic === topic)
  await until('everything that was sent is decided', SETTLED_MS_MAX, async () =>
    (await endsOf(topics.transactions)).every(
      ({ partition, end }) => journal.positionOf(topics.transactions, partition) >= end,
    ),
  )
  await sleep(AFTERWARDS_MS)
  await pair.standby.kill('SIGTERM')
  await pair.active.kill('SIGTERM')
  await until('the last line is read', SETTLED_MS_MAX, async () =>
    (await endsOf(topics.journal)).every(({ end }) => journal.nextOffset >= end),
  )
  const { accepted, decisions, problems } = await checkChaos({
    stage,
    log,
    survivor: pair.active.name,
    names: [],
    prefix: 'fail',
    accepted: load.acked,
  })
  return { accepted, decisions, problems }
}
