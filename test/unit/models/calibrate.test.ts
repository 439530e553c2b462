import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import {
  calibrateLogit,
  calibrationBins,
  calibrationError,
  fitIsotonic,
  fitPlatt,
  logitOf,
  probabilityOf,
  subsampleCorrection,
} from '#models/calibrate.ts'
import { randomNumbers } from '#test/support/tiny-onnx.ts'
import * as fc from 'fast-check'

/** Rows whose true log odds are `slope * logit + intercept`. */
function drawRows(count: number, seed: number, slope: number, intercept: number) {
  const random = randomNumbers(seed)
  const logits = Float64Array.from({ length: count }, () => 4 * random())
  const fraud = Uint8Array.from(logits, (z) => ((random() + 1) / 2 < probabilityOf(slope * z + intercept) ? 1 : 0))
  return { logits, fraud }
}

describe('Platt scaling', () => {
  it('finds slope and intercept of the truth', () => {
    const { logits, fraud } = drawRows(40_000, 1, 0.6, -1.2)
    const found = fitPlatt(logits, fraud, null)
    assert.ok(found.kind === 'platt' && Math.abs(found.slope - 0.6) < 0.05 && Math.abs(found.intercept + 1.2) < 0.05)
  })

  it('undoes the thinning of genuine rows by weights, and by the correction alike', () => {
    const { logits, fraud } = drawRows(60_000, 2, 1, -2)
    const kept = Array.from(logits, (_, i) => i).filter((i) => fraud[i] === 1 || i % 5 === 0)
    const keptLogits = kept.map((i) => logits[i]!)
    const keptFraud = Uint8Array.from(kept, (i) => fraud[i]!)
    const weighted = fitPlatt(
      keptLogits,
      keptFraud,
      kept.map((i) => (fraud[i] === 1 ? 1 : 5)),
    )
    const thinned = fitPlatt(keptLogits, keptFraud, null)
    for (const z of [-3, 0, 2]) {
      assert.ok(Math.abs(calibrateLogit(weighted, z) - (z - 2)) < 0.15)
      assert.ok(Math.abs(calibrateLogit(thinned, z) + subsampleCorrection(1 / 5) - (z - 2)) < 0.15)
    }
  })

  it('stays finite on separable rows, on rows of one kind and on none', () => {
    const fraud = Uint8Array.of(0, 0, 1, 1)
    const found = fitPlatt([-1, -2, 1, 2], fraud, null)
    assert.ok(found.kind === 'platt' && Number.isFinite(found.slope) && found.slope > 0)
    for (const kind of [Uint8Array.of(0, 0), Uint8Array.of(1, 1), new Uint8Array(0)]) {
      assert.deepEqual(fitPlatt([1, 2], kind, null), { kind: 'platt', slope: 1, intercept: 0 })
    }
  })

  it('never turns the order of scores round', () => {
    const { logits, fraud } = drawRows(2000, 3, -1, 0)
    assert.deepEqual(fitPlatt(logits, fraud, null), { kind: 'platt', slope: 1, intercept: 0 })
  })
})

describe('isotonic calibration', () => {
  it('brings scores that are off in shape back to the truth', () => {
    const random = randomNumbers(4)
    const truth = Float64Array.from({ length: 50_000 }, () => 3 * random())
    const fraud = Uint8Array.from(truth, (z) => ((random() + 1) / 2 < probabilityOf(z) ? 1 : 0))
    const bent = truth.map((z) => z ** 3 / 3)
    const found = fitIsotonic(bent, fraud, null)
    for (const z of [-2, -1, 0, 1, 2]) assert.ok(Math.abs(calibrateLogit(found, z ** 3 / 3) - z) < 0.35)
  })

  it('never falls, whatever the rows', () => {
    const anyRow = fc.record({
      z: fc.integer({ min: -5, max: 5 }),
      fraud: fc.constantFrom(0, 1),
      w: fc.integer({ min: 0, max: 9 }),
    })
    fc.assert(
      fc.property(fc.array(anyRow, { maxLength: 40 }), (rows) => {
        const found = fitIsotonic(
          rows.map(({ z }) => z),
          Uint8Array.from(rows, ({ fraud }) => fraud),
          rows.map(({ w }) => w),
        )
        let before = -Infinity
        for (let z = -6; z <= 6; z += 0.25) {
          const calibrated = calibrateLogit(found, z)
          assert.ok(Number.isFinite(calibrated) && calibrated >= before)
          before = calibrated
        }
      }),
    )
  })
})

describe('the calibration error', () => {
  it('is nothing where scores say what happens, and the distance where they do not', () => {
    const scores = Float64Array.from({ length: 1000 }, () => 0.2)
    const fraud = Uint8Array.from(scores, (_, i) => (i % 5 === 0 ? 1 : 0))
    const weights = new Float64Array(1000).fill(1)
    assert.ok(calibrationError(calibrationBins(scores, fraud, weights)) < 1e-12)
    const off = scores.map(() => 0.5)
    assert.ok(Math.abs(calibrationError(calibrationBins(off, fraud, weights)) - 0.3) < 1e-12)
  })
})

describe('log odds', () => {
  it('and probabilities turn into each other, and certainty stays finite', () => {
    for (const z of [-15, -1, 0, 0.5, 12]) assert.ok(Math.abs(logitOf(probabilityOf(z)) - z) < 1e-6)
    assert.ok(Number.isFinite(logitOf(0)) && Number.isFinite(logitOf(1)))
    assert.equal(probabilityOf(-1000), 0)
    assert.equal(probabilityOf(1000), 1)
  })
})
