import type { LiveAlert, LiveFigures } from '#console/server/live.ts'
import type { ServicePorts } from '#console/server/ports.ts'
import type { Decision } from '#schemas/decision.ts'
import { transactionOf } from '#test/support/transactions.ts'

export function decisionOf(fields: Partial<Decision> = {}): Decision {
  return {
    transaction: transactionOf(),
    line: 7,
    index: 0,
    amount_base: 1_000,
    score: 0.25,
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
    scored_at: 5,
    ...fields,
  }
}

export function liveAlertOf(n: number, fields: Partial<LiveAlert> = {}): LiveAlert {
  return {
    alert_id: `${n}-0`,
    event_time: Date.UTC(2026, 0, 15, 12, n),
    card_id: `tk_card${n}aaaaaaaaaaaaaa`,
    merchant_id: `merchant-${n}`,
    amount_base: 12_345 * (n + 1),
    score: 0.97 - n / 50,
    verdict: n % 3 === 0 ? 'decline' : 'review',
    expected_loss: 10_000 * (n + 1),
    reasons: [
      {
        source: 'rule',
        code: 'CARD_TESTING',
        text: `${20 + n} cards were tried at this merchant in 10 minutes`,
        weight: 0,
      },
      { source: 'model', code: 'amount_habit', text: 'amount 9.3 times this card’s median', weight: 2.1 },
      { source: 'model', code: 'time', text: 'an hour at which this card is used', weight: -0.4 },
      { source: 'event', code: 'past_event', text: 'a declined attempt two minutes before', weight: 0.6 },
    ],
    ...fields,
  }
}

export function figuresOf(fields: Partial<LiveFigures> = {}): LiveFigures {
  return {
    streamTimeMs: Date.UTC(2026, 0, 15, 12, 30),
    currency: 'EUR',
    eventsTotal: 123_456,
    eventsPerSecond: 2_345,
    latencyP50Ms: 1.4,
    latencyP99Ms: 6.2,
    alertsTotal: 321,
    amountTotal: 512_345_678,
    amountFlagged: 2_345_678,
    amountDeclined: 1_234_567,
    labelsTotal: 88,
    deadLettersTotal: 2,
    repeatedTotal: 5,
    rowsRecorded: 123_400,
    recorderLagLines: 1,
    model: { version: 'lstm-2026-01-15', provider: 'cpu', threshold: 0.412 },
    rules: { version: 'abc123', live: 11, shadow: 2, warming: 3, expired: 1 },
    note: 'DEMO: simulated, with more fraud than life',
    alerts: Array.from({ length: 12 }, (_, n) => liveAlertOf(n)),
    ...fields,
  }
}

/** Ports that answer with fixed values; a test replaces what it is about. */
export function fakePorts(replaced: Partial<ServicePorts> = {}): ServicePorts {
  return {
    version: '0.0.0',
    demo: true,
    now: () => Date.UTC(2026, 0, 15, 12),
    score: async (transaction) => ({ kind: 'decided', decision: decisionOf({ transaction }), repeated: false }),
    submit: async (events) => ({ accepted: events.length, repeated: 0, rejected: [] }),
    query: async () => ({ columns: [{ name: 'n', type: 'UInt64' }], rows: [{ n: 1 }], truncated: false }),
    listQueries: () => [],
    models: async () => [],
    promote: async () => {},
    rollback: async () => 'm0',
    rules: () => ({ version: 'r1', rules: [] }),
    audit: async () => {},
    reloadRules: async () => ({ version: 'r2', rules: 12 }),
    live: () => figuresOf(),
    health: () => ({ ok: true, problems: [] }),
    metrics: async () => '# HELP x\n',
    ...replaced,
  }
}
