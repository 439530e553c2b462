import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import {
  createFeatureBuffers,
  FEATURE_GROUPS,
  type FeatureBuffers,
  type FeatureLayout,
} from '#models/feature-buffers.ts'
import { sha256Of } from '#models/model-folder.ts'
import { makeGoldenBatch } from '#models/onnx-scorer.ts'
import { floats, int64s, writeOnnx } from '#models/onnx-writer.ts'
import { encodeFloats, type ModelManifest } from '#schemas/model-manifest.ts'

/** Small models with random weights and their folders, for tests of serving, registry and explanations. */

/** Repeatable numbers in [-1, 1). */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2147483648 - 1
  }
}

export function tinyLayout(historyLength = 4, historyWidth = 3, currentWidth = 8, specName = 'tiny'): FeatureLayout {
  const column = (name: string, i: number) => ({ name: `${name}_${i}`, group: FEATURE_GROUPS[i % 7]!, unit: 'count' })
  return {
    specName,
    specHash: sha256Of(Buffer.from(`${specName} ${historyLength} ${historyWidth} ${currentWidth}`)),
    historyLength,
    historyWidth,
    historyColumns: Array.from({ length: historyWidth }, (_, i) => column('past', i)),
    currentWidth,
    currentColumns: Array.from({ length: currentWidth }, (_, i) => column('now', i)),
  }
}

/** Buffers full of random vectors; histories of every length. */
export function randomBuffers(layout: FeatureLayout, capacity: number, seed: number): FeatureBuffers {
  const buffers = createFeatureBuffers(layout, capacity)
  const random = randomNumbers(seed)
  const { historyLength, historyWidth } = layout
  for (let row = 0; row < capacity; row++) {
    const length = Math.min(historyLength, Math.floor(((random() + 1) / 2) * (historyLength + 1)))
    buffers.historyLength[row] = length
    const from = (row * historyLength + historyLength - length) * historyWidth
    for (let i = from; i < (row + 1) * historyLength * historyWidth; i++) buffers.history[i] = 2 * random()
  }
  for (let i = 0; i < buffers.current.length; i++) buffers.current[i] = 2 * random()
  return buffers
}

/** LSTM over the history, joined with the current vector and the number of past events: the shape of the served network. */
export function tinyLstm(layout: FeatureLayout, units: number, seed: number): Uint8Array {
  const { historyLength: k, historyWidth: h, currentWidth: f } = layout
  const random = randomNumbers(seed)
  const weights = (name: string, dims: number[], scale = 0.5) =>
    floats(
      name,
      dims,
      Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, () => scale * random()),
    )
  return writeOnnx({
    name: 'tiny_lstm',
    nodes: [
      {
        op: 'Transpose',
        inputs: ['history'],
        outputs: ['steps'],
        attributes: { perm: { kind: 'ints', value: [1, 0, 2] } },
      },
      {
        op: 'LSTM',
        inputs: ['steps', 'W', 'R', 'B'],
        outputs: ['', 'last'],
        attributes: { hidden_size: { kind: 'int', value: units } },
      },
      { op: 'Squeeze', inputs: ['last', 'axis0'], outputs: ['hidden'] },
      { op: 'Gemm', inputs: ['current', 'DW', 'DB'], outputs: ['dense'] },
      { op: 'Relu', inputs: ['dense'], outputs: ['now'] },
      { op: 'Cast', inputs: ['lengths'], outputs: ['length'], attributes: { to: { kind: 'int', value: 1 } } },
      { op: 'Unsqueeze', inputs: ['length', 'axis1'], outputs: ['depth'] },
      {
        op: 'Concat',
        inputs: ['hidden', 'now', 'depth'],
        outputs: ['joined'],
        attributes: { axis: { kind: 'int', value: 1 } },
      },
      { op: 'Gemm', inputs: ['joined', 'OW', 'OB'], outputs: ['out'] },
      { op: 'Squeeze', inputs: ['out', 'axis1'], outputs: ['logit'] },
      { op: 'Sigmoid', inputs: ['logit'], outputs: ['probability'] },
    ],
    initializers: [
      weights('W', [1, 4 * units, h]),
      weights('R', [1, 4 * units, units], 1 / Math.sqrt(units)),
      weights('B', [1, 8 * units], 0.1),
      weights('DW', [f, units], 1 / Math.sqrt(f)),
      weights('DB', [units], 0.1),
      weights('OW', [2 * units + 1, 1], 2 / Math.sqrt(units)),
      weights('OB', [1]),
      int64s('axis0', [0]),
      int64s('axis1', [1]),
    ],
    inputs: [
      { name: 'history', element: 'float32', dims: ['N', k, h] },
      { name: 'lengths', element: 'int32', dims: ['N'] },
      { name: 'current', element: 'float32', dims: ['N', f] },
    ],
    outputs: [
      { name: 'probability', element: 'float32', dims: ['N'] },
      { name: 'logit', element: 'float32', dims: ['N'] },
    ],
  })
}

export interface TinyModel {
  readonly layout: FeatureLayout
  readonly version?: string
  readonly model: Uint8Array
  readonly golden?: ModelManifest['golden']
  readonly over?: Partial<ModelManifest>
}

export function tinyManifest(tiny: TinyModel): ModelManifest {
  const { layout } = tiny
  const numbers = layout.historyLength * layout.historyWidth
  return {
    format: 1,
    version: tiny.version ?? 'tiny-1',
    kind: 'lstm',
    spec: {
      name: layout.specName,
      hash: layout.specHash,
      historyLength: layout.historyLength,
      historyWidth: layout.historyWidth,
      currentWidth: layout.currentWidth,
    },
    inputs: { history: 'history', lengths: 'lengths', current: 'current' },
    outputs: { probability: 'probability', logit: 'logit', next: null },
    calibration: null,
    precision: 'float32',
    sha256: sha256Of(tiny.model),
    medians: layout.currentColumns.map(() => 0),
    training: {
      from: 0,
      to: 1,
      labelsKnownBy: 1,
      rows: 2,
      fraud: 1,
      genuine: 1,
      unknown: 0,
      genuineShare: 1,
      seed: 1,
      backend: 'test',
      labelFeatures: false,
    },
    evaluation: null,
    thresholds: { review: 0.5, alertsPerDay: 10 },
    scoreHistogram: null,
    golden: tiny.golden ?? {
      rows: 1,
      history: encodeFloats(new Float32Array(numbers)),
      lengths: [0],
      current: encodeFloats(new Float32Array(layout.currentWidth)),
      probability: [0.5],
    },
    parent: null,
    createdAt: 1,
    command: 'test',
    ...tiny.over,
  }
}

/** Gives the model a golden batch of `rows` random rows, answered by the runtime itself. */
export async function withGolden(tiny: TinyModel, rows = 4): Promise<TinyModel> {
  const input = randomBuffers(tiny.layout, rows, 99)
  const golden = await makeGoldenBatch({
    model: tiny.model,
    manifest: tinyManifest(tiny),
    layout: tiny.layout,
    input,
    rows,
  })
  return { ...tiny, golden }
}

/** Writes a model folder under `root` and gives its path. */
export async function writeTinyFolder(root: string, tiny: TinyModel): Promise<string> {
  const manifest = tinyManifest(tiny)
  const folder = join(root, manifest.version)
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'model.onnx'), tiny.model)
  await writeFile(join(folder, 'manifest.json'), JSON.stringify(manifest))
  return folder
}
