import { createRequire } from 'node:module'
import { dirname } from 'node:path'

import type { Tensor, Tensor2D, Tensor3D, Variable } from '@tensorflow/tfjs'
import { chooseTrainingBackend, type TrainingBackend } from '#models/lstm/backend.ts'
import { createStepLstm, type LstmLayer } from '#models/lstm/lstm-layer.ts'
import type { Tf } from '#models/lstm/tf.ts'
import { SeededRandom } from '#models/lstm/seeded-random.ts'
import { WeirError } from '#schemas/errors.ts'

export interface TrainingBench {
  readonly shape: { readonly steps: number; readonly width: number; readonly units: number; readonly batch: number }
  readonly contenders: readonly TrainingContender[]
  /** What the training backend says about its choice. */
  readonly backend: string
}

export interface TrainingContender {
  readonly name: string
  /** Best round. */
  readonly msPerStep: number
  readonly sequencesPerSecond: number
  /** Against tf.layers.lstm on WebAssembly in this run. */
  readonly ratio: number
  /** Ratio to reach; null for what is only shown beside. */
  readonly floor: number | null
}

/**
 * Sequences trained a second (LSTM, one dense unit, log loss, Adam): tf.layers.lstm on WebAssembly as the
 * measure, our layer on WebAssembly, and TensorFlow's own kernels where `make native` was run. The contenders take turns, the
 * best round of each counts.
 */
export async function benchTraining(options: { readonly rounds?: number } = {}): Promise<TrainingBench> {
  const rounds = options.rounds ?? 4
  // The measure is the backend as published, so its matrix product is kept before ours takes its place.
  const tf = await startPlainWasm()
  const plainMatMul = tf.getKernel('BatchMatMul', 'wasm')
  const wasm = await chooseTrainingBackend({ only: 'wasm' })
  const ownMatMul = tf.getKernel('BatchMatMul', 'wasm')
  const useMatMul = (kernel: typeof plainMatMul) => {
    tf.unregisterKernel('BatchMatMul', 'wasm')
    tf.registerKernel(kernel)
  }
  const native = await chooseNative()

  const runs: { name: string; floor: number | null; start(): Promise<() => number>; best: number }[] = [
    {
      name: 'tf.layers.lstm, WebAssembly',
      floor: null,
      best: Infinity,
      async start() {
        await tf.setBackend('wasm')
        useMatMul(plainMatMul)
        return layersTrainer(tf)
      },
    },
    {
      name: 'own cell, WebAssembly',
      floor: 1.8,
      best: Infinity,
      async start() {
        await tf.setBackend('wasm')
        useMatMul(ownMatMul)
        return layerTrainer(tf, createStepLstm(tf))
      },
    },
  ]
  const fused = native?.fusedLstm
  if (native !== null && fused !== undefined) {
    runs.push({
      name: `fused cell, ${native.name}`,
      floor: 12,
      best: Infinity,
      async start() {
        await tf.setBackend(native.tfBackend)
        return layerTrainer(tf, fused)
      },
    })
  }
  for (let round = 0; round < rounds; round++) {
    for (const run of runs) run.best = Math.min(run.best, (await run.start())())
  }
  useMatMul(ownMatMul)
  const measure = runs[0]!.best
  return {
    shape: { steps: STEPS, width: WIDTH, units: UNITS, batch: BATCH },
    contenders: runs.map(({ name, floor, best }) => ({
      name,
      msPerStep: best,
      sequencesPerSecond: (BATCH / best) * 1000,
      ratio: measure / best,
      floor,
    })),
    backend: (native ?? wasm).explanation,
  }
}

const STEPS = 16
const WIDTH = 24
const UNITS = 64
const BATCH = 512
const WARM_UP_STEPS = 2
const MEASURED_STEPS = 5

async function startPlainWasm(): Promise<Tf> {
  const { default: tf } = (await import('@tensorflow/tfjs')) as unknown as { default: Tf }
  const wasm = (await import('@tensorflow/tfjs-backend-wasm')) as unknown as {
    default: { setWasmPaths(folder: string): void }
  }
  const require = createRequire(import.meta.url)
  wasm.default.setWasmPaths(`${dirname(require.resolve('@tensorflow/tfjs-backend-wasm'))}/`)
  await tf.setBackend('wasm')
  return tf
}

async function chooseNative(): Promise<TrainingBackend | null> {
  for (const only of ['tensorflow-gpu', 'tensorflow'] as const) {
    try {
      return await chooseTrainingBackend({ only })
    } catch (error) {
      if (!(error instanceof WeirError) || error.code !== 'NOT_AVAILABLE') throw error
    }
  }
  return null
}

function samples(): { x: Float32Array; y: Float32Array } {
  const random = new SeededRandom(7)
  return {
    x: Float32Array.from({ length: BATCH * STEPS * WIDTH }, () => random.next() * 2 - 1),
    y: Float32Array.from({ length: BATCH }, () => Number(random.next() < 0.1)),
  }
}

/** Milliseconds a step. */
function timeSteps(step: () => void): number {
  for (let i = 0; i < WARM_UP_STEPS; i++) step()
  const start = performance.now()
  for (let i = 0; i < MEASURED_STEPS; i++) step()
  return (performance.now() - start) / MEASURED_STEPS
}

function layersTrainer(tf: Tf): () => number {
  const model = tf.sequential({
    layers: [
      tf.layers.lstm({
        units: UNITS,
        inputShape: [STEPS, WIDTH],
        recurrentActivation: 'sigmoid',
        recurrentInitializer: 'glorotUniform',
      }),
      tf.layers.dense({ units: 1 }),
    ],
  })
  return stepTimer(
    tf,
    model.trainableWeights.map((weight) => weight.read() as Variable),
    (x) => model.apply(tf.transpose(x, [1, 0, 2]), { training: true }) as Tensor,
    () => model.dispose(),
  )
}

function layerTrainer(tf: Tf, lstm: LstmLayer): () => number {
  const make = (shape: number[], limit: number, seed: number) =>
    tf.variable(tf.randomUniform(shape, -limit, limit, 'float32', seed))
  const kernel = make([WIDTH, 4 * UNITS], 0.15, 1)
  const recurrent = make([UNITS, 4 * UNITS], 0.15, 2)
  const bias = make([4 * UNITS], 0.01, 3)
  const dense = make([UNITS, 1], 0.3, 4)
  const denseBias = make([1], 0.01, 5)
  const variables = [kernel, recurrent, bias, dense, denseBias]
  return stepTimer(
    tf,
    variables,
    (x) =>
      tf.add(
        tf.matMul(
          lstm(x, kernel as unknown as Tensor2D, recurrent as unknown as Tensor2D, bias),
          dense as unknown as Tensor2D,
        ),
        denseBias,
      ),
    () => tf.dispose(variables),
  )
}

/** Both contenders take the same loss, optimizer and batch. */
function stepTimer(tf: Tf, variables: Variable[], forward: (x: Tensor3D) => Tensor, dispose: () => void): () => number {
  const { x, y } = samples()
  const optimizer = tf.train.adam(0.001)
  return () => {
    const milliseconds = timeSteps(() => {
      tf.tidy(() => {
        const input = tf.tensor3d(x, [STEPS, BATCH, WIDTH])
        const label = tf.tensor2d(y, [BATCH, 1])
        const { value, grads } = tf.variableGrads(() => tf.losses.sigmoidCrossEntropy(label, forward(input)), variables)
        optimizer.applyGradients(grads as unknown as Record<string, Variable>)
        value.dataSync()
      })
    })
    optimizer.dispose()
    dispose()
    return milliseconds
  }
}
