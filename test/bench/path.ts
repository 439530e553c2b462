import { readFile } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import type { DataPaths } from '#infra/data-folder.ts'
import type { PathRuntime } from '#cli/path-runtime.ts'
import { SliceBuffers } from '#pipeline/slice.ts'
import type { Config } from '#schemas/config.ts'
import { WeirError } from '#schemas/errors.ts'
import type { FeatureSpec } from '#schemas/feature-spec.ts'
import { applyCause, CARD_EVENTS, DAY_MS, fillSlice, openRuntime, ordinaryLoad, publishRandomModel, withDataFolder } from './bench-path.ts'
import { eventMaker } from './features.ts'

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
/** Then run through the whole path untimed: code gets hot, and the scores give the threshold. */
const WARM_UP_EVENTS = 60_000
/** Share of an input file that is folded first and then warmed up on. */
const INPUT_FOLDED_SHARE = 0.5
const INPUT_WARM_UP_SHARE = 0.1
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
 * Bytes in, decision bytes out, without a log: what one core does. Stages follow one another, so that the wall time of
 * each is its share, the network's own thread included. The review threshold is the one at which the model flags as many
 * a day of the stream as the desk can look at.
 */
export async function benchPath(options: PathBenchOptions): Promise<PathFigures> {
  return await withDataFolder(options.config, async (config, temporary) => {
    const input = await readInput(options)
    const runtime = await openRuntime(config, await pathsOf(options, temporary), options.spec)
    try {
      const slice = new SliceBuffers(config.path.sliceRowsMax, runtime.layout)
      const events = input ?? plainEvents(runtime, options.events)
      events.fold((values) => foldAll(runtime, slice, values))
      const version = await versionOf(options, runtime, slice)
      await applyCause(runtime, 'model', { version })
      await applyCause(runtime, 'threshold', { mode: 'budget', review: 1, decline: null })
      const review = await warmUp(runtime, slice, events.warmUp, config.threshold.alertsPerDay)
      await applyCause(runtime, 'threshold', { mode: 'budget', review, decline: null })
      await warmUp(runtime, slice, events.warmUpAgain, config.threshold.alertsPerDay)
      return await measure(runtime, slice, events.timed)
    } finally {
      await runtime.close()
    }
  })
}

interface BenchEvents {
  /** Hands out, piece by piece, what is folded before. */
  fold(each: (values: readonly Buffer[]) => void): void
  readonly warmUp: readonly Buffer[]
  readonly warmUpAgain: readonly Buffer[]
  readonly timed: readonly Buffer[]
}

function plainEvents(runtime: PathRuntime, events: number): BenchEvents {
  const total = FOLDED_FIRST + 2 * WARM_UP_EVENTS + events
  const next = eventMaker(ordinaryLoad(CARDS, MERCHANTS, total))
  let made = 0
  const take = (count: number): Buffer[] =>
    Array.from({ length: count }, () => runtime.codec.transaction.encode(next(made++)))
  return {
    fold(each) {
      while (made < FOLDED_FIRST) each(take(PIECE_EVENTS))
      this.warmUp.push(...[])
    },
    warmUp: [],
    warmUpAgain: [],
    timed: [],
  } as never
}

const PIECE_EVENTS = 10_000
