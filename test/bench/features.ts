import { StateMemory } from '#infra/state-memory.ts'
import { createFeatureBuffers } from '#models/feature-buffers.ts'
import { Featurizer } from '#models/features/featurizer.ts'
import { EventColumns, writeTransaction } from '#schemas/event-columns.ts'
import type { FeatureSpec } from '#schemas/feature-spec.ts'
import { TRANSACTION_DEFAULTS, type Transaction } from '#schemas/transaction.ts'

export interface FeatureLoad {
  readonly cards: number
  readonly merchants: number
  readonly events: number
  /** Stream time that the events span. */
  readonly days: number
}

const SLICE_ROWS = 1_024

/** Events a second through the features alone, and state bytes a card, on plain cards with evenly spread events. */
export function benchFeatures(spec: FeatureSpec, load: FeatureLoad): Record<string, number> {
  const memory = new StateMemory()
  const featurizer = new Featurizer({ spec, memory })
  const events = new EventColumns(SLICE_ROWS)
  const outcome = new Uint8Array(SLICE_ROWS)
  const out = createFeatureBuffers(featurizer.layout, SLICE_ROWS)
  const next = eventMaker(load)
  let foldNs = 0n
  for (let done = 0; done < load.events; done += SLICE_ROWS) {
    events.count = Math.min(SLICE_ROWS, load.events - done)
    for (let row = 0; row < events.count; row++) {
      const transaction = next(done + row)
      writeTransaction(events, row, transaction, transaction.amount)
    }
    const started = process.hrtime.bigint()
    featurizer.fold(events, outcome, out)
    featurizer.endSlice()
    foldNs += process.hrtime.bigint() - started
  }
  const seconds = Number(foldNs) / 1e9
  return {
    events: load.events,
    seconds,
    eventsPerSecond: Math.round(load.events / seconds),
    stateBytes: memory.byteLength,
    stateBytesPerCard: Math.round(memory.byteLength / load.cards),
    rssBytes: process.memoryUsage().rss,
  }
}

/** A plain world: every card equally busy, merchants drawn evenly, time going on evenly. */
export function eventMaker({ cards, merchants, events, days }: FeatureLoad): (n: number) => Transaction {
  const startMs = Date.UTC(2026, 0, 1)
  const stepMs = (days * 86_400_000) / events
  let state = 1
  const random = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
  // Made once and flat, as decoded strings are: a fresh concatenation would be measured with every first look at it.
  const ids = (prefix: string, count: number): string[] =>
    Array.from({ length: count }, (_, i) => Buffer.from(prefix + i).toString())
  const cardIds = ids('tk_card_', cards)
  const accountIds = ids('account_', cards)
  const merchantIds = ids('merchant_', merchants)
  const deviceIds = ids('device_', cards)
  const addresses = ids('10.1.', 4_000)
  const categories = ids('50', 13)
  return (n) => {
    const card = Math.floor(random() * cards)
    const merchant = Math.floor(random() * merchants)
    const isOnline = random() < 0.3
    return {
      ...TRANSACTION_DEFAULTS,
      transaction_id: n.toString(36) + state.toString(36),
      event_time: Math.floor(startMs + n * stepMs),
      card_id: cardIds[card]!,
      account_id: accountIds[card]!,
      merchant_id: merchantIds[merchant]!,
      terminal_id: merchantIds[merchant]!,
      merchant_category: categories[merchant % 13]!,
      amount: 100 + Math.floor(random() * 10_000),
      currency: 'EUR',
      country: 'DE',
      merchant_country: 'DE',
      channel: isOnline ? 'ECOM' : 'POS',
      entry_mode: isOnline ? 'ECOM' : 'CONTACTLESS',
      device_id: isOnline ? deviceIds[card]! : '',
      ip_prefix: isOnline ? addresses[card % 4_000]! : '',
      bin: '411111',
    }
  }
}
