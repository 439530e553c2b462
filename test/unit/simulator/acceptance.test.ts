import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Transaction } from '#schemas/transaction.ts'
import { TACTICS } from '#simulator/tactics/tactics.ts'
import { runSimulator } from '#test/support/simulated-run.ts'
import { SingleFields } from '#test/support/single-fields.ts'

const EVENTS = 200_000
const run = runSimulator({ preset: 'demo', seed: 7, startMs: Date.UTC(2025, 0, 6), totalEvents: EVENTS }, EVENTS)
/** The rates of fraud speak of what the issuer approved, and so does what one field may tell. */
const approved = run.authorizations.filter(({ truth }) => truth.approved)
const frauds = approved.filter(({ truth }) => truth.fraud)
const honest = run.authorizations.filter(({ truth }) => !truth.fraud)

const AREA_MAX = 0.8
const DAY_MS = 86_400_000

function sumOf(rows: readonly { readonly amountBase: number }[]): number {
  return rows.reduce((sum, { amountBase }) => sum + amountBase, 0)
}

function assertNear(value: number, figure: number, what: string): void {
  assert.ok(Math.abs(value / figure - 1) <= 0.1, `${what}: ${value}, wanted ${figure} within a tenth`)
}

test('fraud has its rate by count and by value', () => {
  assertNear(frauds.length / approved.length, 0.005, 'by count')
  assertNear(sumOf(frauds) / sumOf(approved), 0.0125, 'by value')
})

test('two hundred thousand events span about 120 days', () => {
  const days = (run.arrivals.at(-1)!.arrivedMs - run.arrivals[0]!.arrivedMs) / DAY_MS
  assertNear(days, 120, 'days')
})

test('honest people are declined six times in a hundred online and twice in stores', () => {
  const online = honest.filter(({ transaction }) => transaction.channel === 'ECOM')
  const inStore = honest.filter(({ transaction }) => transaction.channel !== 'ECOM')
  const declined = (rows: typeof honest): number => rows.filter(({ truth }) => !truth.approved).length / rows.length
  assertNear(declined(online), 0.06, 'declined online')
  assertNear(declined(inStore), 0.02, 'declined in stores')
})

test('late and repeated events, reversals, refunds and verifications have their shares', () => {
  const { arrivals } = run
  const share = (is: (arrived: (typeof arrivals)[number]) => boolean, of = arrivals.length): number =>
    arrivals.filter(is).length / of
  const once = arrivals.filter(({ isRepeat }) => !isRepeat)
  const late = once.filter(({ transaction, arrivedMs }) => arrivedMs - transaction.event_time > 1_500)
  assertNear(late.length / once.length, 0.01, 'late')
  assertNear(
    share(({ isRepeat }) => isRepeat),
    0.001,
    'repeated',
  )
  assertNear(
    share(({ transaction }) => transaction.kind === 'reversal', approved.length),
    0.008,
    'reversed',
  )
  const isHonestCheck = ({ transaction, truth }: (typeof arrivals)[number]): boolean =>
    transaction.kind === 'verification' && truth?.fraud === false
  assertNear(share(isHonestCheck), 0.005, 'verified')
  const online = approved.filter(({ transaction }) => transaction.channel === 'ECOM').length
  const refunded = share(({ transaction }) => transaction.kind === 'refund', online)
  // those of the last days are still to come
  assert.ok(refunded > 0.021 && refunded < 0.0275, `refunded ${refunded}`)
})

test('foreign currencies, mismatched addresses and the categories have their shares', () => {
  const share = (is: (transaction: Transaction) => boolean, of: (transaction: Transaction) => boolean): number => {
    const rows = honest.filter(({ transaction }) => of(transaction))
    return rows.filter(({ transaction }) => is(transaction)).length / rows.length
  }
  const all = (): boolean => true
  assertNear(
    share(({ currency }) => currency !== 'EUR', all),
    0.12,
    'in foreign currency',
  )
  assertNear(
    share(
      ({ avs }) => avs === 'N' || avs === 'A' || avs === 'Z',
      ({ avs }) => avs !== '',
    ),
    0.06,
    'mismatched',
  )
  assertNear(
    share(({ channel }) => channel === 'ATM', all),
    0.04,
    'cash',
  )
  const isFuel = ({ merchant_category: code }: Transaction): boolean => code === '5541' || code === '5542'
  assertNear(share(isFuel, all), 0.08, 'fuel')
})

test('every tactic occurs, wallet provisioning only from 70 percent of the run on', () => {
  for (const { name } of TACTICS) {
    const count = frauds.filter(({ truth }) => truth.tactic === name).length
    assert.ok(count >= 8, `${name} occurs ${count} times`)
  }
  const wallets = run.arrivals.flatMap(({ truth }, i) => (truth?.tactic === 'wallet' ? [i / EVENTS] : []))
  assert.ok(wallets[0]! >= 0.68, `the first at ${wallets[0]}`)
})

test('no raw field alone tells fraud, by what the first half of the run teaches about the second', () => {
  const fields = new SingleFields()
  const half = approved.length >> 1
  approved.forEach(({ transaction, amountBase, truth }, i) => {
    if (i < half) fields.learn(transaction, truth.fraud)
    // a quarter of the honest rows gives the same areas in a quarter of the time
    else if (truth.fraud || i % 4 === 0) fields.judge(transaction, amountBase, truth.fraud)
  })
  for (const [name, area] of fields.areas()) assert.ok(area <= AREA_MAX, `${name} has an area of ${area}`)
})

test('labels come after their event, and follow the clocks of their tactic', () => {
  const tacticOf = new Map(run.authorizations.map(({ transaction, truth }) => [transaction.transaction_id, truth]))
  const reportDays = new Map<string, number[]>()
  for (const label of run.labels) {
    assert.ok(label.known_at > label.event_time)
    const truth = tacticOf.get(label.transaction_id)
    if (truth === undefined) continue
    assert.equal(truth.approved, true)
    const days = (label.known_at - label.event_time) / DAY_MS
    if (label.source === 'charge_off') assert.ok(truth.tactic === 'bust_out' && days >= 90 && days <= 181)
    if (truth.tactic === 'first_party' && label.fraud)
      assert.ok(label.source === 'chargeback' && days >= 20 && days <= 76)
    if (label.source === 'issuer_report') reportDays.set(truth.tactic, [...(reportDays.get(truth.tactic) ?? []), days])
  }
  const median = (days: number[]): number => days.sort((a, b) => a - b)[days.length >> 1]!
  assert.ok(Math.abs(median(reportDays.get('lost_stolen')!) - 1) < 0.35)
  assert.ok(Math.abs(median(reportDays.get('stolen_details')!) / 12 - 1) < 0.25)
})

test('no card is approved once a fraud on it is known', () => {
  const closedMs = new Map<string, number>()
  for (const { card_id, fraud, known_at } of run.labels) {
    if (fraud && !closedMs.has(card_id)) closedMs.set(card_id, known_at)
  }
  assert.ok(closedMs.size > 100)
  for (const { transaction } of approved) {
    assert.ok(transaction.event_time <= (closedMs.get(transaction.card_id) ?? Number.POSITIVE_INFINITY))
  }
})
