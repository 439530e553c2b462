import { writeOnnx } from '../onnx-writer.ts'
import { GraphBuilder, RUNTIME_DOMAIN } from './graph-builder.ts'
import { addInt8Lstm } from './int8-lstm.ts'
import { onnxBias, onnxGates } from './onnx-gates.ts'
import type { LstmWeights } from './weights.ts'

/**
 * The served graph, normalisation, bins and calibration included: what was trained is what runs. Inputs `history`
 * float `[N, K, H]` (newest event last), `lengths` int32 `[N]`, `current` float `[N, F]`, all in natural units; outputs
 * `probability` and `logit` `[N]` (calibrated) and `next` `[N, 3]`: forecast log amount, log gap (of ms) and log
 * deviation of the event that follows the history.
 *
 * With `projectionMax` `[P]`, the largest answer of each projection unit, the recurrence runs on 8-bit integers: twice
 * as fast on a CPU, at the cost of about a hundredth of a hidden unit's deviation. Without it everything is float32.
 */
export function exportOnnx(weights: LstmWeights, projectionMax: Float32Array | null = null): Uint8Array {
  const { shape } = weights
  const graph = new GraphBuilder()
  const hidden = addHistory(graph, weights, projectionMax)
  const current = addCurrent(graph, weights)
  addHeads(graph, weights, hidden, current)
  return writeOnnx({
    name: 'weir-lstm',
    nodes: graph.nodes,
    initializers: [...graph.constants.values()],
    inputs: [
      { name: 'history', element: 'float32', dims: ['N', shape.historyLength, shape.historyWidth] },
      { name: 'lengths', element: 'int32', dims: ['N'] },
      { name: 'current', element: 'float32', dims: ['N', shape.currentWidth] },
    ],
    outputs: [
      { name: 'probability', element: 'float32', dims: ['N'] },
      { name: 'logit', element: 'float32', dims: ['N'] },
      { name: 'next', element: 'float32', dims: ['N', 3] },
    ],
    ...(projectionMax === null ? {} : { opsets: { [RUNTIME_DOMAIN]: 1 } }),
  })
}

/** History to the last hidden state `[N, units]`. */
function addHistory(graph: GraphBuilder, weights: LstmWeights, projectionMax: Float32Array | null): string {
  const { shape, encoding, parameters } = weights
  const { historyLength: length, historyWidth: width, projectionUnits, units } = shape
  // Constants are repeated over the K steps: one long span per row broadcasts faster than K short ones.
  const repeated = (values: Float32Array) => Float32Array.from({ length: length * width }, (_, i) => values[i % width]!)
  const centred = graph.add('Sub', [
    'history',
    graph.constant('history_centre', [length, width], repeated(encoding.historyCentre)),
  ])
  const scaled = graph.add('Mul', [
    centred,
    graph.constant('history_scale', [length, width], repeated(encoding.historyScale)),
  ])
  const clipped = graph.add('Clip', [scaled, ...graph.limits('limit', -encoding.limit, encoding.limit)])
  const rows = graph.add('Reshape', [clipped, graph.integers('history_rows', [-1, width])])
  const projected = graph.relu(
    graph.gemm(
      rows,
      graph.constant(
        'projection_kernel',
        [width, projectionUnits],
        scaleUnits(parameters.projectionKernel, projectionMax),
      ),
      graph.constant('projection_bias', [projectionUnits], scaleUnits(parameters.projectionBias, projectionMax)),
    ),
  )
  const steps = graph.add('Reshape', [projected, graph.integers('history_steps', [-1, length, projectionUnits])])
  const masked = graph.add('Mul', [steps, addMask(graph, length)])
  if (projectionMax !== null) return addInt8Lstm(graph, masked, weights, projectionMax)
  const timeMajor = graph.add('Transpose', [masked], { perm: { kind: 'ints', value: [1, 0, 2] } })
  graph.add(
    'LSTM',
    [
      timeMajor,
      graph.constant(
        'lstm_kernel',
        [1, 4 * units, projectionUnits],
        onnxGates(parameters.lstmKernel, projectionUnits, units),
      ),
      graph.constant('lstm_recurrent', [1, 4 * units, units], onnxGates(parameters.lstmRecurrent, units, units)),
      graph.constant('lstm_bias', [1, 8 * units], onnxBias(parameters.lstmBias, units)),
    ],
    { hidden_size: { kind: 'int', value: units } },
    ['', 'lstm_last'],
  )
  return graph.add('Squeeze', ['lstm_last', graph.integers('first_axis', [0])])
}

/** Columns divided by their unit's largest answer, which a relu passes on: what the 8-bit recurrence reads is 0 to 1. */
function scaleUnits(values: Float32Array, max: Float32Array | null): Float32Array {
  return max === null ? values : values.map((value, i) => value / max[i % max.length]!)
}

/** `[N, K, 1]`: 1 where a step is real, 0 where it is padding. */
function addMask(graph: GraphBuilder, length: number): string {
  const counts = graph.add('Cast', ['lengths'], { to: { kind: 'int', value: 1 } })
  const column = graph.add('Reshape', [counts, graph.integers('mask_column', [-1, 1, 1])])
  // Step t is real when the length is above K - 1 - t, that is when length - (K - 1 - t) >= 1.
  const newestFirst = Float32Array.from({ length }, (_, step) => length - 1 - step)
  const margin = graph.add('Sub', [column, graph.constant('steps_before_newest', [length, 1], newestFirst)])
  return graph.add('Clip', [margin, ...graph.limits('unit', 0, 1)])
}

/** Current vector, standardised and in bins, through its dense layer to `[N, currentUnits]`. */
function addCurrent(graph: GraphBuilder, weights: LstmWeights): string {
  const { shape, encoding, parameters } = weights
  const { currentWidth: width, currentUnits, bins, binnedColumns } = shape
  const centred = graph.add('Sub', ['current', graph.constant('current_centre', [width], encoding.currentCentre)])
  const scaled = graph.add('Mul', [centred, graph.constant('current_scale', [width], encoding.currentScale)])
  const clipped = graph.add('Clip', [scaled, ...graph.limits('limit', -encoding.limit, encoding.limit)])
  const linear = graph.gemm(
    clipped,
    graph.constant('current_kernel', [width, currentUnits], parameters.currentKernel),
    graph.constant('current_bias', [currentUnits], parameters.currentBias),
  )
  if (binnedColumns === 0) return graph.relu(linear)

  const binned = spreadBins(weights)
  const columns = binned.columns ?? width
  const chosen =
    binned.columns === null
      ? 'current'
      : graph.add('Gather', ['current', graph.integers('bin_columns', Array.from(encoding.binColumns))], {
          axis: { kind: 'int', value: 1 },
        })
  // Bins before columns, [N, B, C]: the broadcast then runs along whole rows of columns.
  const raised = graph.add('Reshape', [chosen, graph.integers('bin_raised', [-1, 1, columns])])
  const above = graph.add('Sub', [raised, graph.constant('bin_lower', [bins, columns], binned.lower)])
  const sloped = graph.add('Mul', [above, graph.constant('bin_scale', [bins, columns], binned.scale)])
  const filled = graph.add('Clip', [sloped, ...graph.limits('unit', 0, 1)])
  const flat = graph.add('Reshape', [filled, graph.integers('bin_flat', [-1, bins * columns])])
  const kernel = graph.constant('bin_kernel', [bins * columns, currentUnits], binned.kernel)
  return graph.relu(graph.gemm(flat, kernel, linear))
}

interface Bins {
  /** How many columns are picked out of the current vector; null: all are read, the ones without bins for nothing. */
  readonly columns: number | null
  /** `[B, C]`. */
  readonly lower: Float32Array
  readonly scale: Float32Array
  /** `[B * C, currentUnits]`. */
  readonly kernel: Float32Array
}

/** Picking columns costs more than binning a few for nothing: a bin with scale and weights of zero adds nothing. */
function spreadBins({ shape, encoding, parameters }: LstmWeights): Bins {
  const { currentWidth: width, currentUnits, bins, binnedColumns } = shape
  const { binColumns, binLower, binScale } = encoding
  if (binnedColumns < BINNED_SHARE_OF_ALL * width) {
    return { columns: binnedColumns, lower: binLower, scale: binScale, kernel: parameters.binKernel }
  }
  const lower = new Float32Array(bins * width)
  const scale = new Float32Array(bins * width)
  const kernel = new Float32Array(bins * width * currentUnits)
  for (let bin = 0; bin < bins; bin++) {
    for (let column = 0; column < binnedColumns; column++) {
      const from = bin * binnedColumns + column
      const to = bin * width + binColumns[column]!
      lower[to] = binLower[from]!
      scale[to] = binScale[from]!
      kernel.set(parameters.binKernel.subarray(from * currentUnits, (from + 1) * currentUnits), to * currentUnits)
    }
  }
  return { columns: null, lower, scale, kernel }
}

const BINNED_SHARE_OF_ALL = 0.75

/** Both dense layers joined, then the two heads. Sums of two products stand for products of joined vectors. */
function addHeads(graph: GraphBuilder, weights: LstmWeights, hidden: string, current: string): void {
  const { shape, parameters, calibration, forecast } = weights
  const { units, currentUnits, joinUnits } = shape
  const fromCurrent = graph.gemm(
    current,
    graph.constant('join_current', [currentUnits, joinUnits], parameters.joinCurrent),
    graph.constant('join_bias', [joinUnits], parameters.joinBias),
  )
  const joined = graph.relu(
    graph.gemm(hidden, graph.constant('join_hidden', [units, joinUnits], parameters.joinHidden), fromCurrent),
  )
  // Calibration is a straight line in the log odds, so it lives in the last layer's constants.
  const { slope, intercept } = calibration
  const logit = graph.gemm(
    joined,
    graph.constant(
      'fraud_kernel',
      [joinUnits, 1],
      parameters.fraudKernel.map((w) => w * slope),
    ),
    graph.constant('fraud_bias', [1], [parameters.fraudBias[0]! * slope + intercept]),
  )
  graph.add('Reshape', [logit, graph.integers('rows', [-1])], {}, ['logit'])
  graph.add('Sigmoid', ['logit'], {}, ['probability'])

  // The forecast leaves in natural log units: the scale of its targets is in the constants too.
  const deviations = [forecast.logAmountDeviation, forecast.logGapDeviation, 1]
  const means = [forecast.logAmountMean, forecast.logGapMean, 0]
  graph.gemm(
    hidden,
    graph.constant(
      'forecast_kernel',
      [units, 3],
      parameters.forecastKernel.map((w, i) => w * deviations[i % 3]!),
    ),
    graph.constant(
      'forecast_bias',
      [3],
      parameters.forecastBias.map((b, i) => b * deviations[i]! + means[i]!),
    ),
    'next',
  )
}
