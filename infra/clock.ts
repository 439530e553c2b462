/** Wall time as a value that is handed in. */
export interface Clock {
  /** Epoch milliseconds. */
  now(): number
}

export const wallClock: Clock = { now: () => Date.now() }
