import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createProvisional } from '#pipeline/decide/provisional.ts'
import { DEFAULT_TOPICS } from '#pipeline/topics.ts'
import type { ControlType } from '#schemas/journal.ts'
import type { Transaction } from '#schemas/transaction.ts'
import { createMemoryPath, NOW_MS } from '#test/support/memory-path.ts'
import { testCodec, transactionOf } from '#test/support/transactions.ts'

const RULES = `
version: 1
rules:
  - { id: big, when: "amount > 100", action: review, reason: BIG, text: "much", owner: test }
  - { id: quiet, when: "amount > 100", action: decline, reason: QUIET, text: "shadow", owner: test, mode: shadow }
  - { id: counted, when: "count(card_id, 1h) >= 0 or amount > 1", action: decline, reason: A, text: "t", owner: test }
  - { id: by-state, when: "card_count_1d >= 0", action: decline, reason: B, text: "t", owner: test }
  - { id: by-score, when: "not (score > 0.5)", action: decline, reason: C, text: "t", owner: test }
  - { id: over, when: "amount > 1", action: decline, reason: D, text: "t", owner: test, expires: "2020-01-01" }
`
const codec = testCodec()

async function provisionalOf() {
  const { runtime, log, intake } = createMemoryPath()
  const apply = (type: ControlType, value: unknown) => runtime.apply({ type, value: JSON.stringify(value), sha256: '' })
  await apply('rates', { version: 'v', base: 'EUR', rates: { USD: 2 } })
  await apply('rules', { text: RULES, file: 'rules.yaml' })
  const entry = { field: 'card_id', reason: '', author: '' }
  const entries = [
    { ...entry, list: 'block', value: 'blocked' },
    { ...entry, list: 'allow', value: 'allowed' },
    { ...entry, list: 'watch', value: 'watched' },
  ]
  await apply('lists', { entries })
  const provisional = createProvisional({
    decode: runtime.path.fold.decode,
    policy: () => runtime.path.decide.policy(),
    layout: runtime.layout,
    topic: DEFAULT_TOPICS.transactions,
    clock: () => NOW_MS,
    now: () => NOW_MS,
    aheadMs: 86_400_000,
  })
  const of = (fields: Partial<Transaction>) =>
    provisional(codec.transaction.encode(transactionOf({ event_time: NOW_MS, ...fields })))
  return { runtime, log, intake, of }
}

test('a provisional decision is made by rules on the event itself and by lists; what needs more does not match', async () => {
  const { runtime, of } = await provisionalOf()
  assert.deepEqual(of({ transaction_id: 't1', amount: 30_000, currency: 'USD' }), {
    transaction_id: 't1',
    amount_base: 15_000,
    verdict: 'review',
    rule_hits: ['big'],
    shadow_hits: ['quiet'],
    list_hits: [],
    rules_version: runtime.rules.version,
  })
  const verdicts = ['plain', 'blocked', 'allowed', 'watched'].map((card_id) => of({ card_id, amount: 500 })?.verdict)
  assert.deepEqual(verdicts, ['approve', 'decline', 'approve', 'review'])
  assert.equal(of({ card_id: 'allowed', amount: 30_000 })?.verdict, 'approve')
  assert.deepEqual(of({ card_id: 'blocked', amount: 30_000 })?.list_hits, ['block:card_id'])
  await runtime.close()
})

test('what has no verdict, and what the path will reject, gets no provisional decision', async () => {
  const { runtime, of } = await provisionalOf()
  for (const kind of ['reversal', 'outcome'] as const) assert.equal(of({ kind, original_id: 't0' }), null)
  assert.equal(of({ currency: 'XXX' }), null)
  assert.equal(of({ card_id: '' }), null)
  assert.equal(of({ event_time: NOW_MS + 2 * 86_400_000 }), null)
  assert.equal(of({})?.verdict, 'approve')
  await runtime.close()
})

test('a provisional decision leaves no trace: not in the state, the alert book, the counts of rules or the log', async () => {
  const { runtime, log, intake, of } = await provisionalOf()
  const traces = async () => ({
    state: runtime.memory.hash(),
    book: runtime.book.snapshot(),
    rules: runtime.path.decide.rules(NOW_MS),
    exploration: runtime.path.decide.exploration.snapshot(),
    log: await log.ranges(),
    queued: intake.length,
  })
  const before = await traces()
  for (let n = 0; n < 20; n++) of({ transaction_id: `t${n}`, card_id: n % 2 === 0 ? 'blocked' : 'c', amount: 30_000 })
  assert.deepEqual(await traces(), before)
  await runtime.close()
})
