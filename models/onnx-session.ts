import { messageOf, WeirError } from '#schemas/errors.ts'
import type { ModelManifest } from '#schemas/model-manifest.ts'
import type { InferenceSession, Tensor } from 'onnxruntime-node'

import { type Provider, type Runtime, sessionOptionsFor } from './execution-provider.ts'
import type { FeatureBuffers, FeatureLayout } from './feature-buffers.ts'

/**
 * One loaded graph, run in batches of two fixed shapes. Rows that stand side by side in the feature buffers are read
 * where they are (tensors over them are made once and kept); others are copied together first. Nothing is allocated per
 * row.
 */
export class OnnxSession {
  readonly #session: InferenceSession
  readonly #wide: Batch
  readonly #narrow: Batch
  readonly #where: string

  constructor(session: InferenceSession, wide: Batch, narrow: Batch, where: string) {
    this.#session = session
    this.#wide = wide
    this.#narrow = narrow
    this.#where = where
  }

  /**
   * Writes one output of the graph for `count` rows; the caller sees to it that only one run is under way.
   *
   * @throws WeirError SCORER_FAILED, also where the graph answers with no number
   */
  async run(
    input: FeatureBuffers,
    rows: Int32Array,
    count: number,
    into: Float32Array,
    source: 'probability' | 'logit',
  ): Promise<void> {
    for (let done = 0; done < count; ) {
      const batch = count - done > WIDE_FROM_ROWS ? this.#wide : this.#narrow
      const taken = Math.min(batch.size, count - done)
      const feeds = batch.feedsFor(input, rows, done, taken)
      const output = source === 'logit' ? batch.logit! : batch.probability
      try {
        await this.#session.run(feeds, output.fetches)
      } catch (cause) {
        throw this.#failed(`onnxruntime could not score: ${messageOf(cause)}`, cause)
      }
      const { data, width } = output
      for (let i = 0; i < taken; i++) {
        const answer = data[i * width + width - 1]!
        // A score that is no number would pass every threshold.
        if (answer !== answer) throw this.#failed('the model answered with no number')
        into[done + i] = answer
      }
      done += taken
    }
  }

  async release(): Promise<void> {
    await this.#session.release()
  }

  #failed(problem: string, cause?: unknown): WeirError {
    return new WeirError('SCORER_FAILED', `The model failed: ${problem}`, { where: this.#where, cause })
  }
}

export interface OnnxSessionDeps {
  readonly runtime: Runtime
  readonly model: Uint8Array
  /** Named in errors. */
  readonly file: string
  readonly manifest: ModelManifest
  readonly layout: FeatureLayout
  readonly provider: Provider
}

/**
 * Loads a graph and compares its inputs and outputs with the manifest.
 *
 * @throws WeirError MODEL_INVALID
 */
export async function openOnnxSession(deps: OnnxSessionDeps): Promise<OnnxSession> {
  const { runtime, model, file, manifest, layout, provider } = deps
  let session: InferenceSession
  try {
    session = await runtime.InferenceSession.create(model, sessionOptionsFor(provider))
  } catch (cause) {
    throw new WeirError('MODEL_INVALID', `onnxruntime does not load the model: ${messageOf(cause)}`, {
      where: file,
      fix: 'Export it as ONNX with opset 13 to 25 and IR version 8 to 13.',
      cause,
    })
  }
  try {
    const lengthsElement = checkInputs(session, manifest, layout, file)
    checkOutputs(session, manifest, file)
    const batchOf = async (size: number) =>
      await openBatch({ runtime, session, manifest, layout, file, lengthsElement, size })
    return new OnnxSession(session, await batchOf(WIDE_ROWS), await batchOf(NARROW_ROWS), file)
  } catch (error) {
    await session.release()
    throw error
  }
}

type LengthsElement = 'int32' | 'int64'
type Feeds = Record<string, Tensor>

interface BatchOutput {
  readonly data: Float32Array
  /** Numbers a row; the last one is the answer. */
  readonly width: number
  readonly fetches: Record<string, Tensor>
}

/** The tensors of one batch shape, made once. */
class Batch {
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
      kept = new Array<Feeds | undefined>(input.capacity).fill(undefined)
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

interface BatchDeps {
  readonly runtime: Runtime
  readonly session: InferenceSession
  readonly manifest: ModelManifest
  readonly layout: FeatureLayout
  readonly file: string
  readonly lengthsElement: LengthsElement
  readonly size: number
}

/** Runs one empty batch to learn the true shapes of the outputs, then makes room for them. */
async function openBatch(deps: BatchDeps): Promise<Batch> {
  const { runtime, session, manifest, layout, file, lengthsElement, size } = deps
  const inputs = new BatchInputs(runtime, manifest.inputs, layout, lengthsElement, size)
  const names = [manifest.outputs.probability]
  if (manifest.outputs.logit !== null) names.push(manifest.outputs.logit)
  let answers: InferenceSession.OnnxValueMapType
  try {
    answers = await session.run(inputs.feedsOf(inputs.history, inputs.lengths, inputs.current), names)
  } catch (cause) {
    throw invalid(file, `it does not accept a batch of ${size}: ${messageOf(cause)}`, cause)
  }
  const outputOf = (name: string, widest: number): BatchOutput => {
    const answer = answers[name]!
    const dims = answer.dims
    const width = dims[1] ?? 1
    if (answer.type !== 'float32' || dims.length > 2 || dims[0] !== size || width < 1 || width > widest) {
      throw invalid(file, `output ${name} is ${answer.type}[${dims.join(', ')}] for ${size} rows`)
    }
    const data = new Float32Array(size * width)
    return { data, width, fetches: { [name]: new runtime.Tensor('float32', data, dims) } }
  }
  const { probability, logit } = manifest.outputs
  return new Batch(inputs, outputOf(probability, 2), logit === null ? null : outputOf(logit, 1))
}

/** Compares the graph's inputs with the manifest; gives the element type of the lengths. */
function checkInputs(
  session: InferenceSession,
  manifest: ModelManifest,
  layout: FeatureLayout,
  file: string,
): LengthsElement {
  const { history, lengths, current } = manifest.inputs
  const wanted = new Map<string, readonly (number | null)[]>()
  if (history !== null) wanted.set(history, [null, layout.historyLength, layout.historyWidth])
  if (lengths !== null) wanted.set(lengths, [null])
  if (current !== null) wanted.set(current, [null, layout.currentWidth])
  for (const name of wanted.keys()) {
    if (!session.inputNames.includes(name)) throw invalid(file, `it has no input ${name}, which its manifest names`)
  }
  let lengthsElement: LengthsElement = 'int32'
  for (const found of session.inputMetadata) {
    const shape = wanted.get(found.name)
    if (shape === undefined) throw invalid(file, `it has an input ${found.name} that its manifest does not name`)
    if (!found.isTensor) throw invalid(file, `input ${found.name} is not a tensor`)
    const said = `input ${found.name} is ${found.type}[${found.shape.join(', ')}]`
    if (found.name === lengths) {
      if (found.type !== 'int32' && found.type !== 'int64') throw invalid(file, `${said}, int32 or int64 is needed`)
      lengthsElement = found.type
    } else if (found.type !== 'float32') {
      throw invalid(file, `${said}, float32 is needed`)
    }
    const fits =
      found.shape.length === shape.length &&
      shape.every((size, i) => typeof found.shape[i] === 'string' || (size !== null && found.shape[i] === size))
    if (!fits) throw invalid(file, `${said}, [${shape.map((size) => size ?? 'N').join(', ')}] is needed`)
  }
  return lengthsElement
}

function checkOutputs(session: InferenceSession, manifest: ModelManifest, file: string): void {
  for (const name of [manifest.outputs.probability, manifest.outputs.logit]) {
    if (name === null) continue
    const found = session.outputMetadata.find((output) => output.name === name)
    if (found === undefined) throw invalid(file, `it has no output ${name}, which its manifest names`)
    if (!found.isTensor) throw invalid(file, `output ${name} is not a tensor (export without a ZipMap)`)
  }
}

function invalid(file: string, problem: string, cause?: unknown): WeirError {
  return new WeirError('MODEL_INVALID', `The model cannot be served: ${problem}`, {
    where: file,
    fix: 'The graph and its manifest must agree; export or register the model again.',
    cause,
  })
}

const WIDE_ROWS = 64
const NARROW_ROWS = 16
/** Up to three narrow batches cost less than a wide one. */
const WIDE_FROM_ROWS = 48
const SHORT_COPY_NUMBERS = 48
