import { differenceOf, type EvaluationOptions, type Metrics, metricsOf, sampleMetrics } from './metrics.ts'
import type { EvaluationRows, Scores } from './ranking.ts'

/** A way of deciding that was tried on the same rows. */
export interface Contender {
  /** As people call it: 'LSTM', 'rules alone', 'logistic regression'. */
  readonly name: string
  /** Simpler ones first: rules 0, logistic regression 1, trees 2, LSTM 3. */
  readonly complexity: number
  readonly scores: Scores
}

export interface JudgedContender extends Contender {
  readonly metrics: Metrics
  /** How much the best one is ahead of this one; of the best itself nothing but zeros. */
  readonly behindBest: Metrics
}

export interface Advice {
  /** The simplest contender that the best one does not surely beat. */
  readonly choice: string
  /** The contender with the highest average precision. */
  readonly best: string
  /** For people, two or three sentences. */
  readonly text: string
  readonly contenders: readonly JudgedContender[]
}

/**
 * Which contender to use. A simpler one is enough when the best is not surely better, neither in average precision nor
 * in money: the 95 % interval of the paired difference reaches zero.
 *
 * @param money writes minor units for people
 */
export function advise(
  rows: EvaluationRows,
  contenders: readonly Contender[],
  options: EvaluationOptions,
  money: (minorUnits: number) => string,
): Advice {
  const sampled = contenders.map((contender) => {
    const sample = sampleMetrics(rows, contender.scores, options)
    return { ...contender, sample, metrics: metricsOf(sample) }
  })
  const precisionOf = ({ metrics }: { metrics: Metrics }) => metrics.average_precision?.value ?? 0
  const best = sampled.reduce((a, b) => (precisionOf(b) > precisionOf(a) ? b : a))
  const compared = sampled.map(({ sample, ...contender }) => ({
    ...contender,
    behindBest: differenceOf(best.sample, sample),
  }))
  const isEnough = ({ name, behindBest }: JudgedContender) =>
    name === best.name || !(isAhead(behindBest, 'average_precision') || isAhead(behindBest, 'money_saved'))
  const bySimplicity = [...compared].sort((a, b) => a.complexity - b.complexity)
  const choice = bySimplicity.find(isEnough)!
  return { choice: choice.name, best: best.name, text: words(choice, best.name, compared, money), contenders: compared }
}

function isAhead(behindBest: Metrics, name: 'average_precision' | 'money_saved'): boolean {
  return (behindBest[name]?.low ?? 0) > 0
}

function words(
  choice: JudgedContender,
  best: string,
  contenders: readonly JudgedContender[],
  money: (minorUnits: number) => string,
): string {
  const saved = choice.metrics.money_saved
  const sentences: string[] = []
  if (choice.name !== best) {
    const lead = choice.behindBest.money_saved
    sentences.push(
      `A simpler model is enough here: use ${choice.name}. ${best} has the highest average precision, but on these days the difference cannot be told from chance` +
        (lead === undefined ? '.' : ` (in money saved: between ${money(lead.low)} and ${money(lead.high)}).`),
    )
  } else {
    const simpler = contenders.filter(({ complexity }) => complexity < choice.complexity)
    const next = simpler.sort((a, b) => b.complexity - a.complexity)[0]
    const lead = next?.behindBest.money_saved
    sentences.push(
      next === undefined || lead === undefined
        ? `Use ${choice.name}: nothing simpler was better.`
        : `Use ${choice.name}: it is surely better than ${next.name}${
            lead.low > 0
              ? ` and saves ${money(lead.low)} to ${money(lead.high)} more on these days`
              : ', though not surely in money'
          }.`,
    )
  }
  if (saved !== undefined && saved.low < 0) {
    sentences.push(
      saved.high < 0
        ? 'Beware: at this alert budget reviewing costs more than it saves. Lower the budget.'
        : 'Whether reviewing pays at all at this alert budget is not sure on these days.',
    )
  }
  return sentences.join(' ')
}
