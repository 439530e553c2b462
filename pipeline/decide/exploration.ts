import { createHmac } from 'node:crypto'

/** Lets a share of events through against the threshold, so that labels are not only those the model asked for. */
export interface Exploration {
  /** Share of events below the review threshold that are reviewed all the same. */
  readonly reviewShare: number
  /** Share of events above the decline threshold that are approved all the same. */
  readonly approveShare: number
  /** Never for more than this, minor units of the base currency. */
  readonly approveAmountMax: number
  readonly seed: string
}

/** Uniform in [0, 1), from the seed and the transaction alone: a replay picks the same events. */
export function explorationDraw(seed: string, transactionId: string): number {
  return createHmac('sha256', seed).update(transactionId).digest().readUInt32BE(0) / 2 ** 32
}
