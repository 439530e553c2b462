import type { MetricWithInterval } from '#schemas/model-manifest.ts'
import type { Metrics } from '#models/evaluation/metrics.ts'

/** How a challenger did against one that it must beat: differences, challenger less the other, on the same rows. */
export interface Comparison {
  readonly name: string
  readonly difference: Metrics
}

export interface GateInput {
  /** Null: there is no champion yet. */
  readonly champion: Comparison | null
  readonly rules: Comparison
  readonly calibrationError: number
  readonly fraudInTest: number
}

export interface GateResult {
  readonly passed: boolean
  /** One sentence a check, whether it held or not. */
  readonly findings: readonly string[]
}

const FRAUD_MIN = 20
const CALIBRATION_ERROR_MAX = 0.02
/** A difference within the noise of the test days may fall so far below zero at its lower end. */
const PRECISION_SLACK = 0.02

/**
 * Whether a challenger may take charge: it finds more than the champion on the newest mature days, in average precision
 * and in money, and surely more money than the rules alone. What cannot be judged does not pass.
 */
export function judge(input: GateInput): GateResult {
  const findings: string[] = []
  let passed = true
  const check = (held: boolean, sentence: string): void => {
    findings.push(`${held ? 'yes' : 'no '} ${sentence}`)
    passed &&= held
  }
  check(input.fraudInTest >= FRAUD_MIN, `${input.fraudInTest} known frauds in the test days, ${FRAUD_MIN} are needed`)
  check(
    input.calibrationError <= CALIBRATION_ERROR_MAX,
    `its probabilities are off by ${input.calibrationError.toFixed(4)} on average, at most ${CALIBRATION_ERROR_MAX}`,
  )
  const rules = input.rules.difference.money_saved
  check((rules?.low ?? -1) > 0, `it surely saves more money than the rules alone (${interval(rules)})`)
  if (input.champion !== null) {
    const precision = input.champion.difference.average_precision
    const money = input.champion.difference.money_saved
    check(
      (precision?.value ?? -1) > 0 && precision!.low > -PRECISION_SLACK,
      `its average precision is above that of ${input.champion.name} (${interval(precision)})`,
    )
    check((money?.value ?? -1) > 0, `it saves more money than ${input.champion.name} (${interval(money)})`)
  }
  return { passed, findings }
}

function interval(figure: MetricWithInterval | undefined): string {
  if (figure === undefined) return 'cannot be told'
  const text = (value: number): string => Number(value.toPrecision(3)).toString()
  return `difference ${text(figure.value)}, between ${text(figure.low)} and ${text(figure.high)}`
}
