import type { FeatureLoad } from './features.ts'

/** What an ordinary card does. */
export const CARD_EVENTS = 60
export const CARD_DAYS = 30

/** A world whose cards make `CARD_EVENTS` in `CARD_DAYS`, over so many events. */
export function ordinaryLoad(cards: number, merchants: number, events: number): FeatureLoad {
  return { cards, merchants, events, days: (events / (cards * CARD_EVENTS)) * CARD_DAYS }
}
