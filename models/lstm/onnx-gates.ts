import { GATES } from './weights.ts'

/**
 * Columns from the order forget, candidate, output to the rows of ONNX's LSTM: input, output, forget, candidate. The
 * coupled input gate is the forget gate with the other sign.
 */
export function onnxGates(kernel: Float32Array, rows: number, units: number): Float32Array {
  const turned = new Float32Array(4 * units * rows)
  for (const [gate, { source, sign }] of ONNX_GATES.entries()) {
    for (let unit = 0; unit < units; unit++) {
      for (let row = 0; row < rows; row++) {
        turned[(gate * units + unit) * rows + row] = sign * kernel[row * GATES * units + source * units + unit]!
      }
    }
  }
  return turned
}

/** ONNX has an input and a recurrent bias; the second stays zero. */
export function onnxBias(bias: Float32Array, units: number): Float32Array {
  const both = new Float32Array(8 * units)
  both.set(onnxGates(bias, 1, units))
  return both
}

const ONNX_GATES = [
  { source: 0, sign: -1 },
  { source: 2, sign: 1 },
  { source: 0, sign: 1 },
  { source: 1, sign: 1 },
] as const
