import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DemoSummary } from '#cli/demo-summary.ts'

test('rules and model are compared at the same number of alerts', () => {
  const summary = new DemoSummary()
  const add = (fraud: boolean, amountBase: number, ruleHits: number, score: number): void =>
    summary.add({ fraud, amountBase, flagged: ruleHits > 0 || score > 0.5, ruleHits, score })
  add(true, 1_000, 0, 0.9)
  add(true, 100, 1, 0.2)
  add(false, 500, 1, 0.1)
  add(false, 500, 0, 0.6)
  add(false, 500, 0, Number.NaN)
  assert.deepEqual(summary.decided(), { alerts: 4, recall: 1, valueRecall: 1, falsePositivesPerFraud: 1 })
  assert.deepEqual(summary.rulesAlone(), { alerts: 2, recall: 0.5, valueRecall: 0.0909, falsePositivesPerFraud: 1 })
  assert.deepEqual(summary.modelAtSameAlerts(), {
    alerts: 2,
    recall: 0.5,
    valueRecall: 0.9091,
    falsePositivesPerFraud: 1,
  })
})

test('a world without fraud gives no nonsense', () => {
  const summary = new DemoSummary()
  summary.add({ fraud: false, amountBase: 1, flagged: true, ruleHits: 0, score: 0.9 })
  assert.deepEqual(summary.decided(), { alerts: 1, recall: 0, valueRecall: 0, falsePositivesPerFraud: 1 })
})
