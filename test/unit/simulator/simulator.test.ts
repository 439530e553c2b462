import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { findCardNumber } from '#schemas/card-number.ts'
import { WeirError } from '#schemas/errors.ts'
import { parseLabel, parseTransaction } from '#schemas/json-input.ts'
import { Simulator, type SimulatorOptions } from '#simulator/simulator.ts'

const DAY_MS = 86_400_000
const START_MS = Date.UTC(2025, 2, 3)
const DEMO: SimulatorOptions = { preset: 'demo', seed: 11, startMs: START_MS }

function hashOf(options: SimulatorOptions, items: number): string {
  const simulator = new Simulator(options)
  const hash = createHash('sha256')
  for (let i = 0; i < items; i++) hash.update(JSON.stringify(simulator.next()))
  return hash.digest('hex')
}

test('the same seed gives the same stream, another seed another', () => {
  assert.equal(hashOf(DEMO, 2_000), hashOf(DEMO, 2_000))
  assert.notEqual(hashOf(DEMO, 200), hashOf({ ...DEMO, seed: 12 }, 200))
})

test('items come in order of arrival, and nothing arrives before it happened', () => {
  const simulator = new Simulator(DEMO)
  let lastMs = 0
  for (let i = 0; i < 20_000; i++) {
    const item = simulator.next()
    const arrivedMs = simulator.clockMs
    assert.ok(arrivedMs >= lastMs)
    lastMs = arrivedMs
    if (item.kind === 'label') {
      assert.ok(item.label.known_at > item.label.event_time && item.label.known_at <= arrivedMs)
    } else {
      const lateMs = arrivedMs - item.transaction.event_time
      assert.ok(lateMs >= 0 && lateMs <= 6 * 3_600_000 + 30 * 60_000, `late by ${lateMs} ms`)
    }
  }
})

test('every item is one that the reader of JSON accepts, and no field holds a card number', () => {
  const simulator = new Simulator({ ...DEMO, seed: 13 })
  for (let i = 0; i < 2_000; i++) {
    const item = simulator.next()
    const parsed = item.kind === 'label' ? parseLabel(item.label) : parseTransaction(item.transaction)
    assert.ok(parsed.ok, JSON.stringify(parsed))
    const texts = item.kind === 'label' ? [item.label.card_id] : Object.values(item.transaction).map(String)
    for (const text of texts) assert.equal(findCardNumber(text), null)
  }
})

test('a declined authorization is followed by its outcome within a second of its time, and only a declined one', () => {
  const simulator = new Simulator(DEMO)
  const outcomes = new Map<string, { readonly code: string; readonly timeMs: number }>()
  const authorizations: { id: string; timeMs: number; approved: boolean }[] = []
  for (let i = 0; i < 30_000; i++) {
    const item = simulator.next()
    if (item.kind === 'label') continue
    const { transaction: at, truth } = item
    if (at.kind === 'outcome') outcomes.set(at.original_id, { code: at.response_code, timeMs: at.event_time })
    if (at.kind !== 'authorization') continue
    assert.equal(at.response_code, '')
    authorizations.push({ id: at.transaction_id, timeMs: at.event_time, approved: truth!.approved })
  }
  const settled = authorizations.filter(({ timeMs }) => timeMs < simulator.clockMs - DAY_MS)
  assert.ok(outcomes.size > 500)
  for (const { id, timeMs, approved } of settled) {
    const outcome = outcomes.get(id)
    assert.equal(outcome === undefined, approved)
    if (outcome === undefined) continue
    assert.match(outcome.code, /^\d\d$/)
    assert.notEqual(outcome.code, '00')
    const delayMs = outcome.timeMs - timeMs
    assert.ok(delayMs >= 199 && delayMs <= 901, `${delayMs} ms`)
  }
})

test('a fraud that was declined by whoever scores is never reported, others are', () => {
  const simulator = new Simulator(DEMO)
  const stopped = new Set<string>()
  const reported = new Set<string>()
  let frauds = 0
  for (let i = 0; i < 60_000; i++) {
    const item = simulator.next()
    if (item.kind === 'label') {
      reported.add(item.label.transaction_id)
      continue
    }
    const { transaction, truth } = item
    if (truth?.fraud !== true) continue
    if (frauds++ % 2 === 0) continue
    stopped.add(transaction.transaction_id)
    simulator.decided(transaction.transaction_id, true, false)
  }
  assert.ok(reported.size > 30)
  assert.deepEqual(
    [...reported].filter((id) => stopped.has(id)),
    [],
  )
})

test('a reviewed event gets a verdict in the hours of the desk, four times of five, and mostly the right one', () => {
  const simulator = new Simulator({ ...DEMO, seed: 15 })
  const reviewed = new Map<string, { readonly fraud: boolean; readonly timeMs: number }>()
  const right = { fraud: 0, genuine: 0 }
  const answered = { fraud: 0, genuine: 0 }
  const delays: number[] = []
  let count = 0
  for (let i = 0; i < 60_000; i++) {
    const item = simulator.next()
    if (item.kind === 'transaction') {
      const { transaction_id, kind } = item.transaction
      if (kind !== 'authorization' || (item.truth?.fraud !== true && count++ % 25 !== 0)) continue
      if (reviewed.has(transaction_id)) continue
      simulator.decided(transaction_id, false, true)
      reviewed.set(transaction_id, { fraud: item.truth!.fraud, timeMs: simulator.clockMs })
    } else if (item.label.source === 'verdict') {
      const { label } = item
      const hour = (label.known_at % DAY_MS) / 3_600_000
      assert.ok(hour >= 8 && hour < 20, `verdict at ${hour} h`)
      const { fraud, timeMs } = reviewed.get(label.transaction_id)!
      const kind = fraud ? 'fraud' : 'genuine'
      answered[kind]++
      if (label.fraud === fraud) right[kind]++
      const seenAt = (timeMs % DAY_MS) / 3_600_000
      if (seenAt >= 8 && seenAt < 13) delays.push((label.known_at - timeMs) / 3_600_000)
    }
  }
  const share = (answered.fraud + answered.genuine) / reviewed.size
  assert.ok(Math.abs(share - 0.8) < 0.03, `answered ${share}`)
  assert.ok(Math.abs(right.genuine / answered.genuine - 0.98) < 0.015)
  assert.ok(Math.abs(right.fraud / answered.fraud - 0.96) < 0.03)
  const median = delays.sort((a, b) => a - b)[Math.floor(delays.length / 2)]!
  assert.ok(Math.abs(median - 3) < 0.5, `median ${median} h`)
})

test('in a closed loop thieves who are stopped change what they do, in an open one they go on', () => {
  const afterStops = (closedLoop: boolean): { frauds: number; hash: string } => {
    const simulator = new Simulator({ ...DEMO, closedLoop })
    const hash = createHash('sha256')
    let frauds = 0
    for (let i = 0; i < 40_000; i++) {
      const item = simulator.next()
      if (item.kind !== 'transaction' || item.truth?.fraud !== true) continue
      frauds++
      hash.update(`${item.transaction.amount} ${item.transaction.event_time}\n`)
      simulator.decided(item.transaction.transaction_id, true, false)
    }
    return { frauds, hash: hash.digest('hex') }
  }
  const open = afterStops(false)
  const closed = afterStops(true)
  assert.notEqual(closed.hash, open.hash)
  assert.ok(closed.frauds > 50 && open.frauds > 50)
})

test('the acquirer sees a sixth or so of the merchants, no accounts and short histories', () => {
  const simulator = new Simulator({ ...DEMO, view: 'acquirer' })
  const merchants = new Set<string>()
  const cards = new Map<string, number>()
  for (let i = 0; i < 10_000; i++) {
    const item = simulator.next()
    if (item.kind === 'label') continue
    merchants.add(item.transaction.merchant_id)
    assert.equal(item.transaction.account_id, '')
    cards.set(item.transaction.card_id, (cards.get(item.transaction.card_id) ?? 0) + 1)
  }
  assert.ok(merchants.size > 40 && merchants.size < 300, `${merchants.size} merchants`)
  assert.ok(cards.size > 1_000)
})

test('what is held does not grow with the events gone by', () => {
  const simulator = new Simulator({ ...DEMO, accounts: 600, eventsPerDay: 500, recentMax: 5_000 })
  const holdingsAfter = (items: number): { planned: number; waiting: number; recent: number; offers: number } => {
    for (let i = 0; i < items; i++) simulator.next()
    return { ...simulator.holdings }
  }
  const early = holdingsAfter(20_000)
  const late = holdingsAfter(40_000)
  assert.equal(early.recent, 5_000)
  assert.equal(late.recent, 5_000)
  assert.ok(late.planned < early.planned * 1.4, `${early.planned} then ${late.planned} planned`)
  assert.ok(late.waiting < 100 && late.offers < 300)
})

test('rates walk about half a percent a day, and a new day has a new version', () => {
  const simulator = new Simulator({ ...DEMO, eventsPerDay: 200 })
  const tables = new Map<string, Readonly<Record<string, number>>>()
  while (tables.size < 80) {
    simulator.next()
    tables.set(simulator.rates.version, simulator.rates.rates)
  }
  const steps: number[] = []
  const values = [...tables.values()]
  values.slice(1).forEach((rates, i) => steps.push(Math.log(rates['USD']! / values[i]!['USD']!)))
  const deviation = Math.sqrt(steps.reduce((sum, step) => sum + step * step, 0) / steps.length)
  assert.ok(deviation > 0.003 && deviation < 0.007, `deviation ${deviation}`)
  assert.equal(values[0]!['EUR'], 1)
})

test('sizes that make no world are refused by name', () => {
  for (const [wrong, where] of [
    [{ seed: 1.5 }, 'simulator.seed'],
    [{ accounts: 3 }, 'simulator.accounts'],
    [{ eventsPerDay: 0 }, 'simulator.eventsPerDay'],
    [{ totalEvents: -1 }, 'simulator.totalEvents'],
  ] as const) {
    assert.throws(
      () => new Simulator({ ...DEMO, ...wrong }),
      (error) => error instanceof WeirError && error.code === 'CONFIG_INVALID' && error.where === where,
    )
  }
})
