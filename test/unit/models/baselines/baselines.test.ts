import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'

import { type BoostedTrees, boostedTreesLogit, trainBoostedTrees } from '#models/baselines/boosted-trees.ts'
import { exportBoostedTrees, TREES_INPUTS, TREES_OUTPUTS } from '#models/baselines/export-trees.ts'
import {
  exportLogistic,
  LOGISTIC_INPUTS,
  LOGISTIC_OUTPUTS,
  logisticLogit,
  trainLogistic,
} from '#models/baselines/logistic.ts'
import { rankingQuality } from '#models/evaluation/metrics.ts'
import { rankRows } from '#models/evaluation/ranking.ts'
import { createOnnxScorer } from '#models/onnx-scorer.ts'
import type { ModelManifest } from '#schemas/model-manifest.ts'
import { randomBuffers, randomNumbers, tinyLayout, withGolden, writeTinyFolder } from '#test/support/tiny-onnx.ts'

const WIDTH = 6
const layout = tinyLayout(2, 2, WIDTH)

describe('logistic regression', () => {
  it('finds the weights that made the labels', () => {
    const rows = makeRows(20_000, 1, (x) => 2 * x[0]! - 1.5 * x[1]! - 1)
    const model = trainLogistic(rows, { l2: 0 })
    // Of a uniform feature the log scale is nearly a straight line too, so what counts is the function they make.
    for (const [x, expected] of [
      [[1, 0], 1],
      [[0, 1], -2.5],
      [[0, 0], -1],
      [[-1, -1], -1.5],
    ] as const) {
      const current = Float32Array.from({ length: WIDTH }, (_, j) => x[j] ?? 0)
      assert.ok(Math.abs(logisticLogit(model, current, 0) - expected) < 0.25)
    }
  })

  it('gives the probability of fraud of the whole when rows are thinned and weighted back', () => {
    const rows = makeRows(20_000, 2, (x) => x[0]! - 2)
    const kept = thin(rows, 0.3)
    const meanOf = (of: ReturnType<typeof makeRows>) => {
      const model = trainLogistic(of)
      let sum = 0
      for (let i = 0; i < rows.count; i++) sum += 1 / (1 + Math.exp(-logisticLogit(model, rows.current, i)))
      return sum / rows.count
    }
    assert.ok(Math.abs(meanOf(kept) - meanOf(rows)) < 0.01)
  })

  it('makes the same model from the same rows, and takes features that never change', () => {
    const rows = makeRows(2000, 3, (x) => x[2]!)
    for (let i = 0; i < rows.count; i++) rows.current[i * WIDTH + 4] = 7
    assert.deepEqual(trainLogistic(rows), trainLogistic(rows))
    assert.ok(Number.isFinite(logisticLogit(trainLogistic(rows), rows.current, 5)))
  })

  it('stays finite on rows that a line separates, and on rows of one kind', () => {
    const separable = makeRows(500, 4, (x) => (x[0]! > 0 ? 50 : -50))
    assert.ok(Number.isFinite(trainLogistic(separable).loss))
    const genuine = makeRows(500, 4, () => -50)
    assert.ok(logisticLogit(trainLogistic(genuine), genuine.current, 0) < -3)
  })

  it('is served by its ONNX graph with the same answers', async () => {
    const rows = makeRows(3000, 5, (x) => x[0]! * 3 + x[3]!)
    const model = trainLogistic(rows)
    await servesAs('logistic', exportLogistic(model), LOGISTIC_INPUTS, LOGISTIC_OUTPUTS, (current, row) =>
      logisticLogit(model, current, row),
    )
  })
})

describe('boosted trees', () => {
  const inAndOut = (x: ArrayLike<number>) => (Math.abs(x[0]!) > 0.5 !== Math.abs(x[1]!) > 0.5 ? 2 : -3)

  it('learn what no line can tell apart', () => {
    const rows = makeRows(8000, 6, inAndOut)
    const fresh = makeRows(4000, 7, inAndOut)
    const trees = trainBoostedTrees(rows, { treesMax: 60 })
    const line = trainLogistic(rows)
    const auc = (logit: (current: Float32Array, row: number) => number) => {
      const scores = Float64Array.from({ length: fresh.count }, (_, i) => logit(fresh.current, i))
      const ranking = rankRows(asEvaluation(fresh), scores)
      return rankingQuality(ranking, ranking.weight).rocAuc
    }
    assert.ok(auc((current, row) => boostedTreesLogit(trees, current, row)) > 0.85)
    assert.ok(auc((current, row) => logisticLogit(line, current, row)) < 0.65)
  })

  it('grow the same trees from the same rows', () => {
    const rows = makeRows(2000, 8, inAndOut)
    assert.deepEqual(trainBoostedTrees(rows, { treesMax: 5 }), trainBoostedTrees(rows, { treesMax: 5 }))
  })

  it('stop when validation rows gain no more, and keep the best number of trees', () => {
    const noise = makeRows(1500, 9, () => -1)
    const losses: number[] = []
    const model = trainBoostedTrees(noise, {
      treesMax: 200,
      leafHessianMin: 0.1,
      validation: makeRows(1500, 10, () => -1),
      patience: 5,
      onTree: (_, loss) => losses.push(loss!),
    })
    assert.ok(losses.length < 200)
    assert.equal(model.trees.length, losses.length - 5)
  })

  it('grow no deeper than they may, whatever the leaves they may have', () => {
    const [tree] = trainBoostedTrees(makeRows(4000, 13, inAndOut), { treesMax: 1, leavesMax: 31, depthMax: 2 }).trees
    const depthOf = (node: number): number =>
      tree!.feature[node] === -1 ? 0 : 1 + Math.max(depthOf(tree!.left[node]!), depthOf(tree!.right[node]!))
    assert.equal(depthOf(0), 2)
    assert.ok(tree!.feature.length <= 7)
  })

  it('split nothing where nothing can be told', () => {
    const rows = makeRows(300, 11, () => 0)
    rows.current.fill(1)
    const model = trainBoostedTrees(rows)
    assert.equal(model.trees.length, 0)
    assert.ok(Math.abs(boostedTreesLogit(model, rows.current, 0)) < 0.5)
  })

  it('are served by their ONNX graph with the same answers', async () => {
    const some = trainBoostedTrees(makeRows(3000, 12, inAndOut), { treesMax: 30 })
    const none: BoostedTrees = { width: WIDTH, base: -1.25, trees: [] }
    for (const [version, model] of [
      ['some', some],
      ['none', none],
    ] as const) {
      await servesAs(version, exportBoostedTrees(model), TREES_INPUTS, TREES_OUTPUTS, (current, row) =>
        boostedTreesLogit(model, current, row),
      )
    }
  })
})

async function servesAs(
  version: string,
  model: Uint8Array,
  inputs: ModelManifest['inputs'],
  outputs: ModelManifest['outputs'],
  logit: (current: Float32Array, row: number) => number,
): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), 'weir-baseline-'))
  try {
    const tiny = await withGolden({ layout, model, version, over: { kind: 'onnx', inputs, outputs } })
    const scorer = await createOnnxScorer({ folder: await writeTinyFolder(root, tiny), layout, provider: 'cpu' })
    const input = randomBuffers(layout, 100, 13)
    const logits = new Float32Array(100)
    await scorer.scoreLogits(
      input,
      Int32Array.from(logits, (_, i) => i),
      100,
      logits,
    )
    await scorer.close()
    for (let i = 0; i < 100; i++) assert.ok(Math.abs(logits[i]! - logit(input.current, i)) < 1e-5)
  } finally {
    await rm(root, { recursive: true })
  }
}

function makeRows(count: number, seed: number, logit: (x: Float32Array) => number) {
  const random = randomNumbers(seed)
  const current = Float32Array.from({ length: count * WIDTH }, random)
  const fraud = Uint8Array.from({ length: count }, (_, i) => {
    const z = logit(current.subarray(i * WIDTH, (i + 1) * WIDTH))
    return (random() + 1) / 2 < 1 / (1 + Math.exp(-z)) ? 1 : 0
  })
  return { count, width: WIDTH, current, fraud, weight: null as Float32Array | null }
}

/** All frauds, every so many of the genuine rows, weighted back. */
function thin(rows: ReturnType<typeof makeRows>, share: number): ReturnType<typeof makeRows> {
  const every = Math.round(1 / share)
  const kept = Array.from({ length: rows.count }, (_, i) => i).filter((i) => rows.fraud[i] === 1 || i % every === 0)
  return {
    count: kept.length,
    width: WIDTH,
    current: Float32Array.from(kept.flatMap((i) => Array.from(rows.current.subarray(i * WIDTH, (i + 1) * WIDTH)))),
    fraud: Uint8Array.from(kept, (i) => rows.fraud[i]!),
    weight: Float32Array.from(kept, (i) => (rows.fraud[i] === 1 ? 1 : every)),
  }
}

function asEvaluation(rows: ReturnType<typeof makeRows>) {
  return {
    count: rows.count,
    fraud: rows.fraud,
    amount: new Float64Array(rows.count).fill(1),
    eventTime: new Float64Array(rows.count),
    card: new Int32Array(rows.count),
    cards: 1,
    weight: null,
  }
}
