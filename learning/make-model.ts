import { logisticLogit, trainLogistic } from '#models/baselines/logistic.ts'
import { probabilityOf } from '#models/calibrate.ts'
import { columnMedians } from '#models/column-medians.ts'
import type { Contender } from '#models/evaluation/advice.ts'
import { DEFAULT_COSTS, type EvaluationOptions, type Metrics } from '#models/evaluation/metrics.ts'
import { scoreHistogram, thresholdAtBudget } from '#models/evaluation/operating-point.ts'
import { renderReport } from '#models/evaluation/report.ts'
import type { TrainingBackend } from '#models/lstm/backend.ts'
import { trainLstm, type TrainProgress } from '#models/lstm/train.ts'
import { sha256Of } from '#models/model-folder.ts'
import type { ModelParts } from '#models/registry.ts'
import { WeirError } from '#schemas/errors.ts'
import { encodeFloats, type ModelManifest, type Precision } from '#schemas/model-manifest.ts'
import { chooseGraph } from './choose-graph.ts'
import type { Dataset } from './dataset.ts'
import { evaluationRows, segmentationsOf } from './evaluation-rows.ts'
import type { Split } from './split.ts'

export interface MakeModelOptions {
  readonly version: string
  readonly specName: string
  readonly seed: number
  readonly epochsMax: number
  readonly units: number
  readonly batchSize: number
  readonly alertsPerDay: number
  /** Fewest known frauds in the training days. */
  readonly fraudsMin: number
  /** Labels known by then were used, epoch milliseconds. */
  readonly labelsKnownByMs: number
  readonly genuineShare: number
  readonly parent: string | null
  readonly createdAtMs: number
  /** The command that makes it. */
  readonly command: string
  readonly currency: string
  /** Of the recurrence; int8 gives way to float32 where it would rank worse. */
  readonly precision: Precision
  readonly backend: TrainingBackend
  readonly onProgress: (progress: TrainProgress) => void
  readonly signal: AbortSignal
}

export interface MadeModel extends ModelParts {
  /** Probabilities of the test rows, as served. */
  readonly testScores: Float32Array
}

const BOOTSTRAP_RUNS = 100

/** How models are judged everywhere: at the desk's budget, with intervals by card. */
export function evaluationOptions(alertsPerDay: number, seed: number): EvaluationOptions {
  return { alertsPerDay, costs: DEFAULT_COSTS, bootstrapRuns: BOOTSTRAP_RUNS, seed }
}

/**
 * Trains the LSTM, exports and checks it, and writes its manifest and its report beside a logistic regression, the other
 * contenders that are given, and the rules alone.
 *
 * @throws WeirError TRAINING_FAILED when there is too little to learn from
 */
export async function makeModel(
  split: Split,
  others: readonly Contender[],
  options: MakeModelOptions,
): Promise<MadeModel> {
  const { training, validation, test } = split
  expectFraud('training', training, options.fraudsMin)
  expectFraud('validation', validation, 1)
  expectFraud('test', test, 1)
  const { seed, epochsMax, units, batchSize, onProgress, signal } = options
  const trained = await trainLstm(
    training,
    {
      seed,
      validation,
      units,
      epochsMax,
      batchSize,
      roundsWeights: options.precision !== 'float32',
      onProgress,
      signal,
    },
    options.backend,
  )
  const { model, draft, golden, testScores, precisionFact } = await chooseGraph(trained, split, {
    backend: options.backend,
    draftOf: (bytes, precision) => draftManifest(split, bytes, precision, options),
  })
  const rows = evaluationRows(test)
  const contenders: [Contender, ...Contender[]] = [
    { name: `LSTM ${options.version}`, complexity: 3, scores: testScores },
    logisticContender(training, test),
    ...others,
  ]
  const judged = evaluationOptions(options.alertsPerDay, seed)
  const report = renderReport({
    title: `Weir model ${options.version}`,
    rows,
    contenders,
    options: judged,
    segmentations: segmentationsOf(test),
    facts: [...factsOf(split, options, trained.backend), ['precision', precisionFact]],
    currency: { code: options.currency, minorDigits: 2 },
  })
  const [own, ...rest] = report.advice.contenders
  const manifest: ModelManifest = {
    ...draft,
    golden,
    thresholds: { review: thresholdOf(test, testScores, options.alertsPerDay), alertsPerDay: options.alertsPerDay },
    scoreHistogram: scoreHistogram(testScores, test.count, test.weight),
    training: { ...draft.training, backend: trained.backend },
    evaluation: {
      from: firstTime(test),
      to: lastTime(test) + 1,
      rows: test.count,
      fraud: fraudsOf(test),
      alertsPerDay: options.alertsPerDay,
      metrics: figuresOf(own!.metrics),
      comparedWith: Object.fromEntries(rest.map((other) => [other.name, figuresOf(other.metrics)])),
    },
  }
  return { manifest, model, report: report.html, testScores }
}

/** A logistic regression on the same rows: the measure for everything that is less simple. */
export function logisticContender(training: Dataset, test: Dataset): Contender {
  const width = training.layout.currentWidth
  const { count, current, label, weight } = training
  const logistic = trainLogistic({ count, width, current, fraud: label, weight })
  const scores = new Float32Array(test.count)
  for (let row = 0; row < test.count; row++) scores[row] = probabilityOf(logisticLogit(logistic, test.current, row))
  return { name: 'logistic regression', complexity: 1, scores }
}

function draftManifest(
  { training }: Split,
  model: Uint8Array,
  precision: Precision,
  options: MakeModelOptions,
): ModelManifest {
  const { layout } = training
  return {
    format: 1,
    version: options.version,
    kind: 'lstm',
    spec: {
      name: layout.specName,
      hash: layout.specHash,
      historyLength: layout.historyLength,
      historyWidth: layout.historyWidth,
      currentWidth: layout.currentWidth,
    },
    inputs: { history: 'history', lengths: 'lengths', current: 'current' },
    outputs: { probability: 'probability', logit: 'logit', next: 'next' },
    calibration: null,
    precision,
    sha256: sha256Of(model),
    medians: columnMedians(training.current, training.count, layout.currentWidth),
    training: {
      from: firstTime(training),
      to: lastTime(training) + 1,
      labelsKnownBy: options.labelsKnownByMs,
      rows: training.count,
      fraud: fraudsOf(training),
      genuine: training.count - fraudsOf(training),
      unknown: 0,
      genuineShare: options.genuineShare,
      seed: options.seed,
      backend: '',
      labelFeatures: layout.currentColumns.some(({ group }) => group === 'known_fraud'),
    },
    evaluation: null,
    thresholds: { review: 0.5, alertsPerDay: options.alertsPerDay },
    scoreHistogram: null,
    golden: {
      rows: 1,
      history: encodeFloats(training.history.slice(0, layout.historyLength * layout.historyWidth)),
      lengths: [training.historyLength[0]!],
      current: encodeFloats(training.current.slice(0, layout.currentWidth)),
      probability: [0],
    },
    parent: options.parent,
    createdAt: options.createdAtMs,
    command: options.command,
  }
}

function factsOf(
  { training, validation, test }: Split,
  options: MakeModelOptions,
  backend: string,
): [string, string][] {
  const days = (dataset: Dataset): string => `${isoDay(firstTime(dataset))} to ${isoDay(lastTime(dataset))}`
  return [
    ['spec', options.specName],
    ['training', `${days(training)}, ${training.count} rows, ${fraudsOf(training)} frauds`],
    ['validation', `${days(validation)}, ${validation.count} rows, ${fraudsOf(validation)} frauds`],
    ['test', `${days(test)}, ${test.count} rows, ${fraudsOf(test)} frauds`],
    ['labels known by', isoDay(options.labelsKnownByMs)],
    ['seed', String(options.seed)],
    ['backend', backend],
    ['command', options.command],
  ]
}

function figuresOf(metrics: Metrics): Record<string, NonNullable<Metrics[keyof Metrics]>> {
  return Object.fromEntries(
    Object.entries(metrics).flatMap(([name, figure]) => (figure === undefined ? [] : [[name, figure]])),
  )
}

/** A probability, whatever the scores. */
function thresholdOf(test: Dataset, scores: Float32Array, alertsPerDay: number): number {
  return Math.min(1, Math.max(0, thresholdAtBudget(evaluationRows(test), scores, alertsPerDay)))
}

function expectFraud(name: string, dataset: Dataset, fraudsMin: number): void {
  const frauds = fraudsOf(dataset)
  if (frauds >= fraudsMin && frauds < dataset.count) return
  throw new WeirError(
    'TRAINING_FAILED',
    `the ${name} days hold ${frauds} known frauds in ${dataset.count} rows, ${fraudsMin} are needed`,
    {
      fix: 'Wait for more labels, take in more days, or lower retrain.frauds.',
    },
  )
}

function fraudsOf(dataset: Dataset): number {
  return dataset.label.reduce((sum, label) => sum + label, 0)
}

function firstTime(dataset: Dataset): number {
  return dataset.eventTimeMs.reduce((least, time) => Math.min(least, time), Number.POSITIVE_INFINITY)
}

function lastTime(dataset: Dataset): number {
  return dataset.eventTimeMs.reduce((most, time) => Math.max(most, time), 0)
}

function isoDay(epochMs: number): string {
  return new Date(epochMs).toISOString().slice(0, 10)
}
