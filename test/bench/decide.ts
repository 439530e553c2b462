import { readFileSync } from 'node:fs'
import { assetPath } from '#infra/assets.ts'
import { layoutOf } from '#models/features/layout.ts'
import { AlertBook } from '#pipeline/decide/alert-book.ts'
import { createDecide } from '#pipeline/decide/decide.ts'
import { type ListEntry, Lists } from '#pipeline/decide/lists.ts'
import { compileRules } from '#pipeline/decide/rules/rule-set.ts'
import { ACCEPTED, type Decided, reached, type Scored, SliceBuffers } from '#pipeline/slice.ts'
import { writeTransaction } from '#schemas/event-columns.ts'
import type { FeatureSpec } from '#schemas/feature-spec.ts'
import { eventMaker } from './features.ts'

export interface DecideFigures {
  readonly events: number
  readonly rules: number
  readonly listEntries: number
  readonly alerts: number
  readonly seconds: number
  readonly eventsPerSecond: number
  readonly nsPerEvent: number
}

const SLICE_ROWS = 1_024
const SLICES = 64
const LIST_ENTRIES = 100_000
const CARDS = 50_000
const WARM_UP_ROUNDS = 2
/** About the share of events that a review threshold lets through. */
const FLAGGED_SHARE = 0.002

/** Events a second through the shipped rules, lists and threshold alone, alerts included, on prepared slices. */
export function benchDecide(spec: FeatureSpec, events: number): DecideFigures {
  const layout = layoutOf(spec)
  const lists = new Lists(Array.from({ length: LIST_ENTRIES }, (_, i) => entryOf(i)))
  const text = readFileSync(assetPath('pipeline/decide/rules.default.yaml'), 'utf8')
  const rules = compileRules(text, 'rules.default.yaml', { layout, lists: () => lists })
  const threshold = { mode: 'fixed', review: 1 - FLAGGED_SHARE, decline: null } as const
  const decide = createDecide({ rules, lists, threshold, exploration: null }, new AlertBook(500, 0.3), layout.specHash)
  const slices = preparedSlices(layout, rules.counters.length)
  const run = (n: number): Decided => {
    const slice = slices[n % SLICES]!
    slice.line = n
    slice.clock += SLICES * 1_000
    return decide(slice)
  }
  for (let n = 0; n < WARM_UP_ROUNDS * SLICES; n++) run(n)
  const count = Math.max(1, Math.ceil(events / SLICE_ROWS))
  let alerts = 0
  const started = process.hrtime.bigint()
  for (let n = 0; n < count; n++) alerts += run(n).alerts.length
  const ns = Number(process.hrtime.bigint() - started)
  const done = count * SLICE_ROWS
  return {
    events: done,
    rules: rules.rules.length,
    listEntries: LIST_ENTRIES,
    alerts,
    seconds: ns / 1e9,
    eventsPerSecond: Math.round((done * 1e9) / ns),
    nsPerEvent: Math.round(ns / done),
  }
}

/** Entries that no event has, in all deciding lists and over several fields: the usual case is a look-up in vain. */
function entryOf(i: number): ListEntry {
  const list = ['block', 'allow', 'watch'][i % 3]!
  const field = (['card_id', 'merchant_id', 'device_id'] as const)[Math.floor(i / 3) % 3]!
  return { list, field, value: `listed_${i}`, reason: '', author: '' }
}

function preparedSlices(layout: ReturnType<typeof layoutOf>, counterCount: number): Scored[] {
  const next = eventMaker({ cards: CARDS, merchants: 5_000, events: SLICES * SLICE_ROWS, days: 1 })
  let state = 1
  const random = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
  return Array.from({ length: SLICES }, (_, n) => {
    const slice = new SliceBuffers(SLICE_ROWS, layout)
    slice.count = SLICE_ROWS
    slice.clock = Date.UTC(2026, 0, 1) + n * 1_000
    slice.features.counterCount = counterCount
    // Warm counters with nothing in them: no rule stops short, few match.
    slice.features.counters = new Float64Array(SLICE_ROWS * counterCount)
    for (let row = 0; row < SLICE_ROWS; row++) {
      const transaction = next(n * SLICE_ROWS + row)
      writeTransaction(slice.events, row, transaction, transaction.amount)
      slice.outcome[row] = ACCEPTED
      slice.score[row] = random()
      slice.scoredRows[row] = row
    }
    slice.scoredCount = SLICE_ROWS
    return reached<Scored>(slice)
  })
}
