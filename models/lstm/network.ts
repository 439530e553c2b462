import type { Tensor, Tensor2D, Tensor3D } from '@tensorflow/tfjs'

import type { TrainingBackend } from './backend.ts'
import { createDense } from './dense-layer.ts'
import { type EncodedBatch, encodeBatch } from './encode-batch.ts'
import { createStepLstm, type LstmLayer } from './lstm-layer.ts'
import type { Tf } from './tf.ts'
import type { VectorBatch } from './training-set.ts'
import {
  GATES,
  type LstmParameters,
  type LstmShape,
  type LstmWeights,
  lstmBiasMask,
  type ParameterName,
  parameterDims,
} from './weights.ts'

export type ParameterTensors = Readonly<Record<ParameterName, Tensor>>

/** Raw answers of the network: log odds before calibration `[N]`, forecast in target deviations `[N, 3]`. */
export interface NetworkOutput {
  readonly logit: Tensor
  readonly forecast: Tensor2D
}

export interface NetworkInput {
  readonly history: Tensor3D
  readonly current: Tensor2D
  readonly bins: Tensor2D
}

/**
 * The network as a function of tensors, differentiable in its parameters. `keep` scales units of the joined layer for
 * dropout; left out when serving.
 */
export function createNetwork(backend: TrainingBackend, shape: LstmShape) {
  const { tf } = backend
  const lstm: LstmLayer = backend.fusedLstm ?? createStepLstm(tf)
  const dense = createDense(tf)

  return function forward(parameters: ParameterTensors, input: NetworkInput, keep?: Tensor): NetworkOutput {
    const matrix = parameters as Readonly<Record<ParameterName, Tensor2D>>
    const [steps, rows, width] = input.history.shape
    // The bias is the kernel's row for the number that says "real step": padding leaves this layer as exact zeros.
    const projection = tf.concat([matrix.projectionKernel, parameters.projectionBias.expandDims<Tensor2D>(0)], 0)
    const projected = tf.relu(tf.matMul(input.history.reshape([steps * rows, width]), projection))
    const bias = tf.mul(parameters.lstmBias, tf.tensor1d(lstmBiasMask(shape.units)))
    const coupling = tf.tensor2d(gateCoupling(shape.units), [GATES * shape.units, 4 * shape.units])
    const hidden = lstm(
      projected.reshape<Tensor3D>([steps, rows, shape.projectionUnits]),
      tf.matMul(matrix.lstmKernel, coupling),
      tf.matMul(matrix.lstmRecurrent, coupling),
      tf.matMul(bias.expandDims<Tensor2D>(0), coupling).reshape([4 * shape.units]),
    )

    let current = dense(input.current, matrix.currentKernel, parameters.currentBias)
    if (shape.binnedColumns > 0) current = tf.add(current, tf.matMul(input.bins, matrix.binKernel))
    let joined = dense(tf.relu(current), matrix.joinCurrent, parameters.joinBias)
    joined = tf.relu(tf.add(joined, tf.matMul(hidden, matrix.joinHidden)))
    if (keep !== undefined) joined = tf.mul(joined, keep)
    return {
      logit: dense(joined, matrix.fraudKernel, parameters.fraudBias).reshape([rows]),
      forecast: dense(hidden, matrix.forecastKernel, parameters.forecastBias),
    }
  }
}

/**
 * `[3 units, 4 units]`: times this, columns of the gates forget, candidate, output become those of input, forget, candidate,
 * output, the input gate being what the forget gate leaves: 1 - sigmoid(z) = sigmoid(-z).
 */
function gateCoupling(units: number): Float32Array {
  const coupling = new Float32Array(GATES * units * 4 * units)
  for (let row = 0; row < GATES * units; row++) {
    coupling[row * 4 * units + units + row] = 1
    if (row < units) coupling[row * 4 * units + row] = -1
  }
  return coupling
}

export interface Prediction {
  /** `[N]` calibrated. */
  readonly probability: Float32Array
  /** `[N]` calibrated. */
  readonly logit: Float32Array
  /** `[N, 3]` in natural log units, as the served graph gives it. */
  readonly next: Float32Array
}

/**
 * What the network answers in TensorFlow.js for rows in natural units; the served graph must agree within 1e-5 (the
 * golden batch).
 */
export async function predict(weights: LstmWeights, batch: VectorBatch, backend: TrainingBackend): Promise<Prediction> {
  await backend.tf.setBackend(backend.tfBackend)
  const raw = predictRaw(backend, weights, batch)
  const { slope, intercept } = weights.calibration
  const { logAmountMean, logAmountDeviation, logGapMean, logGapDeviation } = weights.forecast
  const deviations = [logAmountDeviation, logGapDeviation, 1]
  const means = [logAmountMean, logGapMean, 0]
  const logit = raw.logit.map((value) => slope * value + intercept)
  return {
    logit,
    probability: logit.map((value) => 1 / (1 + Math.exp(-value))),
    next: raw.forecast.map((value, i) => value * deviations[i % 3]! + means[i % 3]!),
  }
}

/** Log odds before calibration and forecast in target deviations, in chunks that bound the memory. */
export function predictRaw(
  backend: TrainingBackend,
  weights: Pick<LstmWeights, 'shape' | 'encoding' | 'parameters'>,
  batch: VectorBatch,
): { logit: Float32Array; forecast: Float32Array } {
  const { tf } = backend
  const { shape, encoding } = weights
  const forward = createNetwork(backend, shape)
  const rows = Int32Array.from({ length: batch.count }, (_, i) => i)
  const logit = new Float32Array(batch.count)
  const forecast = new Float32Array(batch.count * 3)
  const parameters = tensorsOf(tf, weights.parameters, shape)
  try {
    for (let from = 0; from < batch.count; from += PREDICT_ROWS_MAX) {
      const count = Math.min(PREDICT_ROWS_MAX, batch.count - from)
      tf.tidy(() => {
        const input = inputOf(tf, encodeBatch(batch, rows, from, count, shape, encoding), shape)
        const output = forward(parameters, input)
        logit.set(output.logit.dataSync(), from)
        forecast.set(output.forecast.dataSync(), from * 3)
      })
    }
  } finally {
    tf.dispose(Object.values(parameters))
  }
  return { logit, forecast }
}

/** Tensors of an encoded batch; the caller disposes of them. */
export function inputOf(tf: Tf, batch: EncodedBatch, shape: LstmShape): NetworkInput {
  const { count } = batch
  return {
    history: tf.tensor3d(batch.history, [shape.historyLength, count, shape.historyWidth + 1]),
    current: tf.tensor2d(batch.current, [count, shape.currentWidth]),
    bins: tf.tensor2d(batch.bins, [count, shape.bins * shape.binnedColumns]),
  }
}

/** One tensor per parameter; the caller disposes of them. */
export function tensorsOf(tf: Tf, parameters: LstmParameters, shape: LstmShape): Record<ParameterName, Tensor> {
  const dims = parameterDims(shape)
  const entries = Object.entries(parameters) as [ParameterName, Float32Array][]
  return Object.fromEntries(entries.map(([name, values]) => [name, tf.tensor(values, [...dims[name]])])) as Record<
    ParameterName,
    Tensor
  >
}

const PREDICT_ROWS_MAX = 2048
