import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { PAGE_BYTES, StateMemory } from '#infra/state-memory.ts'
import { Featurizer } from '#models/features/featurizer.ts'
import { parseFeatureSpec } from '#schemas/feature-spec.ts'
import { CounterOracle, type CounterUnderTest } from '#test/support/counter-oracle.ts'
import { type CounterSpec, counterName } from '#schemas/counter.ts'
import { FeatureOracle } from '#test/support/feature-oracle.ts'
import { anySpec, anyStream, columnsOf, foldSlice, type StreamItem } from '#test/support/feature-streams.ts'
import { transactionOf } from '#test/support/transactions.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const COUNTED: readonly CounterUnderTest[] = [
  { entity: null, spec: { aggregate: 'count', fields: ['device_id'], windowMs: 600_000, filter: 'declined' } },
  { entity: 'card', spec: { aggregate: 'count', fields: ['card_id'], windowMs: DAY_MS, filter: 'small' } },
  { entity: null, spec: { aggregate: 'count', fields: ['card_id'], windowMs: 7 * DAY_MS, filter: 'refund' } },
  { entity: null, spec: { aggregate: 'sum', fields: ['card_id'], windowMs: DAY_MS, filter: 'approved' } },
  { entity: null, spec: { aggregate: 'sum', fields: ['merchant_id'], windowMs: HOUR_MS, filter: 'all' } },
  {
    entity: null,
    spec: { aggregate: 'distinct_cards', fields: ['bin', 'merchant_id'], windowMs: 7 * DAY_MS, filter: 'all' },
  },
  {
    entity: null,
    spec: { aggregate: 'distinct_merchants', fields: ['card_id'], windowMs: 7 * DAY_MS, filter: 'approved' },
  },
  { entity: 'card', spec: { aggregate: 'count', fields: ['card_id'], windowMs: 4 * HOUR_MS, filter: 'declined' } },
  { entity: 'card', spec: { aggregate: 'count', fields: ['card_id'], windowMs: 4 * HOUR_MS, filter: 'approved' } },
  { entity: 'card', spec: { aggregate: 'sum', fields: ['card_id'], windowMs: 2 * DAY_MS, filter: 'all' } },
  { entity: null, spec: { aggregate: 'sum', fields: ['card_id'], windowMs: DAY_MS, filter: 'declined' } },
  { entity: null, spec: { aggregate: 'count', fields: ['card_id'], windowMs: 40 * DAY_MS, filter: 'all' } },
  {
    entity: 'merchant',
    spec: { aggregate: 'distinct_cards', fields: ['merchant_id'], windowMs: HOUR_MS, filter: 'all' },
  },
]
const COUNTERS: readonly CounterSpec[] = COUNTED.map(({ spec }) => spec)
/** A spec whose card keeps answers, so that what is corrected is found for certain. */
const FLAGGED_SPEC = parseFeatureSpec(
  {
    name: 'flagged',
    version: 1,
    historyLength: 2,
    historyFeatures: ['log_amount'],
    raw: ['log_amount'],
    habit: [],
    entities: [
      { name: 'card', fields: ['card_id'], figures: [{ aggregate: 'declined_count', windows: ['1d'] }] },
      {
        name: 'merchant',
        fields: ['merchant_id'],
        figures: [
          { aggregate: 'declined_count', windows: ['1h'] },
          { aggregate: 'distinct', windows: ['1h'] },
        ],
      },
    ],
  },
  'test',
)

test('any spec gives what the definitions give', () => {
  fc.assert(
    fc.property(anySpec, anyStream, (spec, items) => {
      const featurizer = new Featurizer({ spec, memory: new StateMemory() })
      const out = foldSlice(featurizer, items)
      const events = columnsOf(items)
      const oracle = new FeatureOracle(spec)
      const { currentColumns, currentWidth } = featurizer.layout
      for (let row = 0; row < items.length; row++) {
        const expected = oracle.fold(events, row)
        if (expected === null) continue
        for (const [at, { name }] of currentColumns.entries()) {
          const value = expected.get(name)
          if (value === undefined) continue
          assert.equal(out.current[row * currentWidth + at], Math.fround(value), `row ${row}, ${name}`)
        }
      }
    }),
    { numRuns: 150 },
  )
})

test("a rule's counter gives what its definition gives, and nothing until one window has passed", () => {
  fc.assert(
    fc.property(anyStream, (items) => {
      const featurizer = new Featurizer({ spec: FLAGGED_SPEC, memory: new StateMemory(), counters: COUNTERS })
      const out = foldSlice(featurizer, items)
      const oracle = new CounterOracle(FLAGGED_SPEC, COUNTED)
      for (const [row, item] of items.entries()) {
        const expected = oracle.fold(item)
        if (expected === null) continue
        for (const [i, counter] of COUNTERS.entries()) {
          assert.equal(out.counters[row * COUNTERS.length + i], expected[i], `row ${row}, ${counterName(counter)}`)
        }
      }
    }),
    { numRuns: 150 },
  )
})

test('a counter that stays goes on when others come and leave, and a new one warms up', () => {
  const [stays, leaves, comes] = [COUNTERS[4]!, COUNTERS[1]!, COUNTERS[3]!]
  const changing = new Featurizer({ spec: FLAGGED_SPEC, memory: new StateMemory(), counters: [stays, leaves] })
  const alone = new Featurizer({ spec: FLAGGED_SPEC, memory: new StateMemory(), counters: [stays] })
  const hours = (from: number, to: number): StreamItem[] =>
    Array.from({ length: to - from }, (_, i) => ({
      kind: 'transaction',
      transaction: transactionOf({ transaction_id: `t${from + i}`, event_time: Date.UTC(2026, 0, 1, from + i) }),
    }))
  foldSlice(changing, hours(0, 30))
  foldSlice(alone, hours(0, 30))
  changing.setCounters([comes, stays])
  const after = foldSlice(changing, hours(30, 60))
  const expected = foldSlice(alone, hours(30, 60))
  const column = (at: number): number[] => Array.from({ length: 30 }, (_, row) => after.counters[row * 2 + at]!)
  assert.deepEqual(column(1), [...expected.counters])
  assert.deepEqual(
    column(0).map((value) => Number.isNaN(value)),
    Array.from({ length: 30 }, (_, row) => row < 24),
  )
})

test('a checkpoint holds the state of its moment, whatever is folded while it is copied', () => {
  fc.assert(
    fc.property(anySpec, anyStream, anyStream, fc.nat(40), (spec, before, after, pagesFirst) => {
      const memory = new StateMemory()
      const featurizer = new Featurizer({ spec, memory, counters: COUNTERS })
      foldSlice(featurizer, before)
      const hash = memory.hash()
      const snapshot = memory.beginSnapshot()
      const pages: Uint8Array[] = []
      const copy = (max: number): void => {
        for (let n = 0; n < max; n++) {
          const page = new Uint8Array(PAGE_BYTES)
          if (!snapshot.copyNext(page)) return
          pages.push(page)
        }
      }
      copy(pagesFirst)
      for (let at = 0; at < after.length; at += 5) {
        foldSlice(featurizer, after.slice(at, at + 5))
        copy(7)
      }
      copy(Number.POSITIVE_INFINITY)
      const other = new StateMemory()
      const restored = new Featurizer({ spec, memory: other, counters: COUNTERS })
      let next = 0
      other.restore(snapshot.regions, (target) => target.set(pages[next++]!))
      assert.equal(restored.layout.specHash, featurizer.layout.specHash)
      assert.equal(other.hash(), hash)
    }),
    { numRuns: 15 },
  )
})

test('an outcome changes its own event where two of a merchant have time and amount in common', () => {
  const featurizer = new Featurizer({ spec: FLAGGED_SPEC, memory: new StateMemory() })
  const column = featurizer.layout.currentColumns.findIndex(({ name }) => name === 'merchant_declined_count_1h')
  const at = Date.UTC(2026, 0, 1)
  const event = (id: string, card: string, fields: object): StreamItem => ({
    kind: 'transaction',
    transaction: transactionOf({ transaction_id: id, card_id: card, event_time: at, ...fields }),
  })
  const items = [
    event('a', 'card-a', {}),
    event('b', 'card-b', {}),
    event('oa', 'card-a', { kind: 'outcome', original_id: 'a', response_code: '05' }),
    event('ob', 'card-b', { kind: 'outcome', original_id: 'b', response_code: '00' }),
    event('c', 'card-c', { event_time: at + 1 }),
  ]
  assert.equal(foldSlice(featurizer, items).current[4 * featurizer.layout.currentWidth + column], 1)
})
