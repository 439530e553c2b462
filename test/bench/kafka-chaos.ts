import { setTimeout as sleep } from 'node:timers/promises'
import type { KafkaLog } from '#infra/log/kafka-log.ts'
import { messageOf, WeirError } from '#schemas/errors.ts'
import { Random } from '#simulator/random.ts'
import type { KafkaStage } from '#test/support/kafka-stage.ts'
import type { StagedRun } from '#test/support/staged-run.ts'
import { checkChaos, type ChaosFindings } from './chaos-check.ts'
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
import { childrenOf } from './processes.ts'
import { parseMetrics } from './prometheus-text.ts'

export interface ChaosOptions extends KafkaBenchOptions {
  readonly kills: number
  readonly seed: number
  /** Events a second. */
  readonly rate: number
}

export interface ChaosFigures extends ChaosFindings {
  readonly kills: Readonly<Record<Victim, number>>
  readonly seed: number
  readonly seconds: number
  /** Take-overs and restarts, as the journal counts them. */
  readonly terms: number
  /** Longest time without a decision. */
  readonly longestGapMs: number
  /** Processes that ended though nobody had killed them, with what they said last. */
  readonly ended: readonly string[]
  readonly loadAverage: number
}

export const VICTIMS = ['active', 'standby', 'recorder', 'broker'] as const
export type Victim = (typeof VICTIMS)[number]

/** Quick to take over and to write checkpoints, so that a short run sees many of both. */
const SETTINGS = [
  'kafka.takeoverAfterMs=1000',
  'kafka.heartbeatMs=200',
  'kafka.requestTimeoutMs=3000',
  'path.checkpointIntervalMs=1000',
  'path.deduplicateIds=1048576',
  'recorder.intervalMs=200',
]
const NAMES = ['a', 'b'] as const
/** Between two kills. */
const PAUSE_MS_MAX = 2_500
/** Some kills do not wait until all works again: they hit what has only begun to start. */
const EARLY_SHARE = 0.3
const RECOVERED_MS_MAX = 60_000
const DOWN_MS_MAX = 600
const SETTLE_MS = 2_000
const SETTLED_MS_MAX = 120_000
const STOP_MS_MAX = 10_000
const ACCOUNTS = 2_000

/** Kills processes at random moments under load, starts each again, and looks at the end whether everything is right. */
export async function benchChaos(options: ChaosOptions): Promise<ChaosFigures> {
  return await onKafkaStage(options, SETTINGS, async (stage) => {
    const chaos = new Chaos(stage, options)
    try {
      return await chaos.run()
    } catch (error) {
      throw new WeirError('NOT_AVAILABLE', `${messageOf(error)}\n${await chaos.state()}`, { cause: error })
    } finally {
      await chaos.close()
    }
  })
}

class Chaos {
  private readonly stage: KafkaStage
  private readonly options: ChaosOptions
  private readonly random: Random
  private readonly runs = new Map<string, StagedRun>()
  private readonly killed = new Set<StagedRun>()
  private readonly kills: Record<Victim, number> = { active: 0, standby: 0, recorder: 0, broker: 0 }
  private readonly ended: string[] = []
  private load: KafkaLoad | null = null
  private log: KafkaLog | null = null
  private watches: (JournalWatch | DecisionWatch)[] = []
  private isOver = false

  constructor(stage: KafkaStage, options: ChaosOptions) {
    this.stage = stage
    this.options = options
    this.random = new Random(options.seed)
  }

  async run(): Promise<ChaosFigures> {
    const { stage, options } = this
    const { topics } = stage.config
    this.log = await stage.reading(Object.values(topics))
    const journal = new JournalWatch(this.log, plainCodec(), topics.journal)
    const decisions = new DecisionWatch(this.log, topics.decisions)
    this.watches = [journal, decisions]
    await this.start('a').becomes('active', READY_MS_MAX)
    await this.start('b').becomes('standby', READY_MS_MAX)
    this.load = await startLoad(stage, { accounts: ACCOUNTS, merchants: 200, pool: 20_000, prefix: 'kaos' })
    const startedMs = performance.now()
    this.load.send(options.rate)
    await sleep(SETTLE_MS)
    for (const victim of this.victims()) {
      const before = decisions.count
      await this.kill(victim)
      if (this.random.unit() >= EARLY_SHARE) await this.recovered(decisions, before)
      await sleep(this.random.unit() * PAUSE_MS_MAX)
    }
    await sleep(SETTLE_MS)
    await this.load.stop()
    const seconds = (performance.now() - startedMs) / 1_000
    const active = await this.settled(journal)
    this.isOver = true
    const graceless: string[] = []
    for (const run of [...this.runs.values()].toSorted((a) => (a === active ? 1 : -1))) {
      const problem = await this.stopGracefully(run)
      if (problem !== null) graceless.push(problem)
    }
    // Whoever stood by took over for a moment when the other one stopped, unless it stopped first.
    await until(
      'the last line is read',
      SETTLED_MS_MAX,
      async () => journal.nextOffset >= (await this.endOf(topics.journal)),
    )
    const findings = await checkChaos({
      stage,
      log: this.log,
      survivor: active.name,
      names: NAMES,
      prefix: 'kaos',
      accepted: this.load.acked,
    })
    return {
      kills: this.kills,
      seed: options.seed,
      seconds: Number(seconds.toFixed(1)),
      terms: journal.term,
      longestGapMs: Math.round(decisions.longestGapSince(0).gapMs),
      ended: this.ended,
      loadAverage: loadAverage(),
      ...findings,
      problems: [...graceless, ...journal.problems, ...findings.problems],
    }
  }

  /** What each process says of itself, for whoever looks for the cause of a failure. */
  async state(): Promise<string> {
    const of = async (run: StagedRun): Promise<string> => {
      const text = await run.metrics().catch(messageOf)
      const figures = text
        .split('\n')
        .filter((line) => /^weir_(active|journal|recorder|events_total|log|kafka)/.test(line))
      return `${run.name} ${run.role} ${run.isRunning}\n${figures.join('\n')}\n${run.lines.slice(-LINES).join('\n')}`
    }
    const told = await Promise.all([...this.runs.values()].map(of))
    return [JSON.stringify(this.kills), ...this.ended, ...told].join('\n')
  }

  async close(): Promise<void> {
    this.isOver = true
    this.load?.kill()
    for (const watch of this.watches) await watch.close()
    await this.log?.close()
  }

  /** In random order, each kind about equally often. */
  private victims(): Victim[] {
    const victims = Array.from({ length: this.options.kills }, (_, i) => VICTIMS[i % VICTIMS.length]!)
    for (let i = victims.length - 1; i > 0; i--) {
      const other = Math.floor(this.random.unit() * (i + 1))
      const victim = victims[i]!
      victims[i] = victims[other]!
      victims[other] = victim
    }
    return victims
  }

  /** One decides again and another one stands by. */
  private async recovered(decisions: DecisionWatch, before: number): Promise<void> {
    await until('something is decided and a process stands by', RECOVERED_MS_MAX, () => {
      const running = [...this.runs.values()].filter((run) => run.isRunning)
      return decisions.count > before && running.some(isActive) && running.some(isStandby)
    })
  }

  private async kill(victim: Victim): Promise<void> {
    this.kills[victim]++
    const downMs = this.random.unit() * DOWN_MS_MAX
    if (victim === 'broker') {
      await this.stage.kafka.kill(0)
      await sleep(downMs)
      await this.stage.kafka.restart(0)
      return
    }
    const active = this.active()
    if (victim === 'recorder') {
      for (const pid of childrenOf(active.pid)) process.kill(pid, 'SIGKILL')
      return
    }
    const run = victim === 'active' ? active : [...this.runs.values()].find((other) => other !== active)!
    this.killed.add(run)
    await run.kill('SIGKILL')
    await sleep(downMs)
    this.start(run.name)
  }

  /** Who decides, as far as it shows; a process that is starting may be none and both may be on their way. */
  private active(): StagedRun {
    const runs = [...this.runs.values()]
    return runs.find((run) => run.isRunning && isActive(run)) ?? runs[0]!
  }

  /** As whatever watches over processes would do it: one that ends is started again. */
  private start(name: string): StagedRun {
    const run = this.stage.run(name)
    this.runs.set(name, run)
    void run.ended.then(async ({ exitCode, signal }) => {
      if (this.isOver || this.killed.has(run)) return
      this.ended.push(`${name} ended with ${signal ?? exitCode}: ${lastWords(run)}`)
      await sleep(DOWN_MS_MAX)
      if (!this.isOver && this.runs.get(name) === run) this.start(name)
    })
    return run
  }

  /** Waits until all that was sent is decided and recorded; the process that did it last. */
  private async settled(journal: JournalWatch): Promise<StagedRun> {
    const { topics } = this.stage.config
    await until('everything that was sent is decided', SETTLED_MS_MAX, async () => {
      const inputs = (await this.log!.ranges()).filter(({ topic }) => topic === topics.transactions)
      return inputs.every(({ topic, partition, end }) => journal.positionOf(topic, partition) >= end)
    })
    let found: StagedRun | null = null
    const lastLine = journal.nextLine - 1
    await until('everything decided is in ClickHouse', SETTLED_MS_MAX, async () => {
      for (const run of this.runs.values()) {
        if (!run.isRunning || !isActive(run)) continue
        const text = await run.metrics().catch(() => null)
        if (text === null) continue
        if ((parseMetrics(text).get('weir_recorder_complete_line') ?? -1) >= lastLine) found = run
      }
      return found !== null
    })
    await until('the other one stands by', READY_MS_MAX, () =>
      [...this.runs.values()].every((run) => run === found || isStandby(run)),
    )
    return found!
  }

  private async stopGracefully(run: StagedRun): Promise<string | null> {
    run.signal('SIGTERM')
    const end = await Promise.race([run.ended, sleep(STOP_MS_MAX, null)])
    if (end === null) {
      await run.kill('SIGKILL')
      return `${run.name} did not stop within ${STOP_MS_MAX / 1_000} s: ${lastWords(run)}`
    }
    return end.exitCode === 0 ? null : `${run.name} stopped with ${end.signal ?? end.exitCode}: ${lastWords(run)}`
  }

  private async endOf(topic: string): Promise<number> {
    return this.log!.ranges().then((ranges) => ranges.find((range) => range.topic === topic)?.end ?? 0)
  }
}

function isActive(run: StagedRun): boolean {
  return run.role === 'active'
}

function isStandby(run: StagedRun): boolean {
  return run.role === 'standby'
}

function lastWords(run: StagedRun): string {
  return run.lines.slice(-WORDS).join(' | ').slice(-WORDS_LENGTH)
}

const WORDS = 6
const LINES = 25
const WORDS_LENGTH = 1_200
