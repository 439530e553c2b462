import { floats, int64s, writeOnnx } from '../onnx-writer.ts'

/**
 * Logistic regression on the current event's vector: the simplest model worth serving, and the measure for the others.
 * Each feature is given twice, standardised as it is and on a symmetric log scale, both clipped, so that amounts and
 * counts with long tails do not cripple it. L2, weighted rows, L-BFGS from zero: same rows, same model.
 */
export interface LogisticModel {
  readonly width: number
  /** By feature: as it is, then on the log scale; a scale of 0 switches a constant feature off. */
  readonly mean: Float32Array
  readonly scale: Float32Array
  /** By encoded feature: `2 * width`. */
  readonly weights: Float64Array
  readonly bias: number
  /** Mean weighted loss on the training rows, penalty left out. */
  readonly loss: number
  readonly iterations: number
}

export interface LogisticRows {
  readonly count: number
  readonly width: number
  /** `[count, width]`. */
  readonly current: Float32Array
  readonly fraud: Uint8Array
  readonly weight: Float32Array | null
}

export interface LogisticOptions {
  /** Penalty on the mean loss: l2 / 2 times the squared weights, the bias free. */
  readonly l2?: number
  readonly iterationsMax?: number
  readonly onIteration?: (iteration: number, loss: number) => void
}

/** Holds `2 * width` float32 numbers a row while it trains. */
export function trainLogistic(rows: LogisticRows, options: LogisticOptions = {}): LogisticModel {
  const l2 = options.l2 ?? 1e-4
  const { mean, scale } = standardisation(rows)
  const size = 2 * rows.width
  const encoded = new Float32Array(rows.count * size)
  for (let row = 0; row < rows.count; row++) {
    encodeRow(rows.current, row * rows.width, rows.width, mean, scale, encoded, row * size)
  }
  const objective = (at: Float64Array, gradient: Float64Array) => lossAt(rows, encoded, at, l2, gradient)
  const start = new Float64Array(size + 1)
  start[size] = logOddsOfFraud(rows)
  const found = minimise(objective, start, options.iterationsMax ?? 200, options.onIteration)
  const weights = found.at.slice(0, size)
  const penalty = weights.reduce((sum, w) => sum + (l2 / 2) * w * w, 0)
  const { iterations } = found
  return {
    width: rows.width,
    mean,
    scale,
    weights,
    bias: found.at[size]!,
    loss: found.value - penalty,
    iterations,
  }
}

/** Log odds of one row of `current`. */
export function logisticLogit(model: LogisticModel, current: Float32Array, row: number): number {
  const encoded = new Float32Array(2 * model.width)
  encodeRow(current, row * model.width, model.width, model.mean, model.scale, encoded, 0)
  return encoded.reduce((sum, x, i) => sum + x * model.weights[i]!, model.bias)
}

/** Names in the exported graph, as a manifest wants them. */
export const LOGISTIC_INPUTS = { history: null, lengths: null, current: 'current' } as const
export const LOGISTIC_OUTPUTS = { probability: 'probability', logit: 'logit', next: null } as const

/** The same function as an ONNX graph: `current` `[N, F]` to `probability` and `logit` `[N]`. */
export function exportLogistic(model: LogisticModel): Uint8Array {
  const { width } = model
  return writeOnnx({
    name: 'weir_logistic',
    nodes: [
      { op: 'Sign', inputs: ['current'], outputs: ['sign'] },
      { op: 'Abs', inputs: ['current'], outputs: ['size'] },
      { op: 'Add', inputs: ['size', 'one'], outputs: ['size_and_one'] },
      { op: 'Log', inputs: ['size_and_one'], outputs: ['log_size'] },
      { op: 'Mul', inputs: ['sign', 'log_size'], outputs: ['log_value'] },
      {
        op: 'Concat',
        inputs: ['current', 'log_value'],
        outputs: ['both'],
        attributes: { axis: { kind: 'int', value: 1 } },
      },
      { op: 'Sub', inputs: ['both', 'mean'], outputs: ['centred'] },
      { op: 'Mul', inputs: ['centred', 'scale'], outputs: ['scaled'] },
      { op: 'Clip', inputs: ['scaled', 'lowest', 'highest'], outputs: ['encoded'] },
      { op: 'Gemm', inputs: ['encoded', 'weights', 'bias'], outputs: ['column'] },
      { op: 'Squeeze', inputs: ['column', 'axis'], outputs: ['logit'] },
      { op: 'Sigmoid', inputs: ['logit'], outputs: ['probability'] },
    ],
    initializers: [
      floats('one', [], [1]),
      floats('mean', [2 * width], model.mean),
      floats('scale', [2 * width], model.scale),
      floats('lowest', [], [-CLIP_AT]),
      floats('highest', [], [CLIP_AT]),
      floats('weights', [2 * width, 1], model.weights),
      floats('bias', [1], [model.bias]),
      int64s('axis', [1]),
    ],
    inputs: [{ name: 'current', element: 'float32', dims: ['N', width] }],
    outputs: [
      { name: 'probability', element: 'float32', dims: ['N'] },
      { name: 'logit', element: 'float32', dims: ['N'] },
    ],
  })
}

/** Weighted means and inverse deviations of the features as they are and on the log scale. */
function standardisation(rows: LogisticRows): { mean: Float32Array; scale: Float32Array } {
  const { width, count, current } = rows
  const sum = new Float64Array(2 * width)
  const squares = new Float64Array(2 * width)
  let total = 0
  for (let row = 0; row < count; row++) total += rows.weight?.[row] ?? 1
  const eachValue = (use: (column: number, value: number, weight: number) => void) => {
    for (let row = 0; row < count; row++) {
      const weight = rows.weight?.[row] ?? 1
      for (let j = 0; j < width; j++) {
        const value = current[row * width + j]!
        use(j, value, weight)
        use(width + j, symmetricLog(value), weight)
      }
    }
  }
  eachValue((column, value, weight) => {
    sum[column]! += weight * value
  })
  const mean = Float32Array.from(sum, (value) => (total > 0 ? value / total : 0))
  // A second pass over differences keeps small deviations of large numbers.
  eachValue((column, value, weight) => {
    squares[column]! += weight * (value - mean[column]!) ** 2
  })
  const scale = Float32Array.from(squares, (square, column) => {
    const deviation = Math.sqrt(square / total)
    return deviation > 1e-6 * Math.max(1, Math.abs(mean[column]!)) ? 1 / deviation : 0
  })
  return { mean, scale }
}

function encodeRow(
  current: Float32Array,
  from: number,
  width: number,
  mean: Float32Array,
  scale: Float32Array,
  into: Float32Array,
  at: number,
): void {
  for (let j = 0; j < width; j++) {
    const value = current[from + j]!
    into[at + j] = clip((value - mean[j]!) * scale[j]!)
    into[at + width + j] = clip((symmetricLog(value) - mean[width + j]!) * scale[width + j]!)
  }
}

function symmetricLog(value: number): number {
  return Math.sign(value) * Math.log(1 + Math.abs(value))
}

function clip(value: number): number {
  return Math.min(CLIP_AT, Math.max(-CLIP_AT, value))
}

function logOddsOfFraud(rows: LogisticRows): number {
  let fraud = 1e-3
  let genuine = 1e-3
  for (let row = 0; row < rows.count; row++) {
    if (rows.fraud[row] === 1) fraud += rows.weight?.[row] ?? 1
    else genuine += rows.weight?.[row] ?? 1
  }
  return Math.log(fraud / genuine)
}

/** Mean weighted log loss and penalty at `[weights, bias]`; fills the gradient. */
function lossAt(
  rows: LogisticRows,
  encoded: Float32Array,
  at: Float64Array,
  l2: number,
  gradient: Float64Array,
): number {
  const size = at.length - 1
  gradient.fill(0)
  let loss = 0
  let total = 0
  for (let row = 0; row < rows.count; row++) {
    const from = row * size
    let z = at[size]!
    for (let j = 0; j < size; j++) z += at[j]! * encoded[from + j]!
    const target = rows.fraud[row]!
    const weight = rows.weight?.[row] ?? 1
    total += weight
    const tail = Math.exp(-Math.abs(z))
    loss += weight * (Math.max(z, 0) + Math.log1p(tail) - target * z)
    const residual = weight * ((z >= 0 ? 1 : tail) / (1 + tail) - target)
    for (let j = 0; j < size; j++) gradient[j]! += residual * encoded[from + j]!
    gradient[size]! += residual
  }
  const share = total > 0 ? 1 / total : 0
  loss *= share
  for (let j = 0; j <= size; j++) gradient[j]! *= share
  for (let j = 0; j < size; j++) {
    loss += (l2 / 2) * at[j]! * at[j]!
    gradient[j]! += l2 * at[j]!
  }
  return loss
}

type Objective = (at: Float64Array, gradient: Float64Array) => number

/** L-BFGS, two-loop recursion (Nocedal 1980), backtracking until the loss falls enough (Armijo). */
function minimise(
  objective: Objective,
  start: Float64Array,
  iterationsMax: number,
  onIteration?: (iteration: number, loss: number) => void,
): { at: Float64Array; value: number; iterations: number } {
  let at = start
  let gradient: Float64Array = new Float64Array(at.length)
  let value = objective(at, gradient)
  const steps: { move: Float64Array; change: Float64Array; inverse: number }[] = []
  for (let iteration = 0; iteration < iterationsMax; iteration++) {
    const direction = descentDirection(gradient, steps)
    const slope = dot(direction, gradient)
    if (!(slope < -1e-14)) return { at, value, iterations: iteration }
    let length = steps.length === 0 ? 1 / Math.max(1, Math.sqrt(dot(gradient, gradient))) : 1
    let nextGradient = new Float64Array(at.length)
    let next = moved(at, direction, length)
    let nextValue = objective(next, nextGradient)
    while (!(nextValue <= value + 1e-4 * length * slope) && length > 1e-12) {
      length /= 2
      next = moved(at, direction, length)
      nextGradient = new Float64Array(at.length)
      nextValue = objective(next, nextGradient)
    }
    if (!(nextValue < value)) return { at, value, iterations: iteration }
    const move = next.map((x, i) => x - at[i]!)
    const change = nextGradient.map((g, i) => g - gradient[i]!)
    const curvature = dot(move, change)
    if (curvature > 1e-16) steps.push({ move, change, inverse: 1 / curvature })
    if (steps.length > MEMORY_STEPS_MAX) steps.shift()
    const gained = value - nextValue
    at = next
    gradient = nextGradient
    value = nextValue
    onIteration?.(iteration + 1, value)
    if (gained <= 1e-9 * Math.abs(value)) return { at, value, iterations: iteration + 1 }
  }
  return { at, value, iterations: iterationsMax }
}

function descentDirection(
  gradient: Float64Array,
  steps: readonly { move: Float64Array; change: Float64Array; inverse: number }[],
): Float64Array {
  const direction = gradient.map((g) => -g)
  const shares = new Float64Array(steps.length)
  for (let s = steps.length - 1; s >= 0; s--) {
    const { move, change, inverse } = steps[s]!
    shares[s] = inverse * dot(move, direction)
    addScaled(direction, change, -shares[s]!)
  }
  const last = steps.at(-1)
  if (last !== undefined) {
    const size = 1 / (last.inverse * dot(last.change, last.change))
    for (let i = 0; i < direction.length; i++) direction[i]! *= size
  }
  steps.forEach(({ move, change, inverse }, s) => {
    addScaled(direction, move, shares[s]! - inverse * dot(change, direction))
  })
  return direction
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!
  return sum
}

function addScaled(to: Float64Array, from: Float64Array, factor: number): void {
  for (let i = 0; i < to.length; i++) to[i]! += factor * from[i]!
}

function moved(at: Float64Array, direction: Float64Array, length: number): Float64Array {
  return at.map((x, i) => x + length * direction[i]!)
}

const CLIP_AT = 6
const MEMORY_STEPS_MAX = 10
