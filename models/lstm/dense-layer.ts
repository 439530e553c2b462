import type { Rank, Tensor, Tensor2D } from '@tensorflow/tfjs'

import type { Tf } from './tf.ts'

/** `x W + b` for `x` `[N, in]`, with gradients. */
export type DenseLayer = (x: Tensor2D, kernel: Tensor2D, bias: Tensor) => Tensor2D

/**
 * A dense layer with its own backward pass: dx = dy W', dW = x' dy, db = 1' dy. tfjs adds a bias by a general broadcast
 * and sums its gradient by a general reduction, and on WebAssembly the two cost more than the products.
 */
export function createDense(tf: Tf): DenseLayer {
  const layer = tf.customGrad((...args) => {
    const [x, kernel, bias, save] = args as unknown as [Tensor2D, Tensor2D, Tensor, (tensors: Tensor[]) => void]
    save([x, kernel])
    return {
      value: tf.fused.matMul({ a: x, b: kernel, bias }),
      gradFunc: (dy: Tensor, saved: Tensor[]) => {
        const [x, kernel] = saved as [Tensor2D, Tensor2D]
        return [tf.matMul(dy, kernel, false, true), tf.matMul(x, dy, true, false), sumRows(tf, dy as Tensor2D)]
      },
    }
  })
  return layer as DenseLayer
}

/** Column sums as a product with ones, several times faster than tf.sum along the first axis. */
export function sumRows(tf: Tf, x: Tensor2D): Tensor {
  return tf.matMul(tf.ones<Rank.R2>([1, x.shape[0]]), x).reshape([x.shape[1]])
}
