import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { rankingQuality } from '#models/evaluation/metrics.ts'
import { rankRows } from '#models/evaluation/ranking.ts'
import type { TrainingBackend } from '#models/lstm/backend.ts'
import { exportOnnx } from '#models/lstm/export-onnx.ts'
import { predict } from '#models/lstm/network.ts'
import type { LstmWeights } from '#models/lstm/weights.ts'
import { MANIFEST_FILE, MODEL_FILE } from '#models/model-folder.ts'
import { createOnnxScorer, makeGoldenBatch } from '#models/onnx-scorer.ts'
import { WeirError } from '#schemas/errors.ts'
import { GOLDEN_TOLERANCE, type GoldenBatch, type ModelManifest, type Precision } from '#schemas/model-manifest.ts'
import type { Dataset } from './dataset.ts'
import { evaluationRows } from './evaluation-rows.ts'
import { buffersOf, scoreDataset } from './score-dataset.ts'
import type { Split } from './split.ts'

export interface Graph {
  readonly model: Uint8Array
  readonly draft: ModelManifest
  readonly golden: GoldenBatch
  /** Probabilities of the test rows, as served. */
  readonly testScores: Float32Array
}

export interface ChosenGraph extends Graph {
  /** For the report: which numbers were taken, and what it costs. */
  readonly precisionFact: string
}

export interface ChooseGraphOptions {
  /** The one that trained. */
  readonly backend: TrainingBackend
  readonly draftOf: (model: Uint8Array, precision: Precision) => ModelManifest
}

const GOLDEN_ROWS = 32
/** Most average precision on the validation days that 8 bits may cost; intervals are ten times as wide. */
const INT8_LOSS_MAX = 0.002

/**
 * The graph that will serve. The float32 one must say what the network says in TensorFlow.js; the 8-bit one is taken
 * where the network was trained for it and it ranks the validation rows as well.
 *
 * @throws WeirError TRAINING_FAILED when export and network disagree
 */
export async function chooseGraph(
  trained: LstmWeights,
  split: Split,
  options: ChooseGraphOptions,
): Promise<ChosenGraph> {
  const { validation } = split
  const exact = await graphOf(trained, null, split, options)
  await checkExport(trained, exact, split.test, options.backend)
  if (trained.projectionMax === null) return { ...exact, precisionFact: 'float32, as asked' }
  const small = await graphOf(trained, trained.projectionMax, split, options)
  const before = await averagePrecision(exact, validation)
  const after = await averagePrecision(small, validation)
  const figures = `average precision on the validation days ${after.toFixed(4)} in 8 bits, ${before.toFixed(4)} in float32`
  if (after >= before - INT8_LOSS_MAX) return { ...small, precisionFact: `int8: ${figures}` }
  return { ...exact, precisionFact: `float32, because 8 bits cost too much: ${figures}` }
}

async function graphOf(
  trained: LstmWeights,
  projectionMax: Float32Array | null,
  { test }: Split,
  options: ChooseGraphOptions,
): Promise<Graph> {
  const model = exportOnnx(trained, projectionMax)
  const draft = options.draftOf(model, projectionMax === null ? 'float32' : 'int8')
  const { layout } = test
  const rows = Math.min(GOLDEN_ROWS, test.count)
  const golden = await makeGoldenBatch({ model, manifest: draft, layout, input: buffersOf(test), rows })
  return { model, draft, golden, testScores: await servedScores(model, { ...draft, golden }, test) }
}

async function checkExport(
  trained: LstmWeights,
  { golden }: Graph,
  test: Dataset,
  backend: TrainingBackend,
): Promise<void> {
  const { probability } = await predict(trained, { ...test, count: golden.rows }, backend)
  const worst = golden.probability.reduce(
    (most, served, row) => Math.max(most, Math.abs(served - probability[row]!)),
    0,
  )
  if (worst <= GOLDEN_TOLERANCE) return
  throw new WeirError(
    'TRAINING_FAILED',
    `the exported graph does not say what the trained network says: off by ${worst.toExponential(1)}, allowed is ${GOLDEN_TOLERANCE}`,
    { where: `${golden.rows} rows of the test days`, fix: 'Nothing was published. Please report this.' },
  )
}

async function averagePrecision({ model, draft, golden }: Graph, dataset: Dataset): Promise<number> {
  const rows = evaluationRows(dataset)
  const ranking = rankRows(rows, await servedScores(model, { ...draft, golden }, dataset))
  return rankingQuality(ranking, ranking.weight).averagePrecision
}

/** Scores by the code and the graph that will serve, so that what is judged is what is served. */
async function servedScores(model: Uint8Array, manifest: ModelManifest, dataset: Dataset): Promise<Float32Array> {
  const scratch = await mkdtemp(join(tmpdir(), 'weir-model-'))
  const folder = join(scratch, manifest.version)
  try {
    await mkdir(folder)
    await writeFile(join(folder, MODEL_FILE), model)
    await writeFile(join(folder, MANIFEST_FILE), JSON.stringify(manifest))
    const scorer = await createOnnxScorer({ folder, layout: dataset.layout, provider: 'cpu' })
    try {
      return await scoreDataset(scorer, dataset)
    } finally {
      await scorer.close()
    }
  } finally {
    await rm(scratch, { recursive: true })
  }
}
