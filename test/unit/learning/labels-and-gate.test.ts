import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type GateInput, judge } from '#learning/gate.ts'
import { KnownLabels } from '#learning/labels.ts'
import { labelOf } from '#test/support/transactions.ts'

const DAY_MS = 86_400_000
const AS_OF = Date.UTC(2026, 2, 1)

test('what became known after the cut-off is not known', () => {
  const labels = new KnownLabels(AS_OF)
  labels.add(labelOf({ transaction_id: 'a', known_at: AS_OF + 1 }))
  labels.add(labelOf({ transaction_id: 'b', known_at: AS_OF }))
  assert.deepEqual([labels.of('a'), labels.of('b'), labels.of('c')], ['silent', 'fraud', 'silent'])
})

test('a later label corrects an earlier one, in whatever order they are read', () => {
  for (const order of [
    [1, 2],
    [2, 1],
  ]) {
    const labels = new KnownLabels(AS_OF)
    for (const day of order) labels.add(labelOf({ fraud: day === 1, known_at: AS_OF - (10 - day) * DAY_MS }))
    assert.equal(labels.of('t1'), 'genuine')
  }
})

test('a service dispute is not fraud, and first-party fraud is counted apart', () => {
  const labels = new KnownLabels(AS_OF)
  labels.add(labelOf({ transaction_id: 'dispute', type: 'service_dispute' }))
  labels.add(labelOf({ transaction_id: 'own', type: 'first_party' }))
  assert.deepEqual([labels.of('dispute'), labels.of('own'), labels.firstPartyCount], ['genuine', 'ignored', 1])
})

const figure = (value: number, low = value, high = value) => ({ value, low, high })

const GOOD: GateInput = {
  champion: {
    name: 'm1',
    difference: { average_precision: figure(0.05, 0.01, 0.09), money_saved: figure(1_000, -50, 3_000) },
  },
  rules: { name: 'rules alone', difference: { money_saved: figure(5_000, 2_000, 9_000) } },
  calibrationError: 0.002,
  fraudInTest: 80,
}

test('a challenger that is better in everything takes charge, with or without a champion', () => {
  assert.equal(judge(GOOD).passed, true)
  assert.equal(judge({ ...GOOD, champion: null }).passed, true)
})

test('each single shortcoming keeps it out, and is said in words', () => {
  const worse: readonly [Partial<GateInput>, RegExp][] = [
    [{ fraudInTest: 5 }, /5 known frauds/],
    [{ calibrationError: 0.2 }, /off by 0\.2000/],
    [{ rules: { name: 'rules alone', difference: { money_saved: figure(5_000, -1, 9_000) } } }, /rules alone/],
    [{ rules: { name: 'rules alone', difference: {} } }, /cannot be told/],
    [
      { champion: { name: 'm1', difference: { average_precision: figure(-0.01), money_saved: figure(1) } } },
      /average precision/,
    ],
    [
      { champion: { name: 'm1', difference: { average_precision: figure(0.05, -0.2, 0.3), money_saved: figure(1) } } },
      /average precision/,
    ],
    [
      { champion: { name: 'm1', difference: { average_precision: figure(0.05), money_saved: figure(-1) } } },
      /money than m1/,
    ],
  ]
  for (const [change, words] of worse) {
    const { passed, findings } = judge({ ...GOOD, ...change })
    assert.equal(passed, false)
    assert.match(findings.filter((finding) => finding.startsWith('no')).join('\n'), words)
  }
})
