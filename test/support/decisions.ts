import fc from 'fast-check'
import { type Alert, type Decision, VERDICTS } from '#schemas/decision.ts'
import type { Transaction } from '#schemas/transaction.ts'
import { anyTransaction, transactionOf } from './transactions.ts'

/** An approved authorization; what a test is about is given. */
export function decisionOf(fields: Partial<Decision> = {}, transaction: Partial<Transaction> = {}): Decision {
  const of = transactionOf(transaction)
  return {
    transaction: of,
    line: 0,
    index: 0,
    amount_base: of.amount,
    score: 0.125,
    threshold: 0.5,
    verdict: 'approve',
    rule_hits: [],
    shadow_hits: [],
    list_hits: [],
    model_version: 'm1',
    rules_version: 'r1',
    spec_hash: 's1',
    input_hash: '00112233445566ff',
    degraded: '',
    explored: null,
    scored_at: of.event_time,
    ...fields,
  }
}

export function alertOf(fields: Partial<Alert> = {}): Alert {
  return {
    alert_id: '0-0',
    open_alert_id: '0-0',
    incident_id: '',
    line: 0,
    index: 0,
    transaction_id: 't1',
    event_time: Date.UTC(2026, 0, 15, 12),
    card_id: 'card-1',
    account_id: 'account-1',
    merchant_id: 'merchant-1',
    device_id: '',
    ip_prefix: '',
    amount_base: 1_000,
    score: 0.75,
    threshold: 0.5,
    verdict: 'review',
    expected_loss: 750,
    reasons: [{ source: 'model', code: 'amount', text: 'The amount is unusual', weight: 1.5 }],
    explained: true,
    history: Buffer.from(new Float32Array([1, 2]).buffer),
    history_length: 1,
    current: Buffer.from(new Float32Array([3, 4]).buffer),
    model_version: 'm1',
    rules_version: 'r1',
    spec_hash: 's1',
    scored_at: Date.UTC(2026, 0, 15, 12),
    ...fields,
  }
}

const anyHits = fc.array(fc.string(), { maxLength: 5 })
const anyShare = fc.option(fc.float({ min: 0, max: 1, noNaN: true }))

/** Any decision that the schema allows. */
export const anyDecision: fc.Arbitrary<Decision> = fc.record({
  transaction: anyTransaction,
  line: fc.integer({ min: 0, max: 2 ** 50 }),
  index: fc.integer({ min: 0, max: 1_000_000 }),
  amount_base: fc.integer({ min: -(2 ** 50), max: 2 ** 50 }),
  score: anyShare,
  threshold: anyShare,
  verdict: fc.constantFrom(...VERDICTS),
  rule_hits: anyHits,
  shadow_hits: anyHits,
  list_hits: anyHits,
  model_version: fc.string(),
  rules_version: fc.string(),
  spec_hash: fc.string(),
  input_hash: fc.string(),
  degraded: fc.string({ unit: 'grapheme', maxLength: 300 }),
  explored: anyShare,
  scored_at: fc.integer({ min: 0, max: 4e12 }),
})
