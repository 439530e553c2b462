import type { MetricWithInterval } from '#schemas/model-manifest.ts'

import { calibrationBins, calibrationError } from '../calibrate.ts'
import { SeededRandom } from '../lstm/seeded-random.ts'
import { type EvaluationRows, type Ranking, rankRows, type Scores } from './ranking.ts'

/**
 * How good scores are, in the terms in which a desk lives: what is found within the alerts it can look at, and what that
 * is worth. All figures count rows by their weight; equal scores share an alert budget in proportion, so that no figure
 * depends on the order of ties.
 */
export const METRIC_NAMES = [
  'average_precision',
  'roc_auc',
  'precision_at_budget',
  'card_precision_at_budget',
  'recall_at_budget',
  'value_recall_at_budget',
  'money_saved',
  'false_positives_per_fraud',
  'calibration_error',
] as const
export type MetricName = (typeof METRIC_NAMES)[number]

export interface Costs {
  /** Share of a caught fraud's amount that is saved. */
  readonly recoveredShare: number
  /** Minor units for each alert looked at. */
  readonly reviewCost: number
  /** Minor units for each genuine customer who was disturbed. */
  readonly falsePositiveCost: number
}

export interface EvaluationOptions {
  /** Alerts that can be looked at in a day; also the k of card precision. */
  readonly alertsPerDay: number
  readonly costs: Costs
  /** 0 gives intervals as wide as nothing: value, low and high are the same. */
  readonly bootstrapRuns: number
  readonly seed: number
}

/** A figure that cannot be had on these rows (no fraud, scores that are no probabilities) is absent. */
export type Metrics = Readonly<Partial<Record<MetricName, MetricWithInterval>>>

export const DEFAULT_COSTS: Costs = { recoveredShare: 0.9, reviewCost: 300, falsePositiveCost: 200 }

/** All figures with 95 % intervals from a bootstrap over cards: rows of one card stand or fall together. */
export function evaluateScores(rows: EvaluationRows, scores: Scores, options: EvaluationOptions): Metrics {
  return metricsOf(sampleMetrics(rows, scores, options))
}

/**
 * How much better `scores` are than `other`, figure by figure (their difference, as it stands), with intervals from the
 * same bootstrap samples: much narrower than two separate intervals suggest.
 */
export function compareScores(
  rows: EvaluationRows,
  scores: Scores,
  other: Scores,
  options: EvaluationOptions,
): Metrics {
  return differenceOf(sampleMetrics(rows, scores, options), sampleMetrics(rows, other, options))
}

/** Figures on the rows as they are and on each bootstrap sample; for several comparisons made once and kept. */
export interface MetricSample {
  /** By METRIC_NAMES. */
  readonly value: Float64Array
  readonly runs: readonly Float64Array[]
}

export function sampleMetrics(rows: EvaluationRows, scores: Scores, options: EvaluationOptions): MetricSample {
  const ranking = rankRows(rows, scores)
  const random = new SeededRandom(options.seed)
  const cardDays = rankCardDays(ranking)
  const once = new Uint8Array(ranking.cards).fill(1)
  const value = computeMetrics(ranking, cardDays, once, ranking.weight, options)
  const runs: Float64Array[] = []
  const times = new Uint8Array(ranking.cards)
  const weight = new Float64Array(ranking.count)
  for (let run = 0; run < options.bootstrapRuns; run++) {
    for (let card = 0; card < times.length; card++) times[card] = poissonOne(random.next())
    for (let i = 0; i < weight.length; i++) weight[i] = ranking.weight[i]! * times[ranking.card[i]!]!
    runs.push(computeMetrics(ranking, cardDays, times, weight, options))
  }
  return { value, runs }
}

export function metricsOf(sample: MetricSample): Metrics {
  return intervals(sample.value, sample.runs)
}

/** `a` minus `b`; both must be of the same rows and options. */
export function differenceOf(a: MetricSample, b: MetricSample): Metrics {
  const difference = (x: Float64Array, y: Float64Array) => x.map((value, i) => value - y[i]!)
  return intervals(
    difference(a.value, b.value),
    a.runs.map((run, i) => difference(run, b.runs[i]!)),
  )
}

function computeMetrics(
  ranking: Ranking,
  cardDays: readonly CardDay[],
  times: Uint8Array,
  weight: Float64Array,
  options: EvaluationOptions,
): Float64Array {
  const { averagePrecision, rocAuc } = rankingQuality(ranking, weight)
  const desk = deskFigures(ranking, weight, options.alertsPerDay)
  const { recoveredShare, reviewCost, falsePositiveCost } = options.costs
  const falsePositives = desk.alerts - desk.caught
  const figures: Record<MetricName, number> = {
    average_precision: averagePrecision,
    roc_auc: rocAuc,
    precision_at_budget: desk.caught / desk.alerts,
    card_precision_at_budget: cardPrecision(cardDays, times, options.alertsPerDay),
    recall_at_budget: desk.caught / desk.fraud,
    value_recall_at_budget: desk.caughtValue / desk.fraudValue,
    money_saved: recoveredShare * desk.caughtValue - reviewCost * desk.alerts - falsePositiveCost * falsePositives,
    false_positives_per_fraud: falsePositives / desk.caught,
    calibration_error: rankingCalibrationError(ranking, weight),
  }
  return Float64Array.from(METRIC_NAMES, (name) => figures[name])
}

/**
 * Average precision: the sum of precision times the gain in recall over falling distinct scores, not interpolated. ROC
 * AUC: the chance that a fraud stands above a genuine row, ties counting half.
 */
export function rankingQuality(ranking: Ranking, weight: Float64Array): { averagePrecision: number; rocAuc: number } {
  const { score, fraud, count } = ranking
  let frauds = 0
  let genuines = 0
  let precisionSum = 0
  let aboveSum = 0
  for (let i = 0; i < count; ) {
    let tiedFraud = 0
    let tiedGenuine = 0
    const tie = score[i]!
    for (; i < count && score[i] === tie; i++) {
      if (fraud[i] === 1) tiedFraud += weight[i]!
      else tiedGenuine += weight[i]!
    }
    aboveSum += tiedGenuine * (frauds + tiedFraud / 2)
    frauds += tiedFraud
    genuines += tiedGenuine
    if (tiedFraud > 0) precisionSum += (tiedFraud * frauds) / (frauds + genuines)
  }
  return { averagePrecision: precisionSum / frauds, rocAuc: aboveSum / (frauds * genuines) }
}

export interface DeskFigures {
  readonly alerts: number
  readonly caught: number
  readonly caughtValue: number
  readonly fraud: number
  readonly fraudValue: number
}

/** What a desk that looks at the `alertsPerDay` highest scores of each day finds. */
export function deskFigures(ranking: Ranking, weight: Float64Array, alertsPerDay: number): DeskFigures {
  const { score, fraud, amount, dayPlaces, dayStart, days } = ranking
  const found = { alerts: 0, caught: 0, caughtValue: 0, fraud: 0, fraudValue: 0 }
  for (let day = 0; day < days; day++) {
    const end = dayStart[day + 1]!
    let room = alertsPerDay
    for (let i = dayStart[day]!; i < end; ) {
      const tie = score[dayPlaces[i]!]!
      let tied = 0
      let tiedFraud = 0
      let tiedValue = 0
      for (; i < end && score[dayPlaces[i]!] === tie; i++) {
        const place = dayPlaces[i]!
        const w = weight[place]!
        tied += w
        if (fraud[place] === 1) {
          tiedFraud += w
          tiedValue += w * amount[place]!
        }
      }
      found.fraud += tiedFraud
      found.fraudValue += tiedValue
      if (tie === -Infinity || room <= 0 || tied === 0) continue
      const share = Math.min(1, room / tied)
      found.alerts += share * tied
      found.caught += share * tiedFraud
      found.caughtValue += share * tiedValue
      room -= share * tied
    }
  }
  return found
}

/** The cards of one day by their highest score. */
export interface CardDay {
  readonly card: Int32Array
  /** Whether any of the card's rows of the day is fraud. */
  readonly fraud: Uint8Array
}

export function rankCardDays(ranking: Ranking): CardDay[] {
  const placeOf = new Int32Array(ranking.cards).fill(-1)
  return Array.from({ length: ranking.days }, (_, day) => {
    const cards: number[] = []
    const fraud: number[] = []
    for (let i = ranking.dayStart[day]!; i < ranking.dayStart[day + 1]!; i++) {
      const place = ranking.dayPlaces[i]!
      const card = ranking.card[place]!
      if (placeOf[card] === -1) {
        // Scores fall, so a card whose first row is no alert has none.
        if (ranking.score[place] === -Infinity) continue
        placeOf[card] = cards.length
        cards.push(card)
        fraud.push(0)
      }
      if (ranking.fraud[place] === 1) fraud[placeOf[card]!] = 1
    }
    for (const card of cards) placeOf[card] = -1
    return { card: Int32Array.from(cards), fraud: Uint8Array.from(fraud) }
  })
}

/**
 * Card precision at k: each day the k cards with the highest scores are looked at; the mean over days of the share that
 * was hit by fraud that day. A card found once is blocked and not looked at again.
 */
export function cardPrecision(cardDays: readonly CardDay[], times: Uint8Array, cardsPerDay: number): number {
  const found = new Uint8Array(times.length)
  let sum = 0
  let days = 0
  for (const { card, fraud } of cardDays) {
    let seen = 0
    let hits = 0
    for (let i = 0; i < card.length && seen < cardsPerDay; i++) {
      const count = times[card[i]!]!
      if (count === 0 || found[card[i]!] === 1) continue
      const taken = Math.min(count, cardsPerDay - seen)
      seen += taken
      if (fraud[i] === 1) {
        hits += taken
        found[card[i]!] = 1
      }
    }
    if (seen === 0) continue
    sum += hits / seen
    days++
  }
  return sum / days
}

function rankingCalibrationError(ranking: Ranking, weight: Float64Array): number {
  const { score, fraud, count } = ranking
  if (count === 0 || score[0]! > 1 || score[count - 1]! < 0) return Number.NaN
  return calibrationError(calibrationBins(score, fraud, weight))
}

function intervals(value: Float64Array, runs: readonly Float64Array[]): Metrics {
  const metrics: Partial<Record<MetricName, MetricWithInterval>> = {}
  METRIC_NAMES.forEach((name, i) => {
    const point = value[i]!
    if (!Number.isFinite(point)) return
    const sampled = runs
      .map((run) => run[i]!)
      .filter(Number.isFinite)
      .sort((a, b) => a - b)
    metrics[name] = {
      value: point,
      low: sampled.length === 0 ? point : quantile(sampled, 0.025),
      high: sampled.length === 0 ? point : quantile(sampled, 0.975),
    }
  })
  return metrics
}

/** Of sorted numbers, straight lines between neighbours. */
function quantile(sorted: readonly number[], share: number): number {
  const at = share * (sorted.length - 1)
  const below = Math.floor(at)
  const above = Math.min(below + 1, sorted.length - 1)
  return sorted[below]! + (at - below) * (sorted[above]! - sorted[below]!)
}

/** A Poisson number of mean 1 by its distribution function: how often a card is drawn when cards are many. */
function poissonOne(uniform: number): number {
  let count = 0
  let probability = Math.exp(-1)
  let reached = probability
  while (uniform > reached && count < 12) {
    count++
    probability /= count
    reached += probability
  }
  return count
}
