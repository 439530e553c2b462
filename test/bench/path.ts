import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { type PathRuntime, shippedModels } from '#cli/path-runtime.ts'
import { wallClock } from '#infra/clock.ts'
import type { DataPaths } from '#infra/data-folder.ts'
import { LENGTH_BYTES } from '#infra/event-files/frames.ts'
import { MANIFEST_FILE } from '#models/model-folder.ts'
import { createRegistry } from '#models/registry.ts'
import { SliceBuffers } from '#pipeline/slice.ts'
import type { Config } from '#schemas/config.ts'
import { WeirError } from '#schemas/errors.ts'
import type { FeatureSpec } from '#schemas/feature-spec.ts'
import {
  applyCause,
  DAY_MS,
  fillSlice,
  foldAll,
  openRuntime,
  publishRandomModel,
  withDataFolder,
} from './bench-runtime.ts'
import { eventMaker } from './features.ts'
import { ordinaryLoad } from './ordinary-load.ts'

export interface PathBenchOptions {
  readonly config: Config
  readonly spec: FeatureSpec
  /** Where the champion is looked for. */
  readonly paths: DataPaths
  /** Version in the registry, or a model folder; null: the champion, or random weights where there is none. */
  readonly model: string | null
  /** Length-prefixed framed records; null: a plain world. */
  readonly input: string | null
  /** Events that are timed. */
  readonly events: number
}

const CARDS = 50_000
const MERCHANTS = 5_000
/** Folded before anything is scored, so that most cards have a full history. */
const FOLDED_FIRST = 16 * CARDS
/** Then run through the whole path untimed, twice: code gets hot, and the first scores give the threshold. */
const WARM_UP_EVENTS = 60_000
/** Shares of an input file for one warm-up and for what is timed; what stands before is folded. */
const INPUT_WARM_UP_SHARE = 0.05
const INPUT_TIMED_SHARE = 0.5
const FOLDED_AT_ONCE = 10_240
/** A threshold above every score. */
const NO_REVIEW = 1
const STAGES = ['decode', 'deduplicate', 'featurize', 'score', 'decide', 'explain', 'commit'] as const

export interface PathFigures {
  readonly spec: string
  readonly model: string
  readonly events: number
  readonly seconds: number
  readonly eventsPerSecond: number
  /** The same by processor time of the whole process, on a machine that others share. */
  readonly eventsPerCpuSecond: number
  readonly share: Readonly<Record<string, number>>
  readonly microsecondsPerEvent: Readonly<Record<string, number>>
  readonly accepted: number
  readonly scored: number
  readonly alerts: number
  readonly explained: number
  readonly alertsPerDay: number
  readonly inputBytesPerEvent: number
  readonly decisionBytesPerEvent: number
  readonly stateBytes: number
  readonly rssBytes: number
}

/**
 * Bytes in, decision bytes out, without a log: what one core does. Stages follow one another; the share of each is in
 * processor time of all threads, the network's own included, which other work on the machine changes little. The review threshold is the one at which the model flags as many
 * a day of the stream as the desk can look at.
 *
 * @throws WeirError INPUT_INVALID, MODEL_NOT_FOUND, MODEL_INVALID
 */
export async function benchPath(options: PathBenchOptions): Promise<PathFigures> {
  return await withDataFolder(options.config, async (config, temporary) => {
    const champion = await findModel(options)
    const home = champion === null ? temporary.models : champion.home
    const runtime = await openRuntime(config, { ...temporary, models: home }, options.spec)
    try {
      const source = options.input === null ? plainSource(runtime, options.events) : await fileSource(options)
      const slice = new SliceBuffers(config.path.sliceRowsMax, runtime.layout)
      for (let left = source.folded; left > 0; left -= FOLDED_AT_ONCE) {
        foldAll(runtime, slice, source.take(Math.min(left, FOLDED_AT_ONCE)))
      }
      const version = champion?.version ?? (await publishRandomModel(runtime, slice))
      await applyCause(runtime, 'model', { version })
      await applyCause(runtime, 'threshold', { mode: 'budget', review: NO_REVIEW, decline: null })
      const first = await runAll(runtime, slice, source.take(source.warmUp))
      const review = reviewThreshold(first, config.threshold.alertsPerDay)
      await applyCause(runtime, 'threshold', { mode: 'budget', review, decline: null })
      await runAll(runtime, slice, source.take(source.warmUp))
      const timed = source.take(source.timed)
      const run = await runAll(runtime, slice, timed)
      return figuresOf(run, timed, runtime, version)
    } finally {
      await runtime.close()
    }
  })
}

/** Encoded events, one after the other, and how many of them each phase takes. */
interface Source {
  readonly folded: number
  readonly warmUp: number
  readonly timed: number
  take(count: number): Buffer[]
}

function plainSource({ codec }: PathRuntime, timed: number): Source {
  const next = eventMaker(ordinaryLoad(CARDS, MERCHANTS, FOLDED_FIRST + 2 * WARM_UP_EVENTS + timed))
  let made = 0
  return {
    folded: FOLDED_FIRST,
    warmUp: WARM_UP_EVENTS,
    timed,
    take: (count) => flat(Array.from({ length: count }, () => codec.transaction.encode(next(made++)))),
  }
}

/** The same records in one allocation, as a reader of the log hands them out. */
function flat(values: readonly Buffer[]): Buffer[] {
  const bytes = Buffer.concat(values)
  let at = 0
  return values.map(({ length }) => bytes.subarray(at, (at += length)))
}

async function fileSource({ input, events }: PathBenchOptions): Promise<Source> {
  const bytes = await readFile(input!).catch((cause: unknown) => {
    throw new WeirError('INPUT_INVALID', 'the input file cannot be read', { where: input!, cause })
  })
  const values: Buffer[] = []
  for (let at = 0; at < bytes.length; ) {
    const start = at + LENGTH_BYTES
    const end = start > bytes.length ? Number.POSITIVE_INFINITY : start + bytes.readUInt32BE(at)
    if (end > bytes.length) {
      throw new WeirError('INPUT_INVALID', 'the file ends in the middle of a record', {
        where: `${input} record ${values.length + 1}`,
        fix: 'It must hold framed Avro records, each after its length in 4 bytes, big-endian.',
      })
    }
    values.push(bytes.subarray(start, end))
    at = end
  }
  const warmUp = Math.min(WARM_UP_EVENTS, Math.floor(values.length * INPUT_WARM_UP_SHARE))
  const timed = Math.min(events, Math.floor(values.length * INPUT_TIMED_SHARE))
  if (warmUp === 0) {
    throw new WeirError('INPUT_INVALID', `${values.length} records are too few to measure on`, { where: input! })
  }
  let at = 0
  return {
    folded: values.length - 2 * warmUp - timed,
    warmUp,
    timed,
    take(count) {
      at += count
      return values.slice(at - count, at)
    },
  }
}

interface FoundModel {
  readonly home: string
  readonly version: string
}

/** The model that is asked for, else the champion, else null. */
async function findModel({ model, paths, spec }: PathBenchOptions): Promise<FoundModel | null> {
  if (model !== null && existsSync(join(model, MANIFEST_FILE))) {
    const folder = resolve(model)
    return { home: dirname(folder), version: basename(folder) }
  }
  const registry = createRegistry({ folder: paths.models, shippedFolder: shippedModels(), clock: wallClock })
  if (model !== null) return { home: paths.models, version: (await registry.show(model)).version }
  const champion = await registry.champion(spec.name)
  return champion === null ? null : { home: paths.models, version: champion.version }
}

interface Run {
  readonly wallNs: bigint
  readonly cpuMicroseconds: number
  /** Processor time of all threads, microseconds. */
  readonly stageMicroseconds: Readonly<Record<(typeof STAGES)[number], number>>
  readonly events: number
  readonly accepted: number
  readonly alerts: number
  readonly explained: number
  readonly decisionBytes: number
  /** First and last clock of the stream, epoch milliseconds. */
  readonly fromMs: number
  readonly toMs: number
  /** Of every scored row. */
  readonly scores: Float32Array
}

/** Sends the records through the whole path, stage by stage, and looks at the clock between two stages. */
async function runAll(runtime: PathRuntime, slice: SliceBuffers, values: readonly Buffer[]): Promise<Run> {
  const { fold, score, decide, explain, commit } = runtime.path
  const scores = new Float32Array(values.length)
  const stageMicroseconds = { decode: 0, deduplicate: 0, featurize: 0, score: 0, decide: 0, explain: 0, commit: 0 }
  const counts = { scored: 0, accepted: 0, alerts: 0, explained: 0, decisionBytes: 0 }
  const fromMs = slice.clock
  const usedBefore = cpuMicroseconds()
  const started = process.hrtime.bigint()
  let at = cpuMicroseconds()
  const lap = (stage: (typeof STAGES)[number]): void => {
    const now = cpuMicroseconds()
    stageMicroseconds[stage] += now - at
    at = now
  }
  for (let done = 0; done < values.length; done += slice.count) {
    const received = fillSlice(runtime, slice, values, done)
    at = cpuMicroseconds()
    const decoded = fold.decode(received)
    lap('decode')
    const deduplicated = fold.deduplicate(decoded)
    lap('deduplicate')
    const featurized = fold.featurize(deduplicated)
    lap('featurize')
    const scored = await score(featurized)
    lap('score')
    const decided = decide(scored)
    lap('decide')
    const explained = await explain(decided)
    lap('explain')
    const unit = commit(explained, 1)
    lap('commit')
    if (slice.degraded !== '') throw new WeirError('SCORER_FAILED', `the model did not answer: ${slice.degraded}`)
    for (let i = 0; i < slice.scoredCount; i++) scores[counts.scored++] = slice.score[slice.scoredRows[i]!]!
    for (let row = 0; row < slice.count; row++) counts.decisionBytes += unit.decisionOf(row)?.length ?? 0
    counts.accepted += unit.line.pieces.reduce((sum, piece) => sum + piece.count, 0)
    counts.alerts += slice.alerts.length
    for (const alert of slice.alerts) if (alert.explained) counts.explained++
  }
  return {
    wallNs: process.hrtime.bigint() - started,
    cpuMicroseconds: cpuMicroseconds() - usedBefore,
    stageMicroseconds,
    events: values.length,
    accepted: counts.accepted,
    alerts: counts.alerts,
    explained: counts.explained,
    decisionBytes: counts.decisionBytes,
    fromMs,
    toMs: slice.clock,
    scores: scores.subarray(0, counts.scored),
  }
}

function cpuMicroseconds(): number {
  const { user, system } = process.cpuUsage()
  return user + system
}

/** The score that so many a day of the stream reach. */
function reviewThreshold({ scores, fromMs, toMs }: Run, alertsPerDay: number): number {
  const sorted = scores.slice().sort()
  const alerts = Math.max(1, Math.round(((toMs - fromMs) / DAY_MS) * alertsPerDay))
  return Math.min(NO_REVIEW, sorted[Math.max(0, sorted.length - alerts)] ?? NO_REVIEW)
}

function figuresOf(run: Run, timed: readonly Buffer[], runtime: PathRuntime, model: string): PathFigures {
  const seconds = Number(run.wallNs) / 1e9
  const perStage = (figure: (microseconds: number) => number): Record<string, number> =>
    Object.fromEntries(STAGES.map((stage) => [stage, figure(run.stageMicroseconds[stage])]))
  const rounded = (value: number, digits: number): number => Number(value.toFixed(digits))
  return {
    spec: runtime.layout.specName,
    model,
    events: run.events,
    seconds: rounded(seconds, 3),
    eventsPerSecond: Math.round(run.events / seconds),
    eventsPerCpuSecond: Math.round((run.events * 1e6) / run.cpuMicroseconds),
    share: perStage((used) => rounded(used / run.cpuMicroseconds, 3)),
    microsecondsPerEvent: perStage((used) => rounded(used / run.events, 2)),
    accepted: run.accepted,
    scored: run.scores.length,
    alerts: run.alerts,
    explained: run.explained,
    alertsPerDay: rounded(run.alerts / ((run.toMs - run.fromMs) / DAY_MS), 1),
    inputBytesPerEvent: Math.round(timed.reduce((sum, { length }) => sum + length, 0) / run.events),
    decisionBytesPerEvent: Math.round(run.decisionBytes / run.events),
    stateBytes: runtime.memory.byteLength,
    rssBytes: process.memoryUsage().rss,
  }
}
