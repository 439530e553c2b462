import { z } from 'zod'
import { VERDICTS } from '#schemas/decision.ts'

const probability = z.number().min(0).max(1)

/** Money in minor units of the base currency; shares from 0 to 1. */
const costsShape = z.strictObject({
  /** Part of a fraud's amount that comes back. */
  recoveryShare: probability.default(0.2),
  /** Part of a fraud's amount that is ours to bear. */
  liabilityShare: probability.default(1),
  /** Part that is ours where 3-D Secure was passed (liability shift). */
  liabilityAfter3ds: probability.default(0.1),
  reviewCost: z.number().min(0).default(500),
  challengeCost: z.number().min(0).default(20),
  /** Part of good sales that are given up when challenged. */
  challengeLossShare: probability.default(0.1),
  /** Part of a good sale's amount that is lost when it is declined. */
  goodSaleMargin: probability.default(0.05),
  /** What annoying a good customer costs besides. */
  goodSaleCost: z.number().min(0).default(300),
})
export type Costs = z.infer<typeof costsShape>

const thresholdShape = z.discriminatedUnion('mode', [
  z.strictObject({ mode: z.literal('fixed'), review: probability, decline: probability.nullable().default(null) }),
  z.strictObject({ mode: z.literal('budget'), review: probability, decline: probability.nullable().default(null) }),
  z.strictObject({ mode: z.literal('cost'), costs: costsShape }),
])
/** What is in force, as a control line says it. */
export type Threshold = z.infer<typeof thresholdShape>

export const DEFAULT_COSTS: Costs = costsShape.parse({})

export function parseThreshold(input: unknown): Threshold {
  return thresholdShape.parse(input)
}

const APPROVE = VERDICTS.indexOf('approve')
const REVIEW = VERDICTS.indexOf('review')
const CHALLENGE = VERDICTS.indexOf('challenge')
const DECLINE = VERDICTS.indexOf('decline')

/** Index in VERDICTS that the score alone asks for. */
export function verdictOfScore(
  threshold: Threshold,
  score: number,
  amountBase: number,
  passed3ds: boolean,
  isOnline: boolean,
): number {
  if (threshold.mode === 'cost') return cheapestVerdict(threshold.costs, score, amountBase, passed3ds, isOnline)
  if (threshold.decline !== null && score >= threshold.decline) return DECLINE
  return score >= threshold.review ? REVIEW : APPROVE
}

/**
 * The action with the least expected cost. With p the probability of fraud, L the loss if it is and G what losing a good
 * sale costs:
 *
 *     approve    p L
 *     review     reviewCost
 *     challenge  challengeCost + (1 - p) challengeLossShare G
 *     decline    (1 - p) G
 *     L = amount (1 - recoveryShare) liabilityShare, or liabilityAfter3ds of it where 3-D Secure was passed
 *     G = amount goodSaleMargin + goodSaleCost
 *
 * Only online can the buyer be challenged.
 */
export function cheapestVerdict(
  costs: Costs,
  p: number,
  amount: number,
  passed3ds: boolean,
  isOnline: boolean,
): number {
  const liability = costs.liabilityShare * (passed3ds ? costs.liabilityAfter3ds : 1)
  const goodSale = amount * costs.goodSaleMargin + costs.goodSaleCost
  let best = APPROVE
  let least = p * amount * (1 - costs.recoveryShare) * liability
  if (costs.reviewCost < least) {
    best = REVIEW
    least = costs.reviewCost
  }
  const challenge = costs.challengeCost + (1 - p) * costs.challengeLossShare * goodSale
  if (isOnline && challenge < least) {
    best = CHALLENGE
    least = challenge
  }
  return (1 - p) * goodSale < least ? DECLINE : best
}
