import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'

import { chooseExecutionProvider } from '#models/execution-provider.ts'
import { createOnnxScorer, type OnnxScorer } from '#models/onnx-scorer.ts'
import { floats, type OnnxGraph, writeOnnx } from '#models/onnx-writer.ts'
import { WeirError } from '#schemas/errors.ts'
import { randomBuffers, tinyLayout, tinyLstm, withGolden, writeTinyFolder } from '#test/support/tiny-onnx.ts'
import * as fc from 'fast-check'

describe('the onnx scorer', () => {
  const layout = tinyLayout(5, 3, 7)
  const model = tinyLstm(layout, 8, 1)
  const capacity = 200
  const buffers = randomBuffers(layout, capacity, 5)
  const reference = new Float32Array(capacity)
  let root = ''
  let scorer: OnnxScorer

  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'weir-scorer-'))
    const folder = await writeTinyFolder(root, await withGolden({ layout, model }))
    scorer = await createOnnxScorer({ folder, layout, provider: 'auto' })
    await scorer.score(buffers, rowsUpTo(capacity), capacity, reference)
  })
  after(async () => {
    await scorer.close()
    await rm(root, { recursive: true })
  })

  const refused = (code: string, text: RegExp) => (error: unknown) => {
    assert.ok(error instanceof WeirError)
    assert.equal(error.code, code)
    assert.match(`${error.message} | ${error.where}`, text)
    return true
  }

  it('gives a row the same bits whatever rows stand beside it, and wherever it stands', async () => {
    const anyRows = fc.array(fc.integer({ min: 0, max: capacity - 1 }), { minLength: 1, maxLength: 150 })
    await fc.assert(
      fc.asyncProperty(anyRows, async (rows) => {
        const scores = new Float32Array(rows.length)
        await scorer.score(buffers, Int32Array.from(rows), rows.length, scores)
        assert.deepEqual(
          Array.from(scores),
          rows.map((row) => reference[row]),
        )
      }),
      { numRuns: 60, seed: 1 },
    )
  })

  it('gives the same bits for runs of rows read in place', async () => {
    for (const [from, count] of [
      [0, 16],
      [3, 64],
      [40, 17],
      [130, 70],
      [199, 1],
    ] as const) {
      const scores = new Float32Array(count)
      await scorer.score(buffers, rowsUpTo(count, from), count, scores)
      assert.deepEqual(Array.from(scores), Array.from(reference.subarray(from, from + count)))
    }
  })

  it('leaves the arithmetic of the process alone: numbers near zero do not become zero', async () => {
    await scorer.score(buffers, rowsUpTo(16), 16, new Float32Array(16))
    const smallest = Float64Array.of(Number.MIN_VALUE, 2 ** -1022)
    assert.ok(smallest[0]! * 3 > smallest[0]! && smallest[1]! / 4 > 0)
    assert.ok(Float32Array.of(2 ** -149)[0]! > 0)
  })

  it('sees what was written into the buffers since the last call', async () => {
    const own = randomBuffers(layout, 64, 8)
    const scores = new Float32Array(64)
    await scorer.score(own, rowsUpTo(64), 64, scores)
    const before = scores[9]
    own.current[9 * layout.currentWidth] = 3.5
    await scorer.score(own, rowsUpTo(64), 64, scores)
    assert.notEqual(scores[9], before)
  })

  it('serves calls that overlap one after the other', async () => {
    const odd = rowsUpTo(capacity).filter((row) => row % 2 === 1)
    const even = rowsUpTo(capacity).filter((row) => row % 2 === 0)
    const ofOdd = new Float32Array(odd.length)
    const ofEven = new Float32Array(even.length)
    await Promise.all([scorer.score(buffers, odd, odd.length, ofOdd), scorer.score(buffers, even, even.length, ofEven)])
    assert.deepEqual(
      Array.from(ofOdd),
      Array.from(odd, (row) => reference[row]),
    )
    assert.deepEqual(
      Array.from(ofEven),
      Array.from(even, (row) => reference[row]),
    )
  })

  it('tells log odds that belong to its probabilities', async () => {
    const logits = new Float32Array(capacity)
    await scorer.scoreLogits(buffers, rowsUpTo(capacity), capacity, logits)
    for (let i = 0; i < capacity; i++) {
      assert.ok(Math.abs(1 / (1 + Math.exp(-logits[i]!)) - reference[i]!) < 1e-6)
    }
  })

  it('scores nothing when there are no rows', async () => {
    await scorer.score(buffers, new Int32Array(0), 0, new Float32Array(0))
  })

  it('applies the calibration of the manifest', async () => {
    const calibration = { kind: 'platt', slope: 2, intercept: -1 } as const
    const tiny = await withGolden({ layout, model, version: 'calibrated', over: { calibration } })
    const calibrated = await createOnnxScorer({ folder: await writeTinyFolder(root, tiny), layout, provider: 'cpu' })
    const scores = new Float32Array(20)
    await calibrated.score(buffers, rowsUpTo(20), 20, scores)
    await calibrated.close()
    for (let i = 0; i < 20; i++) {
      const p = reference[i]!
      assert.ok(Math.abs(scores[i]! - 1 / (1 + Math.exp(1 - 2 * Math.log(p / (1 - p))))) < 1e-5)
    }
  })

  it('refuses a model file that was cut short, and says which', async () => {
    const folder = await writeTinyFolder(root, await withGolden({ layout, model, version: 'cut' }))
    await writeFile(join(folder, 'model.onnx'), model.subarray(0, model.length / 2))
    await assert.rejects(createOnnxScorer({ folder, layout, provider: 'cpu' }), refused('MODEL_INVALID', /model\.onnx/))
  })

  it('refuses a model file that is no model though its sha256 fits', async () => {
    const tiny = await withGolden({ layout, model })
    const folder = await writeTinyFolder(root, { ...tiny, model: model.subarray(0, 99), version: 'nonsense' })
    await assert.rejects(
      createOnnxScorer({ folder, layout, provider: 'cpu' }),
      refused('MODEL_INVALID', /onnxruntime does not load.*model\.onnx/),
    )
  })

  it('refuses a model made for another feature spec', async () => {
    const folder = join(root, scorer.modelVersion)
    const other = tinyLayout(5, 3, 7, 'other')
    await assert.rejects(
      createOnnxScorer({ folder, layout: other, provider: 'cpu' }),
      refused('MODEL_INVALID', /another feature spec.*spec\.hash/),
    )
  })

  it('refuses a model that does not give its golden answers', async () => {
    const tiny = await withGolden({ layout, model, version: 'off' })
    const golden = { ...tiny.golden!, probability: tiny.golden!.probability.map((p) => Math.min(1, p + 2e-5)) }
    const folder = await writeTinyFolder(root, { ...tiny, golden })
    await assert.rejects(createOnnxScorer({ folder, layout, provider: 'cpu' }), refused('MODEL_INVALID', /golden/))
  })

  it('refuses a model whose inputs or outputs are not those of its manifest', async () => {
    const cases: [string, object, RegExp][] = [
      ['a', { inputs: { history: 'past', lengths: 'lengths', current: 'current' } }, /no input past/],
      ['b', { inputs: { history: null, lengths: null, current: 'current' } }, /input history that its manifest/],
      ['c', { outputs: { probability: 'score', logit: null, next: null } }, /no output score/],
    ]
    for (const [version, over, text] of cases) {
      const folder = await writeTinyFolder(root, { layout, model, version, over })
      await assert.rejects(createOnnxScorer({ folder, layout, provider: 'cpu' }), refused('MODEL_INVALID', text))
    }
  })

  it('says that the model failed when it answers with no number', async () => {
    const folder = await writeTinyFolder(root, vectorModel(['probability'], 'nan'))
    const broken = await createOnnxScorer({ folder, layout, provider: 'cpu' })
    const input = randomBuffers(layout, 20, 1)
    input.current.fill(-1)
    const scoring = broken.score(input, rowsUpTo(20), 20, new Float32Array(20))
    await assert.rejects(scoring, refused('SCORER_FAILED', /no number/))
    await broken.close()
  })

  it('serves models with only one of the inputs, and probabilities in two columns', async () => {
    const folder = await writeTinyFolder(root, await withGolden(vectorModel(['pair'], 'pair')))
    const pair = await createOnnxScorer({ folder, layout, provider: 'cpu' })
    const scores = new Float32Array(100)
    await pair.score(buffers, rowsUpTo(100), 100, scores)
    await pair.close()
    for (let i = 0; i < 100; i++) {
      let z = 0
      for (let j = 0; j < layout.currentWidth; j++) z += (j + 1) * 0.1 * buffers.current[i * layout.currentWidth + j]!
      assert.ok(Math.abs(scores[i]! - 1 / (1 + Math.exp(-z))) < 1e-5)
    }
  })

  it('takes lengths as 64-bit numbers too', async () => {
    const bytes = writeOnnx({
      name: 'lengths',
      nodes: [
        { op: 'Cast', inputs: ['n'], outputs: ['length'], attributes: { to: { kind: 'int', value: 1 } } },
        {
          op: 'ReduceMean',
          inputs: ['past'],
          outputs: ['mean'],
          attributes: { axes: { kind: 'ints', value: [1, 2] }, keepdims: { kind: 'int', value: 0 } },
        },
        { op: 'Add', inputs: ['length', 'mean'], outputs: ['z'] },
        { op: 'Sigmoid', inputs: ['z'], outputs: ['p'] },
      ],
      initializers: [],
      inputs: [
        { name: 'past', element: 'float32', dims: ['N', 5, 3] },
        { name: 'n', element: 'int64', dims: ['N'] },
      ],
      outputs: [{ name: 'p', element: 'float32', dims: ['N'] }],
    })
    const over = {
      inputs: { history: 'past', lengths: 'n', current: null },
      outputs: { probability: 'p', logit: null, next: null },
    }
    const folder = await writeTinyFolder(
      root,
      await withGolden({ layout, model: bytes, version: 'wide-lengths', over }),
    )
    const wide = await createOnnxScorer({ folder, layout, provider: 'cpu' })
    const scores = new Float32Array(capacity)
    await wide.score(buffers, rowsUpTo(capacity), capacity, scores)
    await wide.close()
    for (let i = 0; i < capacity; i++) {
      const mean = buffers.history.subarray(i * 15, i * 15 + 15).reduce((a, b) => a + b, 0) / 15
      assert.ok(Math.abs(scores[i]! - 1 / (1 + Math.exp(-buffers.historyLength[i]! - mean))) < 1e-5)
    }
  })

  it('scores no more once it is closed, and closes twice without harm', async () => {
    const closing = await createOnnxScorer({ folder: join(root, scorer.modelVersion), layout, provider: 'cpu' })
    await closing.close()
    await closing.close()
    await assert.rejects(
      closing.score(buffers, rowsUpTo(1), 1, new Float32Array(1)),
      refused('SCORER_FAILED', /closed/),
    )
  })

  it('reads a manifest as it was written', async () => {
    const text = await readFile(join(root, scorer.modelVersion, 'manifest.json'), 'utf8')
    assert.deepEqual(scorer.manifest, JSON.parse(text))
  })

  /** A model of the current vector alone. */
  function vectorModel(outputs: string[], version: string) {
    const weights = Float32Array.from({ length: layout.currentWidth }, (_, j) => (j + 1) * 0.1)
    const last: OnnxGraph['nodes'] =
      version === 'pair'
        ? [
            { op: 'Sigmoid', inputs: ['z'], outputs: ['fraud'] },
            { op: 'Sub', inputs: ['one', 'fraud'], outputs: ['genuine'] },
            {
              op: 'Concat',
              inputs: ['genuine', 'fraud'],
              outputs: ['pair'],
              attributes: { axis: { kind: 'int', value: 1 } },
            },
          ]
        : [
            // A negative sum has no root; the golden row is all zeros and has one.
            { op: 'Sqrt', inputs: ['z'], outputs: ['root'] },
            { op: 'Sigmoid', inputs: ['root'], outputs: ['probability'] },
          ]
    const bytes = writeOnnx({
      name: version,
      nodes: [{ op: 'MatMul', inputs: ['x', 'w'], outputs: ['z'] }, ...last],
      initializers: [floats('w', [layout.currentWidth, 1], weights), floats('one', [1], [1])],
      inputs: [{ name: 'x', element: 'float32', dims: ['N', layout.currentWidth] }],
      outputs: outputs.map((name) => ({ name, element: 'float32', dims: ['N', version === 'pair' ? 2 : 1] })),
    })
    const over = {
      kind: 'onnx' as const,
      inputs: { history: null, lengths: null, current: 'x' },
      outputs: { probability: outputs[0]!, logit: null, next: null },
    }
    return { layout, model: bytes, version, over }
  }
})

describe('the choice of execution provider', () => {
  it('takes the GPU where CUDA loads', async () => {
    const { provider, explanation } = await chooseExecutionProvider('auto', async () => null)
    assert.equal(provider, 'cuda')
    assert.match(explanation, /GPU/)
  })

  it('falls back to the CPU and says what is missing', async () => {
    const failures: [string, RegExp][] = [
      ['x/libonnxruntime_providers_cuda.so: cannot open shared object file', /provider library is not installed/],
      ['Failed to load: libcublasLt.so.12: cannot open shared object file: No such file', /libcublasLt\.so\.12/],
      ['libcuda.so.1: cannot open shared object file', /driver/],
      ['CUDA failure 100: no CUDA-capable device is detected', /no CUDA-capable device/],
      ['something else', /something else/],
    ]
    for (const [message, text] of failures) {
      const { provider, explanation } = await chooseExecutionProvider('auto', async () => message)
      assert.equal(provider, 'cpu')
      assert.match(explanation, text)
    }
  })

  it('does not try CUDA when the CPU is asked for', async () => {
    const chosen = await chooseExecutionProvider('cpu', () => assert.fail('tried'))
    assert.equal(chosen.provider, 'cpu')
  })

  it('refuses when CUDA is asked for by name and is not there', async () => {
    await assert.rejects(
      chooseExecutionProvider('cuda', async () => 'libcuda.so.1: cannot open shared object file'),
      (error) => error instanceof WeirError && error.code === 'NOT_AVAILABLE' && error.exitCode === 2,
    )
  })
})

function rowsUpTo(count: number, from = 0): Int32Array {
  return Int32Array.from({ length: count }, (_, i) => from + i)
}
