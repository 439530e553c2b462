export const PRESETS = ['demo', 'default', 'eea'] as const
export type Preset = (typeof PRESETS)[number]

/** How big the world is and how much of it is fraud. */
export interface WorldSize {
  readonly accounts: number
  readonly merchants: number
  /** All transactions of the world, of every kind; labels not counted. */
  readonly eventsPerDay: number
  /** Approved fraud over all approved authorizations, by count. */
  readonly fraudByCount: number
  /** The same by value in the base currency. */
  readonly fraudByValue: number
  /** Cards in one ring. */
  readonly ringCards: readonly [number, number]
}

/**
 * `demo`: 200,000 events span 120 days, and fraud is raised to 0.5 % so that every tactic occurs. `eea`: the two rates
 * published for cards of the European Economic Area in 2023.
 */
export const WORLD_SIZES: Readonly<Record<Preset, WorldSize>> = {
  demo: {
    accounts: 2_000,
    merchants: 800,
    eventsPerDay: 1_667,
    fraudByCount: 0.005,
    fraudByValue: 0.0125,
    ringCards: [20, 26],
  },
  default: {
    accounts: 50_000,
    merchants: 8_000,
    eventsPerDay: 40_000,
    fraudByCount: 0.001,
    fraudByValue: 0.0025,
    ringCards: [20, 60],
  },
  eea: {
    accounts: 50_000,
    merchants: 8_000,
    eventsPerDay: 40_000,
    fraudByCount: 0.00015,
    fraudByValue: 0.00031,
    ringCards: [20, 26],
  },
}
