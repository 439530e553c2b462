import { isFlagged, VERDICTS } from '#schemas/decision.ts'
import { ACCEPTED, type SliceBuffers } from '../slice.ts'
import type { Threshold } from './threshold.ts'

const DAY_MS = 86_400_000
const DAYS_KEPT = 7
/** Bins of log odds from -16 to 16. */
const BINS = 3_200
const LOG_ODDS_MAX = 16
/** Above every score. */
const FLAGGED = 2
/** Cards told apart within a day; beyond that each event counts for itself. */
const CARDS_MAX = 1_000_000
/** The rules may take the whole budget, but the model always keeps this share of it. */
const MODEL_SHARE_MIN = 0.3

/** Cards of a day by log odds of their highest score, and how many the rules flag anyway. */
interface Day {
  readonly bins: Uint32Array
  ruleCards: number
}

/**
 * Turns so many alerts a day into a review threshold, off the path: it watches what was decided and proposes a value,
 * which takes effect only through a control line. An alert is a card, not an event, so each card counts once a day, by
 * its highest score; cards that the rules flag anyway use up their part of the budget.
 */
export class BudgetController {
  private readonly alertsPerDay: number
  private readonly days: Day[] = []
  /** What was counted of the day that is not over. */
  private counted = nothingCounted()
  /** By card its highest score of the day, with FLAGGED added where a rule flags it. */
  private readonly today = new Map<number, number>()
  private day = -1

  constructor(alertsPerDay: number) {
    this.alertsPerDay = alertsPerDay
  }

  /** Watches a finished slice; true when a day ended with it, so that a new proposal is worth asking for. */
  observe(slice: SliceBuffers): boolean {
    const day = Math.floor(slice.clock / DAY_MS)
    const ended = this.day >= 0 && day > this.day
    if (ended) this.endDay()
    this.day = Math.max(this.day, day)
    for (let i = 0; i < slice.scoredCount; i++) {
      const row = slice.scoredRows[i]!
      const score = slice.score[row]!
      if (slice.outcome[row] !== ACCEPTED || Number.isNaN(score)) continue
      const byRule = slice.ruleHits[row]!.length > 0 && isFlagged(VERDICTS[slice.verdict[row]!]!)
      this.note(cardKey(slice, row), score, byRule)
    }
    return ended
  }

  /** The review threshold that would have kept to the budget over the last days; null before the first day ended, or without scores. */
  propose(decline: number | null): Threshold | null {
    if (this.days.length === 0) return null
    const rulesPerDay = this.days.reduce((sum, day) => sum + day.ruleCards, 0) / this.days.length
    const left = Math.max(this.alertsPerDay * MODEL_SHARE_MIN, this.alertsPerDay - rulesPerDay) * this.days.length
    let above = 0
    let bin = BINS
    while (bin > 0 && above < left) {
      bin--
      for (const day of this.days) above += day.bins[bin]!
    }
    const logOdds = ((bin + 1) / BINS) * 2 * LOG_ODDS_MAX - LOG_ODDS_MAX
    if (above === 0) return null
    return { mode: 'budget', review: 1 / (1 + Math.exp(-logOdds)), decline }
  }

  private note(card: number, score: number, byRule: boolean): void {
    const { today } = this
    const known = today.get(card)
    if (known === undefined && today.size >= CARDS_MAX) {
      this.count(score, byRule)
      return
    }
    const isByRule = byRule || (known ?? 0) >= FLAGGED
    const highest = Math.max(known === undefined ? 0 : known % FLAGGED, score)
    today.set(card, isByRule ? highest + FLAGGED : highest)
  }

  private endDay(): void {
    for (const score of this.today.values()) this.count(score % FLAGGED, score >= FLAGGED)
    this.days.push(this.counted)
    if (this.days.length > DAYS_KEPT) this.days.shift()
    this.today.clear()
    this.counted = nothingCounted()
  }

  private count(score: number, byRule: boolean): void {
    if (byRule) {
      this.counted.ruleCards++
      return
    }
    const logOdds = Math.log(score / (1 - score))
    const bin = Math.floor(((logOdds + LOG_ODDS_MAX) / (2 * LOG_ODDS_MAX)) * BINS)
    this.counted.bins[Math.max(0, Math.min(BINS - 1, bin))]!++
  }
}

function nothingCounted(): Day {
  return { bins: new Uint32Array(BINS), ruleCards: 0 }
}

/** 53 bits of a card's hash. */
function cardKey({ events }: SliceBuffers, row: number): number {
  return events.hashHi.card_id[row]! * 2 ** 21 + (events.hashLo.card_id[row]! >>> 11)
}
