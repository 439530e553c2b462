import type { TextField } from './transaction.ts'

/** Which events a rule's counter counts. */
export const COUNTER_FILTERS = ['all', 'declined', 'approved', 'small', 'refund'] as const
export type CounterFilter = (typeof COUNTER_FILTERS)[number]

/** What a rule's counter gives over the window, the current event included. */
export const COUNTER_AGGREGATES = ['count', 'sum', 'distinct_cards', 'distinct_merchants'] as const
export type CounterAggregate = (typeof COUNTER_AGGREGATES)[number]

/**
 * A window figure that a rule declares for itself, as `count(device_id, 10m, declined)`. It is warming until one window
 * has passed since it was first declared.
 */
export interface CounterSpec {
  readonly aggregate: CounterAggregate
  /** Key of the window: one field, or several joined (`bin` x `merchant_id`). */
  readonly fields: readonly TextField[]
  readonly windowMs: number
  readonly filter: CounterFilter
}

/** The one way to write a counter, used as its name in state, evidence and messages. */
export function counterName(counter: CounterSpec): string {
  return `${counter.aggregate}(${counter.fields.join(' x ')}, ${counter.windowMs}ms, ${counter.filter})`
}
