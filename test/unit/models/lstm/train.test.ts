import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'

import { chooseTrainingBackend, type TrainingBackend } from '#models/lstm/backend.ts'
import { exportOnnx } from '#models/lstm/export-onnx.ts'
import { encodeRecurrence, roundRecurrence } from '#models/lstm/int8-codes.ts'
import { createStepLstm } from '#models/lstm/lstm-layer.ts'
import { measureProjection } from '#models/lstm/measure-projection.ts'
import { predict } from '#models/lstm/network.ts'
import { surpriseOf } from '#models/lstm/surprise.ts'
import { type TrainingSet, type TrainOptions, type TrainProgress, trainLstm } from '#models/lstm/train.ts'
import type { LstmWeights } from '#models/lstm/weights.ts'
import { WeirError } from '#schemas/errors.ts'
import { createPlainLstm, gradientsOf } from '#test/support/lstm-layers.ts'
import { largestDifference, runOnnx } from '#test/support/run-onnx.ts'
import { layoutOf, orderedPairRows } from '#test/support/training-rows.ts'

const LAYOUT = layoutOf(6, 5, 7)
const TRAINING = orderedPairRows(1200, LAYOUT, 1)
const VALIDATION = orderedPairRows(400, LAYOUT, 2)
const SMALL = { units: 16, currentUnits: 8, joinUnits: 8, batchSize: 64, learningRate: 0.01, epochsMax: 6 }

describe('training on WebAssembly', () => {
  let backend: TrainingBackend
  let weights: LstmWeights
  const progress: TrainProgress[] = []

  before(async () => {
    backend = await chooseTrainingBackend({ only: 'wasm' })
    weights = await train({ onProgress: (p) => progress.push(p) })
  })

  const train = (options: Partial<TrainOptions> = {}, rows: TrainingSet = TRAINING) =>
    trainLstm(rows, { seed: 3, validation: VALIDATION, ...SMALL, ...options }, backend)

  test('the step-by-step layer has the value and the gradients of the textbook LSTM', () => {
    const expected = gradientsOf(backend.tf, createPlainLstm(backend.tf), 5)
    const found = gradientsOf(backend.tf, createStepLstm(backend.tf), 5)
    for (const [i, values] of expected.entries()) assert.ok(largestDifference(values, found[i]!) < 2e-6)
  })

  test('a product with transposed sides is what it is without the faster kernel', () => {
    const { tf } = backend
    tf.tidy(() => {
      const a = tf.tensor2d([1, 2, 3, 4, 5, 6], [2, 3])
      const b = tf.tensor2d([1, 0, 2, 1, 3, 1, 0, 2], [4, 2])
      // a' b' by hand: row i, column j is a[0][i] b[j][0] + a[1][i] b[j][1]
      assert.deepEqual(Array.from(tf.matMul(a, b, true, true).dataSync()), [1, 6, 7, 8, 2, 9, 11, 10, 3, 12, 15, 12])
      const batched = tf.matMul(tf.ones([2, 3, 2]), tf.ones([2, 4, 2]), false, true)
      assert.deepEqual(Array.from(batched.dataSync()), new Array(24).fill(2))
    })
  })

  test('fraud that shows in the order of the history alone is learnt, and cannot be learnt without the history', async () => {
    assert.ok(bestAp(weights) > 0.95)
    const blind = (rows: TrainingSet): TrainingSet => ({ ...rows, historyLength: new Int32Array(rows.count) })
    const without = await train({ epochsMax: 2, validation: blind(VALIDATION) }, blind(TRAINING))
    assert.ok(bestAp(without) < 0.5)
  })

  test('the same seed gives the same bytes and another seed gives others', async () => {
    const options = { epochsMax: 1, dropout: 0.1, pretrainEpochs: 1 }
    const model = exportOnnx(await train(options))
    assert.deepEqual(exportOnnx(await train(options)), model)
    assert.notDeepEqual(exportOnnx(await train({ ...options, seed: 4 })), model)
  })

  test('the exported graph answers as the trained network does, whatever the length of the history', async () => {
    const rows = orderedPairRows(64, LAYOUT, 9)
    const expected = await predict(weights, rows, backend)
    const found = await runOnnx(exportOnnx(weights), LAYOUT, rows)
    assert.equal(new Set(rows.historyLength).size, 7)
    for (const name of ['probability', 'logit', 'next'] as const) {
      assert.ok(largestDifference(expected[name], found[name]) < 1e-5, name)
    }
  })

  test('what stands in the padding does not reach the score', async () => {
    const rows = orderedPairRows(64, LAYOUT, 9)
    const dirty = { ...rows, history: rows.history.slice() }
    const { historyLength: length, historyWidth: width } = LAYOUT
    for (let row = 0; row < rows.count; row++) {
      const from = row * length * width
      dirty.history.fill(1e6, from, from + (length - rows.historyLength[row]!) * width)
    }
    const model = exportOnnx(weights)
    assert.deepEqual(await runOnnx(model, LAYOUT, dirty), await runOnnx(model, LAYOUT, rows))
    assert.deepEqual(await predict(weights, dirty, backend), await predict(weights, rows, backend))
  })

  test('at a fixed batch shape a row keeps its score to the bit beside other rows and in another place', async () => {
    const model = exportOnnx(weights)
    for (const count of [16, 64]) {
      const rows = orderedPairRows(count, LAYOUT, 9)
      const beside = orderedPairRows(count, LAYOUT, 10)
      const place = count - 3
      copyRow(rows, 2, beside, place)
      const alone = await runOnnx(model, LAYOUT, rows)
      const among = await runOnnx(model, LAYOUT, beside)
      assert.equal(among.logit[place], alone.logit[2])
      assert.equal(among.probability[place], alone.probability[2])
    }
  })

  test('with an 8-bit recurrence the graph ranks as the float32 one does, and padding still counts for nothing', async () => {
    const rows = orderedPairRows(64, LAYOUT, 9)
    const model = exportOnnx(weights, measureProjection(weights, TRAINING))
    const found = await runOnnx(model, LAYOUT, rows)
    const exact = await runOnnx(exportOnnx(weights), LAYOUT, rows)
    assert.ok(largestDifference(found.probability, exact.probability) < 0.1)
    assert.notDeepEqual(found.logit, exact.logit)
    const dirty = { ...rows, history: rows.history.slice() }
    const { historyLength: length, historyWidth: width } = LAYOUT
    for (let row = 0; row < rows.count; row++) {
      const from = row * length * width
      dirty.history.fill(1e6, from, from + (length - rows.historyLength[row]!) * width)
    }
    assert.deepEqual(await runOnnx(model, LAYOUT, dirty), found)
    const quality = async (graph: Uint8Array): Promise<number> => {
      const { probability } = await runOnnx(graph, LAYOUT, VALIDATION)
      let ordered = 0
      let pairs = 0
      for (let fraud = 0; fraud < VALIDATION.count; fraud++) {
        for (let genuine = 0; genuine < VALIDATION.count; genuine++) {
          if (VALIDATION.label[fraud] !== 1 || VALIDATION.label[genuine] !== 0) continue
          pairs++
          if (probability[fraud]! > probability[genuine]!) ordered++
        }
      }
      return ordered / pairs
    }
    assert.ok((await quality(model)) > (await quality(exportOnnx(weights))) - 0.005)
  })

  test('trained for 8 bits, the weights are those that 8 bits hold, and only hidden states are rounded when serving', async () => {
    const trained = await train({ roundsWeights: true })
    assert.ok(bestAp(trained) > 0.95)
    const { parameters, shape, projectionMax } = trained
    const again = roundRecurrence(parameters, shape, projectionMax!)
    assert.ok(largestDifference(again.lstmKernel, parameters.lstmKernel) < 1e-6)
    assert.ok(largestDifference(again.lstmRecurrent, parameters.lstmRecurrent) < 1e-6)
    const distinct = new Set(encodeRecurrence(parameters, shape, projectionMax!).codes)
    assert.ok(distinct.has(64) || distinct.has(-64))
    assert.ok(largestDifference(weights.parameters.lstmKernel, parameters.lstmKernel) > 1e-3)
    const rows = orderedPairRows(64, LAYOUT, 9)
    const served = await runOnnx(exportOnnx(trained, projectionMax), LAYOUT, rows)
    const exact = await predict(trained, rows, backend)
    assert.ok(largestDifference(served.probability, exact.probability) < 0.03)
  })

  test('with an 8-bit recurrence a row keeps its score to the bit beside other rows and in another place', async () => {
    const model = exportOnnx(weights, measureProjection(weights, TRAINING))
    const rows = orderedPairRows(64, LAYOUT, 9)
    const beside = orderedPairRows(64, LAYOUT, 10)
    // A neighbour with far larger numbers would move a scale that is taken from the batch.
    beside.history.fill(1e4, 0, LAYOUT.historyLength * LAYOUT.historyWidth)
    copyRow(rows, 2, beside, 61)
    const alone = await runOnnx(model, LAYOUT, rows)
    const among = await runOnnx(model, LAYOUT, beside)
    assert.equal(among.logit[61], alone.logit[2])
  })

  test('a model of the shipped size is small', async () => {
    const layout = layoutOf(16, 24, 100)
    const rows = orderedPairRows(64, layout, 1)
    const model = exportOnnx(await trainLstm(rows, { seed: 1, validation: rows, epochsMax: 1 }, backend))
    assert.ok(model.length < 500_000, `${model.length} bytes`)
  })

  test('a spec whose current columns are all flags is trained without bins', async () => {
    const flags = (rows: TrainingSet): TrainingSet => ({ ...rows, current: rows.current.map((x) => Number(x > 500)) })
    const trained = await train({ epochsMax: 1, validation: flags(VALIDATION) }, flags(TRAINING))
    assert.equal(trained.shape.binnedColumns, 0)
    const rows = flags(orderedPairRows(16, LAYOUT, 9))
    const found = await runOnnx(exportOnnx(trained), LAYOUT, rows)
    assert.ok(largestDifference((await predict(trained, rows, backend)).logit, found.logit) < 1e-5)
  })

  test('calibration and weights bring probabilities back to the share of fraud in the stream', async () => {
    // Half of the genuine rows left out, the others counted twice.
    const kept = Array.from({ length: TRAINING.count }, (_, i) => i).filter(
      (i) => TRAINING.label[i] === 1 || i % 2 === 0,
    )
    const thin = subset(
      VALIDATION,
      Array.from({ length: VALIDATION.count }, (_, i) => i).filter((i) => VALIDATION.label[i] === 1 || i % 2 === 0),
    )
    const blind = (rows: TrainingSet): TrainingSet => ({
      ...rows,
      historyLength: new Int32Array(rows.count),
      weight: Float32Array.from(rows.label, (label) => (label === 1 ? 1 : 2)),
    })
    const trained = await train({ epochsMax: 1, validation: blind(thin) }, blind(subset(TRAINING, kept)))
    const { probability } = await predict(trained, blind(VALIDATION), backend)
    const mean = probability.reduce((sum, p) => sum + p, 0) / VALIDATION.count
    const share = VALIDATION.label.reduce((sum, label) => sum + label, 0) / VALIDATION.count
    assert.ok(Math.abs(mean - share) < 0.03, `${mean} against ${share}`)
  })

  test('the forecast learns what follows a history, and its surprise tells the odd event from the usual', async () => {
    const { next } = await predict(weights, VALIDATION, backend)
    let usual = 0
    let odd = 0
    for (let row = 0; row < VALIDATION.count; row++) {
      if (VALIDATION.historyLength[row] === 0) continue
      const logAmount = VALIDATION.nextLogAmount[row]!
      const logGap = Math.log1p(VALIDATION.nextLogGapMs[row]!)
      const forecast = next.subarray(row * 3, row * 3 + 3)
      usual += surpriseOf(forecast, { logAmount, logGap }, weights.forecast)
      odd += surpriseOf(forecast, { logAmount: 5 - logAmount, logGap }, weights.forecast)
    }
    assert.ok(odd > 2 * usual, `${odd} against ${usual}`)
    assert.ok(Number.isNaN(surpriseOf([0, 0, 0], { logAmount: Number.NaN, logGap: Number.NaN }, weights.forecast)))
  })

  test('progress names every step, and the best epoch is the one returned', () => {
    const steps = Math.ceil(TRAINING.count / SMALL.batchSize)
    const first = progress.filter((p) => p.epoch === 1)
    assert.deepEqual(
      first.map((p) => p.step),
      Array.from({ length: steps }, (_, i) => i + 1),
    )
    assert.deepEqual(
      progress.filter((p) => p.step === steps).map((p) => p.validationAp),
      weights.history.map((report) => report.validationAp),
    )
    assert.equal(weights.history[weights.bestEpoch - 1]!.validationAp, bestAp(weights))
  })

  test('an aborted training stops with its reason, and no tensor is left behind', async () => {
    const stop = new AbortController()
    const { numTensors } = backend.tf.memory()
    await assert.rejects(train({ signal: stop.signal, onProgress: () => stop.abort(new Error('enough')) }), /enough/)
    await train({ epochsMax: 1 })
    assert.equal(backend.tf.memory().numTensors, numTensors)
  })

  test('without a known fraud the forecast alone is trained, and without that there is nothing to learn', async () => {
    const innocent = (rows: TrainingSet): TrainingSet => ({ ...rows, label: new Uint8Array(rows.count) })
    const trained = await train({ epochsMax: 1, validation: innocent(VALIDATION) }, innocent(TRAINING))
    assert.equal(trained.history[0]!.validationAp, null)
    const refused = train({ nextEventWeight: 0 }, innocent(TRAINING))
    await assert.rejects(refused, (error) => error instanceof WeirError && error.code === 'TRAINING_FAILED')
  })

  test('a loss that is no number ends the training', async () => {
    const absurd = { ...TRAINING, weight: new Float32Array(TRAINING.count).fill(Number.NaN) }
    await assert.rejects(train({}, absurd), (error) => error instanceof WeirError && error.code === 'TRAINING_FAILED')
  })
})

test('a backend that is asked for and not there is refused with what was tried', async () => {
  const asked = chooseTrainingBackend({ only: 'tensorflow-gpu', root: '/nowhere' })
  await assert.rejects(asked, (error) => {
    assert.ok(error instanceof WeirError)
    assert.equal(error.code, 'NOT_AVAILABLE')
    assert.match(error.message, /\.native-gpu: not built.*\.native: not built.*tfjs-node: not installed/)
    return true
  })
})

function bestAp(weights: LstmWeights): number {
  return Math.max(...weights.history.map((report) => report.validationAp!))
}

function copyRow(from: TrainingSet, row: number, to: TrainingSet, place: number): void {
  const numbers = LAYOUT.historyLength * LAYOUT.historyWidth
  to.history.set(from.history.subarray(row * numbers, (row + 1) * numbers), place * numbers)
  to.historyLength[place] = from.historyLength[row]!
  to.current.set(
    from.current.subarray(row * LAYOUT.currentWidth, (row + 1) * LAYOUT.currentWidth),
    place * LAYOUT.currentWidth,
  )
}

function subset(rows: TrainingSet, chosen: readonly number[]): TrainingSet {
  const pick = <T extends Float32Array | Float64Array | Int32Array | Uint8Array>(values: T, width: number): T => {
    const Kind = values.constructor as new (length: number) => T
    const picked = new Kind(chosen.length * width)
    for (const [i, row] of chosen.entries()) picked.set(values.subarray(row * width, (row + 1) * width), i * width)
    return picked
  }
  return {
    layout: rows.layout,
    count: chosen.length,
    history: pick(rows.history, LAYOUT.historyLength * LAYOUT.historyWidth),
    historyLength: pick(rows.historyLength, 1),
    current: pick(rows.current, LAYOUT.currentWidth),
    label: pick(rows.label, 1),
    weight: pick(rows.weight, 1),
    eventTimeMs: pick(rows.eventTimeMs, 1),
    nextLogAmount: pick(rows.nextLogAmount, 1),
    nextLogGapMs: pick(rows.nextLogGapMs, 1),
  }
}
