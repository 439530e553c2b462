import assert from 'node:assert/strict'
import { test } from 'node:test'
import { reasonOf } from '#cli/retrain.ts'
import { trainingDocument, trainingText } from '#cli/training-report.ts'
import type { Trained } from '#learning/train-from.ts'

const metrics = (precision: number, value: number, saved: number) => ({
  average_precision: { value: precision, low: 0, high: 1 },
  value_recall_at_budget: { value, low: 0, high: 1 },
  money_saved: { value: saved, low: 0, high: 1 },
})

function trainedOf(champion: Trained['champion'], passed = true): Trained {
  const manifest = {
    version: 'lean-2',
    spec: { name: 'lean' },
    training: { rows: 9_000, fraud: 300, backend: 'wasm' },
    evaluation: {
      from: Date.UTC(2026, 0, 1),
      to: Date.UTC(2026, 0, 15),
      alertsPerDay: 20,
      metrics: metrics(0.5, 0.6, 1_234_500),
      comparedWith: { 'champion lean-1': metrics(0.4, 0.55, 900_000), 'rules alone': metrics(0.1, 0.3, 100_000) },
    },
  }
  const findings = [
    'yes it surely saves more money than the rules alone',
    'no  its average precision is above that of lean-1',
  ]
  return {
    made: { manifest } as unknown as Trained['made'],
    gate: { passed, findings },
    test: { rows: 5_000, fraud: 80 },
    champion,
  }
}

test('the report sets candidate, champion and rules alone side by side, and names the days', () => {
  const text = trainingText(trainedOf({ version: 'lean-1', isCompared: true }), '/models/lean-2')
  assert.match(text, /newest mature days, 2026-01-01 to 2026-01-14: 5000 events, 80 frauds/)
  assert.match(text, /compared with the champion lean-1 and with the rules alone/)
  assert.match(text, /candidate lean-2 +0\.500 +0\.600 +12,345\n/)
  assert.match(text, /champion lean-1 +0\.400 +0\.550 +9,000\n/)
  assert.match(text, /rules alone +0\.100 +0\.300 +1,000\n/)
  assert.match(text, /no  its average precision/)
})

test('a champion that cannot be compared, and none at all, are said', () => {
  assert.match(trainingText(trainedOf({ version: 'lean-1', isCompared: false }), null), /lean-1 reads other features/)
  assert.match(trainingText(trainedOf(null), null), /nobody is in charge yet: compared with the rules alone/)
})

test('the document holds the days, the champion and the figures of everything compared', () => {
  const document = trainingDocument(trainedOf({ version: 'lean-1', isCompared: true }), null) as Record<string, unknown>
  assert.deepEqual([document['testFrom'], document['testTo']], ['2026-01-01', '2026-01-14'])
  assert.deepEqual(document['champion'], { version: 'lean-1', isCompared: true })
  assert.deepEqual(Object.keys(document['comparedWith'] as object), ['champion lean-1', 'rules alone'])
})

test('the reason for a promotion says what it is better than, and one against it says which checks failed', () => {
  const champion = { version: 'lean-1', isCompared: true }
  assert.equal(reasonOf(trainedOf(champion)), 'retrained; better than lean-1 and the rules alone')
  assert.equal(reasonOf(trainedOf({ ...champion, isCompared: false })), 'retrained; better than the rules alone')
  assert.equal(reasonOf(trainedOf(null)), 'retrained; better than the rules alone')
  assert.equal(reasonOf(trainedOf(champion, false)), 'not so: its average precision is above that of lean-1')
})
