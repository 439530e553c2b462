import type { Tensor } from '@tensorflow/tfjs'

import type { Tf } from './tf.ts'
import type { NetworkOutput } from './network.ts'

/** What a batch's answers are compared with. */
export interface BatchTargets {
  readonly count: number
  /** `[N]` 1 fraud, 0 genuine. */
  readonly label: Float32Array
  /** `[N]`, mean about one. */
  readonly weight: Float32Array
  /** `[N, 2]` log amount and log gap of the next event in deviations, and 1 where they are known. */
  readonly next: Float32Array
  readonly nextKnown: Float32Array
}

/**
 * Loss of a batch: weighted log loss of the fraud head and, for the forecast, the negative log likelihood of a normal
 * distribution whose deviation the network states itself (Nix and Weigend 1994): for each known target
 * (d / s)² / 2 + log s, with log s held within ±3. Divided by rows, not by their weights: a batch that holds more
 * fraud must pull harder.
 */
export function batchLoss(
  tf: Tf,
  output: NetworkOutput,
  targets: BatchTargets,
  weights: { readonly fraud: number; readonly forecast: number },
): Tensor {
  const { count } = targets
  const parts: Tensor[] = []
  if (weights.fraud > 0) {
    const label = tf.tensor1d(targets.label)
    const { logit } = output
    // max(z, 0) - z y + log(1 + exp(-|z|)): log loss without overflow
    const each = tf.add(tf.sub(tf.relu(logit), tf.mul(logit, label)), tf.log(tf.add(1, tf.exp(tf.neg(tf.abs(logit))))))
    parts.push(tf.mul(tf.sum(tf.mul(each, tf.tensor1d(targets.weight))), weights.fraud / count))
  }
  if (weights.forecast > 0) {
    const expected = tf.slice(output.forecast, [0, 0], [count, 2])
    const logDeviation = tf.clipByValue(
      tf.slice(output.forecast, [0, 2], [count, 1]),
      -LOG_DEVIATION_MAX,
      LOG_DEVIATION_MAX,
    )
    const distance = tf.square(tf.sub(expected, tf.tensor2d(targets.next, [count, 2])))
    const each = tf.add(tf.mul(distance, tf.mul(0.5, tf.exp(tf.mul(-2, logDeviation)))), logDeviation)
    const known = tf.tensor2d(targets.nextKnown, [count, 2])
    parts.push(tf.mul(tf.sum(tf.mul(each, known)), weights.forecast / count))
  }
  return parts.length === 0 ? tf.scalar(0) : tf.addN(parts)
}

/** Bound on the logarithm of the stated deviation, in target deviations. */
export const LOG_DEVIATION_MAX = 3
