import { type BoostedTrees, type BoostingOptions, trainBoostedTrees } from '#models/baselines/boosted-trees.ts'
import { layoutOf } from '#models/features/layout.ts'
import { SeededRandom } from '#models/lstm/seeded-random.ts'
import type { Config } from '#schemas/config.ts'
import { type FeatureSpec, HABIT_FEATURES } from '#schemas/feature-spec.ts'
import type { Preset } from '#simulator/presets.ts'
import {
  averagePrecisionOf,
  onlyColumns,
  recallByTactic,
  recallOf,
  scoresOf,
  thresholdAt,
  withShuffled,
} from './world-judging.ts'
import { collectWorld, type World, type WorldRows } from './world-rows.ts'

export interface WorldOptions {
  readonly config: Config
  readonly spec: FeatureSpec
  readonly preset: Preset
  readonly seed: number
  /** Transactions of the whole run. */
  readonly events: number
}

/** Where the parts of the run begin; nothing is kept before the first, since windows are not filled yet. */
const PARTS = { training: 0.08, validation: 0.46, before: 0.54, after: 0.7 } as const
/** Of the genuine rows of training and validation. */
const GENUINE_SHARE = 0.25
/** Alerts for each fraud, while tactic 8 is unknown, that the frozen model's threshold gives. */
const ALERTS_PER_FRAUD = 2
const GOOD_TREES: BoostingOptions = {
  treesMax: 400,
  learningRate: 0.05,
  leavesMax: 15,
  leafHessianMin: 0.2,
  l2: 2,
  patience: 40,
}
const ONE_TREE_OF_DEPTH_THREE: BoostingOptions = { treesMax: 1, learningRate: 1, leavesMax: 8, depthMax: 3, l2: 0 }
const NOTABLE_AREA = 0.7

/** What makes the world's results mean something. */
const BOUNDS = {
  singleFieldArea: { most: 0.8 },
  depthThreeAp: { most: 0.15 },
  boostedTreesAp: { least: 0.45, most: 0.75 },
  costOfShuffledPast: { least: 0.05 },
  lossOfFrozenRecall: { least: 0.1 },
} as const
type Acceptance = Readonly<Record<keyof typeof BOUNDS, number>>

export interface WorldFigures {
  readonly preset: Preset
  readonly seed: number
  readonly spec: string
  readonly events: number
  readonly days: number
  readonly fraudByCount: number
  readonly fraudByValue: number
  readonly rows: Readonly<Record<string, { readonly rows: number; readonly frauds: number }>>
  /** Areas over .70. */
  readonly singleFields: Readonly<Record<string, number>>
  /** The last is a ratio, the others are areas and average precisions or a difference of two. */
  readonly acceptance: Acceptance
  readonly apOfShuffledPast: number
  readonly apAfter: number
  readonly recallBefore: number
  readonly recallAfter: number
  readonly recallByTactic: Readonly<Record<string, { readonly before: string; readonly after: string }>>
  /** Bounds that do not hold; none when the world is as it should be. */
  readonly missed: readonly string[]
  readonly seconds: number
}

/**
 * Whether the simulated world is worth detecting fraud in: neither given away by one row nor hopeless, with a past that
 * matters and a future that a frozen model does not know. Features by the live code, approved authorizations against the
 * truth, models learned on the part of the run before the one they are judged on.
 */
export async function benchWorld(options: WorldOptions): Promise<WorldFigures> {
  const startedNs = process.hrtime.bigint()
  const { config, spec, preset, seed, events } = options
  const world = await collectWorld(
    { config, spec, preset, seed, events },
    { parts: Object.values(PARTS), thinnedParts: 2, genuineShare: GENUINE_SHARE },
  )
  const [training, validation, before, after] = world.parts as [WorldRows, WorldRows, WorldRows, WorldRows]
  const names = layoutOf(spec).currentColumns.map(({ name }) => name)

  const ofTheRow = columnsWhere(names, (name) => isOfTheRow(spec, name))
  const single = trainBoostedTrees(onlyColumns(training, ofTheRow), ONE_TREE_OF_DEPTH_THREE)
  const depthThreeAp = averagePrecisionOf(before, scoresOf(single, onlyColumns(before, ofTheRow)))

  const trees = learn(training, validation)
  const scores = { before: scoresOf(trees, before), after: scoresOf(trees, after) }
  const boostedTreesAp = averagePrecisionOf(before, scores.before)

  const past = columnsWhere(names, isOfTheCardsPast)
  const random = new SeededRandom(seed)
  const withoutPast = learn(withShuffled(training, past, random), withShuffled(validation, past, random))
  const apOfShuffledPast = averagePrecisionOf(before, scoresOf(withoutPast, withShuffled(before, past, random)))

  const threshold = thresholdAt(before, scores.before, ALERTS_PER_FRAUD)
  const recallBefore = recallOf(before, scores.before, threshold)
  const recallAfter = recallOf(after, scores.after, threshold)
  const acceptance: Acceptance = {
    singleFieldArea: world.singleFields[0]![1],
    depthThreeAp,
    boostedTreesAp,
    costOfShuffledPast: boostedTreesAp - apOfShuffledPast,
    lossOfFrozenRecall: 1 - recallAfter / recallBefore,
  }
  return {
    preset,
    seed,
    spec: spec.name,
    events,
    days: world.days,
    fraudByCount: world.fraudByCount,
    fraudByValue: world.fraudByValue,
    rows: sizesOf(world),
    singleFields: Object.fromEntries(world.singleFields.filter(([, area]) => area > NOTABLE_AREA)),
    acceptance,
    apOfShuffledPast,
    apAfter: averagePrecisionOf(after, scores.after),
    recallBefore,
    recallAfter,
    recallByTactic: recallByTactic({ before, after }, scores, threshold),
    missed: missedOf(acceptance),
    seconds: Number(process.hrtime.bigint() - startedNs) / 1e9,
  }
}

function learn(training: WorldRows, validation: WorldRows): BoostedTrees {
  return trainBoostedTrees(training, { ...GOOD_TREES, validation })
}

function columnsWhere(names: readonly string[], is: (name: string) => boolean): number[] {
  return names.flatMap((name, at) => (is(name) ? [at] : []))
}

function isOfTheRow(spec: FeatureSpec, name: string): boolean {
  return (spec.raw as readonly string[]).includes(name) || name.startsWith('category_')
}

/** Compares the event with what the same card or account did before, or counts it. */
function isOfTheCardsPast(name: string): boolean {
  if (name.startsWith('card_') || name.startsWith('account_')) return true
  const isOfMerchant = name === 'merchant_hour_distance' || name === 'amount_to_merchant_mean'
  return (HABIT_FEATURES as readonly string[]).includes(name) && !isOfMerchant
}

function sizesOf({ parts }: World): WorldFigures['rows'] {
  return Object.fromEntries(
    Object.keys(PARTS).map((name, i) => {
      const { count, fraud } = parts[i]!
      return [name, { rows: count, frauds: fraud.reduce((sum, isFraud) => sum + isFraud, 0) }]
    }),
  )
}

function missedOf(acceptance: Acceptance): string[] {
  return (Object.keys(BOUNDS) as (keyof typeof BOUNDS)[]).flatMap((name) => {
    const { least, most }: { readonly least?: number; readonly most?: number } = BOUNDS[name]
    const value = acceptance[name]
    if (least !== undefined && !(value >= least)) return [`${name} is ${value.toFixed(3)}, at least ${least} is wanted`]
    if (most !== undefined && !(value <= most)) return [`${name} is ${value.toFixed(3)}, at most ${most} is wanted`]
    return []
  })
}
