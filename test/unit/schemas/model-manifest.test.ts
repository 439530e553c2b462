import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { WeirError } from '#schemas/errors.ts'
import { decodeFloats, encodeFloats, parseModelManifest } from '#schemas/model-manifest.ts'
import { tinyLayout, tinyManifest } from '#test/support/tiny-onnx.ts'

describe('a model manifest', () => {
  const manifest = tinyManifest({ layout: tinyLayout(), model: Uint8Array.of(1, 2, 3) })

  it('reads back as it was written', () => {
    assert.deepEqual(parseModelManifest(JSON.stringify(manifest), 'manifest.json'), manifest)
  })

  it('is refused with the file and the field at fault', () => {
    const cases: [object, string][] = [
      [{ version: '../elsewhere' }, 'version'],
      [{ sha256: 'abc' }, 'sha256'],
      [{ spec: { ...manifest.spec, hash: 'x' } }, 'spec.hash'],
      [{ kind: 'forest' }, 'kind'],
      [{ inputs: { history: null, lengths: null, current: null } }, 'inputs'],
      [{ inputs: { history: null, lengths: 'lengths', current: 'current' } }, 'inputs'],
      [{ medians: [1] }, 'medians'],
      [{ golden: { ...manifest.golden, history: '!' } }, 'golden.history'],
      [{ golden: { ...manifest.golden, current: '' } }, 'golden.current'],
      [{ golden: { ...manifest.golden, lengths: [5] } }, 'golden.lengths'],
      [{ golden: { ...manifest.golden, probability: [0.1, 0.2] } }, 'golden.probability'],
      [{ thresholds: { review: 2, alertsPerDay: 1 } }, 'thresholds.review'],
      [{ training: { ...manifest.training, genuineShare: 0 } }, 'training.genuineShare'],
      [{ surprise: 1 }, '(whole file)'],
    ]
    for (const [over, field] of cases) {
      assert.throws(
        () => parseModelManifest(JSON.stringify({ ...manifest, ...over }), 'm/manifest.json'),
        (error) => {
          assert.ok(error instanceof WeirError && error.code === 'MODEL_INVALID')
          assert.equal(error.where, `m/manifest.json, ${field}`)
          return true
        },
      )
    }
  })

  it('is refused when it is not JSON', () => {
    assert.throws(
      () => parseModelManifest('{', 'm/manifest.json'),
      (error) => error instanceof WeirError && error.code === 'MODEL_INVALID' && error.where === 'm/manifest.json',
    )
  })

  it('holds numbers to the last bit', () => {
    const numbers = Float32Array.of(0, -0, 1 / 3, 1e-40, 3.4e38)
    assert.deepEqual(decodeFloats(encodeFloats(numbers.subarray(1))), numbers.slice(1))
  })
})
