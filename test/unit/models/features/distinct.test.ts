import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { StateMemory } from '#infra/state-memory.ts'
import { Featurizer } from '#models/features/featurizer.ts'
import { parseFeatureSpec } from '#schemas/feature-spec.ts'
import type { Transaction } from '#schemas/transaction.ts'
import { FeatureOracle } from '#test/support/feature-oracle.ts'
import { columnsOf, foldSlice, type StreamItem } from '#test/support/feature-streams.ts'
import { transactionOf } from '#test/support/transactions.ts'

const MINUTE_MS = 60_000
const SPEC = parseFeatureSpec(
  {
    name: 'busy',
    version: 1,
    historyLength: 1,
    historyFeatures: ['log_amount'],
    raw: ['log_amount'],
    habit: [],
    entities: [
      { name: 'card', fields: ['card_id'], figures: [{ aggregate: 'distinct', windows: ['1h', '1d'] }] },
      {
        name: 'merchant',
        fields: ['merchant_id'],
        figures: [
          { aggregate: 'distinct', windows: ['10m', '1h', '1d'] },
          { aggregate: 'declined_count', windows: ['1d'] },
        ],
      },
    ],
  },
  'test',
)

/** Two busy merchants and a busy card: many events a day, some late, taken back, or refunds; ties in time. */
const anyBusyStream = fc
  .array(
    fc.record({
      gapMs: fc.oneof(
        { weight: 8, arbitrary: fc.integer({ min: 0, max: 3 * MINUTE_MS }) },
        { weight: 2, arbitrary: fc.constant(0) },
        { weight: 1, arbitrary: fc.integer({ min: 0, max: 200 * MINUTE_MS }) },
      ),
      lateMs: fc.oneof(
        { weight: 8, arbitrary: fc.constant(0) },
        { weight: 1, arbitrary: fc.integer({ min: 1, max: 400 * MINUTE_MS }) },
      ),
      what: fc.constantFrom('authorization', 'authorization', 'authorization', 'authorization', 'reversal', 'refund'),
      card: fc.oneof(fc.constant(0), fc.nat(12)),
      merchant: fc.oneof({ weight: 3, arbitrary: fc.constant(1) }, { weight: 1, arbitrary: fc.nat(9) }),
      back: fc.integer({ min: 1, max: 40 }),
    }),
    { minLength: 150, maxLength: 260, size: 'max' },
  )
  .map((steps): StreamItem[] => {
    let nowMs = Date.UTC(2026, 0, 5)
    const earlier: Transaction[] = []
    return steps.map(({ gapMs, lateMs, what, card, merchant, back }, i) => {
      nowMs += gapMs
      const original = earlier.at(-back)
      const fields = { transaction_id: `t${i}`, event_time: nowMs - lateMs }
      if (what === 'reversal' && original !== undefined) {
        const about = { kind: what, original_id: original.transaction_id } as const
        return { kind: 'transaction', transaction: { ...original, ...fields, ...about } }
      }
      const ids = { card_id: `card-${card}`, merchant_id: merchant === 0 ? '' : `merchant-${merchant}` }
      const kind = what === 'refund' ? what : 'authorization'
      const transaction = transactionOf({ ...fields, ...ids, kind, amount: 100 + (i % 3) })
      if (kind === 'authorization') earlier.push(transaction)
      return { kind: 'transaction', transaction }
    })
  })

test('distinct parties of busy entities are counted exactly, late events and reversals included', () => {
  fc.assert(
    fc.property(anyBusyStream, (items) => {
      const featurizer = new Featurizer({ spec: SPEC, memory: new StateMemory() })
      const { currentColumns, currentWidth } = featurizer.layout
      const out = foldSlice(featurizer, items)
      const events = columnsOf(items)
      const oracle = new FeatureOracle(SPEC)
      for (let row = 0; row < items.length; row++) {
        const expected = oracle.fold(events, row)
        if (expected === null) continue
        for (const [at, { name }] of currentColumns.entries()) {
          if (!/_(cards|merchants)_/.test(name)) continue
          assert.equal(out.current[row * currentWidth + at], expected.get(name), `row ${row}, ${name}`)
        }
      }
    }),
    { numRuns: 40 },
  )
})

test('what is remembered of busy entities is let go when they are idle', () => {
  const memory = new StateMemory()
  const featurizer = new Featurizer({ spec: SPEC, memory })
  const round = (day: number): StreamItem[] =>
    Array.from({ length: 5_000 }, (_, i) => ({
      kind: 'transaction',
      transaction: transactionOf({
        transaction_id: `t${day}-${i}`,
        card_id: `card-${day}-${i}`,
        event_time: Date.UTC(2026, 0, day) + i * 1_000,
      }),
    }))
  const bytes = [1, 120, 240, 360].map((day) => {
    const out = foldSlice(featurizer, round(day))
    const at = featurizer.layout.currentColumns.findIndex(({ name }) => name === 'merchant_cards_1d')
    assert.equal(out.current[4_999 * featurizer.layout.currentWidth + at], 5_000)
    for (let i = 0; i < 100; i++) featurizer.endSlice()
    return memory.byteLength
  })
  assert.ok(bytes[3]! <= bytes[1]!, `state grows: ${bytes.join(', ')} bytes`)
})
