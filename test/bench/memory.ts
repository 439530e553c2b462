import type { FeatureSpec } from '#schemas/feature-spec.ts'
import { benchFeatures } from './features.ts'
import { CARD_DAYS, CARD_EVENTS } from './ordinary-load.ts'

/** An ordinary card is measured on fewer of them: a million with 60 events each would take a quarter of an hour. */
const ORDINARY_CARDS = 50_000
const CARDS_PER_MERCHANT = 10

export interface MemoryFigures {
  readonly spec: string
  /** Cards with their 60 events in 30 days; merchants, devices and addresses of theirs are in the bytes, too. */
  readonly ordinaryCards: number
  readonly ordinaryEventsPerCard: number
  readonly ordinaryBytesPerCard: number
  /** The large population, and how many events each of its cards really had. */
  readonly cards: number
  readonly eventsPerCard: number
  readonly bytesPerCard: number
  readonly stateBytes: number
  /** Of the process at the end and at the start; the ids that the events are made of are in the former, too. */
  readonly rssBytes: number
  readonly rssBytesAtStart: number
  readonly eventsPerSecond: number
}

/** What the folded state weighs: a large population first, as many events as asked for, then ordinary cards in full. */
export function benchMemory(spec: FeatureSpec, cards: number, events: number): MemoryFigures {
  const rssBytesAtStart = process.memoryUsage().rss
  const merchants = (count: number): number => Math.max(1, Math.round(count / CARDS_PER_MERCHANT))
  const large = benchFeatures(spec, { cards, merchants: merchants(cards), events, days: CARD_DAYS })
  const ordinaryCards = Math.min(cards, ORDINARY_CARDS)
  const ordinary = benchFeatures(spec, {
    cards: ordinaryCards,
    merchants: merchants(ordinaryCards),
    events: ordinaryCards * CARD_EVENTS,
    days: CARD_DAYS,
  })
  return {
    spec: spec.name,
    ordinaryCards,
    ordinaryEventsPerCard: CARD_EVENTS,
    ordinaryBytesPerCard: ordinary['stateBytesPerCard']!,
    cards,
    eventsPerCard: Number((events / cards).toFixed(2)),
    bytesPerCard: large['stateBytesPerCard']!,
    stateBytes: large['stateBytes']!,
    rssBytes: large['rssBytes']!,
    rssBytesAtStart,
    eventsPerSecond: large['eventsPerSecond']!,
  }
}
