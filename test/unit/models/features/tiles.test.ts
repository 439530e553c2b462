import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { PAGE_BYTES, StateMemory } from '#infra/state-memory.ts'
import { EntityStore } from '#models/features/entity-store.ts'
import { FLAG_HIGH, FLAG_LOW } from '#models/features/row-layout.ts'
import { Featurizer } from '#models/features/featurizer.ts'
import { parseFeatureSpec, WINDOWS_MS, type WindowName } from '#schemas/feature-spec.ts'
import { isDeclined, type Transaction } from '#schemas/transaction.ts'
import { foldSlice, type StreamItem } from '#test/support/feature-streams.ts'
import { transactionOf } from '#test/support/transactions.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const START = Date.UTC(2026, 0, 5)
const WINDOWS = Object.keys(WINDOWS_MS) as WindowName[]
const SPEC = parseFeatureSpec(
  {
    name: 'hot',
    version: 1,
    historyLength: 2,
    historyFeatures: ['log_amount'],
    raw: ['log_amount'],
    habit: [],
    entities: [
      { name: 'card', fields: ['card_id'], figures: [], ringMax: 8_192 },
      {
        name: 'merchant',
        fields: ['merchant_id'],
        ringMax: 64,
        figures: [
          ...(['count', 'sum', 'max', 'declined_count'] as const).map((aggregate) => ({ aggregate, windows: WINDOWS })),
          { aggregate: 'distinct', windows: ['1h'] },
        ],
      },
    ],
  },
  'test',
)

/** One busy merchant: mostly seconds apart, now and then hours; some events late. */
const anyHotStream = fc
  .array(
    fc.record({
      gapMs: fc.oneof(
        { weight: 20, arbitrary: fc.integer({ min: 0, max: 40_000 }) },
        { weight: 1, arbitrary: fc.integer({ min: 0, max: 5 * HOUR_MS }) },
      ),
      lateMs: fc.oneof(
        { weight: 20, arbitrary: fc.constant(0) },
        { weight: 1, arbitrary: fc.integer({ min: 1, max: 6 * HOUR_MS }) },
      ),
      card: fc.nat(30),
      amount: fc.integer({ min: 1, max: 5_000 }),
      code: fc.constantFrom('', '05'),
    }),
    { minLength: 200, maxLength: 600, size: 'max' },
  )
  .map((steps): Transaction[] => {
    let nowMs = START
    return steps.map(({ gapMs, lateMs, card, amount, code }, i) => {
      nowMs += gapMs
      const fields = { transaction_id: `t${i}`, card_id: `card-${card}`, amount, response_code: code }
      return transactionOf({ ...fields, event_time: nowMs - lateMs })
    })
  })

const itemsOf = (transactions: readonly Transaction[]): StreamItem[] =>
  transactions.map((transaction) => ({ kind: 'transaction', transaction }))

describe('a hot entity', () => {
  test('is exact to the millisecond within its newest hour and to the minute beyond', () => {
    fc.assert(
      fc.property(anyHotStream, (transactions) => {
        const featurizer = new Featurizer({ spec: SPEC, memory: new StateMemory() })
        const { currentColumns, currentWidth } = featurizer.layout
        const out = foldSlice(featurizer, itemsOf(transactions))
        assert.equal(featurizer.stats.tiledEntities, 1)
        let newestMs = 0
        for (const [row, t] of transactions.entries()) {
          const isLate = t.event_time < newestMs
          newestMs = Math.max(newestMs, t.event_time)
          const past = transactions.slice(0, row)
          const value = (name: string): number =>
            out.current[row * currentWidth + currentColumns.findIndex((column) => column.name === `merchant_${name}`)]!
          for (const window of WINDOWS) {
            const isExact = !isLate && WINDOWS_MS[window] <= HOUR_MS
            const fromMs = t.event_time - WINDOWS_MS[window]
            // A minute that the window cuts is in it whole or not at all.
            const least = past.filter(
              (p) =>
                p.event_time > fromMs && p.event_time <= (isExact || !isLate ? t.event_time : minuteOf(t.event_time)),
            )
            const most = past.filter(
              (p) => p.event_time > (isExact ? fromMs : minuteOf(fromMs) - 1) && p.event_time <= t.event_time,
            )
            const between = (name: string, low: number, high: number): void => {
              const is = value(`${name}_${window}`)
              assert.ok(low <= is && is <= high, `row ${row}, ${name}_${window}: ${is}, not ${low} to ${high}`)
            }
            between('count', least.length + 1, most.length + 1)
            between('sum', Math.fround(sumOf(least) + t.amount), Math.fround(sumOf(most) + t.amount))
            between('max', maxOf([...least, t]), maxOf([...most, t]))
            between('declined_count', declinedOf(least), declinedOf(most))
          }
          if (isLate) continue
          const cards = [...past, t].filter(
            (p) => p.event_time > t.event_time - HOUR_MS && p.event_time <= t.event_time,
          )
          assert.equal(value('cards_1h'), new Set(cards.map((p) => p.card_id)).size)
        }
      }),
      { numRuns: 12 },
    )
  })

  test('gives the same vectors and state through checkpoints taken while it is merged', () => {
    fc.assert(
      fc.property(anyHotStream, fc.integer({ min: 20, max: 90 }), (transactions, size) => {
        const plain = new StateMemory()
        let memory = new StateMemory()
        const always = new Featurizer({ spec: SPEC, memory: plain })
        let restarted = new Featurizer({ spec: SPEC, memory })
        for (let at = 0; at < transactions.length; at += size) {
          const before = memory.hash()
          const snapshot = memory.beginSnapshot()
          const items = itemsOf(transactions.slice(at, at + size))
          const expected = foldSlice(always, items)
          assert.deepEqual(foldSlice(restarted, items).current, expected.current)
          const copy = new StateMemory()
          const next = new Featurizer({ spec: SPEC, memory: copy })
          copy.restore(snapshot.regions, (target) => {
            const page = new Uint8Array(PAGE_BYTES)
            assert.ok(snapshot.copyNext(page))
            target.set(page)
          })
          snapshot.cancel()
          assert.equal(copy.hash(), before)
          assert.deepEqual(foldSlice(next, items).current, expected.current)
          memory = copy
          restarted = next
          assert.equal(memory.hash(), plain.hash())
        }
      }),
      { numRuns: 3 },
    )
  })

  test('gives up no event and no flag, however many come in an hour', () => {
    const store = new EntityStore(new StateMemory(), {
      name: 'busy',
      horizonMs: 2 * HOUR_MS,
      idleMs: 90 * 24 * HOUR_MS,
      ringMax: 64,
      hasAmounts: true,
      hasTags: false,
      hasFlags: true,
      hasMax: true,
      otherColumns: 0,
      extraWords: 0,
    })
    const events = 150_000
    store.openOrCreate(1, 2, START, START)
    for (let i = 0; i < events; i++) store.insert(START + i * 20, 1 + (i % 7), 0, FLAG_LOW + FLAG_HIGH, 0, 0)
    assert.ok(store.open(1, 2, START + events * 20))
    assert.equal(store.eventsIn(0, store.count), events)
    assert.equal(store.lowFlagsIn(0, store.count), events)
    assert.equal(store.highFlagsIn(0, store.count), events)
    assert.equal(store.maxIn(0, store.count), 7)
  })

  test('is plain again after it was idle', () => {
    const featurizer = new Featurizer({ spec: SPEC, memory: new StateMemory() })
    const at = (ms: number, id: string): Transaction => transactionOf({ transaction_id: id, event_time: START + ms })
    foldSlice(featurizer, itemsOf(Array.from({ length: 200 }, (_, i) => at(i * 1_000, `t${i}`))))
    assert.equal(featurizer.stats.tiledEntities, 1)
    const out = foldSlice(featurizer, itemsOf([at(100 * 24 * HOUR_MS, 'late')]))
    assert.equal(featurizer.stats.tiledEntities, 0)
    const count = featurizer.layout.currentColumns.findIndex(({ name }) => name === 'merchant_count_30d')
    assert.equal(out.current[count], 1)
  })
})

function minuteOf(timeMs: number): number {
  return Math.floor(timeMs / MINUTE_MS) * MINUTE_MS
}

function sumOf(transactions: readonly Transaction[]): number {
  return transactions.reduce((sum, { amount }) => sum + amount, 0)
}

function maxOf(transactions: readonly Transaction[]): number {
  return Math.max(...transactions.map(({ amount }) => amount))
}

function declinedOf(transactions: readonly Transaction[]): number {
  return transactions.filter(({ response_code }) => isDeclined(response_code)).length
}
