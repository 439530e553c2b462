import { SeededRandom } from './seeded-random.ts'

/**
 * A trained network as plain numbers: what training returns, what the ONNX writer and `predict` take. All matrices are
 * row-major `[in, out]`; the gates of the LSTM stand in the order forget, candidate, output. Its input gate is coupled: what
 * is not forgotten makes room for as much that is new (Greff et al. 2017, who find nothing lost by it), which spares a
 * quarter of the recurrence.
 *
 * The network: history -> dense (relu) -> LSTM -> last hidden; current (and its bins) -> dense (relu); both -> dense
 * (relu) -> log odds of fraud. A second head on the last hidden state alone forecasts the event that follows the
 * history.
 */
export interface LstmWeights {
  readonly shape: LstmShape
  readonly encoding: InputEncoding
  readonly parameters: LstmParameters
  /**
   * `[P]`, largest answer of each projection unit: the full scale of the 8-bit recurrence, for which the weights are rounded.
   * Null: they were trained for float32.
   */
  readonly projectionMax: Float32Array | null
  /** Calibrated log odds = slope * log odds + intercept, fitted on the validation rows. */
  readonly calibration: { readonly slope: number; readonly intercept: number }
  readonly forecast: ForecastScale
  /** Name of the backend that trained it. */
  readonly backend: string
  readonly seed: number
  readonly history: readonly EpochReport[]
  /** Epoch (from 1) whose weights these are. */
  readonly bestEpoch: number
}

export interface LstmShape {
  /** K. */
  readonly historyLength: number
  /** H. */
  readonly historyWidth: number
  /** F. */
  readonly currentWidth: number
  /** Width of the dense layer before the LSTM. */
  readonly projectionUnits: number
  readonly units: number
  /** Width of the dense layer over the current event. */
  readonly currentUnits: number
  /** Width of the dense layer over both. */
  readonly joinUnits: number
  /** Piecewise-linear bins per binned column, and how many of the F columns are binned. */
  readonly bins: number
  readonly binnedColumns: number
}

/** Constants that bring natural units into the network's range; part of the served graph. */
export interface InputEncoding {
  /** `[H]` and `[F]`: encoded = clip((x - centre) * scale, ±limit). */
  readonly historyCentre: Float32Array
  readonly historyScale: Float32Array
  readonly currentCentre: Float32Array
  readonly currentScale: Float32Array
  readonly limit: number
  /** `[C]`, which current columns are binned. */
  readonly binColumns: Int32Array
  /** `[B, C]`: bin = clip((x - lower) * scale, 0, 1); a scale of 0 is a bin that the column does not need. */
  readonly binLower: Float32Array
  readonly binScale: Float32Array
}

/** Mean and deviation of the forecast's targets over the training rows. */
export interface ForecastScale {
  readonly logAmountMean: number
  readonly logAmountDeviation: number
  readonly logGapMean: number
  readonly logGapDeviation: number
}

export interface EpochReport {
  readonly epoch: number
  readonly trainingLoss: number
  readonly validationLoss: number
  /** Null where the validation rows hold no fraud. */
  readonly validationAp: number | null
}

export type ParameterName =
  | 'projectionKernel'
  | 'projectionBias'
  | 'lstmKernel'
  | 'lstmRecurrent'
  | 'lstmBias'
  | 'currentKernel'
  | 'binKernel'
  | 'currentBias'
  | 'joinHidden'
  | 'joinCurrent'
  | 'joinBias'
  | 'fraudKernel'
  | 'fraudBias'
  | 'forecastKernel'
  | 'forecastBias'

export type LstmParameters = Readonly<Record<ParameterName, Float32Array>>

/** Forget, candidate, output. */
export const GATES = 3

/** Outputs of the second head: log amount, log gap, log of the deviation both have in units of `ForecastScale`. */
export const FORECAST_WIDTH = 3

/** Dimensions of every parameter. `binKernel` has zero rows when no column is binned. */
export function parameterDims(shape: LstmShape): Readonly<Record<ParameterName, readonly number[]>> {
  const gates = GATES * shape.units
  return {
    projectionKernel: [shape.historyWidth, shape.projectionUnits],
    projectionBias: [shape.projectionUnits],
    lstmKernel: [shape.projectionUnits, gates],
    lstmRecurrent: [shape.units, gates],
    lstmBias: [gates],
    currentKernel: [shape.currentWidth, shape.currentUnits],
    binKernel: [shape.bins * shape.binnedColumns, shape.currentUnits],
    currentBias: [shape.currentUnits],
    joinHidden: [shape.units, shape.joinUnits],
    joinCurrent: [shape.currentUnits, shape.joinUnits],
    joinBias: [shape.joinUnits],
    fraudKernel: [shape.joinUnits, 1],
    fraudBias: [1],
    forecastKernel: [shape.units, FORECAST_WIDTH],
    forecastBias: [FORECAST_WIDTH],
  }
}

/**
 * Starting weights from a seed: Glorot-uniform kernels (Glorot and Bengio 2010), the forget gate open, the fraud head
 * at the base rate so that the first steps are not spent on learning that fraud is rare.
 */
export function initialParameters(shape: LstmShape, seed: number, baseLogit: number): LstmParameters {
  const random = new SeededRandom(seed)
  const dims = parameterDims(shape)
  const filled = (name: ParameterName, fanIn: number, fanOut: number): Float32Array => {
    const limit = Math.sqrt(6 / (fanIn + fanOut))
    return Float32Array.from({ length: sizeOf(dims[name]) }, () => (random.next() * 2 - 1) * limit)
  }
  const { units } = shape
  const currentFan = shape.currentWidth + shape.bins * shape.binnedColumns
  const joinFan = units + shape.currentUnits
  return {
    projectionKernel: filled('projectionKernel', shape.historyWidth, shape.projectionUnits),
    projectionBias: new Float32Array(shape.projectionUnits),
    lstmKernel: filled('lstmKernel', shape.projectionUnits, units),
    lstmRecurrent: filled('lstmRecurrent', units, units),
    lstmBias: new Float32Array(GATES * units).fill(1, 0, units),
    currentKernel: filled('currentKernel', currentFan, shape.currentUnits),
    binKernel: filled('binKernel', currentFan, shape.currentUnits),
    currentBias: new Float32Array(shape.currentUnits),
    joinHidden: filled('joinHidden', joinFan, shape.joinUnits),
    joinCurrent: filled('joinCurrent', joinFan, shape.joinUnits),
    joinBias: new Float32Array(shape.joinUnits),
    fraudKernel: filled('fraudKernel', shape.joinUnits, 1),
    fraudBias: Float32Array.of(baseLogit),
    forecastKernel: filled('forecastKernel', units, FORECAST_WIDTH),
    forecastBias: new Float32Array(FORECAST_WIDTH),
  }
}

/**
 * Which entries of the LSTM bias are in use: all but the candidate's. Without a candidate bias a step with no input
 * leaves cell and hidden state exactly zero, so that padding before a short history changes nothing.
 */
export function lstmBiasMask(units: number): Float32Array {
  return new Float32Array(GATES * units).fill(1).fill(0, units, 2 * units)
}

function sizeOf(dims: readonly number[]): number {
  return dims.reduce((size, dim) => size * dim, 1)
}
