import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { AlertBook, type AlertHit } from '#pipeline/decide/alert-book.ts'
import { BudgetController } from '#pipeline/decide/budget.ts'
import { createDecide, type Policy } from '#pipeline/decide/decide.ts'
import { createExplain } from '#pipeline/decide/explain.ts'
import { explorationDraw } from '#pipeline/decide/exploration.ts'
import { cleanLists, Lists, NO_LISTS } from '#pipeline/decide/lists.ts'
import { compileRules } from '#pipeline/decide/rules/rule-set.ts'
import { cheapestVerdict, DEFAULT_COSTS, parseThreshold } from '#pipeline/decide/threshold.ts'
import { ACCEPTED, type Decided, REJECTED, reached, type Scored, SliceBuffers } from '#pipeline/slice.ts'
import { VERDICTS } from '#schemas/decision.ts'
import { writeLabel, writeTransaction } from '#schemas/event-columns.ts'
import type { Transaction } from '#schemas/transaction.ts'
import { TINY_LAYOUT } from '#test/support/layouts.ts'
import { labelOf, transactionOf } from '#test/support/transactions.ts'

const RULES = `
version: 1
rules:
  - { id: big, when: "amount > 100", action: review, reason: BIG, text: "{amount} is much", owner: test }
  - { id: huge, when: "amount > 1000", action: decline, reason: HUGE, text: "{amount} is more", owner: test }
  - { id: quiet, when: "amount > 1", action: decline, reason: QUIET, text: "shadow", owner: test, mode: shadow }
  - { id: old, when: "amount > 1", action: decline, reason: OLD, text: "old", owner: test, expires: "2020-01-01" }
  - { id: counted, when: "count(card_id, 1h) > 5", action: hold, reason: COUNTED, text: "counted", owner: test }
`

function policyOf(fields: Partial<Policy> = {}): Policy {
  return {
    rules: compileRules(RULES, 'rules.yaml', { layout: TINY_LAYOUT, lists: () => NO_LISTS }),
    lists: NO_LISTS,
    threshold: { mode: 'fixed', review: 0.5, decline: 0.9 },
    exploration: null,
    ...fields,
  }
}

function sliceOf(
  rows: readonly { readonly fields?: Partial<Transaction>; readonly score?: number; readonly count?: number }[],
): Scored {
  const slice = new SliceBuffers(Math.max(1, rows.length), TINY_LAYOUT)
  slice.count = rows.length
  slice.line = 9
  slice.clock = Date.UTC(2026, 0, 15)
  slice.features.counterCount = 1
  slice.features.counters = Float64Array.from(rows, ({ count }) => count ?? 0)
  for (const [row, { fields, score }] of rows.entries()) {
    const transaction = transactionOf({ transaction_id: `t${row}`, card_id: `card-${row}`, ...fields })
    writeTransaction(slice.events, row, transaction, transaction.amount)
    slice.outcome[row] = ACCEPTED
    slice.score[row] = score ?? Number.NaN
    slice.scoredRows[row] = row
  }
  slice.scoredCount = rows.length
  return reached<Scored>(slice)
}

function verdicts(slice: Decided): string[] {
  return Array.from(slice.verdict.subarray(0, slice.count), (verdict) => VERDICTS[verdict]!)
}

const decideWith = (policy: Policy, slice: Scored): Decided =>
  createDecide(policy, new AlertBook(100, 0.3), 'spec')(slice)

test('the hardest of live rules and score decides; shadow, expired and warming rules do not', () => {
  const decided = decideWith(
    policyOf(),
    sliceOf([
      { score: 0.1 },
      { score: 0.6 },
      { score: 0.95 },
      { fields: { amount: 20_000 }, score: 0.1 },
      { fields: { amount: 200_000 }, score: 0.6 },
      { fields: { amount: 20_000 }, score: 0.95 },
      { score: 0.1, count: 6 },
      { score: 0.1, count: Number.NaN },
    ]),
  )
  assert.deepEqual(verdicts(decided), [
    'approve',
    'review',
    'decline',
    'review',
    'decline',
    'decline',
    'hold',
    'approve',
  ])
  assert.deepEqual(decided.ruleHits[4], ['big', 'huge'])
  assert.deepEqual(decided.shadowHits[0], ['quiet'])
  assert.equal(decided.alerts.length, 6)
  assert.deepEqual(decided.alerts[2]!.reasons, [{ source: 'rule', code: 'BIG', text: '200 is much', weight: 0 }])
})

test('without an answer of the model rules decide alone', () => {
  assert.deepEqual(verdicts(decideWith(policyOf(), sliceOf([{}, { fields: { amount: 20_000 } }]))), [
    'approve',
    'review',
  ])
})

test('block beats allow beats everything else; watch is at least a review', () => {
  const entry = (list: string, value: string) => ({ list, field: 'card_id' as const, value, reason: '', author: '' })
  const lists = new Lists([
    entry('block', 'card-0'),
    entry('allow', 'card-0'),
    entry('allow', 'card-1'),
    entry('watch', 'card-2'),
    entry('watch', 'card-3'),
    { ...entry('block', 'card-4'), expires: '2025-01-01' },
  ])
  const decided = decideWith(
    policyOf({ lists }),
    sliceOf([
      { score: 0.1 },
      { fields: { amount: 200_000 }, score: 0.95 },
      { score: 0.1 },
      { score: 0.95 },
      { score: 0.1 },
    ]),
  )
  assert.deepEqual(verdicts(decided), ['decline', 'approve', 'review', 'decline', 'approve'])
  assert.deepEqual(decided.listHits[0], ['block:card_id', 'allow:card_id'])
})

test('reversals, outcomes, labels and rows that were not accepted get no verdict', () => {
  const slice = sliceOf([{ fields: { kind: 'reversal' } }, { fields: { kind: 'outcome' } }, {}, { score: 0.99 }])
  writeLabel(slice.events, 2, labelOf())
  slice.outcome[3] = REJECTED
  const decided = decideWith(policyOf(), slice)
  assert.deepEqual(verdicts(decided), ['none', 'none', 'none', 'none'])
  assert.equal(decided.alerts.length, 0)
})

test('the cheapest action is that of the formula, worked out apart', () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.integer({ min: 1, max: 1e7 }),
      fc.boolean(),
      fc.boolean(),
      (p, amount, passed, isOnline) => {
        const c = DEFAULT_COSTS
        const good = amount * c.goodSaleMargin + c.goodSaleCost
        const costs = {
          approve: p * amount * (1 - c.recoveryShare) * (passed ? c.liabilityAfter3ds : 1),
          review: c.reviewCost,
          challenge: isOnline ? c.challengeCost + (1 - p) * c.challengeLossShare * good : Number.POSITIVE_INFINITY,
          decline: (1 - p) * good,
        }
        const chosen = VERDICTS[cheapestVerdict(c, p, amount, passed, isOnline)] as keyof typeof costs
        assert.ok(costs[chosen] <= Math.min(...Object.values(costs)) + 1e-9)
      },
    ),
  )
  assert.throws(() => parseThreshold({ mode: 'fixed', review: 2 }))
})

test('the budget threshold lets through as many cards a day as the budget says', () => {
  const controller = new BudgetController(10)
  let ended = false
  for (let day = 0; day < 3; day++) {
    const slice = sliceOf(Array.from({ length: 200 }, (_, i) => ({ score: (i + 1) / 1_000 })))
    slice.clock = Date.UTC(2026, 0, 10 + day)
    ended = controller.observe(createDecide(policyOf(), new AlertBook(10, 0.3), 'spec')(slice))
  }
  assert.equal(ended, true)
  const proposed = controller.propose(null)
  assert.ok(proposed?.mode === 'budget')
  const above = Array.from({ length: 200 }, (_, i) => (i + 1) / 1_000).filter(
    (score) => score >= proposed.review,
  ).length
  assert.ok(above >= 9 && above <= 11, String(above))
})

test('exploration picks its share by the id alone and records the probability', () => {
  const exploration = { reviewShare: 0.25, approveShare: 0.5, lossMaxPerDay: 1e9, seed: 's' }
  const rows = Array.from({ length: 400 }, (_, i) => ({
    fields: { transaction_id: `id-${i}` },
    score: i < 200 ? 0.1 : 0.95,
  }))
  const once = decideWith(policyOf({ exploration }), sliceOf(rows))
  assert.deepEqual(verdicts(decideWith(policyOf({ exploration }), sliceOf(rows))), verdicts(once))
  const explored = verdicts(once)
  const reviewed = explored.slice(0, 200).filter((verdict) => verdict === 'review').length
  const approved = explored.slice(200).filter((verdict) => verdict === 'approve').length
  assert.ok(reviewed > 25 && reviewed < 80 && approved > 65 && approved < 135, `${reviewed} ${approved}`)
  const first = explored.indexOf('review')
  assert.equal(once.explored[first], 0.25)
  assert.ok(explorationDraw('s', `id-${first}`) < 0.25)
})

const hitOf = (n: number, fields: Partial<AlertHit> = {}): AlertHit => ({
  alertId: `${n}-0`,
  cardId: `card-${n}`,
  merchantId: '',
  deviceId: '',
  ipPrefix: '',
  verdict: 'review',
  clock: Date.UTC(2026, 0, 15) + n * 1_000,
  ...fields,
})

test('one alert a card until it is judged or old', () => {
  const book = new AlertBook(100, 0.3)
  assert.equal(book.take(hitOf(1, { cardId: 'c' })).openAlertId, '1-0')
  assert.equal(book.take(hitOf(2, { cardId: 'c' })).openAlertId, '1-0')
  book.close('c')
  assert.equal(book.take(hitOf(3, { cardId: 'c' })).openAlertId, '3-0')
  assert.equal(book.take(hitOf(4, { cardId: 'c', clock: Date.UTC(2026, 2, 1) })).openAlertId, '4-0')
})

test('a burst over one merchant is one incident and opens at most 30 % of a day', () => {
  const book = new AlertBook(20, 0.3)
  const assigned = Array.from({ length: 50 }, (_, n) => book.take(hitOf(n, { merchantId: 'm' })))
  const opened = assigned.filter(({ openAlertId }, n) => openAlertId === `${n}-0`).length
  assert.equal(opened, 6)
  assert.equal(assigned[49]!.incidentId, 'merchant:m:0-0')
  assert.equal(book.take(hitOf(60, { merchantId: 'other' })).openAlertId, '60-0')
})

test('a book restored from its snapshot goes on as the one that was never closed', () => {
  const hits = fc.array(
    fc.record({ card: fc.nat(5), merchant: fc.nat(2), step: fc.nat(90_000_000), close: fc.boolean() }),
    { maxLength: 60 },
  )
  fc.assert(
    fc.property(hits, fc.nat(60), (steps, cut) => {
      const whole = new AlertBook(10, 0.3)
      let other = new AlertBook(10, 0.3)
      let clock = Date.UTC(2026, 0, 1)
      for (const [n, step] of steps.entries()) {
        clock += step.step
        const hit = hitOf(n, { cardId: `c${step.card}`, merchantId: `m${step.merchant}`, clock })
        if (step.close) {
          whole.close(hit.cardId)
          other.close(hit.cardId)
        }
        assert.deepEqual(other.take(hit), whole.take(hit))
        if (n === cut) {
          const snapshot = JSON.parse(JSON.stringify(other.snapshot())) as unknown
          other = new AlertBook(10, 0.3)
          other.restore(snapshot)
        }
      }
    }),
  )
})

test('only the alerts with most to lose are explained in the path, from exactly what was scored', async () => {
  const slice = sliceOf([
    { score: 0.6, fields: { amount: 100 } },
    { score: 0.9, fields: { amount: 9_000 } },
    { score: 0.7, fields: { amount: 5_000 } },
  ])
  slice.features.current.set([1, 2, 3, 4, 5, 6, 7, 8, 9])
  const seen: number[][] = []
  const explain = createExplain(async (_history, _length, current) => {
    seen.push([...current])
    return [{ source: 'model', code: 'time', text: 'at night', weight: 1 }]
  }, 2)
  const explained = await explain(createDecide(policyOf(), new AlertBook(100, 0.3), 'spec')(slice))
  assert.deepEqual(
    explained.alerts.map(({ explained }) => explained),
    [false, true, true],
  )
  assert.deepEqual(seen, [
    [4, 5, 6],
    [7, 8, 9],
  ])
})

test('an explainer that fails leaves its alert unexplained and the path going', async () => {
  const slice = sliceOf([{ score: 0.9 }, { score: 0.8 }])
  let calls = 0
  const explain = createExplain(async () => {
    if (calls++ === 0) throw new Error('no reasons today')
    return [{ source: 'model', code: 'time', text: 'at night', weight: 1 }]
  }, 2)
  const { alerts } = await explain(createDecide(policyOf(), new AlertBook(100, 0.3), 'spec')(slice))
  assert.deepEqual(
    alerts.map(({ explained, reasons }) => [explained, reasons.length]),
    [
      [false, 0],
      [true, 1],
    ],
  )
})

test('exploration touches neither what a list speaks of nor what no model has scored', () => {
  const exploration = { reviewShare: 1, approveShare: 1, lossMaxPerDay: 1e9, seed: 's' }
  const lists = new Lists([{ list: 'watch', field: 'card_id', value: 'card-0', reason: '', author: '' }])
  const decided = decideWith(policyOf({ exploration, lists }), sliceOf([{ score: 0.95 }, {}, { score: 0.95 }]))
  assert.deepEqual(verdicts(decided), ['decline', 'approve', 'approve'])
  assert.deepEqual([...decided.explored], [Number.NaN, Number.NaN, 1])
})

test('by cost, only a sale online is challenged', () => {
  const costs = { ...DEFAULT_COSTS, challengeCost: 1, challengeLossShare: 0 }
  const rows = (['ECOM', 'POS', 'ATM'] as const).map((channel) => ({ fields: { channel, amount: 90_000 }, score: 0.3 }))
  const decided = decideWith(policyOf({ threshold: { mode: 'cost', costs } }), sliceOf(rows))
  assert.deepEqual(verdicts(decided), ['challenge', 'review', 'review'])
})

test('list entries with a card number are looked up, and passed on, by its token', () => {
  const number = '4111111111111111'
  const clean = (text: string): string => text.replaceAll(number, 'card-0')
  const entry = { list: 'block', field: 'card_id' as const, value: number, reason: `of ${number}`, author: number }
  const lists = cleanLists(new Lists([entry]), clean, 'lists.yaml')
  assert.ok(!JSON.stringify(lists.entries).includes(number))
  assert.deepEqual(verdicts(decideWith(policyOf({ lists }), sliceOf([{ score: 0.1 }]))), ['decline'])
})
