import type { Scalar, Tensor, Tensor2D, Tensor3D } from '@tensorflow/tfjs'
import type { LstmLayer } from '#models/lstm/lstm-layer.ts'
import { SeededRandom } from '#models/lstm/seeded-random.ts'
import type { Tf } from '#models/lstm/tf.ts'

/** The LSTM as the textbook writes it, with tfjs's own gradients: what the fast layers are compared with. */
export function createPlainLstm(tf: Tf): LstmLayer {
  return (input, kernel, recurrent, bias) => {
    const [steps, rows, width] = input.shape
    const units = recurrent.shape[0]
    let hidden: Tensor2D = tf.zeros([rows, units])
    let cell: Tensor = tf.zeros([rows, units])
    for (let step = 0; step < steps; step++) {
      const x = tf.slice(input, [step, 0, 0], [1, rows, width]).reshape<Tensor2D>([rows, width])
      const z = tf.add(tf.add(tf.matMul(x, kernel), tf.matMul(hidden, recurrent)), bias)
      const [i, f, g, o] = tf.split(z, 4, 1) as [Tensor, Tensor, Tensor, Tensor]
      cell = tf.add(tf.mul(tf.sigmoid(f), cell), tf.mul(tf.sigmoid(i), tf.tanh(g)))
      hidden = tf.mul(tf.sigmoid(o), tf.tanh(cell))
    }
    return hidden
  }
}

/** Value and the four gradients of a weighted sum of the last hidden state, on made-up numbers. */
export function gradientsOf(tf: Tf, layer: LstmLayer, seed: number): Float32Array[] {
  const random = new SeededRandom(seed)
  const [steps, rows, width, units] = [5, 7, 3, 4]
  const made = (shape: number[]) =>
    tf.tensor(
      Float32Array.from({ length: shape.reduce((a, b) => a * b) }, () => random.next() * 2 - 1),
      shape,
    )
  return tf.tidy(() => {
    const weight = made([rows, units])
    const run = tf.valueAndGrads((...[x, kernel, recurrent, bias]: Tensor[]) =>
      tf.sum<Scalar>(tf.mul(layer(x as Tensor3D, kernel as Tensor2D, recurrent as Tensor2D, bias!), weight)),
    )
    const inputs = [[steps, rows, width], [width, 4 * units], [units, 4 * units], [4 * units]].map(made)
    const { value, grads } = run(inputs)
    return [value, ...grads].map((tensor) => Float32Array.from(tensor.dataSync()))
  })
}
