import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { AlertBook, type AlertHit, type Assigned } from '#pipeline/decide/alert-book.ts'
import { BookRebuilder } from '#pipeline/decide/rebuild-book.ts'
import { createDecide } from '#pipeline/decide/decide.ts'
import { NO_LISTS } from '#pipeline/decide/lists.ts'
import { compileRules } from '#pipeline/decide/rules/rule-set.ts'
import { ACCEPTED, REJECTED, reached, type Scored, SliceBuffers } from '#pipeline/slice.ts'
import type { Alert } from '#schemas/decision.ts'
import { writeLabel, writeTransaction } from '#schemas/event-columns.ts'
import { LABEL_SOURCES } from '#schemas/label.ts'
import { TINY_LAYOUT } from '#test/support/layouts.ts'
import { labelOf, transactionOf } from '#test/support/transactions.ts'

const START_MS = Date.UTC(2026, 0, 15)
const HOUR_MS = 3_600_000

const hitOf = (n: number, fields: Partial<AlertHit> = {}): AlertHit => ({
  alertId: `${n}-0`,
  cardId: `card-${n}`,
  merchantId: '',
  deviceId: '',
  ipPrefix: '',
  verdict: 'review',
  clock: START_MS + n * 1_000,
  ...fields,
})

const opened = (hits: readonly AlertHit[], assigned: readonly Assigned[]): number =>
  assigned.filter(({ openAlertId }, i) => openAlertId === hits[i]!.alertId).length

test('a hit that was held back does not become its card’s open alert', () => {
  const book = new AlertBook(10, 0.1)
  assert.equal(book.take(hitOf(0, { merchantId: 'm' })).openAlertId, '0-0')
  assert.equal(book.take(hitOf(1, { merchantId: 'm', cardId: 'c' })).openAlertId, '0-0')
  assert.equal(book.take(hitOf(2, { merchantId: 'elsewhere', cardId: 'c' })).openAlertId, '2-0')
  assert.equal(book.take(hitOf(3, { merchantId: 'm', cardId: 'c' })).openAlertId, '2-0')
})

test('the share of a cause holds for its whole day, and begins anew with the next', () => {
  const hits = Array.from({ length: 46 }, (_, n) => hitOf(n, { merchantId: 'm', clock: START_MS + n * 0.5 * HOUR_MS }))
  const sparse = [
    ...hits,
    ...hits.map((hit, n) => ({ ...hit, alertId: `b${n}`, cardId: `b${n}`, clock: hit.clock + 1 })),
  ]
  const byTime = sparse.sort((a, b) => a.clock - b.clock)
  const book = new AlertBook(20, 0.3)
  assert.equal(
    opened(
      byTime,
      byTime.map((hit) => book.take(hit)),
    ),
    6,
  )
  assert.equal(book.take(hitOf(99, { merchantId: 'm', clock: START_MS + 24 * HOUR_MS })).openAlertId, '99-0')
})

test('after hours of silence a full cause still opens nothing', () => {
  const book = new AlertBook(10, 0.1)
  book.take(hitOf(0, { merchantId: 'm' }))
  const late = book.take(hitOf(1, { merchantId: 'm', clock: START_MS + 5 * HOUR_MS }))
  assert.deepEqual(late, { openAlertId: '0-0', incidentId: 'merchant:m:0-0' })
})

test('declines neither use up the share of a cause nor are held back by it', () => {
  const book = new AlertBook(20, 0.1)
  for (let n = 0; n < 10; n++) {
    assert.equal(book.take(hitOf(n, { merchantId: 'm', verdict: 'decline' })).openAlertId, `${n}-0`)
  }
  assert.equal(book.take(hitOf(10, { merchantId: 'm' })).openAlertId, '10-0')
  assert.equal(book.take(hitOf(11, { merchantId: 'm', verdict: 'challenge' })).openAlertId, '11-0')
  assert.equal(book.take(hitOf(12, { merchantId: 'm', verdict: 'hold' })).openAlertId, '10-0')
  assert.equal(book.take(hitOf(13, { merchantId: 'm', verdict: 'decline' })).openAlertId, '13-0')
})

test('an incident is five cards within an hour, not five hits', () => {
  const one = new AlertBook(1_000, 1)
  for (let n = 0; n < 20; n++) assert.equal(one.take(hitOf(n, { cardId: 'c', merchantId: 'm' })).incidentId, '')
  const many = new AlertBook(1_000, 1)
  // Four within the first hour's end, the fifth beyond the hour in which the first came: only sliding, five are found.
  const minutes = [0, 50, 55, 58, 61, 62]
  const incidents = minutes.map(
    (minute, n) => many.take(hitOf(n, { merchantId: 'm', clock: START_MS + minute * 60_000 })).incidentId,
  )
  assert.deepEqual(incidents, ['', '', '', '', '', 'merchant:m:1-0'])
  const later = hitOf(9, { merchantId: 'm', clock: START_MS + 4 * HOUR_MS })
  assert.equal(many.take(later).incidentId, '')
})

const POLICY = {
  rules: compileRules('version: 1\nrules: []\n', 'none', { layout: TINY_LAYOUT, lists: () => NO_LISTS }),
  lists: NO_LISTS,
  threshold: { mode: 'fixed', review: 0.5, decline: 0.9 } as const,
  exploration: null,
}

interface Row {
  readonly kind: 'event' | 'verdict' | 'chargeback' | 'rejected'
  readonly card: number
  readonly merchant: number
  readonly score: number
}

function sliceOf(line: number, clock: number, rows: readonly Row[]): Scored {
  const slice = new SliceBuffers(Math.max(1, rows.length), TINY_LAYOUT)
  slice.count = rows.length
  slice.line = line
  slice.clock = clock
  for (const [row, { kind, card, merchant, score }] of rows.entries()) {
    slice.outcome[row] = kind === 'rejected' ? REJECTED : ACCEPTED
    slice.score[row] = score
    const fields = { card_id: `c${card}`, merchant_id: `m${merchant}` }
    if (kind === 'event') {
      const transaction = transactionOf({ ...fields, transaction_id: `${line}/${row}` })
      writeTransaction(slice.events, row, transaction, transaction.amount)
    } else {
      const source = kind === 'chargeback' ? LABEL_SOURCES[2] : LABEL_SOURCES[0]
      writeLabel(slice.events, row, labelOf({ ...fields, source }))
    }
  }
  return reached<Scored>(slice)
}

test('a book rebuilt from committed alerts and verdicts is the live book, whatever the budget has become', async () => {
  const row = fc.record({
    kind: fc.constantFrom('event', 'event', 'event', 'verdict', 'chargeback', 'rejected'),
    card: fc.nat(7),
    merchant: fc.nat(2),
    score: fc.constantFrom(0.1, 0.7, 0.95),
  })
  const lines = fc.array(
    fc.record({ step: fc.constantFrom(1_000, 600_000, 7_200_000, 90_000_000), rows: fc.array(row, { maxLength: 8 }) }),
    { maxLength: 25 },
  )
  await fc.assert(
    fc.asyncProperty(
      lines,
      fc.nat(25),
      fc.integer({ min: 1, max: 5 }),
      fc.boolean(),
      async (plan, cut, batch, isCounted) => {
        const live = new AlertBook(5, 0.3)
        const decide = createDecide(POLICY, live, 'spec')
        const slices: Scored[] = []
        const alerts: Alert[] = []
        let clock = START_MS
        let checkpoint = { snapshot: JSON.stringify(live.snapshot()), line: 0, alert: 0 }
        for (const [line, { step, rows }] of plan.entries()) {
          if (line === cut) checkpoint = { snapshot: JSON.stringify(live.snapshot()), line, alert: alerts.length }
          clock += step
          const slice = sliceOf(line, clock, rows)
          slices.push(slice)
          alerts.push(...decide(slice).alerts)
        }
        const rebuilt = new AlertBook(500, 1)
        rebuilt.restore(JSON.parse(checkpoint.snapshot))
        let next = checkpoint.alert
        const rebuilder = new BookRebuilder(rebuilt, async () => {
          const first = next
          next += batch
          return alerts.slice(first, next).map((alert, i) => ({ offset: first + i, alert }))
        })
        for (const slice of slices.slice(checkpoint.line)) {
          await rebuilder.onSlice(slice, isCounted ? slice.alerts.length : null)
        }
        assert.deepEqual(rebuilt.snapshot(), live.snapshot())
      },
    ),
    { numRuns: 150 },
  )
})
