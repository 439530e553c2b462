import { LOG_DEVIATION_MAX } from './loss.ts'
import type { ForecastScale } from './weights.ts'

/**
 * How unexpected an event is after its history: half the squared distance between forecast and event, in the
 * deviations that the network itself stated. Needs no label. About 1 is ordinary, 10 is rare. NaN without either target.
 *
 * @param next the served model's answer for the row: log amount, log gap, log deviation
 * @param event natural logs of (1 + amount) and (1 + gap in ms); NaN where not known
 */
export function surpriseOf(
  next: ArrayLike<number>,
  event: { readonly logAmount: number; readonly logGap: number },
  scale: ForecastScale,
): number {
  const amount = (event.logAmount - next[0]!) / scale.logAmountDeviation
  const gap = (event.logGap - next[1]!) / scale.logGapDeviation
  const distances = [amount, gap].filter((distance) => !Number.isNaN(distance))
  if (distances.length === 0) return Number.NaN
  const deviation = Math.exp(Math.min(LOG_DEVIATION_MAX, Math.max(-LOG_DEVIATION_MAX, next[2]!)))
  return distances.reduce((sum, distance) => sum + distance ** 2, 0) / (2 * deviation ** 2)
}
