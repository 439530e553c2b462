import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { chooseTrainingBackend, type TrainingBackend } from '#models/lstm/backend.ts'
import { exportOnnx } from '#models/lstm/export-onnx.ts'
import { predict } from '#models/lstm/network.ts'
import { trainLstm } from '#models/lstm/train.ts'
import { messageOf } from '#schemas/errors.ts'
import { createPlainLstm, gradientsOf } from '#test/support/lstm-layers.ts'
import { largestDifference, runOnnx } from '#test/support/run-onnx.ts'
import { layoutOf, orderedPairRows } from '#test/support/training-rows.ts'

const LAYOUT = layoutOf(6, 5, 7)
const TRAINING = orderedPairRows(1200, LAYOUT, 1)
const VALIDATION = orderedPairRows(400, LAYOUT, 2)
const OPTIONS = { seed: 3, validation: VALIDATION, units: 16, batchSize: 64, learningRate: 0.01, epochsMax: 4 }

const native = await nativeBackend()
const skip = typeof native === 'string' ? `native TensorFlow is not there (make native): ${native}` : false

test('native TensorFlow is there where nothing may be skipped', { skip: process.env['CI'] !== 'true' }, () => {
  assert.equal(skip, false)
})

describe('training on native TensorFlow', { skip }, () => {
  const backend = native as TrainingBackend

  test('the fused layer has the value and the gradients of the textbook LSTM', () => {
    const expected = gradientsOf(backend.tf, createPlainLstm(backend.tf), 5)
    const found = gradientsOf(backend.tf, backend.fusedLstm!, 5)
    for (const [i, values] of expected.entries()) assert.ok(largestDifference(values, found[i]!) < 2e-6)
  })

  test('it learns the order of events, and the exported graph answers as the network does', async () => {
    const weights = await trainLstm(TRAINING, OPTIONS, backend)
    assert.equal(weights.backend, backend.name)
    assert.ok(weights.history[weights.bestEpoch - 1]!.validationAp! > 0.95)
    const rows = orderedPairRows(64, LAYOUT, 9)
    const expected = await predict(weights, rows, backend)
    const found = await runOnnx(exportOnnx(weights), LAYOUT, rows)
    for (const name of ['probability', 'logit', 'next'] as const) {
      assert.ok(largestDifference(expected[name], found[name]) < 1e-5, name)
    }
  })

  test('the same seed gives the same bytes, and no tensor is left behind', async () => {
    const once = async () => exportOnnx(await trainLstm(TRAINING, { ...OPTIONS, epochsMax: 1 }, backend))
    const model = await once()
    const { numTensors } = backend.tf.memory()
    assert.deepEqual(await once(), model)
    assert.equal(backend.tf.memory().numTensors, numTensors)
  })

  test('a network trained on it is the same network on WebAssembly', async () => {
    const weights = await trainLstm(TRAINING, { ...OPTIONS, epochsMax: 2 }, backend)
    const expected = await predict(weights, VALIDATION, backend)
    const wasm = await chooseTrainingBackend({ only: 'wasm' })
    const found = await predict(weights, VALIDATION, wasm)
    assert.ok(largestDifference(expected.logit, found.logit) < 1e-5)
  })

  test('the choice falls on it and says why', async () => {
    const chosen = await chooseTrainingBackend()
    assert.notEqual(chosen.name, 'wasm')
    assert.match(chosen.explanation, /chosen/)
  })
})

/** The backend, or why there is none. */
async function nativeBackend(): Promise<TrainingBackend | string> {
  try {
    return await chooseTrainingBackend({ only: 'tensorflow' })
  } catch (error) {
    return messageOf(error)
  }
}
