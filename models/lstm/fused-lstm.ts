import type { Tensor, Tensor2D } from '@tensorflow/tfjs'

import type { LstmLayer } from './lstm-layer.ts'
import type { Tf } from './tf.ts'

/**
 * The layer as one TensorFlow kernel forward (BlockLSTMV2) and one backward (BlockLSTMGradV2), on CPU or CUDA. tfjs has
 * no wrapper for them; the Node binding runs any operation by name. Gate order and weight layout are ours already.
 */
export function createFusedLstm(tf: Tf, backend: NativeBackend): LstmLayer {
  const { binding } = backend
  const attributes = [
    { name: 'T', type: binding.TF_ATTR_TYPE, value: binding.TF_FLOAT },
    { name: 'use_peephole', type: binding.TF_ATTR_BOOL, value: false },
  ]
  const forwardAttributes = [...attributes, { name: 'cell_clip', type: binding.TF_ATTR_FLOAT, value: 0 }]

  /** `seq_len_max` is an int64 scalar, which tfjs has no tensor for: made and deleted by hand around each call. */
  const execute = (name: string, attrs: readonly object[], steps: number, inputs: Tensor[], outputs: number) => {
    const stepsId = binding.createTensor([], binding.TF_INT64, Int32Array.of(steps, 0))
    try {
      const ids = [stepsId, ...backend.getInputTensorIds(inputs)]
      return binding.executeOp(name, attrs, ids, outputs).map((output) => backend.createOutputTensor(output))
    } finally {
      binding.deleteTensor(stepsId)
    }
  }

  const layer = tf.customGrad((...args) => {
    const [input, kernel, recurrent, bias, save] = args as unknown as [
      Tensor,
      Tensor2D,
      Tensor2D,
      Tensor,
      (tensors: Tensor[]) => void,
    ]
    const [steps, rows, width] = input.shape as [number, number, number]
    const units = recurrent.shape[0]
    const state = tf.zeros([rows, units])
    const peephole = tf.zeros([units])
    const weights = tf.concat([kernel, recurrent], 0)
    // x, cs_prev, h_prev, w, wci, wcf, wco, b
    const inputs = [input, state, state, weights, peephole, peephole, peephole, bias]
    // i, cs, f, o, ci, co, h
    const outputs = execute('BlockLSTMV2', forwardAttributes, steps, inputs, 7)
    save([...inputs, ...outputs])
    const last = tf.slice(outputs[6]!, [steps - 1, 0, 0], [1, rows, units]).reshape([rows, units])
    return {
      value: last,
      gradFunc: (dy: Tensor, saved: Tensor[]) => {
        const earlier = tf.zeros([steps - 1, rows, units])
        const dHidden = steps === 1 ? dy.expandDims(0) : tf.concat([earlier, dy.expandDims(0)], 0)
        const dCell = tf.zeros([steps, rows, units])
        // x, cs_prev, h_prev, w, wci, wcf, wco, b
        const gradients = execute('BlockLSTMGradV2', attributes, steps, [...saved, dCell, dHidden], 8)
        const [dKernel, dRecurrent] = tf.split(gradients[3]!, [width, units], 0)
        return [gradients[0]!, dKernel!, dRecurrent!, gradients[7]!]
      },
    }
  })
  return layer as unknown as LstmLayer
}

/** What is used of tfjs-node's backend, which publishes no types for it. */
export interface NativeBackend {
  readonly binding: NativeBinding
  readonly isUsingGpuDevice: boolean
  getInputTensorIds(tensors: readonly Tensor[]): number[]
  createOutputTensor(metadata: TensorMetadata): Tensor
}

export interface NativeBinding {
  readonly TF_FLOAT: number
  readonly TF_INT64: number
  readonly TF_ATTR_TYPE: number
  readonly TF_ATTR_BOOL: number
  readonly TF_ATTR_FLOAT: number
  createTensor(shape: readonly number[], dtype: number, values: Int32Array): number
  deleteTensor(id: number): void
  executeOp(name: string, attributes: readonly object[], inputs: readonly number[], outputs: number): TensorMetadata[]
}

interface TensorMetadata {
  readonly id: number
  readonly dtype: number
  readonly shape: readonly number[]
}
