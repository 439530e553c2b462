import { setImmediate } from 'node:timers/promises'

import { WeirError } from '#schemas/errors.ts'

import { fitPlatt } from '../calibrate.ts'
import { rankingQuality } from '../evaluation/metrics.ts'
import { rankRows } from '../evaluation/ranking.ts'
import type { TrainingBackend } from './backend.ts'
import { encodeBatch } from './encode-batch.ts'
import { fitEncoding, fitForecastScale, logGap } from './fit-encoding.ts'
import { roundRecurrence } from './int8-codes.ts'
import type { BatchTargets } from './loss.ts'
import { measureProjection } from './measure-projection.ts'
import { predictRaw } from './network.ts'
import { SeededRandom } from './seeded-random.ts'
import { Trainer } from './trainer.ts'
import type { TrainingSet } from './training-set.ts'
import { type EpochReport, type ForecastScale, initialParameters, type LstmShape, type LstmWeights } from './weights.ts'

export type { TrainingSet } from './training-set.ts'

export interface TrainOptions {
  readonly seed: number
  /** Later rows than the training rows: they stop the training, choose the epoch and calibrate. */
  readonly validation: TrainingSet
  /** LSTM units; default 64. */
  readonly units?: number
  /** Width of the dense layer before the LSTM; default: the history's width, at most 24. */
  readonly projectionUnits?: number
  /** Widths of the dense layers over the current event and over both; default 64 each. */
  readonly currentUnits?: number
  readonly joinUnits?: number
  /** Piecewise-linear bins per numeric column of the current event; default 8. */
  readonly bins?: number
  /** Default 12. */
  readonly epochsMax?: number
  /** Default 512. */
  readonly batchSize?: number
  /** At the start; it falls in a straight line to a tenth over `epochsMax`. Default 0.002. */
  readonly learningRate?: number
  /** Epochs without a better validation before training stops; default 3. */
  readonly patience?: number
  /** Longest gradient (L2 norm over all parameters); default 1. */
  readonly gradientNormMax?: number
  /** Share of the joined layer's units left out at each step; default 0. */
  readonly dropout?: number
  /** Weight of the forecast of the next event beside the fraud loss; default 0.1. */
  readonly nextEventWeight?: number
  /** Epochs that train the sequence layers on the forecast alone before labels are looked at; default 0. */
  readonly pretrainEpochs?: number
  /** Trains for the 8-bit recurrence: from the second epoch on with the weights that it will have. Default false. */
  readonly roundsWeights?: boolean
  readonly onProgress?: (progress: TrainProgress) => void
  readonly signal?: AbortSignal
}

export interface TrainProgress {
  /** From 1, pre-training epochs included. */
  readonly epoch: number
  readonly epochsMax: number
  /** Step within the epoch, from 1. */
  readonly step: number
  readonly steps: number
  /** Mean loss of the epoch so far. */
  readonly loss: number
  /** With the last step of an epoch; absent where the validation rows hold no fraud. */
  readonly validationAp?: number
}

/**
 * Trains the network. Starting weights and batches come from the seed alone: the same rows, options and backend give
 * the same weights. Early stopping looks at average precision on the validation rows (at their loss where they hold no
 * fraud) and the weights of the best epoch are returned, calibrated on the same rows.
 *
 * @throws WeirError TRAINING_FAILED on rows that cannot be learnt from, or when the loss is no longer a number
 * @throws the signal's reason when it is aborted
 */
export async function trainLstm(
  training: TrainingSet,
  options: TrainOptions,
  backend: TrainingBackend,
): Promise<LstmWeights> {
  const plan = { ...DEFAULTS, ...definedOf(options) }
  checkRows(training, plan)
  await backend.tf.setBackend(backend.tfBackend)
  const encoding = fitEncoding(training, plan.bins)
  const forecast = fitForecastScale(training)
  const shape: LstmShape = {
    historyLength: training.layout.historyLength,
    historyWidth: training.layout.historyWidth,
    currentWidth: training.layout.currentWidth,
    projectionUnits: options.projectionUnits ?? Math.min(PROJECTION_UNITS_MAX, training.layout.historyWidth),
    units: plan.units,
    currentUnits: plan.currentUnits,
    joinUnits: plan.joinUnits,
    bins: plan.bins,
    binnedColumns: encoding.binColumns.length,
  }
  const trainer = new Trainer(backend, shape, initialParameters(shape, plan.seed, baseLogit(training)), plan)
  const order = Int32Array.from({ length: training.count }, (_, row) => row)
  const shuffler = new SeededRandom(plan.seed + 1)
  const meanWeight = Math.max(Number.MIN_VALUE, training.weight.reduce((sum, w) => sum + w, 0) / training.count)
  const steps = Math.ceil(training.count / plan.batchSize)
  const epochsMax = plan.pretrainEpochs + plan.epochsMax
  const history: EpochReport[] = []
  let best: (Epoch & { epoch: number; goodness: number; logit: Float32Array }) | null = null

  try {
    for (let epoch = 1; epoch <= epochsMax; epoch++) {
      const isPretraining = epoch <= plan.pretrainEpochs
      shuffler.shuffle(order)
      let lossSum = 0
      for (let step = 0; step < steps; step++) {
        plan.signal?.throwIfAborted()
        const from = step * plan.batchSize
        const count = Math.min(plan.batchSize, training.count - from)
        const batch = encodeBatch(training, order, from, count, shape, encoding)
        const targets = targetsOf(training, order, from, count, meanWeight, forecast)
        const share = ((epoch - 1) * steps + step) / (epochsMax * steps)
        const loss = trainer.step(batch, targets, share, isPretraining)
        if (!Number.isFinite(loss)) throw diverged(epoch, step)
        lossSum += loss * count
        if (step + 1 < steps) {
          plan.onProgress?.({ epoch, epochsMax, step: step + 1, steps, loss: lossSum / (from + count) })
        }
        // A step blocks; signals and timers get their turn between two.
        await setImmediate()
      }
      const { parameters, projectionMax } = endEpoch(trainer, { shape, encoding }, training, plan.roundsWeights)
      const { logit } = predictRaw(backend, { shape, encoding, parameters }, plan.validation)
      const report = { epoch, trainingLoss: lossSum / training.count, ...judge(plan.validation, logit) }
      history.push(report)
      plan.onProgress?.({
        epoch,
        epochsMax,
        step: steps,
        steps,
        loss: report.trainingLoss,
        ...(report.validationAp === null ? {} : { validationAp: report.validationAp }),
      })
      const goodness = report.validationAp ?? -report.validationLoss
      if (isPretraining) continue
      if (best === null || goodness > best.goodness + GOODNESS_STEP_MIN) {
        best = { epoch, goodness, parameters, projectionMax, logit }
      } else if (epoch - best.epoch >= plan.patience) break
    }
  } finally {
    trainer.dispose()
  }
  if (best === null)
    throw new WeirError('TRAINING_FAILED', 'No epoch was trained', { fix: 'Set epochsMax to 1 or more.' })
  const platt = fitPlatt(best.logit, plan.validation.label.subarray(0, plan.validation.count), plan.validation.weight)
  return {
    shape,
    encoding,
    parameters: best.parameters,
    projectionMax: best.projectionMax,
    calibration:
      platt.kind === 'platt' ? { slope: platt.slope, intercept: platt.intercept } : { slope: 1, intercept: 0 },
    forecast,
    backend: backend.name,
    seed: plan.seed,
    history,
    bestEpoch: best.epoch,
  }
}

type Epoch = Pick<LstmWeights, 'parameters' | 'projectionMax'>

/** The weights that an epoch left, rounded where they are to be; then the epochs that follow train with rounded ones. */
function endEpoch(
  trainer: Trainer,
  network: Pick<LstmWeights, 'shape' | 'encoding'>,
  training: TrainingSet,
  roundsWeights: boolean,
): Epoch {
  const exact = trainer.parameters()
  if (!roundsWeights) return { parameters: exact, projectionMax: null }
  const projectionMax = measureProjection({ ...network, parameters: exact }, training)
  trainer.roundWeights(projectionMax)
  return { parameters: { ...exact, ...roundRecurrence(exact, network.shape, projectionMax) }, projectionMax }
}

const DEFAULTS = {
  units: 64,
  currentUnits: 64,
  joinUnits: 64,
  bins: 8,
  epochsMax: 12,
  batchSize: 512,
  learningRate: 0.002,
  patience: 3,
  gradientNormMax: 1,
  dropout: 0,
  nextEventWeight: 0.1,
  pretrainEpochs: 0,
  roundsWeights: false,
} as const satisfies Partial<TrainOptions>

type TrainPlan = Required<Pick<TrainOptions, keyof typeof DEFAULTS>> & TrainOptions

const PROJECTION_UNITS_MAX = 24
const GOODNESS_STEP_MIN = 1e-6
/** Targets of the forecast are cut off here, in deviations. */
const TARGET_LIMIT = 5

/** What a batch is compared with: labels, weights around one, forecast targets in deviations with 0/1 for known. */
function targetsOf(
  training: TrainingSet,
  order: Int32Array,
  from: number,
  count: number,
  meanWeight: number,
  scale: ForecastScale,
): BatchTargets {
  const targets = {
    count,
    label: new Float32Array(count),
    weight: new Float32Array(count),
    next: new Float32Array(count * 2),
    nextKnown: new Float32Array(count * 2),
  }
  const setNext = (slot: number, value: number) => {
    if (Number.isNaN(value)) return
    targets.next[slot] = Math.min(TARGET_LIMIT, Math.max(-TARGET_LIMIT, value))
    targets.nextKnown[slot] = 1
  }
  for (let i = 0; i < count; i++) {
    const row = order[from + i]!
    targets.label[i] = training.label[row]!
    targets.weight[i] = training.weight[row]! / meanWeight
    setNext(2 * i, (training.nextLogAmount[row]! - scale.logAmountMean) / scale.logAmountDeviation)
    setNext(2 * i + 1, (logGap(training.nextLogGapMs[row]!) - scale.logGapMean) / scale.logGapDeviation)
  }
  return targets
}

/** Average precision and mean log loss on the validation rows, their weights honoured. */
function judge(rows: TrainingSet, logit: Float32Array): Pick<EpochReport, 'validationAp' | 'validationLoss'> {
  let loss = 0
  let weight = 0
  let hasFraud = false
  for (let i = 0; i < rows.count; i++) {
    const z = logit[i]!
    loss += rows.weight[i]! * (Math.max(z, 0) - z * rows.label[i]! + Math.log1p(Math.exp(-Math.abs(z))))
    weight += rows.weight[i]!
    hasFraud ||= rows.label[i] === 1
  }
  const ranking = rankRows(
    {
      count: rows.count,
      fraud: rows.label,
      amount: new Float64Array(rows.count),
      eventTime: rows.eventTimeMs,
      card: new Int32Array(rows.count),
      cards: 1,
      weight: rows.weight,
    },
    logit,
  )
  return {
    validationLoss: loss / Math.max(Number.MIN_VALUE, weight),
    validationAp: hasFraud ? rankingQuality(ranking, ranking.weight).averagePrecision : null,
  }
}

/** Log odds of fraud over the rows as they stand for the stream. */
function baseLogit(training: TrainingSet): number {
  let fraud = 0
  let total = 0
  for (let i = 0; i < training.count; i++) {
    total += training.weight[i]!
    if (training.label[i] === 1) fraud += training.weight[i]!
  }
  const share = Math.min(0.99, Math.max(1e-5, fraud / Math.max(Number.MIN_VALUE, total)))
  return Math.log(share / (1 - share))
}

function checkRows(training: TrainingSet, plan: TrainPlan): void {
  const { validation } = plan
  const fail = (message: string, fix: string): never => {
    throw new WeirError('TRAINING_FAILED', message, { where: 'training rows', fix })
  }
  if (training.count === 0 || validation.count === 0) {
    fail('There are no rows to train on or to validate with', 'Replay a longer stretch of the stream.')
  }
  if (training.layout.specHash !== validation.layout.specHash) {
    fail('Training and validation rows come from different feature specs', 'Make both by one replay.')
  }
  const hasFraud = training.label.subarray(0, training.count).includes(1)
  if (!hasFraud && plan.nextEventWeight === 0 && plan.pretrainEpochs === 0) {
    fail(
      'No training row is a known fraud, and the forecast is switched off',
      'Wait for labels, or train the forecast.',
    )
  }
}

function diverged(epoch: number, step: number): WeirError {
  return new WeirError('TRAINING_FAILED', `The loss is not a number at epoch ${epoch}, step ${step + 1}`, {
    where: 'training',
    fix: 'Use a smaller learning rate, and look for absurd values in the features.',
  })
}

/** Options that were given; `undefined` means the default. */
function definedOf(options: TrainOptions): TrainOptions {
  return Object.fromEntries(
    Object.entries(options).filter(([, value]) => value !== undefined),
  ) as unknown as TrainOptions
}
