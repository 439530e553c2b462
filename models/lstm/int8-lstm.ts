import type { OnnxTensor } from '../onnx-writer.ts'
import type { GraphBuilder } from './graph-builder.ts'
import { onnxBias, onnxGates } from './onnx-gates.ts'
import type { LstmWeights } from './weights.ts'

/**
 * The recurrence on 8-bit integers, step by step in the graph: `timeMajor` float `[K, N, P]` with numbers from 0 to 1,
 * the last hidden state `[N, units]`.
 *
 * A hidden state lies between -1 and 1 and a projected input between 0 and 1, so both have the one scale 1/127 for good:
 * a row's answer cannot depend on the rows beside it, as it would with scales taken from the batch. Weights have a scale
 * for each gate's unit and only 7 bits, because the 8-bit multiply of CPUs without VNNI adds two products in 16 bits,
 * and 2 * 255 * 64 is the most that fits there; sums are exact everywhere, so every CPU gives the same answer. Cell state
 * and activations stay float32. Padding (zeros) leaves the state exactly zero, as in the float graph.
 */
export function addInt8Lstm(
  graph: GraphBuilder,
  timeMajor: string,
  weights: LstmWeights,
  projectionMax: Float32Array,
): string {
  const { historyLength: length, units } = weights.shape
  const gates = gatesOf(graph, weights, projectionMax)
  const scale = graph.constant('code_scale', [], [1 / CODE_MAX])
  const zero = graph.tensor({ name: 'code_zero', dims: [], element: 'uint8', values: [CODE_ZERO] })
  const codes = graph.add('QuantizeLinear', [timeMajor, scale, zero])
  const steps = Array.from({ length }, (_, step) => `step_${step}`)
  graph.add('Split', [codes], { axis: { kind: 'int', value: 0 } }, steps)

  let cell = ''
  let hidden = ''
  for (const [step, projected] of steps.entries()) {
    // The first step has no past: the product with a hidden state of zeros and what is forgotten of it are left out.
    const hasPast = step > 0
    const read = hasPast
      ? graph.add('Concat', [projected, graph.add('QuantizeLinear', [hidden, scale, zero])], {
          axis: { kind: 'int', value: 2 },
        })
      : projected
    const gate = (name: GateName): string => {
      const { kernel, firstKernel, kernelScale, bias } = gates[name]
      const used = hasPast ? kernel : firstKernel
      return graph.addOfRuntime('MatMulIntegerToFloat', [read, used, scale, kernelScale, zero, '', bias])
    }
    const candidate = graph.add('Mul', [graph.add('Sigmoid', [gate('input')]), graph.add('Tanh', [gate('candidate')])])
    cell = hasPast
      ? graph.add('Add', [graph.add('Mul', [graph.add('Sigmoid', [gate('forget')]), cell]), candidate])
      : candidate
    hidden = graph.add('Mul', [graph.add('Sigmoid', [gate('output')]), graph.add('Tanh', [cell])])
  }
  return graph.add('Reshape', [hidden, graph.integers('last_hidden', [-1, units])])
}

/** In the order in which ONNX keeps them. */
const GATES = ['input', 'output', 'forget', 'candidate'] as const
type GateName = (typeof GATES)[number]

interface Gate {
  /** Names of int8 `[P + units, units]`, and of its first P rows alone, which the forget gate has no use for. */
  readonly kernel: string
  readonly firstKernel: string
  /** Names of float32 `[units]`. */
  readonly kernelScale: string
  readonly bias: string
}

function gatesOf(graph: GraphBuilder, weights: LstmWeights, projectionMax: Float32Array): Record<GateName, Gate> {
  const { shape, parameters } = weights
  const { projectionUnits, units } = shape
  const kernel = onnxGates(parameters.lstmKernel, projectionUnits, units)
  const recurrent = onnxGates(parameters.lstmRecurrent, units, units)
  const biases = onnxBias(parameters.lstmBias, units)
  const rows = projectionUnits + units
  const gateOf = (name: GateName, index: number): Gate => {
    const codes = new Int8Array(rows * units)
    const scales = new Float32Array(units)
    for (let unit = 0; unit < units; unit++) {
      const at = index * units + unit
      const column = new Float32Array(rows)
      for (let row = 0; row < projectionUnits; row++) {
        column[row] = kernel[at * projectionUnits + row]! * projectionMax[row]!
      }
      column.set(recurrent.subarray(at * units, (at + 1) * units), projectionUnits)
      const largest = column.reduce((most, weight) => Math.max(most, Math.abs(weight)), 0)
      const scale = largest === 0 ? 1 : largest / WEIGHT_CODE_MAX
      scales[unit] = scale
      for (let row = 0; row < rows; row++) codes[row * units + unit] = Math.round(column[row]! / scale)
    }
    const int8 = (suffix: string, count: number): OnnxTensor => ({
      name: `${name}_${suffix}`,
      dims: [count, units],
      element: 'int8',
      values: codes.subarray(0, count * units),
    })
    return {
      kernel: graph.tensor(int8('kernel', rows)),
      firstKernel: name === 'forget' ? '' : graph.tensor(int8('first_kernel', projectionUnits)),
      kernelScale: graph.constant(`${name}_scale`, [units], scales),
      bias: graph.constant(`${name}_bias`, [units], biases.subarray(index * units, (index + 1) * units)),
    }
  }
  return Object.fromEntries(GATES.map((name, index) => [name, gateOf(name, index)])) as Record<GateName, Gate>
}

/** Codes of inputs and hidden states: 1 to 255 for -1 to 1, 128 for 0. */
const CODE_MAX = 127
const CODE_ZERO = 128
const WEIGHT_CODE_MAX = 64
