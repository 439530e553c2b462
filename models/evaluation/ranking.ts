/** What happened, row by row, in columns of equal length; the scores of each contender stand beside it. */
export interface EvaluationRows {
  readonly count: number
  /** 1 fraud, 0 genuine: rows whose truth is not known do not belong here. */
  readonly fraud: Uint8Array
  /** Minor units of the base currency. */
  readonly amount: Float64Array
  /** Epoch milliseconds. */
  readonly eventTime: Float64Array
  /** Dense number of the row's card, below `cards`. */
  readonly card: Int32Array
  readonly cards: number
  /** How many true events a row stands for, where genuine rows were thinned; null: one each. */
  readonly weight: Float32Array | null
}

/** A score of -Infinity is never an alert, whatever the budget: a rule that did not match. */
export type Scores = Float32Array | Float64Array

/** The rows by falling score, ties by place, with their columns in that order; made once for all bootstrap runs. */
export interface Ranking {
  readonly count: number
  readonly score: Float64Array
  readonly fraud: Uint8Array
  readonly amount: Float64Array
  readonly card: Int32Array
  readonly cards: number
  readonly weight: Float64Array
  /** Row behind each place. */
  readonly row: Int32Array
  /** Places by day (UTC), each day by falling score; day d is [dayStart[d], dayStart[d + 1]). */
  readonly dayPlaces: Int32Array
  readonly dayStart: Int32Array
  readonly days: number
}

export function rankRows(rows: EvaluationRows, scores: Scores): Ranking {
  const n = rows.count
  const order = Int32Array.from({ length: n }, (_, i) => i).sort((a, b) => {
    // Subtracting would make NaN of two rows at -Infinity.
    const x = scores[a]!
    const y = scores[b]!
    return x === y ? a - b : x < y ? 1 : -1
  })
  const ranking = {
    score: new Float64Array(n),
    fraud: new Uint8Array(n),
    amount: new Float64Array(n),
    card: new Int32Array(n),
    weight: new Float64Array(n),
  }
  const dayNumber = new Float64Array(n)
  for (let place = 0; place < n; place++) {
    const row = order[place]!
    ranking.score[place] = scores[row]!
    ranking.fraud[place] = rows.fraud[row]!
    ranking.amount[place] = rows.amount[row]!
    ranking.card[place] = rows.card[row]!
    ranking.weight[place] = rows.weight?.[row] ?? 1
    dayNumber[place] = Math.floor(rows.eventTime[row]! / DAY_MS)
  }
  return { ...ranking, count: n, cards: rows.cards, row: order, ...byDay(dayNumber) }
}

function byDay(dayNumber: Float64Array): Pick<Ranking, 'dayPlaces' | 'dayStart' | 'days'> {
  const dayIndex = new Map(
    [...new Set(dayNumber)].sort((a, b) => a - b).map((day, index): [number, number] => [day, index]),
  )
  const days = dayIndex.size
  const dayStart = new Int32Array(days + 1)
  for (const day of dayNumber) dayStart[dayIndex.get(day)! + 1]!++
  for (let d = 0; d < days; d++) dayStart[d + 1]! += dayStart[d]!
  const next = dayStart.slice()
  const dayPlaces = new Int32Array(dayNumber.length)
  dayNumber.forEach((day, place) => {
    dayPlaces[next[dayIndex.get(day)!]!++] = place
  })
  return { dayPlaces, dayStart, days }
}

const DAY_MS = 86_400_000
