import type { Contender } from '#models/evaluation/advice.ts'
import { compareScores, evaluateScores } from '#models/evaluation/metrics.ts'
import type { TrainingBackend } from '#models/lstm/backend.ts'
import type { TrainProgress } from '#models/lstm/train.ts'
import { createOnnxScorer } from '#models/onnx-scorer.ts'
import type { RegisteredModel } from '#models/registry.ts'
import type { FeatureLayout } from '#models/feature-buffers.ts'
import type { Featurized } from '#pipeline/slice.ts'
import { WeirError } from '#schemas/errors.ts'
import type { Precision } from '#schemas/model-manifest.ts'
import type { Label } from '#schemas/label.ts'
import { type Dataset, DatasetCollector } from './dataset.ts'
import { evaluationRows } from './evaluation-rows.ts'
import { type GateResult, judge } from './gate.ts'
import { KnownLabels } from './labels.ts'
import { evaluationOptions, type MadeModel, makeModel } from './make-model.ts'
import { scoreDataset } from './score-dataset.ts'
import { splitByTime } from './split.ts'

/** Where the stream to learn from comes from; it can be read twice. */
export interface TrainingSource {
  /** First pass, without features: every label, and the largest time seen. */
  scan(
    onLabel: (label: Label) => void,
    signal: AbortSignal,
  ): Promise<{ readonly lastMs: number; readonly events: number }>
  /** Second pass: the stream through the live feature code, with the hits of the live rules on each row. */
  fold(onSlice: (slice: Featurized) => void, signal: AbortSignal): Promise<void>
}

export interface TrainFromOptions {
  readonly source: TrainingSource
  readonly layout: FeatureLayout
  readonly version: string
  readonly seed: number
  readonly epochsMax: number
  readonly units: number
  readonly batchSize: number
  readonly precision: Precision
  readonly backend: TrainingBackend
  readonly champion: RegisteredModel | null
  readonly alertsPerDay: number
  /** Fewest known frauds in the training days. */
  readonly fraudsMin: number
  readonly maturityDays: number
  readonly testDays: number
  readonly trainingDays: number
  /** Share of genuine events kept for training. */
  readonly genuineShare: number
  readonly createdAtMs: number
  readonly command: string
  readonly currency: string
  readonly onPhase: (phase: string) => void
  readonly onProgress: (progress: TrainProgress) => void
  readonly signal: AbortSignal
}

export interface Trained {
  readonly made: MadeModel
  readonly gate: GateResult
  readonly test: { readonly rows: number; readonly fraud: number }
  /** Who is in charge, and whether it reads the same features, without which there is no comparing; null: nobody is. */
  readonly champion: { readonly version: string; readonly isCompared: boolean } | null
}

const DAY_MS = 86_400_000
/** Windows need some past before their figures mean anything. */
const WARM_UP_DAYS = 7
const VALIDATION_DAYS = 10

/**
 * Replays a stream, trains on what its labels say, and judges the result on the newest days whose labels have had time to
 * arrive: frauds and genuine events share one cut-off.
 *
 * @throws WeirError TRAINING_FAILED when there is too little to learn from
 */
export async function trainFrom(options: TrainFromOptions): Promise<Trained> {
  const { source, layout, signal } = options
  options.onPhase('reading labels')
  const all: Label[] = []
  const { lastMs, events } = await source.scan((label) => all.push(label), signal)
  if (events === 0)
    throw new WeirError('TRAINING_FAILED', 'there is nothing to learn from', { fix: 'Let the stream run first.' })
  const labels = new KnownLabels(lastMs)
  for (const label of all) labels.add(label)
  const untilMs = lastMs - options.maturityDays * DAY_MS
  const fromMs = untilMs - (options.trainingDays + options.testDays + VALIDATION_DAYS) * DAY_MS
  const collector = new DatasetCollector({
    layout,
    fromMs,
    untilMs,
    warmUpMs: WARM_UP_DAYS * DAY_MS,
    sampleUntilMs: untilMs - (options.testDays + VALIDATION_DAYS) * DAY_MS,
    labels,
    genuineShare: options.genuineShare,
    seed: options.seed,
  })
  options.onPhase('replaying')
  await source.fold((slice) => collector.add(slice), signal)
  signal.throwIfAborted()
  const split = splitByTime(collector.finish(), untilMs, {
    testDays: options.testDays,
    validationDays: VALIDATION_DAYS,
  })
  options.onPhase('training')
  const championScores = await scoresOfChampion(options.champion, layout, split.test)
  const rules: Contender = { name: 'rules alone', complexity: 0, scores: rulesScores(split.test) }
  const champion: Contender[] =
    championScores === null
      ? []
      : [{ name: `champion ${options.champion!.version}`, complexity: 3, scores: championScores }]
  const made = await makeModel(split, [...champion, rules], {
    ...options,
    specName: layout.specName,
    labelsKnownByMs: lastMs,
    parent: options.champion?.version ?? null,
  })
  const rows = evaluationRows(split.test)
  const judged = evaluationOptions(options.alertsPerDay, options.seed)
  const gate = judge({
    champion:
      championScores === null
        ? null
        : { name: options.champion!.version, difference: compareScores(rows, made.testScores, championScores, judged) },
    rules: { name: 'rules alone', difference: compareScores(rows, made.testScores, rules.scores, judged) },
    calibrationError: evaluateScores(rows, made.testScores, judged).calibration_error?.value ?? 1,
    fraudInTest: split.test.label.reduce((sum, label) => sum + label, 0),
  })
  return {
    made,
    gate,
    test: { rows: split.test.count, fraud: split.test.label.reduce((sum, label) => sum + label, 0) },
    champion:
      options.champion === null ? null : { version: options.champion.version, isCompared: championScores !== null },
  }
}

/** Probabilities of the model in charge on the same rows; null when there is none for these features. */
async function scoresOfChampion(
  champion: RegisteredModel | null,
  layout: FeatureLayout,
  test: Dataset,
): Promise<Float32Array | null> {
  if (champion === null || champion.manifest.spec.hash !== layout.specHash) return null
  const scorer = await createOnnxScorer({ folder: champion.folder, layout, provider: 'cpu' })
  try {
    return await scoreDataset(scorer, test)
  } finally {
    await scorer.close()
  }
}

/** How many live rules matched; a row on which none did is never an alert of the rules. */
function rulesScores(test: Dataset): Float64Array {
  return Float64Array.from(test.ruleHits, (hits) => (hits === 0 ? Number.NEGATIVE_INFINITY : hits))
}
