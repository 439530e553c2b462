import { z } from 'zod'

import { WeirError } from './errors.ts'

/**
 * What stands beside every `model.onnx`: where the model came from, what it may be fed, how good it was on which days,
 * and a small batch with known answers. A model folder without a manifest that holds is not loaded.
 */
export const MODEL_KINDS = ['lstm', 'logistic', 'trees', 'onnx'] as const

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 lower-case hex digits')
const epochMs = z.number().int().nonnegative()
const count = z.number().int().nonnegative()
const base64Floats = z
  .string()
  .regex(/^[A-Za-z0-9+/]*={0,2}$/, 'must be base64')
  .refine((text) => Buffer.from(text, 'base64').length % 4 === 0, 'must hold whole float32 numbers')

/** A figure with its bootstrap interval. */
const metric = z.strictObject({ value: z.number(), low: z.number(), high: z.number() })

const calibration = z.discriminatedUnion('kind', [
  /** Calibrated log odds = slope * log odds + intercept. */
  z.strictObject({ kind: z.literal('platt'), slope: z.number(), intercept: z.number() }),
  /** Monotone steps joined by straight lines, from raw log odds to calibrated log odds. */
  z
    .strictObject({ kind: z.literal('isotonic'), from: z.array(z.number()).min(1), to: z.array(z.number()).min(1) })
    .refine((c) => c.from.length === c.to.length, 'from and to must have the same length'),
])

export const VERSION_PATTERN = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/

export const modelManifestSchema = z.strictObject({
  format: z.literal(1),
  /** Name of the folder, and what decisions say. */
  version: z.string().regex(VERSION_PATTERN, 'must be letters, digits, dot, dash and underscore, at most 100'),
  kind: z.enum(MODEL_KINDS),
  /** The feature spec whose vectors the model was made for. */
  spec: z.strictObject({
    name: z.string().min(1),
    hash: sha256,
    /** K, H and F of the spec. */
    historyLength: count,
    historyWidth: count,
    currentWidth: count,
  }),
  /** Names in the graph; null where the model has no such input. */
  inputs: z
    .strictObject({
      /** float32 `[N, K, H]`, newest event last. */
      history: z.string().min(1).nullable(),
      /** int32 or int64 `[N]`, how many of the K are real. */
      lengths: z.string().min(1).nullable(),
      /** float32 `[N, F]`. */
      current: z.string().min(1).nullable(),
    })
    .refine((inputs) => inputs.history !== null || inputs.current !== null, 'history or current must be named')
    .refine((inputs) => inputs.lengths === null || inputs.history !== null, 'lengths needs history'),
  outputs: z.strictObject({
    /** float32 `[N]`, `[N, 1]`, or `[N, 2]` with fraud last. */
    probability: z.string().min(1),
    /** Log odds behind the probability; explanations are exact with it and nearly so without. */
    logit: z.string().min(1).nullable(),
    /** `[N, 3]`, the forecast of the next event. */
    next: z.string().min(1).nullable(),
  }),
  /** Applied to the graph's answer; null where the graph calibrates itself. */
  calibration: calibration.nullable(),
  /** Numbers of the recurrence: 8-bit integers are twice as fast on a CPU and have no kernel on a GPU. */
  precision: z.enum(['float32', 'int8']).default('float32'),
  /** Of `model.onnx`. */
  sha256,
  /** Median of each current column over the training rows: what stands for "not there" in explanations. */
  medians: z.array(z.number()),
  training: z.strictObject({
    /** Event times of the training rows, from inclusive, to exclusive. */
    from: epochMs,
    to: epochMs,
    /** Labels known by then were used. */
    labelsKnownBy: epochMs,
    rows: count,
    fraud: count,
    genuine: count,
    unknown: count,
    /** Share of the genuine rows that were kept, and weighted back. */
    genuineShare: z.number().gt(0).max(1),
    seed: z.number().int(),
    /** What trained it: 'tensorflow cpu', 'wasm', 'weir', ... */
    backend: z.string(),
    /** Whether label-aware features were given. */
    labelFeatures: z.boolean(),
  }),
  /** The held-out days on which the figures were taken; null for a model that came without. */
  evaluation: z
    .strictObject({
      from: epochMs,
      to: epochMs,
      rows: count,
      fraud: count,
      alertsPerDay: z.number().positive(),
      metrics: z.record(z.string(), metric),
      /** The same figures of what it was compared with, by name. */
      comparedWith: z.record(z.string(), z.record(z.string(), metric)),
    })
    .nullable(),
  thresholds: z.strictObject({
    /** Score from which events are reviewed, so that the evaluation days give `alertsPerDay`. */
    review: z.number().min(0).max(1),
    alertsPerDay: z.number().positive(),
  }),
  /** Share of evaluation scores in equal steps of log odds; drift is measured against it. */
  scoreHistogram: z.strictObject({ low: z.number(), high: z.number(), shares: z.array(z.number().min(0)) }).nullable(),
  golden: z.strictObject({
    rows: z.number().int().min(1).max(64),
    /** float32 little-endian `[rows, K, H]`. */
    history: base64Floats,
    lengths: z.array(count),
    /** float32 little-endian `[rows, F]`. */
    current: base64Floats,
    /** The scores served for these rows, calibration included. */
    probability: z.array(z.number().min(0).max(1)),
  }),
  /** Version it was trained from, or replaced. */
  parent: z.string().nullable(),
  createdAt: epochMs,
  /** The command that made it. */
  command: z.string(),
})

export type ModelManifest = z.infer<typeof modelManifestSchema>
export type Calibration = z.infer<typeof calibration>
export type MetricWithInterval = z.infer<typeof metric>
export type Precision = ModelManifest['precision']
export type GoldenBatch = ModelManifest['golden']

/** Largest difference between a golden answer and the one served. */
export const GOLDEN_TOLERANCE = 1e-5

/**
 * Parses the text of a `manifest.json`; `file` is named in errors.
 *
 * @throws WeirError MODEL_INVALID that names the file and the field
 */
export function parseModelManifest(text: string, file: string): ModelManifest {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (cause) {
    throw new WeirError('MODEL_INVALID', 'The model manifest is not JSON', { where: file, fix: FIX, cause })
  }
  const parsed = modelManifestSchema.safeParse(json)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!
    throw invalid(file, issue.path.join('.') || '(whole file)', issue.message)
  }
  checkShapes(parsed.data, file)
  return parsed.data
}

/** Base64 of float32 numbers, as the golden batch holds them. */
export function encodeFloats(values: Float32Array): string {
  return Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString('base64')
}

export function decodeFloats(text: string): Float32Array {
  const bytes = Buffer.from(text, 'base64')
  const values = new Float32Array(bytes.length / 4)
  new Uint8Array(values.buffer).set(bytes)
  return values
}

const FIX = 'Train or register the model again; manifests are not edited by hand.'

function invalid(file: string, field: string, problem: string): WeirError {
  return new WeirError('MODEL_INVALID', `Model manifest, field ${field}: ${problem}`, {
    where: `${file}, ${field}`,
    fix: FIX,
  })
}

/** What a field must hold given the others. */
function checkShapes(manifest: ModelManifest, file: string): void {
  const { spec, golden, inputs, medians } = manifest
  const floatsOf = (text: string) => Buffer.from(text, 'base64').length / 4
  const expect = (field: string, found: number, wanted: number) => {
    if (found !== wanted) throw invalid(file, field, `has ${found} numbers, the spec and the rows ask for ${wanted}`)
  }
  expect('medians', medians.length, spec.currentWidth)
  expect('golden.lengths', golden.lengths.length, golden.rows)
  expect('golden.probability', golden.probability.length, golden.rows)
  expect('golden.history', floatsOf(golden.history), golden.rows * spec.historyLength * spec.historyWidth)
  expect('golden.current', floatsOf(golden.current), golden.rows * spec.currentWidth)
  if (golden.lengths.some((length) => length > spec.historyLength)) {
    throw invalid(file, 'golden.lengths', `names more events than the ${spec.historyLength} of the spec`)
  }
  if (inputs.history !== null && spec.historyLength * spec.historyWidth === 0) {
    throw invalid(file, 'inputs.history', 'is named, but the spec has no history')
  }
}
