import { rankingQuality } from './metrics.ts'
import { type EvaluationRows, rankRows, type Scores } from './ranking.ts'

/** A way of cutting the rows into parts: by channel, category, tactic. */
export interface Segmentation {
  /** 'channel', 'category', ... */
  readonly by: string
  readonly names: readonly string[]
  /** Index in `names` of each row; for a cut of frauds alone (tactics), genuine rows have `GENUINE_EVERYWHERE`. */
  readonly index: Int32Array
}

/** A genuine row that belongs to every part: tactics are told apart among frauds only. */
export const GENUINE_EVERYWHERE = -1

export interface SegmentFigures {
  readonly by: string
  readonly name: string
  readonly rows: number
  readonly fraud: number
  /** Minor units of fraud over minor units of all, in basis points; NaN for a cut of frauds alone. */
  readonly fraudBasisPoints: number
  readonly alerts: number
  readonly averagePrecision: number
  readonly recall: number
  readonly valueRecall: number
  readonly falsePositivesPerFraud: number
}

/** Figures of each part at one threshold for all, largest fraud first; parts without rows are left out. */
export function segmentFigures(
  rows: EvaluationRows,
  scores: Scores,
  threshold: number,
  segmentation: Segmentation,
): SegmentFigures[] {
  const shared: number[] = []
  const members = segmentation.names.map((): number[] => [])
  for (let i = 0; i < rows.count; i++) {
    const part = segmentation.index[i]!
    if (part === GENUINE_EVERYWHERE) shared.push(i)
    else members[part]!.push(i)
  }
  return segmentation.names
    .flatMap((name, part) => {
      const own = members[part]!
      if (own.length === 0) return []
      return [figuresOf(segmentation.by, name, rows, scores, threshold, own, shared)]
    })
    .sort((a, b) => b.fraud - a.fraud || b.rows - a.rows)
}

function figuresOf(
  by: string,
  name: string,
  rows: EvaluationRows,
  scores: Scores,
  threshold: number,
  own: readonly number[],
  shared: readonly number[],
): SegmentFigures {
  let count = 0
  let value = 0
  let fraud = 0
  let fraudValue = 0
  let alerts = 0
  let caught = 0
  let caughtValue = 0
  for (const i of own) {
    const w = rows.weight?.[i] ?? 1
    count += w
    value += w * rows.amount[i]!
    const isAlert = scores[i]! >= threshold
    if (isAlert) alerts += w
    if (rows.fraud[i] !== 1) continue
    fraud += w
    fraudValue += w * rows.amount[i]!
    if (isAlert) {
      caught += w
      caughtValue += w * rows.amount[i]!
    }
  }
  const part = select(rows, scores, [...own, ...shared])
  const ranking = rankRows(part.rows, part.scores)
  return {
    by,
    name,
    rows: count,
    fraud,
    fraudBasisPoints: shared.length > 0 ? Number.NaN : (10_000 * fraudValue) / value,
    alerts,
    averagePrecision: rankingQuality(ranking, ranking.weight).averagePrecision,
    recall: caught / fraud,
    valueRecall: caughtValue / fraudValue,
    falsePositivesPerFraud: shared.length > 0 ? Number.NaN : (alerts - caught) / caught,
  }
}

function select(
  rows: EvaluationRows,
  scores: Scores,
  members: readonly number[],
): { rows: EvaluationRows; scores: Float64Array } {
  const { weight } = rows
  return {
    scores: Float64Array.from(members, (i) => scores[i]!),
    rows: {
      count: members.length,
      fraud: Uint8Array.from(members, (i) => rows.fraud[i]!),
      amount: Float64Array.from(members, (i) => rows.amount[i]!),
      eventTime: Float64Array.from(members, (i) => rows.eventTime[i]!),
      card: Int32Array.from(members, (i) => rows.card[i]!),
      cards: rows.cards,
      weight: weight === null ? null : Float32Array.from(members, (i) => weight[i]!),
    },
  }
}
