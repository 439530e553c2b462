import { logitOf } from '../calibrate.ts'
import type { Costs } from './metrics.ts'
import { type EvaluationRows, type Ranking, rankRows, type Scores } from './ranking.ts'

/** What comes of alerting on all events from some score on. */
export interface OperatingPoint {
  /** The lowest score that is an alert; Infinity where nothing is. */
  readonly threshold: number
  readonly alerts: number
  readonly alertsPerDay: number
  readonly caught: number
  readonly precision: number
  readonly recall: number
  /** Share of the fraudulent amount. */
  readonly valueRecall: number
  readonly falsePositivesPerFraud: number
  /** Minor units. */
  readonly moneySaved: number
}

/** Alerts on scores of at least `threshold`. */
export function pointAtThreshold(
  rows: EvaluationRows,
  scores: Scores,
  threshold: number,
  costs: Costs,
): OperatingPoint {
  const ranking = rankRows(rows, scores)
  let places = 0
  while (places < ranking.count && ranking.score[places]! >= threshold) places++
  return pointAt(ranking, places, 0, costs, threshold)
}

/**
 * The `alerts` highest scores of the whole period, for comparing contenders at the same number of alerts; where the
 * last place falls among equal scores these share it in proportion.
 */
export function pointAtAlerts(rows: EvaluationRows, scores: Scores, alerts: number, costs: Costs): OperatingPoint {
  const ranking = rankRows(rows, scores)
  let places = 0
  let taken = 0
  while (places < ranking.count && ranking.score[places]! > -Infinity) {
    const { end, weight } = tieAt(ranking, places)
    if (taken + weight > alerts) {
      return pointAt(ranking, places, (alerts - taken) / weight, costs, ranking.score[places]!)
    }
    taken += weight
    places = end
  }
  return pointAt(ranking, places, 0, costs, ranking.score[places - 1] ?? Infinity)
}

/** The lowest threshold that gives at most `alertsPerDay` alerts a day over these rows; 1 where even the top gives more. */
export function thresholdAtBudget(rows: EvaluationRows, scores: Scores, alertsPerDay: number): number {
  const ranking = rankRows(rows, scores)
  let room = alertsPerDay * ranking.days
  let threshold = 1
  for (let place = 0; place < ranking.count; ) {
    const { end, weight } = tieAt(ranking, place)
    if (weight > room) break
    room -= weight
    threshold = ranking.score[place]!
    place = end
  }
  return threshold
}

export interface CurvePoint {
  readonly alertsPerDay: number
  readonly precision: number
  readonly recall: number
  readonly valueRecall: number
}

/** Precision, recall and value recall along falling thresholds, thinned to about `pointsMax` points. */
export function alertCurve(rows: EvaluationRows, scores: Scores, pointsMax: number): CurvePoint[] {
  const ranking = rankRows(rows, scores)
  const totals = totalsOf(ranking)
  const points: CurvePoint[] = []
  let alerts = 0
  let caught = 0
  let caughtValue = 0
  let lastRecall = -1
  let lastAlerts = -1
  for (let place = 0; place < ranking.count && ranking.score[place]! > -Infinity; ) {
    const { end } = tieAt(ranking, place)
    for (; place < end; place++) {
      const w = ranking.weight[place]!
      alerts += w
      if (ranking.fraud[place] === 1) {
        caught += w
        caughtValue += w * ranking.amount[place]!
      }
    }
    const recall = caught / totals.fraud
    const isStep = recall - lastRecall >= 2 / pointsMax || Math.log(alerts / lastAlerts) >= LOG_STEP
    if (lastAlerts > 0 && !isStep && place < ranking.count) continue
    points.push({
      alertsPerDay: alerts / ranking.days,
      precision: caught / alerts,
      recall,
      valueRecall: caughtValue / totals.fraudValue,
    })
    lastRecall = recall
    lastAlerts = alerts
  }
  return points
}

/** Share of the rows in equal steps of log odds from -16 to 16, the ends open; for probabilities. */
export function scoreHistogram(
  scores: Scores,
  count: number,
  weight: Float32Array | null,
): { low: number; high: number; shares: number[] } {
  const shares = Array.from({ length: HISTOGRAM_STEPS }, () => 0)
  let total = 0
  for (let i = 0; i < count; i++) {
    const at = ((logitOf(scores[i]!) + HISTOGRAM_LIMIT) / (2 * HISTOGRAM_LIMIT)) * HISTOGRAM_STEPS
    const step = Math.min(HISTOGRAM_STEPS - 1, Math.max(0, Math.floor(at)))
    shares[step]! += weight?.[i] ?? 1
    total += weight?.[i] ?? 1
  }
  return {
    low: -HISTOGRAM_LIMIT,
    high: HISTOGRAM_LIMIT,
    shares: shares.map((share) => (total > 0 ? share / total : 0)),
  }
}

/** The first `places` places whole, and `share` of the tie that follows them. */
function pointAt(ranking: Ranking, places: number, share: number, costs: Costs, threshold: number): OperatingPoint {
  const totals = totalsOf(ranking)
  let alerts = 0
  let caught = 0
  let caughtValue = 0
  const end = share > 0 ? tieAt(ranking, places).end : places
  for (let place = 0; place < end; place++) {
    const w = ranking.weight[place]! * (place < places ? 1 : share)
    alerts += w
    if (ranking.fraud[place] === 1) {
      caught += w
      caughtValue += w * ranking.amount[place]!
    }
  }
  const falsePositives = alerts - caught
  return {
    threshold: alerts > 0 ? threshold : Infinity,
    alerts,
    alertsPerDay: ranking.days > 0 ? alerts / ranking.days : 0,
    caught,
    precision: alerts > 0 ? caught / alerts : 0,
    recall: totals.fraud > 0 ? caught / totals.fraud : 0,
    valueRecall: totals.fraudValue > 0 ? caughtValue / totals.fraudValue : 0,
    falsePositivesPerFraud: caught > 0 ? falsePositives / caught : falsePositives > 0 ? Infinity : 0,
    moneySaved:
      costs.recoveredShare * caughtValue - costs.reviewCost * alerts - costs.falsePositiveCost * falsePositives,
  }
}

function tieAt(ranking: Ranking, place: number): { end: number; weight: number } {
  const score = ranking.score[place]
  let end = place
  let weight = 0
  while (end < ranking.count && ranking.score[end] === score) weight += ranking.weight[end++]!
  return { end, weight }
}

function totalsOf(ranking: Ranking): { fraud: number; fraudValue: number } {
  let fraud = 0
  let fraudValue = 0
  for (let place = 0; place < ranking.count; place++) {
    if (ranking.fraud[place] !== 1) continue
    fraud += ranking.weight[place]!
    fraudValue += ranking.weight[place]! * ranking.amount[place]!
  }
  return { fraud, fraudValue }
}

const HISTOGRAM_LIMIT = 16
const HISTOGRAM_STEPS = 64
const LOG_STEP = 0.05
