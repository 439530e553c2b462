import { assetPath } from '#infra/assets.ts'
import { createCodec } from '#schemas/codec.ts'
import { WeirError } from '#schemas/errors.ts'
import { createFileSchemas } from '#schemas/schema-source.ts'
import { WORLD_SIZES } from '#simulator/presets.ts'
import { Simulator } from '#simulator/simulator.ts'
import type { SimulateOptions } from './commands/simulate.ts'
import type { CommandContext } from './context.ts'
import type { Progress } from './progress.ts'
import { createFileSink, openWhole, type WholeFile } from './simulate/file-sink.ts'
import type { Sink } from './simulate/sink.ts'

const DEFAULT_EVENTS = 10_000
const DEFAULT_START_MS = Date.UTC(2025, 0, 1)
const DAY_MS = 86_400_000
const TELL_EVERY_EVENTS = 1_000
const TRUTH_LINES = 1_000

export async function runSimulate(context: CommandContext, options: SimulateOptions): Promise<number> {
  checkTogether(context, options)
  if (options.to === 'path') {
    const { simulateIntoPath } = await import('./simulate/into-path.ts')
    return await simulateIntoPath(context, options)
  }
  const startedMs = context.io.now()
  const sink = await openSink(context, options)
  const truth = options.truth === undefined ? null : await openTruth(options.truth, sink)
  const run = runLength(options)
  const isToStdout = isFormat(options.to) && options.out === undefined
  const progress = await context.progress('simulating', run.events, 'events')
  try {
    const counts = await pump(context, options, { sink, truth, progress, run })
    const told = await sink.finish()
    await truth?.keep()
    progress.finish()
    if (!isToStdout) tell(context, { ...counts, ...told, seconds: (context.io.now() - startedMs) / 1_000 })
    return 0
  } catch (error) {
    progress.finish('given up')
    await sink.abandon()
    await truth?.abandon()
    throw error
  }
}

export interface RunLength {
  readonly events: number
  readonly untilMs: number
}

/** A world of the size that was asked for; `simulate --to path` and the demo use the same. */
export function createWorld(options: SimulateOptions): Simulator {
  return new Simulator({
    preset: options.preset,
    seed: options.seed,
    startMs: options.from ?? DEFAULT_START_MS,
    totalEvents: runLength(options).events,
    ...(options.view !== undefined && { view: options.view }),
    ...(options.closedLoop === true && { closedLoop: true }),
  })
}

/** By count, by days, or whichever comes first. */
export function runLength({ events, days, preset, from }: SimulateOptions): RunLength {
  const startMs = from ?? DEFAULT_START_MS
  if (days === undefined) return { events: events ?? DEFAULT_EVENTS, untilMs: Number.POSITIVE_INFINITY }
  const inDays = Math.round(days * WORLD_SIZES[preset].eventsPerDay)
  return { events: events ?? inDays, untilMs: startMs + days * DAY_MS }
}

interface Pump {
  readonly sink: Sink
  readonly truth: WholeFile | null
  readonly progress: Progress
  readonly run: RunLength
}

interface Counts {
  readonly transactions: number
  readonly labels: number
  readonly frauds: number
  /** Ended early by a signal. */
  readonly stopped: boolean
}

async function pump(
  context: CommandContext,
  options: SimulateOptions,
  { sink, truth, progress, run }: Pump,
): Promise<Counts> {
  const simulator = createWorld(options)
  const stop = context.stopSignal()
  // With both limits given the count is exact; with days alone it is only a guess.
  const eventsMax = options.events ?? Number.POSITIVE_INFINITY
  const limit = options.days === undefined ? run.events : eventsMax
  const truthLines: string[] = []
  let [transactions, labels, frauds] = [0, 0, 0]
  while (transactions < limit && !stop.aborted) {
    const item = simulator.next()
    if (simulator.clockMs >= run.untilMs) break
    if (item.kind === 'label') {
      labels++
      await sink.label(item.label)
      continue
    }
    await sink.transaction(item.transaction)
    if (item.truth?.fraud === true) frauds++
    if (truth !== null && item.truth !== null) {
      const { fraud, tactic, approved } = item.truth
      truthLines.push(`${item.transaction.transaction_id},${fraud},${tactic},${approved}\n`)
      if (truthLines.length >= TRUTH_LINES) await truth.write(Buffer.from(truthLines.splice(0).join('')))
    }
    if (++transactions % TELL_EVERY_EVENTS === 0) progress.update(transactions)
  }
  await truth?.write(Buffer.from(truthLines.join('')))
  progress.update(transactions)
  return { transactions, labels, frauds, stopped: stop.aborted }
}

async function openSink(context: CommandContext, options: SimulateOptions): Promise<Sink> {
  const { to } = options
  if (isIntoKafka(context, to)) {
    const { createKafkaSink } = await import('./simulate/kafka-sink.ts')
    return await createKafkaSink(context)
  }
  const codec = createCodec(createFileSchemas(assetPath('schemas/kafka')))
  if (!isFormat(to)) {
    const { createLogSink } = await import('./simulate/log-sink.ts')
    return await createLogSink(context, codec)
  }
  return await createFileSink({
    format: to,
    codec,
    file: options.out ?? null,
    stdout: context.io.outBytes,
    labelsFile: options.labels ?? null,
  })
}

async function openTruth(file: string, sink: Sink): Promise<WholeFile> {
  try {
    const truth = await openWhole(file)
    await truth.write(Buffer.from('transaction_id,fraud,tactic,approved\n'))
    return truth
  } catch (error) {
    await sink.abandon()
    throw error
  }
}

/** Where the log lies in Kafka, its input topics are where everybody writes, a running service or none. */
function isIntoKafka({ config }: CommandContext, to: SimulateOptions['to']): boolean {
  return to === 'kafka' || (to === 'log' && config.log.home === 'kafka')
}

type Format = Exclude<SimulateOptions['to'], 'log' | 'kafka' | 'path'>

function isFormat(to: SimulateOptions['to']): to is Format {
  return to !== 'log' && to !== 'kafka' && to !== 'path'
}

function checkTogether(context: CommandContext, options: SimulateOptions): void {
  const usage = (message: string, fix: string): WeirError => new WeirError('USAGE', message, { fix })
  if (isFormat(options.to)) {
    if (context.isJson && options.out === undefined) {
      throw usage('--json and the transactions cannot both go to stdout', 'Name a file with --out.')
    }
    if (options.closedLoop === true) {
      throw usage('--closed-loop needs somebody who declines', 'Use it with --to path.')
    }
  } else if (options.out !== undefined || options.labels !== undefined) {
    throw usage(`--out and --labels name files, but --to is ${options.to}`, 'Leave them out, or choose a format.')
  } else if (options.to !== 'path' && options.closedLoop === true) {
    throw usage('--closed-loop needs somebody who declines', 'Use it with --to path.')
  }
  const files = [options.out, options.labels, options.truth].filter((file) => file !== undefined)
  if (new Set(files).size < files.length) throw usage('two outputs have the same file', 'Give each its own.')
}

function tell(context: CommandContext, summary: Counts & { readonly seconds: number }): void {
  const { transactions, labels, frauds, seconds, stopped } = summary
  const rate = seconds > 0 ? Math.round(transactions / seconds) : 0
  context.report(
    { ...summary, eventsPerSecond: rate },
    `${transactions.toLocaleString('en')} transactions (${frauds.toLocaleString('en')} fraud) and ${labels.toLocaleString('en')} labels in ${seconds.toFixed(1)} s${stopped ? ', stopped early' : ''}\n`,
  )
}
