import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { advise } from '#models/evaluation/advice.ts'
import { DEFAULT_COSTS } from '#models/evaluation/metrics.ts'
import type { EvaluationRows } from '#models/evaluation/ranking.ts'
import { renderReport } from '#models/evaluation/report.ts'
import { GENUINE_EVERYWHERE } from '#models/evaluation/segments.ts'
import { randomNumbers } from '#test/support/tiny-onnx.ts'

const COUNT = 3000
const random = randomNumbers(4)
const rows: EvaluationRows = {
  count: COUNT,
  fraud: Uint8Array.from({ length: COUNT }, (_, i) => (i % 20 === 0 ? 1 : 0)),
  amount: Float64Array.from({ length: COUNT }, () => 20_000 + 15_000 * random()),
  eventTime: Float64Array.from({ length: COUNT }, (_, i) => 1.7e12 + Math.floor(i / 300) * 86_400_000),
  card: Int32Array.from({ length: COUNT }, (_, i) => Math.floor(i / 4)),
  cards: COUNT / 4,
  weight: null,
}
const options = { alertsPerDay: 20, costs: DEFAULT_COSTS, bootstrapRuns: 60, seed: 1 }

/** Probabilities that know the truth to some degree. */
function scoresThatKnow(share: number): Float32Array {
  return Float32Array.from({ length: COUNT }, (_, i) => {
    const z = -3 + share * (rows.fraud[i] === 1 ? 6 : 0) + 1.5 * random()
    return 1 / (1 + Math.exp(-z))
  })
}

const weak = scoresThatKnow(0.3)
const strong = scoresThatKnow(0.9)
const rules = Float32Array.from({ length: COUNT }, (_, i) => (i % 40 === 0 || i % 33 === 0 ? 1 : -Infinity))
const money = (minorUnits: number) => `${Math.round(minorUnits / 100)} EUR`

describe('the advice', () => {
  it('is the LSTM where it surely finds more', () => {
    const advice = advise(
      rows,
      [
        { name: 'LSTM', complexity: 3, scores: strong },
        { name: 'logistic regression', complexity: 1, scores: weak },
        { name: 'rules alone', complexity: 0, scores: rules },
      ],
      options,
      money,
    )
    assert.equal(advice.choice, 'LSTM')
    assert.match(advice.text, /Use LSTM: it is surely better than logistic regression and saves \d+ EUR to \d+ EUR/)
  })

  it('is the simpler model where the difference is within chance, and says so', () => {
    const hardly = strong.map((score, i) => (i % 500 === 0 ? Math.min(1, score * 1.01) : score))
    const advice = advise(
      rows,
      [
        { name: 'LSTM', complexity: 3, scores: hardly },
        { name: 'logistic regression', complexity: 1, scores: strong },
        { name: 'rules alone', complexity: 0, scores: rules },
      ],
      options,
      money,
    )
    assert.equal(advice.choice, 'logistic regression')
  })

  it('calls a simpler model enough by that name', () => {
    const a = scoresThatKnow(0.5)
    const b = scoresThatKnow(0.5)
    const inAp = advise(
      rows,
      [
        { name: 'a', complexity: 3, scores: a },
        { name: 'b', complexity: 1, scores: b },
      ],
      options,
      money,
    )
    const swapped = advise(
      rows,
      [
        { name: 'a', complexity: 1, scores: a },
        { name: 'b', complexity: 3, scores: b },
      ],
      options,
      money,
    )
    // Whichever of the two happens to be ahead, one of the two orders has the simpler one behind by chance alone.
    const behind = inAp.best === 'a' ? inAp : swapped
    assert.match(behind.text, /A simpler model is enough here/)
    assert.notEqual(behind.choice, behind.best)
  })

  it('warns where reviewing costs more than it saves', () => {
    const costs = { recoveredShare: 0.1, reviewCost: 50_000, falsePositiveCost: 0 }
    const advice = advise(rows, [{ name: 'LSTM', complexity: 3, scores: strong }], { ...options, costs }, money)
    assert.match(advice.text, /costs more than it saves/)
  })
})

describe('the report', () => {
  const input = {
    title: 'Model <one> & "two"',
    rows,
    contenders: [
      { name: 'LSTM <b>', complexity: 3, scores: strong },
      { name: 'logistic regression', complexity: 1, scores: weak },
      { name: 'rules alone', complexity: 0, scores: rules },
    ] as const,
    options,
    segmentations: [
      {
        by: 'channel',
        names: ['POS', 'ECOM & <more>'],
        index: Int32Array.from({ length: COUNT }, (_, i) => i % 2),
      },
      {
        by: 'tactic',
        names: ['takeover'],
        index: Int32Array.from(rows.fraud, (fraud) => (fraud === 1 ? 0 : GENUINE_EVERYWHERE)),
      },
    ],
    facts: [['Trained by', 'weir train --seed 1']] as const,
    currency: { code: 'EUR', minorDigits: 2 },
  }
  const { html, advice } = renderReport(input)

  it('opens with which contender to use', () => {
    assert.ok(html.indexOf('Which to use') < html.indexOf('The contenders'))
    assert.ok(html.includes(advice.text.replaceAll('<', '&#60;').replaceAll('>', '&#62;')))
  })

  it('needs nothing beside itself', () => {
    assert.doesNotMatch(html, /<script|<link|<img|src=|@import|url\(|https?:\/\//)
  })

  it('lets no name through as markup', () => {
    assert.doesNotMatch(html, /<one>|LSTM <b>|<more>/)
    assert.match(html, /ECOM &#38; &#60;more&#62;/)
  })

  it('draws its charts with numbers only', () => {
    assert.equal(html.match(/<svg class="chart"/g)?.length, 4)
    assert.doesNotMatch(html, /NaN|Infinity|undefined|null/)
  })

  it('closes every element it opens', () => {
    const open: string[] = []
    for (const [, close, name, rest] of html.matchAll(/<(\/?)([a-z][a-z0-9]*)([^>]*)>/gi)) {
      if (['meta', 'br'].includes(name!) || rest!.endsWith('/')) continue
      if (close === '/') assert.equal(open.pop(), name)
      else open.push(name!)
    }
    assert.deepEqual(open, [])
  })

  it('is the same page for the same input', () => {
    assert.equal(renderReport(input).html, html)
  })
})
