import type { FeatureLayout } from '#models/feature-buffers.ts'

/** Two past events of two numbers, three numbers for the current one. */
export const TINY_LAYOUT: FeatureLayout = {
  specName: 'tiny',
  specHash: 'tiny',
  historyLength: 2,
  historyWidth: 2,
  historyColumns: [
    { name: 'log_amount', group: 'past_events', unit: 'log minor units' },
    { name: 'log_gap', group: 'past_events', unit: 'log ms' },
  ],
  currentWidth: 3,
  currentColumns: [
    { name: 'log_amount', group: 'amount_habit', unit: 'log minor units' },
    { name: 'card_count_1h', group: 'card_velocity', unit: 'count' },
    { name: 'hour_sin', group: 'time', unit: 'sine' },
  ],
}
