/** Columns from the order input, forget, candidate, output to ONNX's input, output, forget, candidate, transposed. */
export function onnxGates(kernel: Float32Array, rows: number, units: number): Float32Array {
  const turned = new Float32Array(kernel.length)
  for (let gate = 0; gate < 4; gate++) {
    const from = ONNX_GATE_SOURCE[gate]! * units
    for (let unit = 0; unit < units; unit++) {
      for (let row = 0; row < rows; row++) {
        turned[(gate * units + unit) * rows + row] = kernel[row * 4 * units + from + unit]!
      }
    }
  }
  return turned
}

/** ONNX has an input and a recurrent bias; the second stays zero. */
export function onnxBias(bias: Float32Array, units: number): Float32Array {
  const both = new Float32Array(8 * units)
  for (let gate = 0; gate < 4; gate++) {
    const from = ONNX_GATE_SOURCE[gate]! * units
    both.set(bias.subarray(from, from + units), gate * units)
  }
  return both
}

const ONNX_GATE_SOURCE = [0, 3, 1, 2] as const
