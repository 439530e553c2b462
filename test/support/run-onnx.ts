import { InferenceSession, Tensor } from 'onnxruntime-node'
import type { Prediction } from '#models/lstm/network.ts'
import type { VectorBatch } from '#models/lstm/training-set.ts'
import type { FeatureLayout } from '#models/feature-buffers.ts'

/** All rows as one batch through onnxruntime on the CPU. */
export async function runOnnx(model: Uint8Array, layout: FeatureLayout, batch: VectorBatch): Promise<Prediction> {
  const session = await InferenceSession.create(model, {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    executionMode: 'sequential',
  })
  try {
    const { historyLength, historyWidth, currentWidth } = layout
    const answers = await session.run({
      history: new Tensor('float32', batch.history, [batch.count, historyLength, historyWidth]),
      lengths: new Tensor('int32', batch.historyLength, [batch.count]),
      current: new Tensor('float32', batch.current, [batch.count, currentWidth]),
    })
    const dataOf = (name: string) => Float32Array.from(answers[name]!.data as Float32Array)
    return { probability: dataOf('probability'), logit: dataOf('logit'), next: dataOf('next') }
  } finally {
    await session.release()
  }
}

/** The largest distance between two arrays of numbers. */
export function largestDifference(a: Float32Array, b: Float32Array): number {
  return a.reduce((largest, value, i) => Math.max(largest, Math.abs(value - b[i]!)), 0)
}
