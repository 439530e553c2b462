import type { Calibration } from '#schemas/model-manifest.ts'

/**
 * Calibration: making "0.3" mean that three in ten such events are fraud. Fitted on held-out log odds, never on the
 * rows that trained the model. Weights bring subsampled rows back to their true share; null means one each.
 */

/** Calibrated log odds of a raw log odds; monotone, so that the order of scores stays. */
export function calibrateLogit(calibration: Calibration | null, logit: number): number {
  if (calibration === null) return logit
  if (calibration.kind === 'platt') return calibration.slope * logit + calibration.intercept
  const { from, to } = calibration
  const last = from.length - 1
  if (logit <= from[0]!) return to[0]!
  if (logit >= from[last]!) return to[last]!
  let low = 0
  let high = last
  while (high - low > 1) {
    const middle = (low + high) >> 1
    if (from[middle]! <= logit) low = middle
    else high = middle
  }
  const share = (logit - from[low]!) / (from[high]! - from[low]!)
  return to[low]! + share * (to[high]! - to[low]!)
}

export function probabilityOf(logit: number): number {
  return logit >= 0 ? 1 / (1 + Math.exp(-logit)) : Math.exp(logit) / (1 + Math.exp(logit))
}

/** Log odds, kept within ±16.1 (1e-7 from certainty): float32 probabilities know no more than that. */
export function logitOf(probability: number): number {
  const p = Math.min(1 - PROBABILITY_MARGIN, Math.max(PROBABILITY_MARGIN, probability))
  return Math.log(p / (1 - p))
}

/**
 * What to add to log odds trained on all frauds and a share of the genuine rows *without* weighting them back: thinning
 * genuine rows to `genuineShare` multiplies the odds by its inverse.
 */
export function subsampleCorrection(genuineShare: number): number {
  return Math.log(genuineShare)
}

/**
 * Platt scaling: logistic regression of the label on the log odds, by Newton steps with halving. Targets are drawn in
 * by one imagined row of each class (Platt 1999), so that separable data still gives a finite slope.
 */
export function fitPlatt(logits: ArrayLike<number>, fraud: Uint8Array, weights: ArrayLike<number> | null): Calibration {
  const n = fraud.length
  let fraudWeight = 0
  let genuineWeight = 0
  for (let i = 0; i < n; i++) {
    if (fraud[i] === 1) fraudWeight += weights?.[i] ?? 1
    else genuineWeight += weights?.[i] ?? 1
  }
  if (fraudWeight === 0 || genuineWeight === 0) return { kind: 'platt', slope: 1, intercept: 0 }
  const high = (fraudWeight + 1) / (fraudWeight + 2)
  const low = 1 / (genuineWeight + 2)

  const lossOf = (slope: number, intercept: number): number => {
    let loss = 0
    for (let i = 0; i < n; i++) {
      const z = slope * logits[i]! + intercept
      const target = fraud[i] === 1 ? high : low
      // softplus(z) - target * z, without overflow
      loss += (weights?.[i] ?? 1) * (Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z))) - target * z)
    }
    return loss
  }

  let slope = 1
  let intercept = 0
  let loss = lossOf(slope, intercept)
  for (let iteration = 0; iteration < NEWTON_STEPS_MAX; iteration++) {
    let gradientSlope = 0
    let gradientIntercept = 0
    let hessianSS = 1e-12
    let hessianSI = 0
    let hessianII = 1e-12
    for (let i = 0; i < n; i++) {
      const x = logits[i]!
      const w = weights?.[i] ?? 1
      const p = probabilityOf(slope * x + intercept)
      const residual = w * (p - (fraud[i] === 1 ? high : low))
      const curvature = w * p * (1 - p)
      gradientSlope += residual * x
      gradientIntercept += residual
      hessianSS += curvature * x * x
      hessianSI += curvature * x
      hessianII += curvature
    }
    const determinant = hessianSS * hessianII - hessianSI * hessianSI
    if (!(determinant > 0)) break
    const stepSlope = (hessianII * gradientSlope - hessianSI * gradientIntercept) / determinant
    const stepIntercept = (hessianSS * gradientIntercept - hessianSI * gradientSlope) / determinant
    let scale = 1
    let next = lossOf(slope - stepSlope, intercept - stepIntercept)
    while (!(next <= loss) && scale > 1e-6) {
      scale /= 2
      next = lossOf(slope - scale * stepSlope, intercept - scale * stepIntercept)
    }
    if (!(next <= loss)) break
    slope -= scale * stepSlope
    intercept -= scale * stepIntercept
    const gained = loss - next
    loss = next
    if (gained <= 1e-12 * Math.abs(loss)) break
  }
  // A falling calibration would turn the order of scores round: the model has no signal here, so it is left alone.
  return slope > 0 ? { kind: 'platt', slope, intercept } : { kind: 'platt', slope: 1, intercept: 0 }
}

/**
 * Isotonic regression by pooling adjacent violators, its steps joined by straight lines between their weighted means.
 * Needs some thousands of rows with a hundred frauds; with fewer use Platt.
 */
export function fitIsotonic(
  logits: ArrayLike<number>,
  fraud: Uint8Array,
  weights: ArrayLike<number> | null,
): Calibration {
  const order = Array.from({ length: fraud.length }, (_, i) => i).sort((a, b) => logits[a]! - logits[b]! || a - b)
  const pooled: { weight: number; fraud: number; logit: number; lastLogit: number }[] = []
  for (const row of order) {
    const weight = weights?.[row] ?? 1
    if (weight <= 0) continue
    const x = logits[row]!
    const last = pooled.at(-1)
    if (last !== undefined && last.lastLogit === x) {
      last.weight += weight
      last.fraud += weight * fraud[row]!
      last.logit += weight * x
    } else {
      pooled.push({ weight, fraud: weight * fraud[row]!, logit: weight * x, lastLogit: x })
    }
    while (pooled.length > 1) {
      const top = pooled.at(-1)!
      const below = pooled.at(-2)!
      if (below.fraud / below.weight < top.fraud / top.weight) break
      below.weight += top.weight
      below.fraud += top.fraud
      below.logit += top.logit
      below.lastLogit = top.lastLogit
      pooled.pop()
    }
  }
  if (pooled.length === 0) return { kind: 'platt', slope: 1, intercept: 0 }
  return {
    kind: 'isotonic',
    from: pooled.map((block) => block.logit / block.weight),
    // One imagined row at even odds in each block keeps certainty out of small ones.
    to: pooled.map((block) => logitOf((block.fraud + 0.5) / (block.weight + 1))).map(runningMax()),
  }
}

/**
 * Expected calibration error: the weighted mean distance between a group's mean score and its share of fraud.
 */
export function calibrationError(bins: readonly CalibrationBin[]): number {
  let distance = 0
  let total = 0
  for (const bin of bins) {
    distance += bin.weight * Math.abs(bin.meanScore - bin.fraudShare)
    total += bin.weight
  }
  return total === 0 ? 0 : distance / total
}

export interface CalibrationBin {
  readonly weight: number
  readonly meanScore: number
  readonly fraudShare: number
}

/**
 * Groups of rows whose scores lie in the same step of log odds, two steps to a factor of e, for rows sorted by score.
 * Groups of equal weight would put all that matters into one where fraud is rare.
 */
export function calibrationBins(
  scores: ArrayLike<number>,
  fraud: Uint8Array,
  weights: ArrayLike<number>,
): CalibrationBin[] {
  const n = fraud.length
  const found: CalibrationBin[] = []
  let weight = 0
  let scoreSum = 0
  let fraudSum = 0
  let step = n > 0 ? stepOf(scores[0]!) : 0
  for (let i = 0; i < n; i++) {
    const w = weights[i]!
    weight += w
    scoreSum += w * scores[i]!
    fraudSum += w * fraud[i]!
    const next = i === n - 1 || scores[i + 1] === scores[i] ? step : stepOf(scores[i + 1]!)
    if (i === n - 1 || next !== step) {
      if (weight > 0) found.push({ weight, meanScore: scoreSum / weight, fraudShare: fraudSum / weight })
      weight = 0
      scoreSum = 0
      fraudSum = 0
      step = next
    }
  }
  return found
}

function stepOf(probability: number): number {
  return Math.floor(2 * logitOf(probability))
}

const PROBABILITY_MARGIN = 1e-7
const NEWTON_STEPS_MAX = 100

/** The shrinking in `fitIsotonic` may turn two neighbours round by a little; the running maximum puts that right. */
function runningMax(): (value: number) => number {
  let highest = -Infinity
  return (value) => {
    highest = Math.max(highest, value)
    return highest
  }
}
