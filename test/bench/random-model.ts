import type { FeatureBuffers, FeatureLayout } from '#models/feature-buffers.ts'
import { columnMedians } from '#models/column-medians.ts'
import { exportOnnx } from '#models/lstm/export-onnx.ts'
import { fitEncoding } from '#models/lstm/fit-encoding.ts'
import { measureProjection } from '#models/lstm/measure-projection.ts'
import { initialParameters, type LstmShape, type LstmWeights } from '#models/lstm/weights.ts'
import { sha256Of } from '#models/model-folder.ts'
import { makeGoldenBatch } from '#models/onnx-scorer.ts'
import type { ModelParts } from '#models/registry.ts'
import type { ModelManifest } from '#schemas/model-manifest.ts'

const VERSION = 'random-weights'
const SEED = 1
const UNITS = 64
const PROJECTION_UNITS_MAX = 24
const BINS = 8
const GOLDEN_ROWS = 32
const BASE_LOGIT = -5

/**
 * A network of the size and precision that training gives, encoding and bins fitted on the first `count` rows of `sample`, its weights
 * left as they are drawn: it takes the same time as a trained one and knows nothing.
 */
export async function makeRandomModel(
  layout: FeatureLayout,
  sample: FeatureBuffers,
  count: number,
): Promise<ModelParts> {
  const { historyLength, historyWidth, currentWidth } = layout
  const training = {
    layout,
    count,
    history: sample.history.slice(0, count * historyLength * historyWidth),
    historyLength: sample.historyLength.slice(0, count),
    current: sample.current.slice(0, count * currentWidth),
    label: Uint8Array.from({ length: count }, (_, row) => (row % 50 === 0 ? 1 : 0)),
    weight: new Float32Array(count).fill(1),
    eventTimeMs: new Float64Array(count),
    nextLogAmount: new Float32Array(count).fill(Number.NaN),
    nextLogGapMs: new Float32Array(count).fill(Number.NaN),
  }
  const encoding = fitEncoding(training, BINS)
  const shape: LstmShape = {
    historyLength,
    historyWidth,
    currentWidth,
    projectionUnits: Math.min(PROJECTION_UNITS_MAX, historyWidth),
    units: UNITS,
    currentUnits: UNITS,
    joinUnits: UNITS,
    bins: BINS,
    binnedColumns: encoding.binColumns.length,
  }
  const weights: LstmWeights = {
    shape,
    encoding,
    parameters: initialParameters(shape, SEED, BASE_LOGIT),
    projectionMax: null,
    calibration: { slope: 1, intercept: 0 },
    forecast: { logAmountMean: 0, logAmountDeviation: 1, logGapMean: 0, logGapDeviation: 1 },
    backend: 'none',
    seed: SEED,
    history: [],
    bestEpoch: 0,
  }
  const model = exportOnnx(weights, measureProjection(weights, training))
  const draft = manifestOf(layout, model, columnMedians(training.current, count, currentWidth))
  const golden = await makeGoldenBatch({ model, manifest: draft, layout, input: sample, rows: GOLDEN_ROWS })
  return { manifest: { ...draft, golden }, model, report: null }
}

function manifestOf(layout: FeatureLayout, model: Uint8Array, medians: number[]): ModelManifest {
  return {
    format: 1,
    version: VERSION,
    kind: 'lstm',
    spec: {
      name: layout.specName,
      hash: layout.specHash,
      historyLength: layout.historyLength,
      historyWidth: layout.historyWidth,
      currentWidth: layout.currentWidth,
    },
    inputs: { history: 'history', lengths: 'lengths', current: 'current' },
    outputs: { probability: 'probability', logit: 'logit', next: 'next' },
    calibration: null,
    precision: 'int8',
    sha256: sha256Of(model),
    medians,
    training: {
      from: 0,
      to: 0,
      labelsKnownBy: 0,
      rows: 0,
      fraud: 0,
      genuine: 0,
      unknown: 0,
      genuineShare: 1,
      seed: SEED,
      backend: 'none',
      labelFeatures: false,
    },
    evaluation: null,
    thresholds: { review: 0.5, alertsPerDay: 1 },
    scoreHistogram: null,
    golden: { rows: 1, history: '', lengths: [0], current: '', probability: [0] },
    parent: null,
    createdAt: 0,
    command: 'weir bench',
  }
}
