import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import {
  cardPrecision,
  compareScores,
  DEFAULT_COSTS,
  deskFigures,
  type EvaluationOptions,
  evaluateScores,
  rankCardDays,
  rankingQuality,
} from '#models/evaluation/metrics.ts'
import {
  alertCurve,
  pointAtAlerts,
  pointAtThreshold,
  scoreHistogram,
  thresholdAtBudget,
} from '#models/evaluation/operating-point.ts'
import { type EvaluationRows, rankRows } from '#models/evaluation/ranking.ts'
import { GENUINE_EVERYWHERE, segmentFigures } from '#models/evaluation/segments.ts'
import * as fc from 'fast-check'

const DAY_MS = 86_400_000

interface Row {
  readonly score: number
  readonly fraud: 0 | 1
  readonly amount: number
  readonly day: number
  readonly card: number
  readonly weight: number
}

const anyRow = fc.record({
  score: fc.constantFrom(-Infinity, 0, 0.1, 0.25, 0.5, 0.7, 0.9, 1),
  fraud: fc.constantFrom<0 | 1>(0, 0, 1),
  amount: fc.integer({ min: 0, max: 10_000 }),
  day: fc.integer({ min: 0, max: 3 }),
  card: fc.integer({ min: 0, max: 5 }),
  weight: fc.constantFrom(1, 1, 2, 5),
})
const anyRows = fc
  .array(anyRow, { minLength: 2, maxLength: 40 })
  .filter((rows) => rows.some(({ fraud }) => fraud === 1) && rows.some(({ fraud }) => fraud === 0))

const options: EvaluationOptions = { alertsPerDay: 3, costs: DEFAULT_COSTS, bootstrapRuns: 0, seed: 1 }

describe('ranking figures', () => {
  it('are average precision and ROC AUC by their definitions, ties and weights included', () => {
    fc.assert(
      fc.property(anyRows, (rows) => {
        const ranking = rankRows(columnsOf(rows), scoresOf(rows))
        const found = rankingQuality(ranking, ranking.weight)
        assert.ok(Math.abs(found.averagePrecision - slowAveragePrecision(rows)) < 1e-12)
        assert.ok(Math.abs(found.rocAuc - slowRocAuc(rows)) < 1e-12)
      }),
    )
  })

  it('take a row of weight three as three rows', () => {
    const heavy = [row({ score: 0.9, weight: 3 }), row({ score: 0.8, fraud: 1, weight: 2 }), row({ score: 0.1 })]
    const spread = heavy.flatMap((one) => Array.from({ length: one.weight }, () => ({ ...one, weight: 1 })))
    assert.deepEqual(
      evaluateScores(columnsOf(heavy), scoresOf(heavy), { ...options, alertsPerDay: 100 }),
      evaluateScores(columnsOf(spread), scoresOf(spread), { ...options, alertsPerDay: 100 }),
    )
  })
})

describe('desk figures', () => {
  it('count the best scores of each day up to the budget, equal scores in proportion', () => {
    fc.assert(
      fc.property(anyRows, fc.integer({ min: 1, max: 8 }), (rows, budget) => {
        const ranking = rankRows(columnsOf(rows), scoresOf(rows))
        const found = deskFigures(ranking, ranking.weight, budget)
        const expected = slowDesk(rows, budget)
        for (const name of ['alerts', 'caught', 'caughtValue'] as const) {
          assert.ok(Math.abs(found[name] - expected[name]) < 1e-6, name)
        }
      }),
    )
  })

  it('follow a worked example to the cent', () => {
    const rows = [
      row({ score: 0.9, fraud: 1, amount: 10_000, card: 0 }),
      row({ score: 0.8, amount: 500, card: 1 }),
      row({ score: 0.2, fraud: 1, amount: 30_000, card: 2 }),
      row({ score: 0.1, amount: 700, card: 3 }),
    ]
    const metrics = evaluateScores(columnsOf(rows), scoresOf(rows), {
      ...options,
      alertsPerDay: 2,
      costs: { recoveredShare: 0.5, reviewCost: 100, falsePositiveCost: 30 },
    })
    const values = Object.fromEntries(Object.entries(metrics).map(([name, { value }]) => [name, value]))
    assert.equal(values['precision_at_budget'], 0.5)
    assert.equal(values['recall_at_budget'], 0.5)
    assert.equal(values['value_recall_at_budget'], 0.25)
    assert.equal(values['false_positives_per_fraud'], 1)
    assert.equal(values['money_saved'], 0.5 * 10_000 - 2 * 100 - 30)
    assert.equal(values['card_precision_at_budget'], 0.5)
    assert.ok(Math.abs(values['average_precision']! - (1 / 2 + (1 / 2) * (2 / 3))) < 1e-12)
    assert.equal(values['roc_auc'], 0.75)
  })

  it('leave out what cannot be told: no frauds, or scores that are no probabilities', () => {
    const genuine = [row({ score: 0.3 }), row({ score: 0.4 })]
    const metrics = evaluateScores(columnsOf(genuine), scoresOf(genuine), options)
    assert.equal(metrics.average_precision, undefined)
    assert.equal(metrics.recall_at_budget, undefined)
    const rules = [row({ score: 3, fraud: 1 }), row({ score: -Infinity })]
    assert.equal(evaluateScores(columnsOf(rules), scoresOf(rules), options).calibration_error, undefined)
  })
})

describe('card precision', () => {
  it('looks at the cards with the highest scores of each day, and not again at one it found', () => {
    const rows = [
      row({ day: 0, card: 0, score: 0.9, fraud: 1 }),
      row({ day: 0, card: 0, score: 0.8 }),
      row({ day: 0, card: 1, score: 0.7 }),
      row({ day: 0, card: 2, score: 0.6, fraud: 1 }),
      row({ day: 1, card: 0, score: 0.9, fraud: 1 }), // found the day before
      row({ day: 1, card: 1, score: 0.8 }),
      row({ day: 1, card: 2, score: 0.7 }),
      row({ day: 1, card: 2, score: 0.6, fraud: 1 }), // the card counts, whichever of its rows
    ]
    const ranking = rankRows(columnsOf(rows), scoresOf(rows))
    const precision = cardPrecision(rankCardDays(ranking), new Uint8Array(6).fill(1), 2)
    assert.equal(precision, (1 / 2 + 1 / 2) / 2)
  })
})

describe('bootstrap intervals', () => {
  const rows = Array.from({ length: 400 }, (_, i) =>
    row({
      card: i % 80,
      day: i % 5,
      fraud: i % 80 < 8 ? 1 : 0,
      score: ((i * 37) % 100) / 200 + (i % 80 < 6 ? 0.4 : 0),
      amount: 100 + i,
    }),
  )
  const sampled = { ...options, alertsPerDay: 10, bootstrapRuns: 200 }

  it('hold the figure, are the same for the same seed, and are not empty', () => {
    const first = evaluateScores(columnsOf(rows), scoresOf(rows), sampled)
    assert.deepEqual(first, evaluateScores(columnsOf(rows), scoresOf(rows), sampled))
    assert.notDeepEqual(first, evaluateScores(columnsOf(rows), scoresOf(rows), { ...sampled, seed: 2 }))
    const { value, low, high } = first.average_precision!
    assert.ok(low < value && value < high)
  })

  it('are wider where the same rows belong to fewer cards', () => {
    const few = rows.map((one) => ({ ...one, card: Math.floor(one.card / 8) }))
    const width = (of: Row[]) => {
      const { low, high } = evaluateScores(columnsOf(of), scoresOf(of), sampled).money_saved!
      return high - low
    }
    assert.ok(width(few) > width(rows))
  })

  it('are narrow for the difference of two models that nearly agree', () => {
    const scores = scoresOf(rows)
    const nearly = scores.map((score, i) => (i % 50 === 0 ? score + 0.01 : score))
    const difference = compareScores(columnsOf(rows), nearly, scores, sampled).average_precision!
    const alone = evaluateScores(columnsOf(rows), scores, sampled).average_precision!
    assert.ok(difference.high - difference.low < (alone.high - alone.low) / 3)
    const same = compareScores(columnsOf(rows), scores, scores, sampled).average_precision!
    assert.deepEqual(same, { value: 0, low: 0, high: 0 })
  })
})

describe('operating points', () => {
  it('alert on scores of at least the threshold', () => {
    const rows = [
      row({ score: 0.5, fraud: 1, amount: 300 }),
      row({ score: 0.5 }),
      row({ score: 0.49, fraud: 1, amount: 100 }),
    ]
    const point = pointAtThreshold(columnsOf(rows), scoresOf(rows), 0.5, DEFAULT_COSTS)
    assert.deepEqual(
      [point.alerts, point.caught, point.precision, point.recall, point.valueRecall, point.falsePositivesPerFraud],
      [2, 1, 0.5, 0.5, 0.75, 1],
    )
  })

  it('share the last places among equal scores, and never alert on what did not match', () => {
    const rows = [
      row({ score: 2, fraud: 1, amount: 100 }),
      row({ score: 1, fraud: 1, amount: 100 }),
      row({ score: 1 }),
      row({ score: -Infinity, fraud: 1, amount: 100 }),
    ]
    const two = pointAtAlerts(columnsOf(rows), scoresOf(rows), 2, DEFAULT_COSTS)
    assert.deepEqual([two.alerts, two.caught], [2, 1.5])
    const many = pointAtAlerts(columnsOf(rows), scoresOf(rows), 100, DEFAULT_COSTS)
    assert.deepEqual([many.alerts, many.caught], [3, 2])
    const none = pointAtAlerts(columnsOf(rows), scoresOf(rows), 0, DEFAULT_COSTS)
    assert.deepEqual([none.alerts, none.threshold], [0, Infinity])
  })

  it('find the lowest threshold within the budget', () => {
    fc.assert(
      fc.property(anyRows, fc.integer({ min: 1, max: 8 }), (any, budget) => {
        const rows = any.map((one) => ({ ...one, score: Math.max(0, one.score) }))
        const columns = columnsOf(rows)
        const scores = scoresOf(rows)
        const threshold = thresholdAtBudget(columns, scores, budget)
        const days = new Set(rows.map(({ day }) => day)).size
        const alertsFrom = (from: number) =>
          rows.filter(({ score }) => score >= from).reduce((sum, { weight }) => sum + weight, 0)
        if (threshold < 1) assert.ok(alertsFrom(threshold) <= budget * days)
        const lower = Math.max(...rows.map(({ score }) => score).filter((score) => score < threshold))
        if (lower >= 0) assert.ok(alertsFrom(lower) > budget * days)
      }),
    )
  })

  it('end their curve with every fraud found', () => {
    const rows = Array.from({ length: 500 }, (_, i) =>
      row({ score: ((i * 7) % 500) / 500, fraud: i % 9 === 0 ? 1 : 0, amount: i }),
    )
    const curve = alertCurve(columnsOf(rows), scoresOf(rows), 50)
    assert.ok(curve.length < 200)
    const last = curve.at(-1)!
    assert.deepEqual([last.recall, last.valueRecall, last.alertsPerDay], [1, 1, 500])
    assert.ok(curve.every((point, i) => i === 0 || point.recall >= curve[i - 1]!.recall))
  })

  it('put scores into steps of log odds that sum to one', () => {
    const { shares, low, high } = scoreHistogram(Float32Array.of(0, 0.5, 0.5, 1), 4, Float32Array.of(1, 1, 1, 5))
    assert.equal(shares.length, 64)
    assert.ok(Math.abs(shares.reduce((a, b) => a + b, 0) - 1) < 1e-12)
    assert.deepEqual([low, high], [-16, 16])
    assert.equal(shares[32], 2 / 8)
    assert.equal(shares[63], 5 / 8)
  })
})

describe('segments', () => {
  const rows = [
    row({ score: 0.9, fraud: 1, amount: 100 }),
    row({ score: 0.2, fraud: 1, amount: 300 }),
    row({ score: 0.8, amount: 600 }),
    row({ score: 0.1, amount: 1000 }),
  ]

  it('judge each part by itself at the common threshold', () => {
    const by = { by: 'channel', names: ['POS', 'ECOM', 'ATM'], index: Int32Array.of(1, 0, 1, 0) }
    const [first, second, ...rest] = segmentFigures(columnsOf(rows), scoresOf(rows), 0.5, by)
    assert.deepEqual(rest, [])
    const ecom = [first!, second!].find(({ name }) => name === 'ECOM')!
    assert.deepEqual(
      [ecom.rows, ecom.fraud, ecom.alerts, ecom.recall, ecom.falsePositivesPerFraud, ecom.averagePrecision],
      [2, 1, 2, 1, 1, 1],
    )
    assert.ok(Math.abs(ecom.fraudBasisPoints - (10_000 * 100) / 700) < 1e-9)
  })

  it('hold tactics against all genuine rows', () => {
    const tactic = {
      by: 'tactic',
      names: ['takeover', 'ring'],
      index: Int32Array.of(0, 1, GENUINE_EVERYWHERE, GENUINE_EVERYWHERE),
    }
    const figures = segmentFigures(columnsOf(rows), scoresOf(rows), 0.5, tactic)
    const ring = figures.find(({ name }) => name === 'ring')!
    assert.deepEqual([ring.fraud, ring.recall, ring.averagePrecision], [1, 0, 1 / 2])
    assert.ok(Number.isNaN(ring.falsePositivesPerFraud))
  })
})

function row(over: Partial<Row>): Row {
  return { score: 0, fraud: 0, amount: 0, day: 0, card: 0, weight: 1, ...over }
}

function columnsOf(rows: readonly Row[]): EvaluationRows {
  return {
    count: rows.length,
    fraud: Uint8Array.from(rows, ({ fraud }) => fraud),
    amount: Float64Array.from(rows, ({ amount }) => amount),
    eventTime: Float64Array.from(rows, ({ day }, i) => 19_000 * DAY_MS + day * DAY_MS + i),
    card: Int32Array.from(rows, ({ card }) => card),
    cards: 80,
    weight: Float32Array.from(rows, ({ weight }) => weight),
  }
}

function scoresOf(rows: readonly Row[]): Float64Array {
  return Float64Array.from(rows, ({ score }) => score)
}

function slowAveragePrecision(rows: readonly Row[]): number {
  const weigh = (of: readonly Row[]) => of.reduce((sum, { weight }) => sum + weight, 0)
  const frauds = weigh(rows.filter(({ fraud }) => fraud === 1))
  let sum = 0
  for (const threshold of new Set(rows.map(({ score }) => score))) {
    const above = rows.filter(({ score }) => score >= threshold)
    const gained = rows.filter(({ score, fraud }) => score === threshold && fraud === 1)
    sum += (weigh(gained) / frauds) * (weigh(above.filter(({ fraud }) => fraud === 1)) / weigh(above))
  }
  return sum
}

function slowRocAuc(rows: readonly Row[]): number {
  let wins = 0
  let pairs = 0
  for (const a of rows.filter(({ fraud }) => fraud === 1)) {
    for (const b of rows.filter(({ fraud }) => fraud === 0)) {
      const weight = a.weight * b.weight
      pairs += weight
      if (a.score > b.score) wins += weight
      else if (a.score === b.score) wins += weight / 2
    }
  }
  return wins / pairs
}

function slowDesk(rows: readonly Row[], budget: number) {
  const found = { alerts: 0, caught: 0, caughtValue: 0 }
  for (const day of new Set(rows.map((one) => one.day))) {
    const ofDay = rows.filter((one) => one.day === day && one.score > -Infinity)
    for (const one of ofDay) {
      const weigh = (of: readonly Row[]) => of.reduce((sum, { weight }) => sum + weight, 0)
      const above = weigh(ofDay.filter(({ score }) => score > one.score))
      const tied = weigh(ofDay.filter(({ score }) => score === one.score))
      const share = Math.min(1, Math.max(0, budget - above) / tied)
      found.alerts += share * one.weight
      if (one.fraud === 1) {
        found.caught += share * one.weight
        found.caughtValue += share * one.weight * one.amount
      }
    }
  }
  return found
}
