import { type BoostedTrees, boostedTreesLogit } from '#models/baselines/boosted-trees.ts'
import { rankingQuality } from '#models/evaluation/metrics.ts'
import { rankRows } from '#models/evaluation/ranking.ts'
import type { SeededRandom } from '#models/lstm/seeded-random.ts'
import type { WorldRows } from './world-rows.ts'

/** The same rows with only these columns, in this order. */
export function onlyColumns(rows: WorldRows, columns: readonly number[]): WorldRows {
  const width = columns.length
  const current = new Float32Array(rows.count * width)
  for (let row = 0; row < rows.count; row++) {
    for (let j = 0; j < width; j++) current[row * width + j] = rows.current[row * rows.width + columns[j]!]!
  }
  return { ...rows, width, current }
}

/** Every row with these columns of another row, all of them from the same one. */
export function withShuffled(rows: WorldRows, columns: readonly number[], random: SeededRandom): WorldRows {
  const from = Int32Array.from({ length: rows.count }, (_, row) => row)
  random.shuffle(from)
  const current = rows.current.slice()
  for (let row = 0; row < rows.count; row++) {
    for (const column of columns) {
      current[row * rows.width + column] = rows.current[from[row]! * rows.width + column]!
    }
  }
  return { ...rows, current }
}

/** Log odds, row by row. */
export function scoresOf(trees: BoostedTrees, rows: WorldRows): Float64Array {
  return Float64Array.from({ length: rows.count }, (_, row) => boostedTreesLogit(trees, rows.current, row))
}

export function averagePrecisionOf({ count, fraud, weight }: WorldRows, scores: Float64Array): number {
  const none = new Float64Array(count)
  const rows = { count, fraud, weight, amount: none, eventTime: none, card: new Int32Array(count), cards: 1 }
  const ranking = rankRows(rows, scores)
  return rankingQuality(ranking, ranking.weight).averagePrecision
}

/** The score at which these rows give so many alerts for each fraud among them. */
export function thresholdAt(rows: WorldRows, scores: Float64Array, alertsPerFraud: number): number {
  const frauds = rows.fraud.reduce((sum, isFraud) => sum + isFraud, 0)
  return scores.toSorted()[Math.max(0, rows.count - alertsPerFraud * frauds)]!
}

export function recallOf(rows: WorldRows, scores: Float64Array, threshold: number, tactic = ''): number {
  let frauds = 0
  let found = 0
  for (let row = 0; row < rows.count; row++) {
    if (rows.fraud[row] === 0 || (tactic !== '' && rows.tactics[row] !== tactic)) continue
    frauds++
    if (scores[row]! >= threshold) found++
  }
  return found / frauds
}

type BothParts<T> = { readonly before: T; readonly after: T }

/** For people: `0.59 of 74`. */
export function recallByTactic(
  rows: BothParts<WorldRows>,
  scores: BothParts<Float64Array>,
  threshold: number,
): Record<string, BothParts<string>> {
  const of = (part: 'before' | 'after', tactic: string): string => {
    const frauds = rows[part].tactics.filter((name) => name === tactic).length
    return frauds === 0 ? 'none' : `${recallOf(rows[part], scores[part], threshold, tactic).toFixed(2)} of ${frauds}`
  }
  const names = new Set([...rows.before.tactics, ...rows.after.tactics])
  names.delete('none')
  return Object.fromEntries(
    [...names].sort().map((name) => [name, { before: of('before', name), after: of('after', name) }]),
  )
}
