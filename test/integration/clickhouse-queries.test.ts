import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { assetPath } from '#infra/assets.ts'
import { openEmbeddedStore } from '#infra/clickhouse/embedded-store.ts'
import { migrate } from '#infra/clickhouse/migrate.ts'
import type { Store } from '#infra/clickhouse/store.ts'
import { readNamedQueries, runNamedQuery } from '#console/server/named-queries.ts'
import { type RecordedTable, writeAlert, writeLabel } from '#pipeline/record/rows.ts'
import type { Alert, Decision } from '#schemas/decision.ts'
import { WeirError } from '#schemas/errors.ts'
import type { Label } from '#schemas/label.ts'
import type { Transaction } from '#schemas/transaction.ts'
import { decisionBytes, insertRows, rowBytes } from '#test/support/clickhouse-rows.ts'
import { alertOf, decisionOf } from '#test/support/decisions.ts'
import { newTempFolder } from '#test/support/temp-folder.ts'
import { labelOf } from '#test/support/transactions.ts'

const MINUTE_MS = 60_000
const DAY_MS = 86_400_000
/** A Thursday; its week begins on the 12th. */
const NOON_MS = Date.UTC(2026, 0, 15, 12)

const folder = newTempFolder()
const queries = readNamedQueries(assetPath('console/server/queries'))
let store: Store

before(async () => {
  store = await openEmbeddedStore(folder.path)
  await migrate(store, assetPath('schemas/clickhouse'))
})
after(async () => {
  await store.close()
  folder.remove()
})

test('every named query has a title, a description and described parameters', () => {
  assert.deepEqual(
    queries.map(({ name }) => name),
    [
      'common_point',
      'false_declines',
      'linked',
      'loss_triangle',
      'merchant_watch',
      'missed_yesterday',
      'queue_today',
      'rule_scorecard',
      'testing_now',
      'tra_90d',
    ],
  )
  for (const query of queries) {
    assert.ok(query.title.length > 0 && query.describe.length > 0, query.name)
    const used = [...query.sql.matchAll(/\{(\w+):/g)].map(([, name]) => name!)
    assert.deepEqual([...new Set(used)].sort(), query.params.map(({ name }) => name).sort(), query.name)
  }
})

test('queries over empty tables give no figures and do not fail', async () => {
  await fill({})
  for (const { name } of queries) {
    const { rows } = await ask(name, name === 'linked' ? { value: 'card-1' } : {})
    if (name === 'tra_90d') assert.equal(rows[0]!['payments'], 0)
    else assert.deepEqual(rows, [], name)
  }
})

test('queue_today: hits of one open alert are one line, with what is at stake; judged and older ones are left out', async () => {
  const at = { event_time: NOON_MS }
  const [late, early] = [
    { source: 'model', code: 'amount', text: 'The amount is unusual', weight: 1 },
    { source: 'rule', code: 'R1', text: 'Many cards', weight: 0 },
  ] as const
  const first = { alert_id: 'a1', open_alert_id: 'a1', card_id: 'card-a', transaction_id: 'ta1', reasons: [early] }
  await fill({
    alerts: [
      { ...at, ...first, event_time: NOON_MS - MINUTE_MS, amount_base: 1_000, expected_loss: 750, score: 0.5 },
      {
        ...at,
        ...first,
        alert_id: 'a2',
        transaction_id: 'ta2',
        reasons: [early, late],
        amount_base: 500,
        expected_loss: 900,
      },
      // the first again, at another place in the journal
      { ...at, ...first, event_time: NOON_MS - MINUTE_MS, amount_base: 1_000, expected_loss: 750, score: 0.5 },
      { ...at, alert_id: 'b1', open_alert_id: 'b1', transaction_id: 'tb', expected_loss: 5_000 },
      { ...at, alert_id: 'c1', open_alert_id: 'c1', transaction_id: 'tc', event_time: NOON_MS - 2 * DAY_MS },
      { ...at, alert_id: 'd1', open_alert_id: 'd1', transaction_id: 'td', card_id: 'card-d', expected_loss: 100 },
    ],
    labels: [
      { transaction_id: 'tb', source: 'verdict', fraud: false },
      { transaction_id: 'td', source: 'issuer_report' },
    ],
  })
  const { rows } = await ask('queue_today')
  assert.deepEqual(rows, [
    {
      alert_id: 'a1',
      card_id: 'card-a',
      hits: 2,
      amount: 15,
      expected_loss: 9,
      score: 0.75,
      incident_id: '',
      reasons: ['Many cards', 'The amount is unusual'],
      since: '2026-01-15 11:59:00.000',
    },
    {
      alert_id: 'd1',
      card_id: 'card-d',
      hits: 1,
      amount: 10,
      expected_loss: 1,
      score: 0.75,
      incident_id: '',
      reasons: ['The amount is unusual'],
      since: '2026-01-15 12:00:00.000',
    },
  ])
  assert.deepEqual(await column('queue_today', 'alert_id', { days: 3, rows: 2 }), ['a1', 'c1'])
})

test('missed_yesterday: approved transactions whose fraud was first heard of in the newest day', async () => {
  const known_at = NOON_MS + 30 * DAY_MS
  await fill({
    decisions: ['missed', 'flagged', 'old news', 'corrected', 'dispute'].map((transaction_id) => ({
      transaction: { transaction_id, amount: 1_250 },
      verdict: transaction_id === 'flagged' ? 'review' : 'approve',
    })),
    labels: [
      { transaction_id: 'missed', type: 'counterfeit', known_at },
      { transaction_id: 'flagged', known_at },
      { transaction_id: 'old news', known_at: known_at - 20 * DAY_MS },
      { transaction_id: 'old news', known_at, source: 'chargeback' },
      { transaction_id: 'corrected', known_at: known_at - 2 * MINUTE_MS },
      { transaction_id: 'corrected', known_at: known_at - MINUTE_MS, fraud: false, source: 'verdict' },
      { transaction_id: 'dispute', type: 'service_dispute', known_at },
    ],
  })
  assert.deepEqual((await ask('missed_yesterday')).rows, [
    {
      transaction_id: 'missed',
      event_time: '2026-01-15 12:00:00.000',
      known_at: '2026-02-14 12:00:00.000',
      type: 'counterfeit',
      source: 'issuer_report',
      card_id: 'card-1',
      merchant_id: 'merchant-1',
      amount: 12.5,
      score: 0.125,
      threshold: 0.5,
    },
  ])
  assert.deepEqual(await column('missed_yesterday', 'transaction_id', { days: 21 }), ['missed', 'old news'])
})

test('false_declines: stopped transactions that turned out genuine, the largest first', async () => {
  await fill({
    decisions: [
      { transaction: { transaction_id: 'declined' }, verdict: 'decline', amount_base: 1_000, rule_hits: ['r1'] },
      { transaction: { transaction_id: 'held' }, verdict: 'hold', amount_base: 9_000 },
      { transaction: { transaction_id: 'rightly' }, verdict: 'decline' },
      { transaction: { transaction_id: 'approved' }, verdict: 'approve' },
      { transaction: { transaction_id: 'unknown' }, verdict: 'decline' },
    ],
    labels: [
      { transaction_id: 'declined', fraud: false, source: 'verdict' },
      { transaction_id: 'held', fraud: true, known_at: NOON_MS + DAY_MS },
      { transaction_id: 'held', fraud: false, source: 'verdict', known_at: NOON_MS + 2 * DAY_MS },
      { transaction_id: 'rightly', fraud: true },
      { transaction_id: 'approved', fraud: false, source: 'verdict' },
    ],
  })
  const { rows } = await ask('false_declines')
  assert.deepEqual(
    rows.map((row) => [row['transaction_id'], row['verdict'], row['amount'], row['rule_hits'], row['source']]),
    [
      ['held', 'hold', 90, [], 'verdict'],
      ['declined', 'decline', 10, ['r1'], 'verdict'],
    ],
  )
})

test('rule_scorecard: hits and known fraud of each rule, and what nothing else would have found', async () => {
  await fill({
    decisions: [
      { transaction: { transaction_id: 't1' }, rule_hits: ['r1'], amount_base: 1_000 },
      { transaction: { transaction_id: 't2' }, rule_hits: ['r1', 'r2'], amount_base: 500 },
      { transaction: { transaction_id: 't3' }, rule_hits: ['r1'], score: 0.75 },
      { transaction: { transaction_id: 't4' }, shadow_hits: ['s1'], amount_base: 2_000 },
      { transaction: { transaction_id: 't5' }, rule_hits: ['r1'], shadow_hits: ['s1'] },
    ],
    labels: [
      { transaction_id: 't1' },
      { transaction_id: 't2' },
      { transaction_id: 't3', fraud: false },
      { transaction_id: 't4' },
    ],
  })
  const figures = { precision: 0.5, known_frauds: 1 }
  assert.deepEqual((await ask('rule_scorecard')).rows, [
    { rule: 'r1', mode: 'live', hits: 4, known_frauds: 2, precision: 0.5, fraud_value: 15, found_by_it_alone: 2 },
    { rule: 's1', mode: 'shadow', hits: 2, ...figures, fraud_value: 20, found_by_it_alone: 1 },
    { rule: 'r2', mode: 'live', hits: 1, ...figures, precision: 1, fraud_value: 5, found_by_it_alone: 0 },
  ])
})

test('testing_now: merchants where many cards are tried in ten minutes, with what the issuer declined', async () => {
  const at = (merchant_id: string, n: number, more: Partial<Transaction> = {}): Given => ({
    transaction: {
      transaction_id: `${merchant_id}-${n}`,
      merchant_id,
      card_id: `card-${n}`,
      event_time: NOON_MS + n * MINUTE_MS,
      amount: 5_000,
      ...more,
    },
  })
  const outcome = (of: string, n: number, response_code: string): Given => ({
    transaction: {
      transaction_id: `outcome-${of}-${n}`,
      original_id: `${of}-${n}`,
      kind: 'outcome',
      merchant_id: of,
      card_id: `card-${n}`,
      event_time: NOON_MS + 11 * MINUTE_MS,
      response_code,
    },
    verdict: 'none',
  })
  await fill({
    decisions: [
      // declined: two by an outcome in the next ten minutes, one by its own code; the fourth was approved in part
      at('m1', 1, { amount: 100, bin: '400001' }),
      at('m1', 2, { amount: 100, bin: '400000' }),
      at('m1', 3, { amount: 0, response_code: '51', kind: 'verification' }),
      at('m1', 4, { amount: 200, response_code: '10' }),
      outcome('m1', 1, '05'),
      outcome('m1', 2, '14'),
      // an ordinary merchant
      ...[1, 2, 3].flatMap((n) => [at('m2', n), outcome('m2', n, '00')]),
      // one of three declined
      ...[1, 2, 3].map((n) => at('m3', n)),
      outcome('m3', 2, '05'),
      // too few cards
      at('m4', 1, { amount: 1 }),
      at('m4', 2, { amount: 1 }),
    ],
  })
  const ten_minutes = '2026-01-15 12:00:00'
  assert.deepEqual((await ask('testing_now', { cards: 3 })).rows, [
    {
      merchant_id: 'm1',
      ten_minutes,
      cards: 4,
      attempts: 4,
      declined_share: 0.75,
      tiny_share: 1,
      bins: ['400000', '400001'],
    },
    { merchant_id: 'm3', ten_minutes, cards: 3, attempts: 3, declined_share: 0.333, tiny_share: 0, bins: [] },
  ])
})

test('common_point: where the cards met before their fraud, and not where the fraud took place', async () => {
  let n = 0
  const visit = (card_id: string, merchant_id: string, day: number): Given => ({
    transaction: { transaction_id: `t${n++}`, card_id, merchant_id, event_time: NOON_MS + day * DAY_MS },
  })
  const fraud = (card_id: string): Given => ({
    transaction: { transaction_id: `fraud-${card_id}`, card_id, merchant_id: 'cash-out', event_time: NOON_MS },
  })
  await fill({
    decisions: [
      ...['v1', 'v2', 'v3', 'o1', 'o2', 'o3'].map((card) => visit(card, 'market', -9)),
      ...['v1', 'v2', 'o1'].map((card) => visit(card, 'skimmer', -8)),
      // one victim alone, and one only after the fraud
      visit('v1', 'bakery', -7),
      visit('v2', 'bakery', 1),
      ...['v1', 'v2', 'v3'].map(fraud),
    ],
    labels: [
      { transaction_id: 'fraud-v1' },
      { transaction_id: 'fraud-v2' },
      { transaction_id: 'fraud-v3' },
      { transaction_id: 'fraud-v3', fraud: false, source: 'verdict', known_at: NOON_MS + 300 * DAY_MS },
    ],
  })
  const expected = [
    // (2 of 2 victims) / (3 of 6 cards)
    {
      merchant_id: 'skimmer',
      shared_by: 2,
      cards_seen: 3,
      lift: 2,
      first_seen: '2026-01-07 12:00:00.000',
      last_seen: '2026-01-07 12:00:00.000',
    },
    {
      merchant_id: 'market',
      shared_by: 2,
      cards_seen: 6,
      lift: 1,
      first_seen: '2026-01-06 12:00:00.000',
      last_seen: '2026-01-06 12:00:00.000',
    },
  ]
  assert.deepEqual((await ask('common_point', { cards: ['v1', 'v2'] })).rows, expected)
  assert.deepEqual((await ask('common_point')).rows, expected)
  assert.deepEqual((await ask('common_point', { cards: '[v1, v2]' })).rows, expected)
  assert.deepEqual(await column('common_point', 'merchant_id', { cards: 'v1' }), [])
})

test('linked: what shared a device or an address, with what is known of it', async () => {
  const seen = (card_id: string, device_id: string, ip_prefix: string, more: Given = {}): Given => ({
    transaction: { transaction_id: `t-${card_id}`, card_id, device_id, ip_prefix },
    ...more,
  })
  await fill({
    decisions: [
      seen('a', 'd1', 'p1'),
      seen('b', 'd1', 'p2'),
      seen('c', '', 'p1', { verdict: 'review' }),
      seen('d', 'd2', 'p3'),
      seen('e', '', ''),
    ],
    labels: [{ transaction_id: 't-b' }],
  })
  const of = (
    card_id: string,
    devices: string[],
    addresses: string[],
    flagged: number,
    known_frauds: number,
  ): unknown => ({
    card_id,
    devices,
    addresses,
    events: 1,
    amount: 10,
    flagged,
    known_frauds,
    last_seen: '2026-01-15 12:00:00.000',
  })
  const [a, b] = [of('a', ['d1'], ['p1'], 0, 0), of('b', ['d1'], ['p2'], 0, 1)]
  assert.deepEqual((await ask('linked', { value: 'a' })).rows, [b, of('c', [], ['p1'], 1, 0), a])
  assert.deepEqual((await ask('linked', { entity: 'ip_prefix', value: 'p2' })).rows, [b, a])
  assert.deepEqual((await ask('linked', { entity: 'device_id', value: 'd2' })).rows, [of('d', ['d2'], ['p3'], 0, 0)])
  assert.deepEqual((await ask('linked', { value: "' OR 1 = 1 --" })).rows, [])
})

test('loss_triangle: fraud over approved value by week, and how much of it was known when', async () => {
  const monday = Date.UTC(2026, 0, 5, 12)
  const paid = (
    transaction_id: string,
    event_time: number,
    more: Partial<Transaction> = {},
    given: Given = {},
  ): Given => ({
    transaction: { transaction_id, event_time, amount: 10_000, ...more },
    ...given,
  })
  await fill({
    decisions: [
      ...['good', 'fraud 3 days', 'fraud 3 weeks', 'fraud 6 weeks'].map((id) => paid(id, monday)),
      paid('declined here', monday, {}, { verdict: 'decline' }),
      paid('declined there', monday),
      paid(
        'its outcome',
        monday,
        { kind: 'outcome', original_id: 'declined there', response_code: '05' },
        { verdict: 'none' },
      ),
      paid('refund', monday, { kind: 'refund' }),
      paid('this week', NOON_MS, { amount: 5_000 }),
      paid(
        'approved',
        NOON_MS,
        { kind: 'outcome', original_id: 'this week', response_code: '00' },
        { verdict: 'none' },
      ),
      paid('declined at once', NOON_MS, { response_code: '05' }),
    ],
    labels: [
      { transaction_id: 'fraud 3 days', known_at: monday + 3 * DAY_MS },
      // a chargeback later changes nothing about when it was known
      { transaction_id: 'fraud 3 days', known_at: monday + 60 * DAY_MS, source: 'chargeback' },
      { transaction_id: 'fraud 3 weeks', known_at: monday + 21 * DAY_MS },
      { transaction_id: 'fraud 6 weeks', known_at: monday + 42 * DAY_MS },
      { transaction_id: 'declined there', known_at: monday + DAY_MS },
    ],
  })
  const none = { fraud_bp: 0, known_after_1_week_bp: 0, known_after_4_weeks_bp: 0, known_after_8_weeks_bp: 0 }
  assert.deepEqual((await ask('loss_triangle')).rows, [
    {
      week: '2026-01-05',
      approved_value: 400,
      fraud_bp: 7_500,
      known_after_1_week_bp: 2_500,
      known_after_4_weeks_bp: 5_000,
      known_after_8_weeks_bp: 7_500,
      weeks_old: 1,
    },
    { week: '2026-01-12', approved_value: 50, ...none, weeks_old: 0 },
  ])
})

test('merchant_watch: merchants with known fraud or flagged events, from so many events on', async () => {
  const sold = (merchant_id: string, n: number, given: Given = {}): Given => ({
    transaction: { transaction_id: `${merchant_id}-${n}`, merchant_id, merchant_category: '5411' },
    ...given,
  })
  await fill({
    decisions: [
      ...[1, 2, 3].map((n) => sold('m1', n)),
      sold('m1', 4, { verdict: 'review' }),
      ...[1, 2].map((n) => sold('m2', n)),
      sold('m3', 1),
      sold('m4', 1),
      sold('m4', 2, { verdict: 'decline' }),
    ],
    labels: [{ transaction_id: 'm1-1' }, { transaction_id: 'm3-1' }],
  })
  const first_seen = '2026-01-15 12:00:00.000'
  const category = '5411'
  assert.deepEqual((await ask('merchant_watch', { events: 2 })).rows, [
    {
      merchant_id: 'm1',
      category,
      events: 4,
      amount: 40,
      flagged_share: 0.25,
      known_frauds: 1,
      fraud_bp: 2_500,
      first_seen,
    },
    {
      merchant_id: 'm4',
      category,
      events: 2,
      amount: 20,
      flagged_share: 0.5,
      known_frauds: 0,
      fraud_bp: 0,
      first_seen,
    },
  ])
})

test('tra_90d: fraud over the value of remote payments that went through, and the exemption it allows', async () => {
  const paid = (transaction_id: string, amount: number, more: Partial<Transaction> = {}, given: Given = {}): Given => ({
    transaction: { transaction_id, amount, ...more },
    ...given,
  })
  await fill({
    decisions: [
      paid('good', 99_940, { event_time: NOON_MS - 80 * DAY_MS }),
      paid('fraud', 60),
      paid('in the shop', 1_000, { channel: 'POS' }),
      paid('held', 1_000, {}, { verdict: 'hold' }),
      paid('declined', 1_000),
      paid(
        'its outcome',
        1_000,
        { kind: 'outcome', original_id: 'declined', response_code: '05' },
        { verdict: 'none' },
      ),
      paid('long ago', 1_000, { event_time: NOON_MS - 91 * DAY_MS }),
    ],
    labels: ['fraud', 'in the shop', 'held', 'declined', 'long ago'].map((transaction_id) => ({ transaction_id })),
  })
  assert.deepEqual((await ask('tra_90d')).rows, [
    {
      since: '2025-10-27 12:00:00.000',
      until: '2026-01-15 12:00:00.000',
      payments: 2,
      amount: 1_000,
      frauds: 1,
      fraud_amount: 0.6,
      fraud_percent: 0.06,
      exempt_up_to_eur: 250,
    },
  ])
})

test('a parameter that does not fit is refused with its name and with what is allowed', async () => {
  const refusals: readonly (readonly [string, Record<string, unknown>, RegExp])[] = [
    ['queue_today', { days: 'two' }, /days of queue_today must be a whole number from 0/],
    ['queue_today', { days: -1 }, /days of queue_today must be a whole number from 0/],
    ['queue_today', { days: 1.5 }, /days of queue_today must be a whole number from 0/],
    ['queue_today', { days: '' }, /days of queue_today must be a whole number from 0/],
    ['queue_today', { days: true }, /days of queue_today must be a whole number from 0/],
    ['queue_today', { rows: 4_294_967_296 }, /rows of queue_today must be a whole number from 0/],
    ['linked', {}, /value of linked must be given/],
    ['linked', { value: 7 }, /value of linked must be a text/],
    ['linked', { value: 'x', entity: 'merchant_id' }, /entity of linked must be one of card_id, device_id, ip_prefix/],
    ['common_point', { cards: [1] }, /cards of common_point must be a list of texts/],
    ['queue_today', { hours: 3 }, /queue_today has no parameter 'hours'.*It takes days, rows/],
    ['queue_toda', {}, /no query 'queue_toda'.*Did you mean 'queue_today'/],
    ['zzzzzzzz', {}, /no query 'zzzzzzzz'.*common_point, .*tra_90d/],
  ]
  for (const [name, given, expected] of refusals) {
    await assert.rejects(
      () => ask(name, given),
      (error: unknown) => {
        assert.ok(error instanceof WeirError)
        assert.equal(error.code, 'QUERY_INVALID')
        assert.match(`${error.message} ${error.fix}`, expected)
        return true
      },
    )
  }
})

test('numbers may be given as texts, as an address bar gives them', async () => {
  await fill({ alerts: [{ alert_id: 'a', event_time: NOON_MS }] })
  assert.deepEqual(await column('queue_today', 'hits', { days: '2', rows: '10' }), [1])
})

type Given = Partial<Omit<Decision, 'transaction'>> & { readonly transaction?: Partial<Transaction> }

/** Replaces what is in the tables. */
async function fill(given: {
  readonly decisions?: readonly Given[]
  readonly alerts?: readonly Partial<Alert>[]
  readonly labels?: readonly Partial<Label>[]
}): Promise<void> {
  const line = 1
  const decisions = (given.decisions ?? []).map(({ transaction, ...fields }, index) =>
    decisionOf({ line, index, ...fields }, transaction),
  )
  const alerts = rowBytes((rows) => {
    for (const [index, fields] of (given.alerts ?? []).entries()) writeAlert(rows, alertOf({ line, index, ...fields }))
  })
  const labels = rowBytes((rows) => {
    for (const [topic_offset, fields] of (given.labels ?? []).entries()) {
      writeLabel(rows, labelOf(fields), { line, topic_partition: 0, topic_offset })
    }
  })
  await replace('weir.scored_transactions', decisionBytes(decisions))
  await replace('weir.alerts', alerts)
  await replace('weir.labels', labels)
}

async function replace(table: RecordedTable, bytes: Buffer): Promise<void> {
  await store.command(`TRUNCATE TABLE ${table}`)
  if (bytes.length > 0) await insertRows(store, table, bytes, '')
}

function ask(name: string, given: Readonly<Record<string, unknown>> = {}): ReturnType<Store['query']> {
  return runNamedQuery(store, queries, name, given)
}

async function column(name: string, key: string, given: Readonly<Record<string, unknown>>): Promise<unknown[]> {
  return (await ask(name, given)).rows.map((row) => row[key])
}
