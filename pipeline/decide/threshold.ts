import { z } from 'zod'
import { VERDICTS } from '#schemas/decision.ts'

const probability = z.number().min(0).max(1)

/** Money in minor units of the base currency; shares and probabilities from 0 to 1. */
const costsShape = z.strictObject({
  /** What an analyst's look costs. */
  reviewCost: z.number().min(0).default(300),
  /** What a step-up (3-D Secure) costs in fees and broken-off purchases, share of the amount. */
  challengeDropout: probability.default(0.05),
  /** Share of frauds that a step-up stops. */
  challengeStops: probability.default(0.9),
  /** Share of frauds that a review stops or gets back. */
  reviewStops: probability.default(0.8),
  /** Share of a fraud's amount that comes back anyway. */
  recovery: probability.default(0.1),
  /** Share of the loss that stays with us when 3-D Secure was passed (liability shift). */
  liabilityAfter3ds: probability.default(0.1),
  /** What a declined good sale costs, share of its amount: the margin and the customer's goodwill. */
  goodSaleLoss: probability.default(0.2),
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
export function verdictOfScore(threshold: Threshold, score: number, amountBase: number, passed3ds: boolean): number {
  if (threshold.mode === 'cost') return cheapestVerdict(threshold.costs, score, amountBase, passed3ds)
  if (threshold.decline !== null && score >= threshold.decline) return DECLINE
  return score >= threshold.review ? REVIEW : APPROVE
}

/**
 * The action with the least expected cost. With p the probability of fraud and L the loss if it is:
 *
 *     approve    p L
 *     review     reviewCost + p L (1 - reviewStops)
 *     challenge  (1 - p) amount challengeDropout goodSaleLoss + p L (1 - challengeStops)
 *     decline    (1 - p) amount goodSaleLoss
 *     L = amount (1 - recovery), times liabilityAfter3ds where 3-D Secure was passed
 */
export function cheapestVerdict(costs: Costs, p: number, amount: number, passed3ds: boolean): number {
  const loss = amount * (1 - costs.recovery) * (passed3ds ? costs.liabilityAfter3ds : 1)
  let best = APPROVE
  let least = p * loss
  const review = costs.reviewCost + p * loss * (1 - costs.reviewStops)
  if (review < least) {
    best = REVIEW
    least = review
  }
  const challenge =
    (1 - p) * amount * costs.challengeDropout * costs.goodSaleLoss + p * loss * (1 - costs.challengeStops)
  if (challenge < least) {
    best = CHALLENGE
    least = challenge
  }
  return (1 - p) * amount * costs.goodSaleLoss < least ? DECLINE : best
}
