import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DatasetCollector, selectTime } from '#learning/dataset.ts'
import { KnownLabels } from '#learning/labels.ts'
import { splitByTime } from '#learning/split.ts'
import { ACCEPTED, type Featurized, reached, SliceBuffers } from '#pipeline/slice.ts'
import { writeTransaction } from '#schemas/event-columns.ts'
import type { Transaction } from '#schemas/transaction.ts'
import { TINY_LAYOUT } from '#test/support/layouts.ts'
import { labelOf, transactionOf } from '#test/support/transactions.ts'

const DAY_MS = 86_400_000
const START = Date.UTC(2026, 0, 1)

function sliceOf(transactions: readonly Partial<Transaction>[]): Featurized {
  const slice = new SliceBuffers(transactions.length, TINY_LAYOUT)
  slice.count = transactions.length
  for (const [row, fields] of transactions.entries()) {
    const transaction = transactionOf({ event_time: START, ...fields })
    writeTransaction(slice.events, row, transaction, transaction.amount)
    slice.outcome[row] = ACCEPTED
    slice.features.current.set([row, row + 0.5, 1], row * 3)
  }
  return reached<Featurized>(slice)
}

function collectorOf(labels: KnownLabels, genuineShare = 1): DatasetCollector {
  return new DatasetCollector({
    layout: TINY_LAYOUT,
    fromMs: START,
    untilMs: START + 100 * DAY_MS,
    warmUpMs: 0,
    sampleUntilMs: START + 50 * DAY_MS,
    labels,
    genuineShare,
    seed: 1,
  })
}

test('rows carry their label, their vectors and their keys', () => {
  const labels = new KnownLabels(START + 90 * DAY_MS)
  labels.add(labelOf({ transaction_id: 'b', known_at: START + DAY_MS }))
  const collector = collectorOf(labels)
  collector.add(sliceOf([{ transaction_id: 'a' }, { transaction_id: 'b', amount: 7 }]))
  const dataset = collector.finish()
  assert.deepEqual([...dataset.label], [0, 1])
  assert.deepEqual([...dataset.current], [0, 0.5, 1, 1, 1.5, 1])
  assert.deepEqual([dataset.transactionId[1], dataset.amountBase[1]], ['b', 7])
})

test('what was declined or reversed never becomes genuine, and stays when it is known to be fraud', () => {
  const labels = new KnownLabels(START + 90 * DAY_MS)
  labels.add(labelOf({ transaction_id: 'fraud', known_at: START + DAY_MS }))
  const collector = collectorOf(labels)
  collector.add(
    sliceOf([
      { transaction_id: 'declined' },
      { transaction_id: 'reversed' },
      { transaction_id: 'fraud' },
      { transaction_id: 'kept' },
      { transaction_id: 'o1', kind: 'outcome', original_id: 'declined', response_code: '05' },
      { transaction_id: 'o2', kind: 'reversal', original_id: 'reversed' },
      { transaction_id: 'o3', kind: 'outcome', original_id: 'fraud', response_code: '05' },
      { transaction_id: 'o4', kind: 'outcome', original_id: 'kept', response_code: '00' },
    ]),
  )
  assert.deepEqual(collector.finish().transactionId, ['fraud', 'kept'])
})

test('thinned genuine rows are weighted back, frauds and the days for judging are whole', () => {
  const labels = new KnownLabels(START + 90 * DAY_MS)
  const collector = collectorOf(labels, 0.25)
  const early = Array.from({ length: 400 }, (_, i) => ({ transaction_id: `e${i}` }))
  const late = Array.from({ length: 50 }, (_, i) => ({ transaction_id: `l${i}`, event_time: START + 60 * DAY_MS }))
  collector.add(sliceOf([...early, ...late]))
  const dataset = collector.finish()
  const lateRows = selectTime(dataset, START + 50 * DAY_MS, Number.POSITIVE_INFINITY)
  const earlyRows = selectTime(dataset, 0, START + 50 * DAY_MS)
  assert.equal(lateRows.count, 50)
  assert.ok(lateRows.weight.every((weight) => weight === 1))
  assert.ok(earlyRows.count > 60 && earlyRows.count < 140, String(earlyRows.count))
  assert.ok(earlyRows.weight.every((weight) => weight === 4))
})

test('splits are by time: nothing is judged on days that were learnt from', () => {
  const collector = collectorOf(new KnownLabels(START + 90 * DAY_MS))
  collector.add(
    sliceOf(Array.from({ length: 90 }, (_, day) => ({ transaction_id: `t${day}`, event_time: START + day * DAY_MS }))),
  )
  const { training, validation, test } = splitByTime(collector.finish(), START + 90 * DAY_MS, {
    testDays: 14,
    validationDays: 10,
  })
  assert.deepEqual([training.count, validation.count, test.count], [66, 10, 14])
  assert.ok(Math.max(...training.eventTimeMs) < Math.min(...validation.eventTimeMs))
  assert.ok(Math.max(...validation.eventTimeMs) < Math.min(...test.eventTimeMs))
})
