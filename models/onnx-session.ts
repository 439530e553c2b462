import { messageOf, WeirError } from '#schemas/errors.ts'
import type { ModelManifest } from '#schemas/model-manifest.ts'
import type { InferenceSession } from 'onnxruntime-node'

import { type Provider, type Runtime, sessionOptionsFor } from './execution-provider.ts'
import type { FeatureBuffers, FeatureLayout } from './feature-buffers.ts'
import { type Batch, type LengthsElement, modelUnfit, openBatch } from './onnx-batch.ts'

/**
 * One loaded graph, run in batches of a few fixed shapes. Rows that stand side by side in the feature buffers are read
 * where they are (tensors over them are made once and kept); others are copied together first. Nothing is allocated per
 * row.
 */
export class OnnxSession {
  readonly #session: InferenceSession
  /** Widest first. */
  readonly #batches: readonly Batch[]
  readonly #where: string

  constructor(session: InferenceSession, batches: readonly Batch[], where: string) {
    this.#session = session
    this.#batches = batches
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
      const batch = this.#batchFor(count - done)
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

  /** The widest that at least three quarters of the rows left fill: what is padded costs as much as what is not. */
  #batchFor(left: number): Batch {
    return this.#batches.find(({ size }) => left > size * FILLED_SHARE_MIN) ?? this.#batches.at(-1)!
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
    const batches: Batch[] = []
    for (const size of BATCH_ROWS) {
      batches.push(await openBatch({ runtime, session, manifest, layout, file, lengthsElement, size }))
    }
    return new OnnxSession(session, batches, file)
  } catch (error) {
    await session.release()
    throw error
  }
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
    if (!session.inputNames.includes(name)) throw modelUnfit(file, `it has no input ${name}, which its manifest names`)
  }
  let lengthsElement: LengthsElement = 'int32'
  for (const found of session.inputMetadata) {
    const shape = wanted.get(found.name)
    if (shape === undefined) throw modelUnfit(file, `it has an input ${found.name} that its manifest does not name`)
    if (!found.isTensor) throw modelUnfit(file, `input ${found.name} is not a tensor`)
    const said = `input ${found.name} is ${found.type}[${found.shape.join(', ')}]`
    if (found.name === lengths) {
      if (found.type !== 'int32' && found.type !== 'int64') throw modelUnfit(file, `${said}, int32 or int64 is needed`)
      lengthsElement = found.type
    } else if (found.type !== 'float32') {
      throw modelUnfit(file, `${said}, float32 is needed`)
    }
    const fits =
      found.shape.length === shape.length &&
      shape.every((size, i) => typeof found.shape[i] === 'string' || (size !== null && found.shape[i] === size))
    if (!fits) throw modelUnfit(file, `${said}, [${shape.map((size) => size ?? 'N').join(', ')}] is needed`)
  }
  return lengthsElement
}

function checkOutputs(session: InferenceSession, manifest: ModelManifest, file: string): void {
  for (const name of [manifest.outputs.probability, manifest.outputs.logit]) {
    if (name === null) continue
    const found = session.outputMetadata.find((output) => output.name === name)
    if (found === undefined) throw modelUnfit(file, `it has no output ${name}, which its manifest names`)
    if (!found.isTensor) throw modelUnfit(file, `output ${name} is not a tensor (export without a ZipMap)`)
  }
}

/** Few rows answer soonest in 16; an operator's fixed cost is spread best over 512; an explanation is a power of two. */
const BATCH_ROWS = [512, 256, 128, 64, 16] as const
const FILLED_SHARE_MIN = 0.75
