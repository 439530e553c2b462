import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { PAGE_BYTES, StateMemory } from '#infra/state-memory.ts'
import { createFeatureBuffers } from '#models/feature-buffers.ts'
import { Featurizer } from '#models/features/featurizer.ts'
import { loadFeatureSpec } from '#models/features/shipped-specs.ts'
import { EventColumns, isScoredKind, writeLabel, writeTransaction } from '#schemas/event-columns.ts'
import { type FeatureSpec, parseFeatureSpec } from '#schemas/feature-spec.ts'
import type { Label } from '#schemas/label.ts'
import type { Transaction } from '#schemas/transaction.ts'
import { FeatureOracle } from '#test/support/feature-oracle.ts'
import { labelOf, transactionOf } from '#test/support/transactions.ts'

const SPECS = new URL('../../../../models/features/specs', import.meta.url).pathname
const shipped = { lean: loadFeatureSpec('lean', SPECS), default: loadFeatureSpec('default', SPECS) }
const START = Date.UTC(2026, 0, 1)

type Item = { readonly transaction: Transaction } | { readonly label: Label }

/** Few keys, so that windows fill; times that jump, stand still and go back; every kind of event. */
const step = fc.record({
  jumpMs: fc.oneof(
    { weight: 6, arbitrary: fc.integer({ min: 0, max: 200_000 }) },
    { weight: 2, arbitrary: fc.integer({ min: 0, max: 90_000_000 }) },
    { weight: 1, arbitrary: fc.integer({ min: 0, max: 95 * 86_400_000 }) },
    { weight: 1, arbitrary: fc.constant(0) },
  ),
  lateMs: fc.oneof(
    { weight: 5, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.integer({ min: 1, max: 40_000_000 }) },
    { weight: 1, arbitrary: fc.integer({ min: 1, max: 50 * 86_400_000 }) },
  ),
  what: fc.constantFrom(
    'authorization',
    'authorization',
    'authorization',
    'verification',
    'refund',
    'reversal',
    'outcome',
    'label',
  ),
  card: fc.integer({ min: 0, max: 2 }),
  merchant: fc.integer({ min: 0, max: 3 }),
  device: fc.integer({ min: 0, max: 2 }),
  amount: fc.integer({ min: 0, max: 3_000 }),
  code: fc.constantFrom('', '', '00', '05'),
  back: fc.integer({ min: 0, max: 20 }),
  fraud: fc.boolean(),
  type: fc.constantFrom('card_not_present', 'service_dispute', 'first_party'),
})

const stream = fc.array(step, { minLength: 1, maxLength: 60 }).map((steps): Item[] => {
  let clock = START
  const sent: Transaction[] = []
  return steps.map((s, n): Item => {
    clock += s.jumpMs
    const original = sent.at(-1 - s.back)
    const fields = {
      transaction_id: `t${n}`,
      event_time: clock - s.lateMs,
      card_id: `card-${s.card}`,
      account_id: s.card === 2 ? '' : `account-${s.card >> 1}`,
      merchant_id: s.merchant === 3 ? '' : `merchant-${s.merchant}`,
      device_id: s.device === 0 ? '' : `device-${s.device}`,
      ip_prefix: s.device === 2 ? 'ip-1' : '',
      amount: s.amount,
      response_code: s.code,
    }
    if (s.what === 'label' && original !== undefined) {
      return {
        label: labelOf({
          transaction_id: original.transaction_id,
          card_id: original.card_id,
          merchant_id: original.merchant_id,
          event_time: original.event_time,
          fraud: s.fraud,
          type: s.type as Label['type'],
          known_at: clock,
        }),
      }
    }
    if ((s.what === 'reversal' || s.what === 'outcome') && original !== undefined) {
      const amount = s.what === 'reversal' && s.fraud ? Math.floor(original.amount / 2) : original.amount
      const code = s.code === '' ? '51' : s.code
      return {
        transaction: {
          ...original,
          transaction_id: `t${n}`,
          original_id: original.transaction_id,
          kind: s.what,
          amount,
          event_time: clock,
          response_code: code,
        },
      }
    }
    const kind = s.what === 'verification' || s.what === 'refund' ? s.what : 'authorization'
    const transaction = transactionOf({ ...fields, kind, ...(kind === 'verification' ? { amount: 0 } : {}) })
    sent.push(transaction)
    return { transaction }
  })
})

function columnsOf(items: readonly Item[]): EventColumns {
  const events = new EventColumns(items.length)
  events.count = items.length
  for (const [row, item] of items.entries()) {
    if ('label' in item) writeLabel(events, row, item.label)
    else writeTransaction(events, row, item.transaction, item.transaction.amount)
  }
  return events
}

interface Folded {
  readonly vectors: string[]
  readonly hash: string
}

/** Folds items in slices of the given sizes; after the slices named, the state goes through a snapshot into a fresh process. */
function foldSlices(
  spec: FeatureSpec,
  items: readonly Item[],
  sizes: readonly number[],
  restoreAfter: readonly number[] = [],
): Folded {
  let memory = new StateMemory()
  let featurizer = new Featurizer({ spec, memory })
  const vectors: string[] = []
  let at = 0
  for (let slice = 0; at < items.length; slice++) {
    const part = items.slice(at, at + Math.max(1, sizes[slice % sizes.length]!))
    at += part.length
    const events = columnsOf(part)
    const out = createFeatureBuffers(featurizer.layout, part.length)
    featurizer.fold(events, new Uint8Array(part.length), out)
    featurizer.endSlice()
    for (let row = 0; row < part.length; row++) {
      if (!isScoredKind(events.kind[row]!)) continue
      const { currentWidth, historyLength, historyWidth } = featurizer.layout
      const current = out.current.subarray(row * currentWidth, (row + 1) * currentWidth)
      const size = historyLength * historyWidth
      const history = out.history.subarray(row * size, (row + 1) * size)
      vectors.push(
        [out.historyLength[row], ...current, ...history, out.inputHashHi[row], out.inputHashLo[row]].join(','),
      )
    }
    if (restoreAfter.includes(slice)) {
      const snapshot = memory.beginSnapshot()
      const other = new StateMemory()
      const restored = new Featurizer({ spec, memory: other })
      other.restore(snapshot.regions, (target) => {
        const page = new Uint8Array(PAGE_BYTES)
        assert.ok(snapshot.copyNext(page))
        target.set(page)
      })
      memory = other
      featurizer = restored
    }
  }
  return { vectors, hash: memory.hash() }
}

for (const [name, spec] of Object.entries(shipped)) {
  test(`spec ${name}: windows, known fraud and usual amounts equal their definitions, computed anew for every event`, () => {
    fc.assert(
      fc.property(stream, (items) => {
        const events = columnsOf(items)
        const featurizer = new Featurizer({ spec, memory: new StateMemory() })
        const out = createFeatureBuffers(featurizer.layout, items.length)
        featurizer.fold(events, new Uint8Array(items.length), out)
        const oracle = new FeatureOracle(spec)
        for (let row = 0; row < items.length; row++) {
          const expected = oracle.fold(events, row)
          if (expected === null) continue
          for (const [at, { name }] of featurizer.layout.currentColumns.entries()) {
            const value = expected.get(name)
            if (value === undefined) continue
            assert.equal(
              out.current[row * featurizer.layout.currentWidth + at],
              Math.fround(value),
              `row ${row}, ${name}`,
            )
          }
        }
      }),
      { numRuns: 150 },
    )
  })

  test(`spec ${name}: any cut into slices and any restart gives the same vectors, the same slices the same state`, () => {
    const cuts = fc.array(fc.integer({ min: 1, max: 17 }), { minLength: 1, maxLength: 8 })
    fc.assert(
      fc.property(stream, cuts, fc.array(fc.nat(12), { maxLength: 3 }), (items, sizes, restarts) => {
        const whole = foldSlices(spec, items, [items.length])
        const cut = foldSlices(spec, items, sizes)
        const restarted = foldSlices(spec, items, sizes, restarts)
        assert.deepEqual(cut.vectors, whole.vectors)
        assert.deepEqual(restarted.vectors, whole.vectors)
        assert.equal(restarted.hash, cut.hash)
      }),
      { numRuns: 15 },
    )
  })
}

test('every column of the shipped specs is written and none is ever NaN', () => {
  fc.assert(
    fc.property(stream, (items) => {
      const events = columnsOf(items)
      const featurizer = new Featurizer({ spec: shipped.default, memory: new StateMemory() })
      const out = createFeatureBuffers(featurizer.layout, items.length)
      out.current.fill(Number.NaN)
      out.history.fill(Number.NaN)
      featurizer.fold(events, new Uint8Array(items.length), out)
      const { currentWidth, historyLength, historyWidth } = featurizer.layout
      for (let row = 0; row < items.length; row++) {
        if (!isScoredKind(events.kind[row]!)) continue
        const vector = out.current.subarray(row * currentWidth, (row + 1) * currentWidth)
        const size = historyLength * historyWidth
        assert.ok(vector.every((value) => Number.isFinite(value)))
        assert.ok(out.history.subarray(row * size, (row + 1) * size).every((value) => Number.isFinite(value)))
      }
    }),
    { numRuns: 50 },
  )
})

test('rows that were not accepted change nothing', () => {
  const items: Item[] = [
    { transaction: transactionOf({ transaction_id: 'a' }) },
    { transaction: transactionOf({ transaction_id: 'b' }) },
  ]
  const events = columnsOf(items)
  const memory = new StateMemory()
  const featurizer = new Featurizer({ spec: shipped.lean, memory })
  const before = memory.hash()
  featurizer.fold(events, Uint8Array.of(1, 2), createFeatureBuffers(featurizer.layout, 2))
  assert.equal(memory.hash(), before)
})

test('the layouts have the promised shapes and unique names', () => {
  const lean = new Featurizer({ spec: shipped.lean, memory: new StateMemory() }).layout
  const full = new Featurizer({ spec: shipped.default, memory: new StateMemory() }).layout
  assert.deepEqual([lean.historyLength, lean.historyWidth, lean.currentWidth], [16, 16, 24])
  assert.ok(full.historyWidth <= 24 && full.currentWidth <= 100)
  for (const layout of [lean, full]) {
    assert.equal(new Set(layout.currentColumns.map(({ name }) => name)).size, layout.currentWidth)
  }
})

test('an entity of joined fields needs no code', () => {
  const spec = parseFeatureSpec(
    {
      ...shipped.lean,
      entities: [
        ...shipped.lean.entities,
        { name: 'bin_merchant', fields: ['bin', 'merchant_id'], figures: [{ aggregate: 'distinct', windows: ['1h'] }] },
      ],
    },
    'test',
  )
  const featurizer = new Featurizer({ spec, memory: new StateMemory() })
  const at = featurizer.layout.currentColumns.findIndex(({ name }) => name === 'bin_merchant_cards_1h')
  const items = ['a', 'b', 'b', 'c'].map((card, n) => ({
    transaction: transactionOf({
      transaction_id: `t${n}`,
      card_id: card,
      bin: n === 3 ? 'other' : '411111',
      event_time: START + n,
    }),
  }))
  const out = createFeatureBuffers(featurizer.layout, 4)
  featurizer.fold(columnsOf(items), new Uint8Array(4), out)
  const cards = [0, 1, 2, 3].map((row) => out.current[row * featurizer.layout.currentWidth + at])
  assert.deepEqual(cards, [1, 2, 2, 1])
})
