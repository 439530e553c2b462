import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Transaction } from '#schemas/transaction.ts'
import { type Arrived, areaUnderCurve, runSimulator } from '#test/support/simulated-run.ts'

// What would give fraud away without being about fraud: how the world was made.

const EVENTS = 100_000
const run = runSimulator({ preset: 'demo', seed: 21, startMs: Date.UTC(2025, 0, 6), totalEvents: EVENTS }, EVENTS)
const approved = run.authorizations.filter(({ truth }) => truth.approved)
const frauds = approved.filter(({ truth }) => truth.fraud)
const honest = approved.filter(({ truth }) => !truth.fraud)
const sampled = approved.filter(({ truth }, i) => truth.fraud || i % 4 === 0)
const DAY_MS = 86_400_000

function valuesOf(rows: readonly Arrived[], read: (transaction: Transaction) => string): Set<string> {
  return new Set(rows.map(({ transaction }) => read(transaction)).filter((value) => value !== ''))
}

function missing(ofThese: ReadonlySet<string>, inThose: ReadonlySet<string>): string[] {
  return [...ofThese].filter((value) => !inThose.has(value))
}

test('ids of honest people and thieves have one shape and one range', () => {
  const kinds: readonly ((transaction: Transaction) => string)[] = [
    ({ transaction_id }) => transaction_id,
    ({ card_id }) => card_id,
    ({ account_id }) => account_id,
    ({ device_id }) => device_id,
    ({ email_hash }) => email_hash,
    ({ terminal_id }) => terminal_id,
  ]
  for (const read of kinds) {
    const bad = [...valuesOf(frauds, read)]
    const good = [...valuesOf(honest, read)].slice(0, 10_000)
    const shape = (id: string): string => `${id.length}${id.slice(0, 2)}`
    assert.deepEqual([...new Set(bad.map(shape))], [...new Set(good.map(shape))])
    const places = new Map([...bad, ...good].sort().map((id, place) => [id, place]))
    const all = [...bad, ...good]
    const area = areaUnderCurve(
      all.map((id) => places.get(id)!),
      all.map((_, i) => i < bad.length),
    )
    // four standard errors of an area that is one half
    const bound = 4 / Math.sqrt(12 * bad.length)
    assert.ok(Math.abs(area - 0.5) < bound, `an area of ${area} in the order of ids as ${bad[0]}`)
  }
})

test('ids do not count up', () => {
  const ids = run.arrivals.map(({ transaction }) => transaction.transaction_id)
  let rising = 0
  for (let i = 1; i < ids.length; i++) if (ids[i]! > ids[i - 1]!) rising++
  assert.ok(Math.abs(rising / ids.length - 0.5) < 0.01)
})

test('the phase of time says nothing: milliseconds, seconds and minutes are even for both', () => {
  for (const [unit, length] of [
    ['millisecond', 1_000],
    ['second', 60_000],
    ['minute', 3_600_000],
  ] as const) {
    const area = areaUnderCurve(
      sampled.map(({ transaction }) => transaction.event_time % length),
      sampled.map(({ truth }) => truth.fraud),
    )
    assert.ok(Math.abs(area - 0.5) < 0.06, `${unit}: ${area}`)
  }
})

test('thieves pay prices that end as those of everybody else at the same merchants', () => {
  const isPriced = ({ transaction }: Arrived): boolean => transaction.currency === 'EUR' && transaction.amount > 300
  const endingOf = ({ amount }: Transaction): string => {
    const cents = amount % 100
    return [99, 0, 50, 95].includes(cents) ? String(cents) : 'other'
  }
  const ofMerchants = new Map<string, string[]>()
  for (const { transaction } of honest.filter(isPriced)) {
    const endings = ofMerchants.get(transaction.merchant_id) ?? []
    if (endings.length === 0) ofMerchants.set(transaction.merchant_id, endings)
    endings.push(endingOf(transaction))
  }
  const bad = frauds.filter(
    (arrived) => isPriced(arrived) && (ofMerchants.get(arrived.transaction.merchant_id)?.length ?? 0) >= 5,
  )
  assert.ok(bad.length > 150)
  for (const ending of ['99', '0', '50', '95', 'other']) {
    let paid = 0
    let expected = 0
    for (const { transaction } of bad) {
      const endings = ofMerchants.get(transaction.merchant_id)!
      if (endingOf(transaction) === ending) paid++
      expected += endings.filter((other) => other === ending).length / endings.length
    }
    assert.ok(Math.abs(paid - expected) / bad.length < 0.05, `.${ending}: ${paid} against ${expected} of ${bad.length}`)
  }
})

const FIELDS = ['device_id', 'ip_prefix', 'email_hash', 'terminal_id', 'bin', 'account_id', 'avs', 'cvv'] as const

test('a thief’s order or payment fills the fields that an honest one fills', () => {
  for (const channel of ['ECOM', 'POS'] as const) {
    const ofChannel = ({ transaction }: Arrived): boolean =>
      transaction.channel === channel && !transaction.recurring && transaction.entry_mode !== 'WALLET'
    const bad = frauds.filter(ofChannel)
    const good = honest.filter(ofChannel)
    assert.ok(bad.length > 30)
    for (const field of FIELDS) {
      const filled = (rows: readonly Arrived[]): number =>
        rows.filter(({ transaction }) => transaction[field] !== '').length / rows.length
      // which checks are made is the merchant's choice, and one merchant may have many of the frauds
      assert.ok(Math.abs(filled(bad) - filled(good)) < 0.25, `${field} ${channel}: ${filled(bad)}, ${filled(good)}`)
      // what is never or always filled for one is so for the other
      if (filled(good) === 0 || filled(good) === 1) assert.equal(filled(bad), filled(good), field)
    }
    const located = (rows: readonly Arrived[]): number =>
      rows.filter(({ transaction }) => transaction.latitude !== null).length
    assert.equal(located(bad), channel === 'POS' ? bad.length : 0)
    assert.equal(located(good), channel === 'POS' ? good.length : 0)
  }
})

test('there are no merchants, countries, categories, codes or card ranges that only thieves use', () => {
  const everybody = run.authorizations.filter(({ truth }) => !truth.fraud)
  for (const read of [
    ({ merchant_country }: Transaction) => merchant_country,
    ({ country }: Transaction) => country,
    ({ merchant_category }: Transaction) => merchant_category,
    ({ bin }: Transaction) => bin,
    ({ currency }: Transaction) => currency,
    ({ entry_mode }: Transaction) => entry_mode,
    ({ attributes }: Transaction) => attributes['platform'] ?? '',
    ({ three_ds }: Transaction) => three_ds,
    ({ avs }: Transaction) => avs,
    ({ cvv }: Transaction) => cvv,
  ]) {
    assert.deepEqual(missing(valuesOf(frauds, read), valuesOf(everybody, read)), [])
  }
  const merchants = valuesOf(frauds, ({ merchant_id }) => merchant_id)
  const others = missing(
    merchants,
    valuesOf(everybody, ({ merchant_id }) => merchant_id),
  )
  assert.ok(others.length <= merchants.size * 0.02, `${others.length} of ${merchants.size} merchants`)
  const addresses = valuesOf(frauds, ({ ip_prefix }) => ip_prefix)
  const strange = missing(
    addresses,
    valuesOf(everybody, ({ ip_prefix }) => ip_prefix),
  )
  assert.ok(strange.length <= addresses.size * 0.1, `${strange.length} of ${addresses.size} addresses`)
})

test('codes of declined thieves are codes of declined honest people', () => {
  const declined = new Map(
    run.arrivals.flatMap(({ transaction }) =>
      transaction.kind === 'outcome' ? [[transaction.original_id, transaction.response_code] as const] : [],
    ),
  )
  const codes = (isThief: boolean): Set<string> =>
    new Set(
      run.authorizations.flatMap(({ transaction, truth }) =>
        truth.fraud === isThief ? (declined.get(transaction.transaction_id) ?? []) : [],
      ),
    )
  assert.deepEqual(missing(codes(true), codes(false)), [])
})

test('most devices that are new belong to honest people, and so do most new tokens in wallets', () => {
  const settledMs = run.arrivals[0]!.arrivedMs + 30 * DAY_MS
  for (const read of [
    ({ device_id }: Transaction) => device_id,
    ({ attributes }: Transaction) => attributes['token'] ?? '',
  ]) {
    const known = new Set<string>()
    let bad = 0
    let good = 0
    for (const { transaction, truth } of run.authorizations) {
      const value = read(transaction)
      if (value === '' || known.has(value)) continue
      known.add(value)
      if (transaction.event_time < settledMs) continue
      if (truth.fraud) bad++
      else good++
    }
    assert.ok(good > 20 && bad < good / 4, `${bad} by thieves, ${good} by honest people`)
  }
})

test('cards end for ordinary reasons about as often as by fraud, though this world has five times its share of fraud', () => {
  const endMs = run.arrivals.at(-1)!.arrivedMs
  const cards = new Map<string, { events: number; lastMs: number; hasFraud: boolean }>()
  for (const { transaction, truth } of approved) {
    const card = cards.get(transaction.card_id) ?? { events: 0, lastMs: 0, hasFraud: false }
    cards.set(transaction.card_id, card)
    card.events++
    card.lastMs = transaction.event_time
    card.hasFraud ||= truth.fraud
  }
  const ended = [...cards.values()].filter(({ events, lastMs }) => events >= 12 && lastMs < endMs - 30 * DAY_MS)
  const byFraud = ended.filter(({ hasFraud }) => hasFraud).length
  assert.ok(ended.length > 20)
  assert.ok(byFraud < ended.length * 0.6, `${byFraud} of ${ended.length}`)
})

test('no order, no payment is a fraud by its way of paying alone', () => {
  for (const mode of ['ECOM', 'CONTACTLESS', 'CHIP', 'WALLET'] as const) {
    const rows = approved.filter(({ transaction }) => transaction.entry_mode === mode)
    const share = rows.filter(({ truth }) => truth.fraud).length / rows.length
    assert.ok(share < 0.03, `${mode}: ${share}`)
  }
})

test('honest people order from what is new to them, and thieves, in part, from what honest people use', () => {
  const settledMs = run.arrivals[0]!.arrivedMs + 30 * DAY_MS
  for (const [field, least, most] of [
    ['device_id', 0.05, 0.15],
    ['email_hash', 0.03, 0.12],
    ['ip_prefix', 0.1, 0.4],
  ] as const) {
    const ofAccounts = new Map<string, Set<string>>()
    const known = new Set<string>()
    const orders = { honest: 0, newToAccount: 0, thieves: 0, ofOthers: 0 }
    for (const { transaction, truth } of run.authorizations) {
      const value = transaction[field]
      if (transaction.channel !== 'ECOM' || value === '') continue
      const own = ofAccounts.get(transaction.account_id) ?? new Set()
      ofAccounts.set(transaction.account_id, own)
      if (transaction.event_time >= settledMs && own.size > 0) {
        if (!truth.fraud) {
          orders.honest++
          if (!own.has(value)) orders.newToAccount++
        } else if (!own.has(value)) {
          orders.thieves++
          if (known.has(value)) orders.ofOthers++
        }
      }
      own.add(value)
      if (!truth.fraud) known.add(value)
    }
    const isNew = orders.newToAccount / orders.honest
    assert.ok(isNew > least && isNew < most, `${field}: ${isNew} of honest orders are new`)
    const isOfOthers = orders.ofOthers / orders.thieves
    assert.ok(isOfOthers > 0.15, `${field}: ${isOfOthers} of what is new to the account was met with honest people`)
  }
})
