import { messageOf, WeirError } from '#schemas/errors.ts'
import type { ModelManifest } from '#schemas/model-manifest.ts'
import type { InferenceSession, Tensor } from 'onnxruntime-node'

import type { Runtime } from './execution-provider.ts'
import type { FeatureBuffers, FeatureLayout } from './feature-buffers.ts'

export type LengthsElement = 'int32' | 'int64'
export type Feeds = Record<string, Tensor>

export interface BatchOutput {
  readonly data: Float32Array
  /** Numbers a row; the last one is the answer. */
  readonly width: number
  readonly fetches: Record<string, Tensor>
}

/** The tensors of one batch shape, made once. */
export class Batch {
  readonly size: number
  readonly probability: BatchOutput
  readonly logit: BatchOutput | null
  readonly #inputs: BatchInputs
  readonly #gathered: Feeds
  readonly #feedsOver: WeakMap<FeatureBuffers, (Feeds | undefined)[]> = new WeakMap()

  constructor(inputs: BatchInputs, probability: BatchOutput, logit: BatchOutput | null) {
    this.size = inputs.size
    this.#inputs = inputs
    this.#gathered = inputs.feedsOf(inputs.history, inputs.lengths, inputs.current)
    this.probability = probability
    this.logit = logit
  }

  /** Tensors that hold rows[from..from + taken), the rest of the batch being whatever stands there. */
  feedsFor(input: FeatureBuffers, rows: Int32Array, from: number, taken: number): Feeds {
    const first = rows[from]!
    const isRun = this.#inputs.lengths instanceof Int32Array && isConsecutive(rows, from, taken)
    if (isRun && first + this.size <= input.capacity) return this.#feedsAt(input, first)
    this.#inputs.gather(input, rows, from, taken)
    return this.#gathered
  }

  /** Tensors over the buffers themselves, from row `first` on; at most one set for each row of the buffers is kept. */
  #feedsAt(input: FeatureBuffers, first: number): Feeds {
    let kept = this.#feedsOver.get(input)
    if (kept === undefined) {
      kept = Array.from({ length: input.capacity }, () => undefined)
      this.#feedsOver.set(input, kept)
    }
    let feeds = kept[first]
    if (feeds === undefined) {
      const { size, historyNumbers, currentNumbers } = this.#inputs
      const end = first + size
      feeds = this.#inputs.feedsOf(
        input.history.subarray(first * historyNumbers, end * historyNumbers),
        input.historyLength.subarray(first, end),
        input.current.subarray(first * currentNumbers, end * currentNumbers),
      )
      kept[first] = feeds
    }
    return feeds
  }
}

/** Room for the rows of one batch, and the names under which the graph wants them. */
class BatchInputs {
  readonly size: number
  readonly historyNumbers: number
  readonly currentNumbers: number
  readonly history: Float32Array
  readonly lengths: Int32Array | BigInt64Array
  readonly current: Float32Array
  readonly #runtime: Runtime
  readonly #names: ModelManifest['inputs']
  readonly #layout: FeatureLayout

  constructor(
    runtime: Runtime,
    names: ModelManifest['inputs'],
    layout: FeatureLayout,
    lengths: LengthsElement,
    size: number,
  ) {
    this.#runtime = runtime
    this.#names = names
    this.#layout = layout
    this.size = size
    this.historyNumbers = layout.historyLength * layout.historyWidth
    this.currentNumbers = layout.currentWidth
    this.history = new Float32Array(size * this.historyNumbers)
    this.lengths = lengths === 'int64' ? new BigInt64Array(size) : new Int32Array(size)
    this.current = new Float32Array(size * this.currentNumbers)
  }

  feedsOf(history: Float32Array, lengths: Int32Array | BigInt64Array, current: Float32Array): Feeds {
    const { Tensor } = this.#runtime
    const { historyLength, historyWidth, currentWidth } = this.#layout
    const feeds: Feeds = {}
    if (this.#names.history !== null) {
      feeds[this.#names.history] = new Tensor('float32', history, [this.size, historyLength, historyWidth])
    }
    if (this.#names.lengths !== null) {
      feeds[this.#names.lengths] =
        lengths instanceof Int32Array
          ? new Tensor('int32', lengths, [this.size])
          : new Tensor('int64', lengths, [this.size])
    }
    if (this.#names.current !== null) {
      feeds[this.#names.current] = new Tensor('float32', current, [this.size, currentWidth])
    }
    return feeds
  }

  /** Copies rows together, consecutive ones in one go. */
  gather(input: FeatureBuffers, rows: Int32Array, from: number, taken: number): void {
    const { historyNumbers, currentNumbers, lengths } = this
    for (let to = 0; to < taken; ) {
      const row = rows[from + to]!
      let run = 1
      while (to + run < taken && rows[from + to + run] === row + run) run++
      if (this.#names.history !== null) {
        copy(input.history, row * historyNumbers, run * historyNumbers, this.history, to * historyNumbers)
        for (let i = 0; i < run; i++) {
          const length = input.historyLength[row + i]!
          if (lengths instanceof Int32Array) lengths[to + i] = length
          else lengths[to + i] = BigInt(length)
        }
      }
      if (this.#names.current !== null) {
        copy(input.current, row * currentNumbers, run * currentNumbers, this.current, to * currentNumbers)
      }
      to += run
    }
  }
}

/** Copies numbers; short pieces by hand, which costs less than making a view of them. */
function copy(from: Float32Array, start: number, length: number, to: Float32Array, at: number): void {
  if (length > SHORT_COPY_NUMBERS) {
    to.set(from.subarray(start, start + length), at)
    return
  }
  for (let i = 0; i < length; i++) to[at + i] = from[start + i]!
}

function isConsecutive(rows: Int32Array, from: number, taken: number): boolean {
  const first = rows[from]!
  if (rows[from + taken - 1] !== first + taken - 1) return false
  for (let i = 1; i < taken; i++) if (rows[from + i] !== first + i) return false
  return true
}

export interface BatchDeps {
  readonly runtime: Runtime
  readonly session: InferenceSession
  readonly manifest: ModelManifest
  readonly layout: FeatureLayout
  readonly file: string
  readonly lengthsElement: LengthsElement
  readonly size: number
}

/** Runs one empty batch to learn the true shapes of the outputs, then makes room for them. */
export async function openBatch(deps: BatchDeps): Promise<Batch> {
  const { runtime, session, manifest, layout, file, lengthsElement, size } = deps
  const inputs = new BatchInputs(runtime, manifest.inputs, layout, lengthsElement, size)
  const names = [manifest.outputs.probability]
  if (manifest.outputs.logit !== null) names.push(manifest.outputs.logit)
  let answers: InferenceSession.OnnxValueMapType
  try {
    answers = await session.run(inputs.feedsOf(inputs.history, inputs.lengths, inputs.current), names)
  } catch (cause) {
    throw modelUnfit(file, `it does not accept a batch of ${size}: ${messageOf(cause)}`, cause)
  }
  const outputOf = (name: string, widest: number): BatchOutput => {
    const answer = answers[name]!
    const dims = answer.dims
    const width = dims[1] ?? 1
    if (answer.type !== 'float32' || dims.length > 2 || dims[0] !== size || width < 1 || width > widest) {
      throw modelUnfit(file, `output ${name} is ${answer.type}[${dims.join(', ')}] for ${size} rows`)
    }
    const data = new Float32Array(size * width)
    return { data, width, fetches: { [name]: new runtime.Tensor('float32', data, dims) } }
  }
  const { probability, logit } = manifest.outputs
  return new Batch(inputs, outputOf(probability, 2), logit === null ? null : outputOf(logit, 1))
}

/** A graph that does not fit its manifest. */
export function modelUnfit(file: string, problem: string, cause?: unknown): WeirError {
  return new WeirError('MODEL_INVALID', `The model cannot be served: ${problem}`, {
    where: file,
    fix: 'The graph and its manifest must agree; export or register the model again.',
    cause,
  })
}

const SHORT_COPY_NUMBERS = 48
