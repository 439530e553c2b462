import { Hash64 } from '#schemas/hash64.ts'
import { isFlagged, VERDICTS } from '#schemas/decision.ts'
import { ACCEPTED, type SliceBuffers } from '../slice.ts'
import type { Threshold } from './threshold.ts'

const DAY_MS = 86_400_000
const DAYS_KEPT = 7
/** Bins of log odds from -16 to 16. */
const BINS = 3_200
const LOG_ODDS_MAX = 16
/** Cards told apart within a day; beyond that each event counts for itself. */
const CARDS_MAX = 1_000_000
/** The rules may take the whole budget, but the model always keeps this share of it. */
const MODEL_SHARE_MIN = 0.3

/**
 * Turns so many alerts a day into a review threshold, off the path: it watches what was decided and proposes a value,
 * which takes effect only through a control line. An alert is a card, not an event, so each card counts once a day, by
 * its highest score; cards that the rules flag anyway use up their part of the budget.
 */
export class BudgetController {
  private readonly alertsPerDay: number
  private readonly days: { readonly bins: Uint32Array; readonly ruleCards: number }[] = []
  private readonly today = new Map<string, { score: number; byRule: boolean }>()
  private day = -1
  private readonly hash = new Hash64()

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
      this.note(slice.events.text.card_id[row]!, score, byRule)
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

  private note(card: string, score: number, byRule: boolean): void {
    const key = this.today.size < CARDS_MAX ? this.hash.ofText(card).toHex() : `${this.today.size}`
    const known = this.today.get(key)
    if (known === undefined) this.today.set(key, { score, byRule })
    else {
      known.score = Math.max(known.score, score)
      known.byRule ||= byRule
    }
  }

  private endDay(): void {
    const bins = new Uint32Array(BINS)
    let ruleCards = 0
    for (const { score, byRule } of this.today.values()) {
      if (byRule) {
        ruleCards++
        continue
      }
      const logOdds = Math.log(score / (1 - score))
      const bin = Math.floor(((logOdds + LOG_ODDS_MAX) / (2 * LOG_ODDS_MAX)) * BINS)
      bins[Math.max(0, Math.min(BINS - 1, bin))]!++
    }
    this.days.push({ bins, ruleCards })
    if (this.days.length > DAYS_KEPT) this.days.shift()
    this.today.clear()
  }
}
