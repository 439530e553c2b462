import type { OnnxTensor } from '../onnx-writer.ts'
import type { GraphBuilder } from './graph-builder.ts'
import { encodeRecurrence } from './int8-codes.ts'
import { GATES, type LstmWeights } from './weights.ts'

/**
 * The recurrence on 8-bit integers, step by step in the graph: `projected` float `[N, K, P]` with numbers from 0 to 1,
 * the last hidden state `[N, units]`.
 *
 * A hidden state lies between -1 and 1 and a projected input between 0 and 1, so both have the one scale 1/127 for good:
 * a row's answer cannot depend on the rows beside it, as it would with scales taken from the batch. Weights have a scale
 * for each gate's unit; sums are exact on every CPU. Cell state and activations stay float32. Padding (zeros) leaves the
 * state exactly zero, as in the float graph.
 */
export function addInt8Lstm(
  graph: GraphBuilder,
  projected: string,
  weights: LstmWeights,
  projectionMax: Float32Array,
): string {
  const { historyLength: length, projectionUnits } = weights.shape
  const gates = gatesOf(graph, weights, projectionMax)
  const scale = graph.constant('code_scale', [], [1 / CODE_MAX])
  const zero = graph.tensor({ name: 'code_zero', dims: [], element: 'uint8', values: [CODE_ZERO] })
  // The steps of a row lie side by side: cut apart as codes, they are a quarter of what turning the floats would move.
  const flat = graph.add('Reshape', [projected, graph.integers('projected_rows', [-1, length * projectionUnits])])
  const codes = graph.add('QuantizeLinear', [flat, scale, zero])
  const steps = Array.from({ length }, (_, step) => `step_${step}`)
  graph.add('Split', [codes], { axis: { kind: 'int', value: 1 } }, steps)

  let cell = ''
  let hidden = ''
  for (const [step, input] of steps.entries()) {
    // The first step has no past: the product with a hidden state of zeros is left out.
    const hasPast = step > 0
    const read = hasPast
      ? graph.add('Concat', [input, graph.add('QuantizeLinear', [hidden, scale, zero])], {
          axis: { kind: 'int', value: 1 },
        })
      : input
    const gate = (name: GateName): string => {
      const { kernel, firstKernel, kernelScale, bias } = gates[name]
      const used = hasPast ? kernel : firstKernel
      return graph.addOfRuntime('MatMulIntegerToFloat', [read, used, scale, kernelScale, zero, '', bias])
    }
    const kept = graph.add('Sigmoid', [gate('forget')])
    const candidate = graph.add('Tanh', [gate('candidate')])
    // f c + (1 - f) g
    const change = hasPast ? graph.add('Sub', [cell, candidate]) : graph.add('Neg', [candidate])
    cell = graph.add('Add', [candidate, graph.add('Mul', [kept, change])])
    hidden = graph.add('Mul', [graph.add('Sigmoid', [gate('output')]), graph.add('Tanh', [cell])])
  }
  return hidden
}

/** In the order in which their columns stand. */
const GATE_NAMES = ['forget', 'candidate', 'output'] as const
type GateName = (typeof GATE_NAMES)[number]

interface Gate {
  /** Names of int8 `[P + units, units]`, and of its first P rows alone. */
  readonly kernel: string
  readonly firstKernel: string
  /** Names of float32 `[units]`. */
  readonly kernelScale: string
  readonly bias: string
}

function gatesOf(
  graph: GraphBuilder,
  { shape, parameters }: LstmWeights,
  projectionMax: Float32Array,
): Record<GateName, Gate> {
  const { projectionUnits, units } = shape
  const { codes, scales } = encodeRecurrence(parameters, shape, projectionMax)
  const rows = projectionUnits + units
  const gateOf = (name: GateName, index: number): Gate => {
    const own = new Int8Array(rows * units)
    for (let row = 0; row < rows; row++) {
      const from = (row * GATES + index) * units
      own.set(codes.subarray(from, from + units), row * units)
    }
    const int8 = (suffix: string, count: number): OnnxTensor => ({
      name: `${name}_${suffix}`,
      dims: [count, units],
      element: 'int8',
      values: own.subarray(0, count * units),
    })
    const columns = [index * units, (index + 1) * units] as const
    return {
      kernel: graph.tensor(int8('kernel', rows)),
      firstKernel: graph.tensor(int8('first_kernel', projectionUnits)),
      kernelScale: graph.constant(`${name}_scale`, [units], scales.subarray(...columns)),
      bias: graph.constant(`${name}_bias`, [units], parameters.lstmBias.subarray(...columns)),
    }
  }
  return Object.fromEntries(GATE_NAMES.map((name, index) => [name, gateOf(name, index)])) as Record<GateName, Gate>
}

/** Codes of inputs and hidden states: 1 to 255 for -1 to 1, 128 for 0. */
const CODE_MAX = 127
const CODE_ZERO = 128
