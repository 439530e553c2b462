import type { Alert, Decision } from '#schemas/decision.ts'
import type { Transaction } from '#schemas/transaction.ts'
import { transactionOf } from './transactions.ts'

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
