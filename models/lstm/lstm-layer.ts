import type { Tensor, Tensor2D, Tensor3D } from '@tensorflow/tfjs'

import { sumRows } from './dense-layer.ts'
import type { Tf } from './tf.ts'

/**
 * Last hidden state `[N, units]` of an LSTM over `[K, N, in]`, from zero states, with gradients. Kernel `[in, 4 units]`,
 * recurrent `[units, 4 units]`, bias `[4 units]`, gates in the order input, forget, candidate, output.
 */
export type LstmLayer = (input: Tensor3D, kernel: Tensor2D, recurrent: Tensor2D, bias: Tensor) => Tensor2D

/**
 * The layer in plain tfjs operations with its own backward pass. The input is multiplied by its kernel once for all
 * steps, so are all weight gradients, and the slow kernels of the WebAssembly backend (split, tanh, sum) are avoided.
 *
 * Forward (Hochreiter and Schmidhuber 1997, with the forget gate of Gers 2000), z = x K + h R + b:
 * i, f, o = sigmoid(z); g = tanh(z); c' = f c + i g; h' = o tanh(c').
 * Backward from dh: do = dh tanh(c') o(1-o); dc += dh o (1 - tanh(c')²); di = dc g i(1-i); df = dc c f(1-f);
 * dg = dc i (1 - g²); dh = dz R'; dc = dc f.
 */
export function createStepLstm(tf: Tf): LstmLayer {
  const layer = tf.customGrad((...args) => {
    const [input, kernel, recurrent, bias, save] = args as unknown as [
      Tensor3D,
      Tensor2D,
      Tensor2D,
      Tensor,
      (tensors: Tensor[]) => void,
    ]
    const [steps, rows, width] = input.shape
    const units = recurrent.shape[0]
    const flat = input.reshape<Tensor2D>([steps * rows, width])
    const doubled = candidateDoubled(tf, units)
    const recurrentDoubled = tf.mul(recurrent, doubled)
    const projected = tf.fused.matMul({ a: flat, b: tf.mul(kernel, doubled), bias: tf.mul(bias, doubled) })

    let cell: Tensor = tf.zeros([rows, units])
    let hidden: Tensor2D = tf.zeros([rows, units])
    const kept: Tensor[] = []
    for (let step = 0; step < steps; step++) {
      const fromInput = tf.slice(projected, [step * rows, 0], [rows, 4 * units])
      const gates: Tensor = tf.sigmoid(tf.add(fromInput, tf.matMul(hidden, recurrentDoubled)))
      const gateOf = (gate: number) => tf.slice(gates, [0, gate * units], [rows, units])
      const inputGate = gateOf(0)
      const forgetGate = gateOf(1)
      const candidate = tf.sub(tf.mul(gateOf(2), 2), 1)
      const outputGate = gateOf(3)
      kept.push(inputGate, forgetGate, candidate, outputGate, cell, hidden)
      cell = tf.add(tf.mul(forgetGate, cell), tf.mul(inputGate, candidate))
      const squashed = tanhOf(tf, cell)
      kept.push(squashed)
      hidden = tf.mul(outputGate, squashed)
    }
    save([flat, kernel, recurrent, ...kept])
    return {
      value: hidden,
      gradFunc: (dy: Tensor, saved: Tensor[]) => backward(tf, dy, saved, [steps, rows, width]),
    }
  })
  return layer
}

/** Tensors that the forward pass keeps for each step. */
const KEPT_PER_STEP = 7

function backward(tf: Tf, dy: Tensor, saved: Tensor[], dims: [number, number, number]): Tensor[] {
  const [flat, kernel, recurrent, ...kept] = saved as [Tensor2D, Tensor2D, Tensor2D, ...Tensor[]]
  const [steps, rows, width] = dims
  const recurrentTurned = tf.transpose(recurrent)
  let dHidden = dy
  let dCell: Tensor | null = null
  const dGates = Array.from<Tensor>({ length: steps })
  const hiddenBefore = Array.from<Tensor>({ length: steps })
  for (let step = steps - 1; step >= 0; step--) {
    const [inputGate, forgetGate, candidate, outputGate, cellBefore, hidden, squashed] = kept.slice(
      step * KEPT_PER_STEP,
      (step + 1) * KEPT_PER_STEP,
    ) as [Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]
    const throughOutput: Tensor = tf.mul(dHidden, tf.mul(outputGate, tf.sub(1, tf.square(squashed))))
    const total: Tensor = dCell === null ? throughOutput : tf.add(dCell, throughOutput)
    const dGate: Tensor = tf.concat(
      [
        tf.mul(tf.mul(total, candidate), slope(tf, inputGate)),
        tf.mul(tf.mul(total, cellBefore), slope(tf, forgetGate)),
        tf.mul(tf.mul(total, inputGate), tf.sub(1, tf.square(candidate))),
        tf.mul(tf.mul(dHidden, squashed), slope(tf, outputGate)),
      ],
      1,
    )
    dGates[step] = dGate
    hiddenBefore[step] = hidden
    if (step > 0) {
      dHidden = tf.matMul(dGate, recurrentTurned)
      dCell = tf.mul(total, forgetGate)
    }
  }
  const all = tf.concat(dGates, 0) as Tensor2D
  const before = tf.concat(hiddenBefore, 0) as Tensor2D
  return [
    tf.matMul(all, kernel, false, true).reshape([steps, rows, width]),
    tf.matMul(flat, all, true, false),
    tf.matMul(before, all, true, false),
    sumRows(tf, all),
  ]
}

/** Factor 2 for the candidate's columns, so that one sigmoid over all gates serves its tanh too. */
function candidateDoubled(tf: Tf, units: number): Tensor {
  return tf.tensor1d(new Float32Array(4 * units).fill(1).fill(2, 2 * units, 3 * units))
}

/** tanh(x) = 2 sigmoid(2 x) - 1; WebAssembly's own tanh takes ten times as long as its sigmoid. */
function tanhOf(tf: Tf, x: Tensor): Tensor {
  return tf.sub(tf.mul(tf.sigmoid(tf.mul(x, 2)), 2), 1)
}

/** Derivative of a sigmoid from its value. */
function slope(tf: Tf, gate: Tensor): Tensor {
  return tf.mul(gate, tf.sub(1, gate))
}
