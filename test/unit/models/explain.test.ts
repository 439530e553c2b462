import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'

import { createExplainer, type Explainer } from '#models/explain.ts'
import { createFeatureBuffers, FEATURE_GROUPS, type FeatureLayout } from '#models/feature-buffers.ts'
import { createOnnxScorer, type OnnxScorer } from '#models/onnx-scorer.ts'
import type { ModelManifest } from '#schemas/model-manifest.ts'
import { randomBuffers, tinyLayout, tinyLstm, withGolden, writeTinyFolder } from '#test/support/tiny-onnx.ts'

describe('explanations', () => {
  const medians = (width: number) => Array.from({ length: width }, (_, i) => Math.fround(Math.sin(i)))
  const describeFeature = (layout: FeatureLayout, index: number, value: number) =>
    `${layout.currentColumns[index]!.name} is ${value.toFixed(3)}`
  let root = ''
  const scorers: OnnxScorer[] = []

  const open = async (version: string, layout: FeatureLayout, seed: number) => {
    const over = { medians: medians(layout.currentWidth) }
    const tiny = await withGolden({ layout, version, model: tinyLstm(layout, 6, seed), over })
    const scorer = await createOnnxScorer({ folder: await writeTinyFolder(root, tiny), layout, provider: 'cpu' })
    scorers.push(scorer)
    return { scorer, explainer: createExplainer({ scorer, manifest: scorer.manifest, describe: describeFeature }) }
  }

  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'weir-explain-'))
  })
  after(async () => {
    for (const scorer of scorers) await scorer.close()
    await rm(root, { recursive: true })
  })

  it('sum to the difference between the event and an event about which nothing is known', async () => {
    for (const [seed, layout] of [tinyLayout(4, 3, 8), tinyLayout(3, 2, 14), tinyLayout(6, 4, 5)].entries()) {
      const { explainer } = await open(`sum-${seed}`, layout, seed)
      for (const event of eventsOf(layout, 12, seed)) {
        const { values, full, none } = await explainer.attribute(...event)
        assert.ok(Math.abs(values.reduce((a, b) => a + b, 0) - (full - none)) < 1e-9)
      }
    }
  })

  it('are the mean over all orders in which groups can be revealed', async () => {
    const layout = tinyLayout(3, 2, 4) // four groups of one column, and the past events
    const { scorer, explainer } = await open('orders', layout, 3)
    for (const [history, length, current] of eventsOf(layout, 6, 3)) {
      const { values } = await explainer.attribute(history, length, current)
      const expected = await byAllOrders(scorer, scorer.manifest, history, length, current)
      for (let g = 0; g < FEATURE_GROUPS.length; g++) assert.ok(Math.abs(values[g]! - expected[g]!) < 1e-5)
    }
  })

  it('give nothing to a group that is as it usually is, and leave the others as they were', async () => {
    const layout = tinyLayout(4, 3, 5)
    const { scorer, explainer } = await open('dummy', layout, 4)
    const [history, length, current] = eventsOf(layout, 1, 8)[0]!
    const usual = current.slice()
    usual[2] = scorer.manifest.medians[2]!
    const { values } = await explainer.attribute(history, length, usual)
    assert.equal(values[2], 0)
    const expected = await byAllOrders(scorer, scorer.manifest, history, length, usual)
    for (let g = 0; g < FEATURE_GROUPS.length; g++) assert.ok(Math.abs(values[g]! - expected[g]!) < 1e-5)
  })

  it('give nothing to the past of a card that has none', async () => {
    const layout = tinyLayout(4, 3, 8)
    const { explainer } = await open('no-past', layout, 5)
    const current = eventsOf(layout, 1, 2)[0]![2]
    const { values } = await explainer.attribute(new Float32Array(12), 0, current)
    assert.equal(values[FEATURE_GROUPS.indexOf('past_events')], 0)
    const reasons = await explainer.explain(new Float32Array(12), 0, current)
    assert.ok(reasons.every(({ source }) => source === 'model'))
  })

  it('come out the same to the last bit, also beside other explanations', async () => {
    const layout = tinyLayout(4, 3, 8)
    const { explainer } = await open('same', layout, 6)
    const events = eventsOf(layout, 8, 6)
    const alone: unknown[] = []
    for (const event of events) alone.push(await explainer.explain(...event))
    assert.deepEqual(await Promise.all(events.map((event) => explainer.explain(...event))), alone)
  })

  it('name the strongest groups in words, strongest first, and only what speaks for fraud', async () => {
    const layout = tinyLayout(4, 3, 14)
    const { explainer } = await open('words', layout, 7)
    let seen = 0
    for (const event of eventsOf(layout, 20, 7)) {
      const reasons = (await explainer.explain(...event)).filter(({ source }) => source === 'model')
      const { values } = await explainer.attribute(...event)
      const expected = FEATURE_GROUPS.filter((_, g) => values[g]! >= 0.05)
        .sort((a, b) => values[FEATURE_GROUPS.indexOf(b)]! - values[FEATURE_GROUPS.indexOf(a)]!)
        .slice(0, 4)
      assert.deepEqual(
        reasons.map(({ code }) => code),
        expected,
      )
      for (const { code, text, weight } of reasons) {
        assert.equal(weight, values[FEATURE_GROUPS.indexOf(code as (typeof FEATURE_GROUPS)[number])])
        assert.notEqual(text, '')
        if (/now_\d/.test(text)) {
          const column = Number(/now_(\d+)/.exec(text)![1])
          assert.equal(layout.currentColumns[column]!.group, code)
          seen++
        }
      }
    }
    assert.ok(seen > 5, `${seen} seen`)
  })

  it('name the past events without which the score would be lower', async () => {
    const layout = tinyLayout(4, 3, 8)
    const { scorer, explainer } = await open('past', layout, 11)
    let seen = 0
    for (const [history, length, current] of eventsOf(layout, 30, 9)) {
      const reasons = await explainer.explain(history, length, current)
      for (const { source, code, weight } of reasons) {
        if (source !== 'event') continue
        seen++
        const gone = layout.historyLength - Number(code.replace('past_event_', ''))
        const kept = Array.from({ length: 4 }, (_, k) => k).filter((k) => k >= 4 - length && k !== gone)
        const without = new Float32Array(12)
        kept.forEach((k, i) => without.set(history.subarray(k * 3, k * 3 + 3), (4 - kept.length + i) * 3))
        const full = await logitOf(scorer, history, length, current)
        assert.equal(weight, full - (await logitOf(scorer, without, length - 1, current)))
        assert.ok(weight >= 0.05)
      }
    }
    assert.ok(seen > 5, `${seen} seen`)
  })

  it('use the words handed in for past events', async () => {
    const layout = tinyLayout(4, 3, 8)
    const { scorer } = await open('event-words', layout, 9)
    const explainer: Explainer = createExplainer({
      scorer,
      manifest: scorer.manifest,
      describe: () => '',
      describeEvent: (_, back, values) => `${back}: ${values[0]}`,
      weightMin: -100,
    })
    const [history, , current] = eventsOf(layout, 1, 1)[0]!
    const reasons = await explainer.explain(history, 4, current)
    const events = reasons.filter(({ source }) => source === 'event')
    assert.equal(events.length, 2)
    for (const { code, text } of events) {
      const back = Number(code.replace('past_event_', ''))
      assert.equal(text, `${back}: ${history[(4 - back) * 3]}`)
    }
    assert.ok(reasons.every(({ text }) => text !== ''))
  })
})

function eventsOf(layout: FeatureLayout, count: number, seed: number): [Float32Array, number, Float32Array][] {
  const buffers = randomBuffers(layout, count, seed)
  const size = layout.historyLength * layout.historyWidth
  return Array.from({ length: count }, (_, i) => [
    buffers.history.slice(i * size, (i + 1) * size),
    buffers.historyLength[i]!,
    buffers.current.slice(i * layout.currentWidth, (i + 1) * layout.currentWidth),
  ])
}

async function logitOf(scorer: OnnxScorer, history: Float32Array, length: number, current: Float32Array) {
  const input = createFeatureBuffers(scorer.layout, 1)
  input.history.set(history)
  input.historyLength[0] = length
  input.current.set(current)
  const logit = new Float32Array(1)
  await scorer.scoreLogits(input, Int32Array.of(0), 1, logit)
  return logit[0]!
}

/** The definition, spelled out: reveal the groups one by one, in every order. */
async function byAllOrders(
  scorer: OnnxScorer,
  manifest: ModelManifest,
  history: Float32Array,
  length: number,
  current: Float32Array,
): Promise<number[]> {
  const { layout } = scorer
  const groups = FEATURE_GROUPS.filter(
    (group) => group === 'past_events' || layout.currentColumns.some((column) => column.group === group),
  )
  const known = new Map<string, number>()
  const logitWith = async (present: ReadonlySet<string>) => {
    const key = [...present].sort().join()
    if (!known.has(key)) {
      const masked = current.map((value, i) =>
        present.has(layout.currentColumns[i]!.group) ? value : manifest.medians[i]!,
      )
      const past = present.has('past_events')
      known.set(
        key,
        await logitOf(scorer, past ? history : new Float32Array(history.length), past ? length : 0, masked),
      )
    }
    return known.get(key)!
  }
  const sums = FEATURE_GROUPS.map(() => 0)
  const orders = permutations(groups)
  for (const order of orders) {
    const present = new Set<string>()
    let before = await logitWith(present)
    for (const group of order) {
      present.add(group)
      const after = await logitWith(present)
      sums[FEATURE_GROUPS.indexOf(group)]! += after - before
      before = after
    }
  }
  return sums.map((sum) => sum / orders.length)
}

function permutations<T>(items: readonly T[]): T[][] {
  if (items.length === 0) return [[]]
  return items.flatMap((item, i) => permutations(items.filter((_, j) => j !== i)).map((rest) => [item, ...rest]))
}
