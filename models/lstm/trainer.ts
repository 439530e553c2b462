import type { Scalar, Tensor, Variable } from '@tensorflow/tfjs'

import type { TrainingBackend } from './backend.ts'
import type { EncodedBatch } from './encode-batch.ts'
import { batchLoss, type BatchTargets } from './loss.ts'
import { roundRecurrence } from './int8-codes.ts'
import { createNetwork, inputOf, type ParameterTensors, tensorsOf } from './network.ts'
import { SeededRandom } from './seeded-random.ts'
import type { LstmParameters, LstmShape, ParameterName } from './weights.ts'

export interface TrainerPlan {
  readonly seed: number
  readonly learningRate: number
  readonly gradientNormMax: number
  readonly dropout: number
  readonly nextEventWeight: number
}

/** The network's variables with their optimizers: one life per training; `dispose` frees them. */
export class Trainer {
  readonly #backend: TrainingBackend
  readonly #shape: LstmShape
  readonly #plan: TrainerPlan
  readonly #forward: ReturnType<typeof createNetwork>
  readonly #variables: Record<ParameterName, Variable>
  /** Adam keeps its averages by place in the list of gradients, and the two phases have lists of their own. */
  readonly #optimizers: Record<'pretraining' | 'training', ReturnType<TrainingBackend['tf']['train']['adam']>>
  readonly #dropoutRandom: SeededRandom
  #projectionMax: Float32Array | null = null

  constructor(backend: TrainingBackend, shape: LstmShape, start: LstmParameters, plan: TrainerPlan) {
    const { tf } = backend
    this.#backend = backend
    this.#shape = shape
    this.#plan = plan
    this.#forward = createNetwork(backend, shape)
    this.#dropoutRandom = new SeededRandom(plan.seed + 2)
    const tensors = Object.entries(tensorsOf(tf, start, shape)) as [ParameterName, Tensor][]
    this.#variables = Object.fromEntries(
      tensors.map(([name, tensor]) => {
        const variable = tf.variable(tensor)
        tensor.dispose()
        return [name, variable]
      }),
    ) as Record<ParameterName, Variable>
    this.#optimizers = { pretraining: tf.train.adam(plan.learningRate), training: tf.train.adam(plan.learningRate) }
  }

  /**
   * From now on each step reckons with the recurrence's weights rounded to 8 bits at this full scale, and moves the weights
   * behind them as if they were not (the straight-through estimator, Bengio et al. 2013).
   */
  roundWeights(projectionMax: Float32Array): void {
    this.#projectionMax = projectionMax
  }

  /** One Adam step (Kingma and Ba 2015) with the gradient cut to its longest length; returns the batch's loss. */
  step(batch: EncodedBatch, targets: BatchTargets, share: number, isPretraining: boolean): number {
    const { tf } = this.#backend
    const { learningRate, gradientNormMax, nextEventWeight } = this.#plan
    const weights = isPretraining ? { fraud: 0, forecast: 1 } : { fraud: 1, forecast: nextEventWeight }
    const optimizer = this.#optimizers[isPretraining ? 'pretraining' : 'training']
    // The optimizer reads its rate at each step; its type alone says it is not for us.
    const rated = optimizer as unknown as { learningRate: number }
    rated.learningRate = learningRate * (1 - (1 - LEARNING_RATE_END) * share)
    return tf.tidy(() => {
      const input = inputOf(tf, batch, this.#shape)
      const keep = this.#dropoutMask(batch.count)
      const { value, grads } = tf.variableGrads(
        () => batchLoss(tf, this.#forward(this.#rounded(), input, keep), targets, weights) as Scalar,
        this.#used(),
      )
      const squares = Object.values(grads).map((gradient) => tf.sum(tf.square(gradient)))
      const norm = tf.sqrt(tf.addN(squares))
      const factor = tf.div(gradientNormMax, tf.maximum(norm, gradientNormMax))
      optimizer.applyGradients(
        Object.entries(grads).map(([name, gradient]) => ({ name, tensor: tf.mul(gradient, factor) })),
      )
      return value.dataSync()[0]!
    })
  }

  parameters(): LstmParameters {
    const entries = Object.entries(this.#variables) as [ParameterName, Variable][]
    return Object.fromEntries(
      entries.map(([name, variable]) => [name, Float32Array.from(variable.dataSync())]),
    ) as unknown as LstmParameters
  }

  dispose(): void {
    this.#backend.tf.dispose(Object.values(this.#variables))
    for (const optimizer of Object.values(this.#optimizers)) optimizer.dispose()
  }

  #rounded(): ParameterTensors {
    const variables = this.#variables
    if (this.#projectionMax === null) return variables
    const { tf } = this.#backend
    const exact = { lstmKernel: valuesOf(variables.lstmKernel), lstmRecurrent: valuesOf(variables.lstmRecurrent) }
    const rounded = roundRecurrence(exact, this.#shape, this.#projectionMax)
    const moved = (name: 'lstmKernel' | 'lstmRecurrent'): Tensor => {
      const difference = rounded[name].map((value, i) => value - exact[name][i]!)
      return tf.add(variables[name], tf.tensor(difference, variables[name].shape))
    }
    return { ...variables, lstmKernel: moved('lstmKernel'), lstmRecurrent: moved('lstmRecurrent') }
  }

  /** Without binned columns the bin kernel is empty and takes no part. */
  #used(): Variable[] {
    const { binKernel, ...others } = this.#variables
    return this.#shape.binnedColumns > 0 ? [binKernel, ...Object.values(others)] : Object.values(others)
  }

  #dropoutMask(rows: number): Tensor | undefined {
    const { dropout } = this.#plan
    if (dropout === 0) return undefined
    const random = this.#dropoutRandom
    const keep = Float32Array.from({ length: rows * this.#shape.joinUnits }, () =>
      random.next() < dropout ? 0 : 1 / (1 - dropout),
    )
    return this.#backend.tf.tensor2d(keep, [rows, this.#shape.joinUnits])
  }
}

function valuesOf(variable: Variable): Float32Array {
  return variable.dataSync<'float32'>()
}

/** Where the learning rate ends, as a share of where it starts. */
const LEARNING_RATE_END = 0.1
