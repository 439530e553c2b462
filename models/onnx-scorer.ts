import { join } from 'node:path'

import { messageOf, WeirError } from '#schemas/errors.ts'
import {
  decodeFloats,
  encodeFloats,
  GOLDEN_TOLERANCE,
  type GoldenBatch,
  type ModelManifest,
} from '#schemas/model-manifest.ts'

import { calibrateLogit, logitOf, probabilityOf } from './calibrate.ts'
import {
  type ChosenProvider,
  chooseExecutionProvider,
  loadRuntime,
  type Provider,
  type ProviderWish,
} from './execution-provider.ts'
import { createFeatureBuffers, type FeatureBuffers, type FeatureLayout } from './feature-buffers.ts'
import { MODEL_FILE, readModelFolder } from './model-folder.ts'
import { openOnnxSession, type OnnxSession } from './onnx-session.ts'
import type { Scorer } from './scorer.ts'

/** A scorer that also tells log odds, which explanations need. */
export interface LogitScorer extends Scorer {
  /** As `score`, but calibrated log odds. */
  scoreLogits(input: FeatureBuffers, rows: Int32Array, count: number, logits: Float32Array): Promise<void>
}

export interface OnnxScorer extends LogitScorer {
  readonly provider: Provider
  /** Why it runs where it runs, in words. */
  readonly explanation: string
  readonly manifest: ModelManifest
}

export interface OnnxScorerOptions {
  /** A model folder: model.onnx and manifest.json. */
  readonly folder: string
  /** Of the feature code that will fill the buffers; its spec hash must be the model's. */
  readonly layout: FeatureLayout
  readonly provider: ProviderWish
}

/**
 * Serves a model folder with onnxruntime in batches of a few fixed shapes, so that a row's score does not
 * depend on the rows beside it. Before the first score the golden batch must come out as the manifest says.
 *
 * @throws WeirError MODEL_INVALID, MODEL_NOT_FOUND, NOT_AVAILABLE
 */
export async function createOnnxScorer(options: OnnxScorerOptions): Promise<OnnxScorer> {
  const { folder, layout } = options
  const { manifest, model } = await readModelFolder(folder)
  const file = join(folder, MODEL_FILE)
  checkSpec(manifest, layout, folder)
  const chosen = await providerFor(manifest, options.provider, file)
  const runtime = await loadRuntime()

  const open = async (provider: Provider, explanation: string): Promise<OnnxScorer> => {
    const session = await openOnnxSession({ runtime, model, file, manifest, layout, provider })
    const scorer = new SessionScorer(session, manifest, layout, provider, explanation)
    try {
      await checkGolden(scorer, manifest, layout, file)
    } catch (error) {
      await scorer.close()
      throw error
    }
    return scorer
  }

  if (chosen.provider === 'cuda' && options.provider === 'auto') {
    try {
      return await open('cuda', chosen.explanation)
    } catch (error) {
      // A GPU that does not give the golden answers is not used; if the CPU does not either, that error is thrown.
      return await open('cpu', `Models run on the CPU: on the GPU this model failed its check (${messageOf(error)}).`)
    }
  }
  return await open(chosen.provider, chosen.explanation)
}

/**
 * The golden batch of a model: the first `rows` rows of `input` (at most 64) with the answers that the CPU gives. The
 * manifest's own golden batch and sha256 are not looked at, so that a draft will do.
 *
 * @throws WeirError MODEL_INVALID
 */
export async function makeGoldenBatch(of: {
  readonly model: Uint8Array
  readonly manifest: ModelManifest
  readonly layout: FeatureLayout
  readonly input: FeatureBuffers
  readonly rows: number
}): Promise<GoldenBatch> {
  const { model, manifest, layout, input, rows } = of
  const runtime = await loadRuntime()
  const session = await openOnnxSession({ runtime, model, file: MODEL_FILE, manifest, layout, provider: 'cpu' })
  const scorer = new SessionScorer(session, manifest, layout, 'cpu', '')
  try {
    const scores = new Float32Array(rows)
    await scorer.score(input, firstRows(rows), rows, scores)
    return {
      rows,
      history: encodeFloats(input.history.subarray(0, rows * layout.historyLength * layout.historyWidth)),
      lengths: Array.from(input.historyLength.subarray(0, rows)),
      current: encodeFloats(input.current.subarray(0, rows * layout.currentWidth)),
      probability: Array.from(scores),
    }
  } finally {
    await scorer.close()
  }
}

/** An 8-bit recurrence has kernels for the CPU alone. @throws WeirError NOT_AVAILABLE */
async function providerFor(manifest: ModelManifest, wish: ProviderWish, file: string): Promise<ChosenProvider> {
  if (manifest.precision === 'float32') return await chooseExecutionProvider(wish)
  if (wish === 'cuda') {
    throw new WeirError(
      'NOT_AVAILABLE',
      `Model ${manifest.version} has an 8-bit recurrence, which runs on the CPU alone`,
      {
        where: file,
        fix: 'Set model.provider to auto or cpu, or train with model.precision float32.',
      },
    )
  }
  return {
    provider: 'cpu',
    explanation:
      'Models run on the CPU: this one has an 8-bit recurrence, made for it. For a GPU train with model.precision float32.',
  }
}

class SessionScorer implements OnnxScorer {
  readonly modelVersion: string
  readonly #session: OnnxSession
  #tail: Promise<void> = Promise.resolve()
  #closed = false

  readonly manifest: ModelManifest
  readonly layout: FeatureLayout
  readonly provider: Provider
  readonly explanation: string

  constructor(
    session: OnnxSession,
    manifest: ModelManifest,
    layout: FeatureLayout,
    provider: Provider,
    explanation: string,
  ) {
    this.#session = session
    this.manifest = manifest
    this.layout = layout
    this.provider = provider
    this.explanation = explanation
    this.modelVersion = manifest.version
  }

  async score(input: FeatureBuffers, rows: Int32Array, count: number, scores: Float32Array): Promise<void> {
    await this.#inTurn(() => this.#session.run(input, rows, count, scores, 'probability'))
    const calibration = this.manifest.calibration
    if (calibration === null) return
    for (let i = 0; i < count; i++) scores[i] = probabilityOf(calibrateLogit(calibration, logitOf(scores[i]!)))
  }

  async scoreLogits(input: FeatureBuffers, rows: Int32Array, count: number, logits: Float32Array): Promise<void> {
    const calibration = this.manifest.calibration
    const source = this.manifest.outputs.logit === null ? 'probability' : 'logit'
    await this.#inTurn(() => this.#session.run(input, rows, count, logits, source))
    for (let i = 0; i < count; i++) {
      const logit = source === 'logit' ? logits[i]! : logitOf(logits[i]!)
      logits[i] = calibrateLogit(calibration, logit)
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#tail
    await this.#session.release()
  }

  /** One run at a time: the path and the explainer share the session's batch tensors. */
  async #inTurn(work: () => Promise<void>): Promise<void> {
    if (this.#closed) {
      throw new WeirError('SCORER_FAILED', 'The model was closed and cannot score', { where: this.modelVersion })
    }
    const before = this.#tail
    const turn = withResolvers()
    this.#tail = turn.promise
    await before
    try {
      await work()
    } finally {
      turn.resolve()
    }
  }
}

function firstRows(count: number): Int32Array {
  return Int32Array.from({ length: count }, (_, i) => i)
}

function withResolvers(): { promise: Promise<void>; resolve: () => void } {
  let resolve: () => void = () => {}
  const promise = new Promise<void>((settle) => {
    resolve = settle
  })
  return { promise, resolve }
}

/** A model serves only the vectors it was made for. */
function checkSpec(manifest: ModelManifest, layout: FeatureLayout, folder: string): void {
  const { spec } = manifest
  const refuse = (field: string, found: string | number, wanted: string | number) => {
    if (found === wanted) return
    throw new WeirError(
      'MODEL_INVALID',
      `Model ${manifest.version} was made for another feature spec: ${field} is ${found}, here it is ${wanted}`,
      {
        where: `${folder}/manifest.json, spec.${field}`,
        fix: `Serve it with the spec it was made for (${spec.name}), or train a model on this one.`,
      },
    )
  }
  refuse('hash', spec.hash, layout.specHash)
  refuse('historyLength', spec.historyLength, layout.historyLength)
  refuse('historyWidth', spec.historyWidth, layout.historyWidth)
  refuse('currentWidth', spec.currentWidth, layout.currentWidth)
}

async function checkGolden(
  scorer: Scorer,
  manifest: ModelManifest,
  layout: FeatureLayout,
  file: string,
): Promise<void> {
  const { golden } = manifest
  const input = createFeatureBuffers(layout, golden.rows)
  input.history.set(decodeFloats(golden.history))
  input.historyLength.set(golden.lengths)
  input.current.set(decodeFloats(golden.current))
  const scores = new Float32Array(golden.rows)
  await scorer.score(input, firstRows(golden.rows), golden.rows, scores)
  let worst = 0
  for (let i = 0; i < golden.rows; i++) worst = Math.max(worst, Math.abs(scores[i]! - golden.probability[i]!))
  if (worst > GOLDEN_TOLERANCE) {
    throw new WeirError(
      'MODEL_INVALID',
      `Model ${manifest.version} does not give the answers of its golden batch: off by ${worst.toExponential(1)}, allowed is ${GOLDEN_TOLERANCE}`,
      { where: `${file}, golden`, fix: 'Train or export the model again; do not serve this one.' },
    )
  }
}
