import type { EventColumns } from '#schemas/event-columns.ts'
import { FRAUD_TYPES } from '#schemas/label.ts'
import { isDeclined } from '#schemas/transaction.ts'
import type { Original } from './counter-ring.ts'
import type { Counters } from './counters.ts'
import type { EntityStore } from './entity-store.ts'
import type { Habit } from './habit.ts'
import { hashKey, hashKeyOr } from './keys.ts'
import type { Entity, SpecEntities } from './spec-entities.ts'

const SERVICE_DISPUTE = FRAUD_TYPES.indexOf('service_dispute')

/** What comes later and changes an event that is in the windows already: reversals, answers, labels. */
export class Corrections {
  private readonly entities: SpecEntities
  private readonly counters: Counters
  private readonly habit: Habit

  constructor(entities: SpecEntities, counters: Counters, habit: Habit) {
    this.entities = entities
    this.counters = counters
    this.habit = habit
  }

  /** Takes the original out of every window it is in, or as much of its amount as was given back. */
  reverse(events: EventColumns, row: number, streamTimeMs: number): void {
    const found = this.findOriginal(events, row, streamTimeMs)
    if (found === null) return
    const back = events.amount_base[row]!
    const isWhole = back >= found.amount || back === 0
    this.counters.reverse(events, row, streamTimeMs, found, back)
    this.onEach(events, row, streamTimeMs, found, (entity, at) => {
      const { figures } = entity
      if (entity === this.entities.card) this.habit.usual?.forget(figures.store)
      if (isWhole) figures.remove(at)
      else if (figures.store.options.hasAmounts) figures.store.lowerAmount(at, back)
    })
  }

  /** Notes the answer that an event got. */
  answer(events: EventColumns, row: number, streamTimeMs: number): void {
    const found = this.findOriginal(events, row, streamTimeMs)
    if (found === null) return
    const declined = isDeclined(events.text.response_code.at(row))
    if (found.low === (declined ? 1 : 0)) return
    this.counters.answer(events, row, streamTimeMs, found, declined)
    this.onEach(events, row, streamTimeMs, { ...found, low: declined ? 0 : 1 }, ({ figures }, at) => {
      if (figures.store.options.hasFlags) figures.store.setLow(at, declined)
    })
  }

  /** Takes a label in for every entity that keeps them. */
  label(events: EventColumns, row: number, streamTimeMs: number): void {
    const isFraud = events.label_fraud[row] === 1 && events.label_type[row] !== SERVICE_DISPUTE
    const tag = events.hashLo.transaction_id[row]!
    const timeMs = events.event_time[row]!
    for (const entity of this.entities.all) {
      const { known, figures, hash } = entity
      if (known === null || entity === this.entities.device) continue
      if (!hashKey(hash, events, row, figures.spec.fields)) continue
      known.take(hash.hi, hash.lo, streamTimeMs, timeMs, tag, isFraud)
    }
    this.labelDevice(events, row, streamTimeMs, tag, isFraud)
  }

  /** A label names no device: it is found by the card's own row of that transaction, while the card still holds it. */
  private labelDevice(events: EventColumns, row: number, streamTimeMs: number, tag: number, isFraud: boolean): void {
    const { device, cardColumns } = this.entities
    if (device === null || device.known === null || cardColumns.device < 0) return
    const cards = this.openCard(events, row, streamTimeMs)
    if (cards === null) return
    const at = cards.rowOfTag(tag)
    const key = at < 0 ? 0 : cards.otherOf(at, cardColumns.device)
    const devices = device.figures.store
    if (key === 0 || !devices.openLow(key, streamTimeMs)) return
    device.known.take(devices.hashHi, devices.hashLo, streamTimeMs, events.event_time[row]!, tag, isFraud)
  }

  /** The original, from the card's own rows; null when the card no longer holds it. */
  private findOriginal(events: EventColumns, row: number, streamTimeMs: number): Original | null {
    const store = this.openCard(events, row, streamTimeMs)
    if (store === null) return null
    const at = store.rowOfTag(events.hashLo.original_id[row]!)
    if (at < 0) return null
    const { hasFlags } = store.options
    return {
      timeMs: store.timeOf(at),
      amount: store.amountOf(at),
      low: hasFlags ? store.lowFlagsIn(at, at + 1) : -1,
      high: hasFlags ? store.highFlagsIn(at, at + 1) : -1,
    }
  }

  private openCard(events: EventColumns, row: number, streamTimeMs: number): EntityStore | null {
    const { hash, figures } = this.entities.card
    if (!hashKey(hash, events, row, figures.spec.fields)) return null
    return figures.store.open(hash.hi, hash.lo, streamTimeMs) ? figures.store : null
  }

  /**
   * Every row of the original: the card's by its tag, the others' by time, amount, card and answer under the keys that
   * are repeated. Where two events have all of these in common, it does not matter which of them is changed.
   */
  private onEach(
    events: EventColumns,
    row: number,
    streamTimeMs: number,
    { timeMs, amount, low, high }: Original,
    change: (entity: Entity, at: number) => void,
  ): void {
    const { card } = this.entities
    const cardKey = card.hash.lo
    for (const entity of this.entities.all) {
      const { hash } = entity
      const { store, keys } = entity.figures
      if (!hashKeyOr(hash, events, row, keys.fields, keys.instead)) continue
      if (!store.open(hash.hi, hash.lo, streamTimeMs)) continue
      const at =
        entity === card
          ? store.rowOfTag(events.hashLo.original_id[row]!)
          : store.rowOfEvent(timeMs, amount, cardKey, low, high)
      if (at >= 0) change(entity, at)
    }
  }
}
