import type { EvaluationRows } from '#models/evaluation/ranking.ts'
import type { Segmentation } from '#models/evaluation/segments.ts'
import { CHANNELS } from '#schemas/transaction.ts'
import type { Dataset } from './dataset.ts'

/** A labelled dataset as the metrics take it: cards numbered densely. */
export function evaluationRows(dataset: Dataset): EvaluationRows {
  const numbers = new Map<number, number>()
  const card = Int32Array.from(dataset.cardHash, (hash) => {
    const known = numbers.get(hash)
    if (known !== undefined) return known
    numbers.set(hash, numbers.size)
    return numbers.size - 1
  })
  return {
    count: dataset.count,
    fraud: dataset.label,
    amount: dataset.amountBase,
    eventTime: dataset.eventTimeMs,
    card,
    cards: numbers.size,
    weight: dataset.weight,
  }
}

/** By channel and by merchant category. */
export function segmentationsOf(dataset: Dataset): Segmentation[] {
  const categories = [...new Set(dataset.merchantCategory)].sort()
  return [
    { by: 'channel', names: CHANNELS, index: Int32Array.from(dataset.channel) },
    {
      by: 'category',
      names: categories.map((category) => (category === '' ? 'none' : category)),
      index: Int32Array.from(dataset.merchantCategory, (category) => categories.indexOf(category)),
    },
  ]
}
