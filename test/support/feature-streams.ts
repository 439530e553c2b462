import fc from 'fast-check'
import { createFeatureBuffers, type FeatureBuffers } from '#models/feature-buffers.ts'
import type { Featurizer } from '#models/features/featurizer.ts'
import { EventColumns, writeLabel, writeTransaction } from '#schemas/event-columns.ts'
import {
  AGGREGATES,
  type FeatureSpec,
  HABIT_FEATURES,
  HISTORY_FEATURES,
  parseFeatureSpec,
  RAW_FEATURES,
  WINDOWS_MS,
  type WindowName,
} from '#schemas/feature-spec.ts'
import type { Label } from '#schemas/label.ts'
import { TRANSACTION_DEFAULTS, type Transaction } from '#schemas/transaction.ts'
import { labelOf } from '#test/support/transactions.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS
const WINDOW_NAMES = Object.keys(WINDOWS_MS) as WindowName[]

/** What is folded, in order of arrival. */
export type StreamItem =
  | { readonly kind: 'transaction'; readonly transaction: Transaction }
  | { readonly kind: 'label'; readonly label: Label }

interface Step {
  readonly what: 'authorization' | 'verification' | 'refund' | 'reversal' | 'outcome' | 'label'
  /** Moves the stream's time forward. */
  readonly forwardMs: number
  /** How late this event is. */
  readonly lateMs: number
  /** Which earlier event a reversal, outcome or label speaks of, counted back. */
  readonly back: number
  readonly card: number
  readonly merchant: number
  readonly device: number
  readonly amount: number
  readonly detail: number
}

const anyStep: fc.Arbitrary<Step> = fc.record({
  what: fc.constantFrom(
    'authorization',
    'authorization',
    'authorization',
    'authorization',
    'authorization',
    'verification',
    'refund',
    'reversal',
    'outcome',
    'label',
  ),
  forwardMs: fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(0, 1, MINUTE_MS, 10 * MINUTE_MS, HOUR_MS, DAY_MS) },
    { weight: 6, arbitrary: fc.integer({ min: 0, max: 2 * HOUR_MS }) },
    { weight: 2, arbitrary: fc.integer({ min: 0, max: 9 * DAY_MS }) },
    { weight: 1, arbitrary: fc.constantFrom(31 * DAY_MS, 90 * DAY_MS, 91 * DAY_MS) },
  ),
  lateMs: fc.oneof(
    { weight: 8, arbitrary: fc.constant(0) },
    { weight: 2, arbitrary: fc.integer({ min: 1, max: 6 * HOUR_MS }) },
    { weight: 1, arbitrary: fc.integer({ min: 1, max: 40 * DAY_MS }) },
  ),
  back: fc.integer({ min: 1, max: 12 }),
  card: fc.integer({ min: 0, max: 2 }),
  merchant: fc.integer({ min: 0, max: 3 }),
  device: fc.integer({ min: 0, max: 2 }),
  amount: fc.constantFrom(0, 100, 100, 499, 500, 2_500, 10_000, 123_456),
  detail: fc.nat(1_000),
})

/** Few cards, merchants and devices, so that everything meets: late events, ties, corrections, labels, idle times. */
export const anyStream: fc.Arbitrary<readonly StreamItem[]> = fc
  .array(anyStep, { minLength: 1, maxLength: 60 })
  .map(streamOf)

function streamOf(steps: readonly Step[]): StreamItem[] {
  const inputs: StreamItem[] = []
  const earlier: Transaction[] = []
  let nowMs = Date.UTC(2026, 0, 5)
  for (const [i, step] of steps.entries()) {
    nowMs += step.forwardMs
    const original = earlier.at(-step.back) ?? earlier[0]
    if (step.what === 'label') {
      if (original !== undefined) inputs.push({ kind: 'label', label: labelFor(original, step, nowMs) })
      continue
    }
    const isAboutEarlier = step.what === 'reversal' || step.what === 'outcome'
    if (isAboutEarlier && original === undefined) continue
    const transaction: Transaction = {
      ...(isAboutEarlier ? original! : eventOf(step)),
      transaction_id: `t${i}`,
      kind: step.what,
      event_time: nowMs - step.lateMs,
      original_id: original?.transaction_id ?? '',
    }
    const amount = step.what === 'verification' ? 0 : step.what === 'reversal' ? step.amount : transaction.amount
    const answer = step.what === 'reversal' ? '' : RESPONSES[step.detail % RESPONSES.length]!
    inputs.push({ kind: 'transaction', transaction: { ...transaction, amount, response_code: answer } })
    if (!isAboutEarlier) earlier.push({ ...transaction, amount })
  }
  return inputs
}

const RESPONSES = ['', '', '00', '05'] as const

function eventOf({ card, merchant, device, amount, detail }: Step): Transaction {
  return {
    ...TRANSACTION_DEFAULTS,
    transaction_id: '',
    event_time: 0,
    card_id: `card-${card}`,
    account_id: card === 0 ? '' : 'account',
    merchant_id: merchant === 0 ? '' : `merchant-${merchant}`,
    device_id: device === 0 ? '' : `device-${device}`,
    bin: `bin-${card % 2}`,
    merchant_category: detail % 5 === 0 ? '' : `50${detail % 7}`,
    merchant_country: detail % 3 === 0 ? 'DE' : detail % 3 === 1 ? 'FR' : '',
    country: 'DE',
    amount,
    currency: detail % 11 === 0 ? 'USD' : 'EUR',
    channel: detail % 2 === 0 ? 'ECOM' : 'POS',
    entry_mode: detail % 2 === 0 ? 'ECOM' : 'CONTACTLESS',
    latitude: detail % 4 === 0 ? (detail % 60) + 0.5 : null,
    longitude: detail % 4 === 0 ? (detail % 90) - 0.25 : null,
    avs: detail % 6 === 0 ? 'N' : 'Y',
    cvv: detail % 6 === 1 ? 'N' : 'M',
    three_ds: detail % 6 === 2 ? 'R' : '',
    recurring: detail % 9 === 0,
  }
}

function labelFor(of: Transaction, { detail }: Step, nowMs: number): Label {
  return labelOf({
    transaction_id: of.transaction_id,
    card_id: of.card_id,
    merchant_id: of.merchant_id,
    event_time: of.event_time,
    fraud: detail % 3 !== 0,
    type: detail % 7 === 0 ? 'service_dispute' : 'card_not_present',
    known_at: nowMs,
  })
}

const anyWindows = fc.uniqueArray(fc.constantFrom(...WINDOW_NAMES), { minLength: 1, maxLength: 4 })
const anyFigure = fc.record({ aggregate: fc.constantFrom(...AGGREGATES), windows: anyWindows }).map((figure) => ({
  ...figure,
  windows: figure.aggregate === 'distinct' ? (['1h', '1d'] as WindowName[]) : figure.windows,
}))
const anyFigures = fc.uniqueArray(anyFigure, { maxLength: 5, selector: ({ aggregate }) => aggregate })
const anyKnown = fc.subarray(['1d', '7d', '30d'] as WindowName[])
const namedEntity = (name: string, fields: readonly string[], known: fc.Arbitrary<WindowName[]>) =>
  fc.record({ name: fc.constant(name), fields: fc.constant(fields), figures: anyFigures, knownFraudWindows: known })

/** Any spec with a card, and any of the other entities; one of them with two fields in its key. */
export const anySpec: fc.Arbitrary<FeatureSpec> = fc
  .record({
    historyLength: fc.integer({ min: 1, max: 9 }),
    historyFeatures: fc.subarray([...HISTORY_FEATURES], { minLength: 1 }),
    raw: fc.subarray([...RAW_FEATURES]),
    habit: fc.subarray([...HABIT_FEATURES]),
    lateHours: fc.constantFrom(1, 24),
    idleDays: fc.constantFrom(31, 90),
    card: namedEntity('card', ['card_id'], anyKnown),
    others: fc
      .tuple(
        namedEntity('account', ['account_id'], fc.constant([])),
        namedEntity('merchant', ['merchant_id'], anyKnown),
        namedEntity('device', ['device_id'], anyKnown),
        namedEntity('bin_merchant', ['bin', 'merchant_id'], fc.constant([])),
      )
      .chain((all) => fc.subarray(all as { readonly name: string }[])),
  })
  .map(({ card, others, ...rest }) =>
    parseFeatureSpec({ name: 'any', version: 1, ...rest, entities: [card, ...others] }, 'any'),
  )

/** Items in columns, ready to be folded. */
export function columnsOf(items: readonly StreamItem[]): EventColumns {
  const events = new EventColumns(Math.max(1, items.length))
  events.count = items.length
  for (const [row, item] of items.entries()) {
    if (item.kind === 'label') writeLabel(events, row, item.label)
    else writeTransaction(events, row, item.transaction, item.transaction.amount)
  }
  return events
}

/** Folds items as one slice; gives the buffers they were written into. */
export function foldSlice(featurizer: Featurizer, items: readonly StreamItem[]): FeatureBuffers {
  const events = columnsOf(items)
  const out = createFeatureBuffers(featurizer.layout, events.capacity)
  featurizer.fold(events, new Uint8Array(events.capacity), out)
  featurizer.endSlice()
  return out
}
