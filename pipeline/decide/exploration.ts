import { createHmac } from 'node:crypto'
import type { Decision } from '#schemas/decision.ts'

/** Lets a share of events through against the threshold, so that labels are not only those the model asked for. */
export interface Exploration {
  /** Share of events below the review threshold that are reviewed all the same. */
  readonly reviewShare: number
  /** Share of events above the decline threshold that are approved all the same. */
  readonly approveShare: number
  /** No more than this in one day in all, minor units of the base currency. */
  readonly lossMaxPerDay: number
  readonly seed: string
}

const DAY_MS = 86_400_000
const SEED_PURPOSE = 'weir exploration seed'

/** Uniform in [0, 1), from the seed and the transaction alone: a replay picks the same events. */
export function explorationDraw(seed: string, transactionId: string): number {
  return createHmac('sha256', seed).update(transactionId).digest().readUInt32BE(0) / 2 ** 32
}

/** The configured seed; without one, one that only the holder of the token key can work out. */
export function explorationSeed(configured: string, derive: (purpose: string) => string): string {
  return configured === '' ? derive(SEED_PURPOSE) : configured
}

/**
 * How much was let through today against the decline threshold. A day is one of the journal's clock, in UTC. What is
 * held follows from the decisions alone, so it is rebuilt from the committed ones.
 */
export class ExplorationBook {
  private day = -1
  /** Minor units of the base currency. */
  private spent = 0

  /** Takes the amount from what is left of the day; false, and nothing is taken, where that is less. */
  take(clock: number, amountBase: number, lossMaxPerDay: number): boolean {
    this.turnTo(clock)
    if (this.spent + amountBase > lossMaxPerDay) return false
    this.spent += amountBase
    return true
  }

  /** Takes over a committed decision as it was, whatever the limit is today. */
  fold({ explored, verdict, scored_at, amount_base }: ExploredDecision): void {
    if (explored === null || verdict !== 'approve') return
    this.turnTo(scored_at)
    this.spent += amount_base
  }

  snapshot(): unknown {
    return { day: this.day, spent: this.spent }
  }

  restore(snapshot: unknown): void {
    const { day, spent } = snapshot as { readonly day: number; readonly spent: number }
    this.day = day
    this.spent = spent
  }

  /** Lines come in order of their clock: a day that is over does not come again. */
  private turnTo(clock: number): void {
    const day = Math.floor(clock / DAY_MS)
    if (day === this.day) return
    this.day = day
    this.spent = 0
  }
}

export type ExploredDecision = Pick<Decision, 'explored' | 'verdict' | 'scored_at' | 'amount_base'>
