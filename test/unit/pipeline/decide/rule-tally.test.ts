import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createPrometheusMetrics } from '#infra/prometheus.ts'
import { AlertBook } from '#pipeline/decide/alert-book.ts'
import { createDecide, type Decide } from '#pipeline/decide/decide.ts'
import { NO_LISTS } from '#pipeline/decide/lists.ts'
import { RuleMetrics } from '#pipeline/decide/rule-metrics.ts'
import { compileRules } from '#pipeline/decide/rules/rule-set.ts'
import { ACCEPTED, reached, type Scored, SliceBuffers } from '#pipeline/slice.ts'
import { writeTransaction } from '#schemas/event-columns.ts'
import { TINY_LAYOUT } from '#test/support/layouts.ts'
import { transactionOf } from '#test/support/transactions.ts'

const START_MS = Date.UTC(2026, 0, 15)
const RULE = 'action: review, reason: R, text: t, owner: desk'
const RULES = `
version: 1
rules:
  - { id: big, when: "amount > 100", ${RULE} }
  - { id: risky, when: "signals.risk > 0.5", ${RULE}, mode: shadow }
  - { id: counted, when: "count(card_id, 1h) > 5", ${RULE} }
  - { id: seasonal, when: "amount > 0", ${RULE}, expires: "2026-01-16" }
  - { id: elsewhere, when: "no_such_feature > 1", ${RULE}, specs: [lean] }
`

const compiled = (text: string) => compileRules(text, 'rules.yaml', { layout: TINY_LAYOUT, lists: () => NO_LISTS })

function decideWith(text: string): Decide {
  const threshold = { mode: 'fixed', review: 1, decline: null } as const
  const policy = { rules: compiled(text), lists: NO_LISTS, threshold, exploration: null }
  return createDecide(policy, new AlertBook(100, 0.3), 'spec')
}

interface Event {
  readonly amount?: number
  readonly risk?: number
  readonly count?: number
}

function sliceOf(clock: number, events: readonly Event[]): Scored {
  const slice = new SliceBuffers(events.length, TINY_LAYOUT)
  slice.count = events.length
  slice.clock = clock
  slice.features.counterCount = 1
  slice.features.counters = Float64Array.from(events, ({ count }) => count ?? 0)
  for (const [row, { amount = 1, risk }] of events.entries()) {
    const signals = risk === undefined ? {} : { risk }
    writeTransaction(slice.events, row, transactionOf({ transaction_id: `t${row}`, amount, signals }), amount)
    slice.outcome[row] = ACCEPTED
    slice.score[row] = Number.NaN
  }
  return reached<Scored>(slice)
}

const figures = (decide: Decide, clock = START_MS) =>
  Object.fromEntries(
    decide.rules(clock).map(({ name, state, hits, unknown, warming }) => [name, [state, hits, unknown, warming]]),
  )

test('every rule of the file is told with what came of it: hits, what could not be told, what it slept through', () => {
  const decide = decideWith(RULES)
  assert.deepEqual(figures(decide), {
    big: ['live', 0, 0, 0],
    risky: ['live', 0, 0, 0],
    counted: ['warming', 0, 0, 0],
    seasonal: ['live', 0, 0, 0],
    elsewhere: ['skipped', 0, 0, 0],
  })
  decide(sliceOf(START_MS, [{ amount: 20_000, count: Number.NaN }, { risk: 0.9, count: Number.NaN }, { risk: 0.1 }]))
  assert.deepEqual(figures(decide), {
    big: ['live', 1, 0, 0],
    risky: ['live', 1, 1, 0],
    counted: ['live', 0, 0, 2],
    seasonal: ['live', 3, 0, 0],
    elsewhere: ['skipped', 0, 0, 0],
  })
  decide(sliceOf(START_MS + 86_400_000, [{ count: 6 }]))
  assert.deepEqual(figures(decide, START_MS + 86_400_000)['seasonal'], ['expired', 3, 0, 0])
  assert.deepEqual(figures(decide)['counted'], ['live', 1, 0, 2])
})

test('what a rule says of itself is told with it', () => {
  const [, risky, , seasonal] = decideWith(RULES).rules(START_MS)
  assert.deepEqual(risky, {
    name: 'risky',
    mode: 'shadow',
    action: 'review',
    reason: 'R',
    owner: 'desk',
    expires: null,
    state: 'live',
    hits: 0,
    unknown: 0,
    warming: 0,
  })
  assert.equal(seasonal?.expires, '2026-01-16')
})

test('after a reload a rule that stays goes on counting, a new one begins, and one that left is gone', () => {
  const decide = decideWith(RULES)
  decide(sliceOf(START_MS, [{ amount: 20_000 }]))
  const rules = compiled(
    `version: 1\nrules:\n  - { id: fresh, when: "amount > 1", ${RULE} }\n  - { id: big, when: "amount > 1", ${RULE} }\n`,
  )
  decide.setPolicy({ ...decide.policy(), rules })
  decide(sliceOf(START_MS, [{ amount: 20_000 }]))
  assert.deepEqual(figures(decide), { fresh: ['live', 1, 0, 0], big: ['live', 2, 0, 0] })
})

test('the metrics follow the figures, and forget the state of a rule that left', async () => {
  const metrics = createPrometheusMetrics({ withProcess: false })
  const reporter = new RuleMetrics()
  const decide = decideWith(RULES)
  const value = async (series: string) => new RegExp(`^${series} (.*)$`, 'm').exec(await metrics.text())?.[1]
  reporter.report(metrics, decide.rules(START_MS))
  assert.equal(await value('weir_rule_hits_total{rule="big",mode="live"}'), '0')
  for (let n = 0; n < 2; n++) {
    decide(sliceOf(START_MS, [{ amount: 20_000, count: Number.NaN }]))
    reporter.report(metrics, decide.rules(START_MS))
    reporter.report(metrics, decide.rules(START_MS))
  }
  assert.equal(await value('weir_rule_hits_total{rule="big",mode="live"}'), '2')
  assert.equal(await value('weir_rule_unknown_total{rule="risky",mode="shadow"}'), '2')
  assert.equal(await value('weir_rule_state{rule="counted",state="warming"}'), '1')
  assert.equal(await value('weir_rule_state{rule="counted",state="live"}'), '0')
  assert.equal(await value('weir_rule_state{rule="elsewhere",state="skipped"}'), '1')

  decide.setPolicy({ ...decide.policy(), rules: compiled('version: 1\nrules: []\n') })
  reporter.report(metrics, decide.rules(START_MS))
  assert.equal(await value('weir_rule_state{rule="counted",state="warming"}'), '0')
  assert.equal(await value('weir_rule_hits_total{rule="big",mode="live"}'), '2')

  decide.setPolicy({ ...decide.policy(), rules: compiled(RULES) })
  decide(sliceOf(START_MS, [{ amount: 20_000 }]))
  reporter.report(metrics, decide.rules(START_MS))
  assert.equal(await value('weir_rule_hits_total{rule="big",mode="live"}'), '3')
})
