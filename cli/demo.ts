import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { dataLockHolder } from '#infra/folder-lock.ts'
import { isFlagged, VERDICTS } from '#schemas/decision.ts'
import { AUTHORIZATION } from '#schemas/event-columns.ts'
import { WeirError } from '#schemas/errors.ts'
import { ACCEPTED, type Explained } from '#pipeline/slice.ts'
import { Simulator, type Truth } from '#simulator/simulator.ts'
import type { DemoOptions } from './commands/demo.ts'
import type { CommandContext } from './context.ts'
import { DemoSummary } from './demo-summary.ts'
import { summaryText, welcomeText } from './demo-text.ts'
import { startOperations } from './operations.ts'
import { scheduleRetraining } from './retrain-schedule.ts'
import { serveApi } from './serve-api.ts'
import { Service } from './service.ts'

const START_MS = Date.UTC(2026, 0, 5)
const EVENTS_WITH_EXIT = 200_000
/** About one alert in a hundred events: what a small desk looks at. */
const DEMO_ALERTS_PER_DAY = 20
const HOUR_MS = 3_600_000
const TICK_MS = 100
const STOP_GRACE_MS = 3_000

/** Streams a simulated world through the service, at a pace to watch or as fast as it goes. */
export async function runDemo(context: CommandContext, options: DemoOptions): Promise<number> {
  const demo = inDemoFolder(context)
  if (options.keep !== true) emptyFolder(demo.config.dataFolder)
  const stop = context.stopSignal()
  const isFast = options.exit === true
  const total = options.events ?? (isFast ? EVENTS_WITH_EXIT : Number.POSITIVE_INFINITY)
  const simulator = new Simulator({
    preset: 'demo',
    seed: options.seed,
    startMs: START_MS,
    ...(Number.isFinite(total) ? { totalEvents: total } : {}),
  })
  const feed = new DemoFeed(simulator)
  const isBudgetChosen = context.loaded.entries.some(
    ({ key, source }) => key === 'threshold.alertsPerDay' && source !== 'default',
  )
  const service = await Service.open(demo, {
    command: 'demo',
    clockMode: 'stream',
    alertsPerDay: isBudgetChosen ? demo.config.threshold.alertsPerDay : DEMO_ALERTS_PER_DAY,
    blockClockMs: 6 * HOUR_MS,
    rates: simulator.rates,
    onSlice: (slice) => feed.decided(slice),
  })
  service.failed.addEventListener('abort', () => feed.giveUp(), { once: true })
  await service.start(stop)
  const operations = await startOperations(service, context.logger).catch((error: unknown) => service.giveUp(error))
  const api = isFast
    ? null
    : await serveApi(service, 'demo', operations).catch(async (error: unknown) => {
        await operations.stop()
        return await service.giveUp(error)
      })
  const stopRetraining = scheduleRetraining(demo)
  if (api !== null && !context.isJson) {
    const { dataFolder } = demo.config
    const text = { pageUrl: api.pageUrl, speed: options.speed, dataFolder, workingFolder: context.io.folder }
    context.io.out(welcomeText(text))
  }
  const startedMs = performance.now()
  try {
    if (isFast) await runFast(context, service, feed, total, stop)
    else await runPaced(service, feed, total, options.speed, stop)
    const seconds = (performance.now() - startedMs) / 1_000
    if (isFast && !stop.aborted) {
      await service.recorded(stop)
      const rows = await service.store.query('SELECT count() AS n FROM weir.scored_transactions')
      report(context, options.seed, feed, seconds, Number(rows.rows[0]!['n']), service)
    } else {
      await untilStopped(stop, service)
    }
  } finally {
    stopRetraining()
    await api?.close()
    await operations.stop()
    await service.close(STOP_GRACE_MS)
  }
  return 0
}

/** The demo has a folder of its own, so that it never meets real data. */
function inDemoFolder(context: CommandContext): CommandContext {
  const config = { ...context.config, dataFolder: join(context.config.dataFolder, 'demo') }
  return { ...context, config, stopSignal: () => context.stopSignal() }
}

function emptyFolder(folder: string): void {
  if (!existsSync(folder)) return
  const holder = dataLockHolder(folder)
  if (holder !== null) {
    throw new WeirError('DATA_IN_USE', `weir ${holder.command} (process ${holder.pid}) is using the demo's data`, {
      where: folder,
      fix: 'Stop it first, or name another folder with --data.',
    })
  }
  for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true, force: true })
}

async function runFast(
  context: CommandContext,
  service: Service,
  feed: DemoFeed,
  total: number,
  stop: AbortSignal,
): Promise<void> {
  const progress = await context.progress('demo', total, 'events')
  while (feed.sent < total && !stop.aborted && !service.failed.aborted) {
    await feed.send(service, Math.min(service.config.path.sliceRowsMax, total - feed.sent))
    progress.update(feed.sent)
  }
  await service.engine.settled()
  progress.finish()
}

async function runPaced(
  service: Service,
  feed: DemoFeed,
  total: number,
  speed: number,
  stop: AbortSignal,
): Promise<void> {
  let due = 0
  while (feed.sent < total && !stop.aborted && !service.failed.aborted) {
    due += (speed * TICK_MS) / 1_000
    const count = Math.min(Math.floor(due), total - feed.sent)
    due -= count
    const tickMs = performance.now()
    if (count > 0) await feed.send(service, count)
    await pause(Math.max(0, TICK_MS - (performance.now() - tickMs)), undefined, { signal: stop }).catch(() => {})
  }
}

/** Hands simulated events to the service and tells the world, and the summary, what became of them. */
class DemoFeed {
  readonly summary = new DemoSummary()
  sent = 0
  labels = 0
  private readonly simulator: Simulator
  private readonly truth = new Map<string, Truth>()
  private waiting = 0
  private wake: () => void = () => {}

  constructor(simulator: Simulator) {
    this.simulator = simulator
  }

  /** Sends so many transactions, and the labels between them; resolves when all of them are decided. */
  async send(service: Service, count: number): Promise<void> {
    const { codec } = service.runtime
    const { topics } = service.config
    for (let sent = 0; sent < count; ) {
      const item = this.simulator.next()
      let topic = topics.labels
      let value: Buffer
      let key: string
      if (item.kind === 'transaction') {
        topic = topics.transactions
        value = codec.transaction.encode(item.transaction)
        key = item.transaction.card_id
        if (item.transaction.kind === 'authorization') this.truth.set(item.transaction.transaction_id, item.truth!)
        sent++
        this.sent++
      } else {
        value = codec.label.encode(item.label)
        key = item.label.card_id
        this.labels++
      }
      this.waiting++
      while (!service.intake.push({ topic, key, value, waiter: null })) await service.intake.room()
    }
    if (this.waiting > 0 && !service.failed.aborted) {
      await new Promise<void>((resolve) => {
        this.wake = resolve
      })
    }
  }

  /** The service has failed: nothing more will be decided. */
  giveUp(): void {
    this.waiting = 0
    this.wake()
  }

  decided(slice: Explained): void {
    for (let row = 0; row < slice.count; row++) {
      if (slice.outcome[row] !== ACCEPTED || slice.events.kind[row] !== AUTHORIZATION) continue
      const id = slice.events.text.transaction_id.at(row)
      const truth = this.truth.get(id)
      if (truth === undefined) continue
      this.truth.delete(id)
      const verdict = VERDICTS[slice.verdict[row]!]!
      this.simulator.decided(id, verdict === 'decline', isFlagged(verdict) && verdict !== 'decline')
      if (!truth.approved) continue
      this.summary.add({
        fraud: truth.fraud,
        amountBase: slice.events.amount_base[row]!,
        flagged: isFlagged(verdict),
        ruleHits: slice.ruleHits[row]!.length,
        score: slice.score[row]!,
      })
    }
    this.waiting -= slice.count
    if (this.waiting <= 0) this.wake()
  }
}

function report(
  context: CommandContext,
  seed: number,
  feed: DemoFeed,
  seconds: number,
  rows: number,
  service: Service,
): void {
  const scored = feed.summary.decided()
  const rulesAlone = feed.summary.rulesAlone()
  const model = feed.summary.modelAtSameAlerts()
  const { stats, runtime } = service
  const document = {
    seed,
    events: stats.eventsTotal,
    repeated: stats.repeatedTotal,
    deadLetters: stats.deadLettersTotal,
    labels: stats.labelsTotal,
    seconds: Number(seconds.toFixed(2)),
    eventsPerSecond: Math.round(stats.eventsTotal / seconds),
    model: runtime.champion?.modelVersion ?? null,
    frauds: feed.summary.frauds,
    alerts: stats.alertsTotal,
    weir: scored,
    rulesAlone,
    modelAtSameAlerts: model,
    rowsInClickHouse: rows,
  }
  context.report(document, summaryText(document))
}

function untilStopped(stop: AbortSignal, service: Service): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of [stop, service.failed]) {
      if (signal.aborted) resolve()
      else signal.addEventListener('abort', () => resolve(), { once: true })
    }
  })
}
