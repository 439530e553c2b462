import type { FraudType, Label, LabelSource } from '#schemas/label.ts'
import type { Accounts } from './accounts.ts'
import type { Agenda } from './agenda.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS } from './calendar.ts'
import type { Random } from './random.ts'
import type { Remembered } from './recent.ts'
import { BUST_OUT, FIRST_PARTY, HONEST, TACTICS } from './tactics/tactics.ts'

/** Deviation of the logarithm of the time to the issuer's report. */
const REPORT_SIGMA = 0.8
const CHARGEBACK_SHARE = 0.7
const CHARGEBACK_MEDIAN_MS = 18 * DAY_MS
const CHARGEBACK_SIGMA = 0.6
const CHARGEBACK_MAX_MS = 120 * DAY_MS
const REPRESENTED_SHARE = 0.3
const DISPUTED_GENUINE = 0.00004
const DISPUTE_MEDIAN_MS = 12 * DAY_MS
const REISSUE_DAYS_MIN = 3
const REISSUE_DAYS_MAX = 7
const VERDICT_MEDIAN_MS = 3 * HOUR_MS
const VERDICT_SIGMA = 0.7
const DESK_OPENS_HOUR = 8
const DESK_CLOSES_HOUR = 20
const NO_VERDICT = 0.2
const FRAUD_MISJUDGED = 0.04
const GENUINE_MISJUDGED = 0.02

/** One transaction that somebody will (or might) report. */
export interface FraudCase {
  /** Index in TACTICS; HONEST for a genuine purchase that its owner will dispute. */
  readonly tactic: number
  /** Stopped by whoever scores the stream: no money went, so nobody reports it. */
  isStopped: boolean
}

export interface LabelsDeps {
  readonly random: Random
  readonly verdictRandom: Random
  readonly agenda: Agenda
  readonly accounts: Accounts
  readonly emit: (label: Label) => void
}

/** What becomes known of transactions, and when; the first known fraud ends the card. */
export class Labels {
  private readonly deps: LabelsDeps

  constructor(deps: LabelsDeps) {
    this.deps = deps
  }

  /** Draws whether the owner of an approved genuine purchase will call it fraud. */
  isDisputed(): boolean {
    return this.deps.random.chance(DISPUTED_GENUINE)
  }

  /** Plans what will be reported about an approved transaction that arrived at `arrivalMs`. `isVisible`: in this view. */
  plan(of: Remembered, fraud: FraudCase, arrivalMs: number, isVisible: boolean): void {
    const { random } = this.deps
    const plan = (knownMs: number, source: LabelSource, type: FraudType, isFraud = true): void =>
      this.at(Math.max(knownMs, arrivalMs + 10 * MINUTE_MS), of, fraud, source, type, isFraud, isVisible)
    if (fraud.tactic === HONEST) {
      plan(of.eventMs + random.lognormal(DISPUTE_MEDIAN_MS, REPORT_SIGMA), 'issuer_report', 'card_not_present')
      return
    }
    const { type, reportDays, neverLabelled } = TACTICS[fraud.tactic]!
    if (random.chance(neverLabelled)) return
    if (fraud.tactic === FIRST_PARTY) {
      const chargebackMs = of.eventMs + random.between(20, 75) * DAY_MS
      plan(chargebackMs, 'chargeback', type)
      if (random.chance(REPRESENTED_SHARE)) {
        plan(chargebackMs + random.between(15, 45) * DAY_MS, 'chargeback', type, false)
      }
      return
    }
    if (fraud.tactic === BUST_OUT) {
      plan(of.eventMs + random.between(90, 180) * DAY_MS, 'charge_off', type)
      return
    }
    const reportMs = Math.max(
      of.eventMs + random.lognormal(reportDays * DAY_MS, REPORT_SIGMA),
      arrivalMs + 10 * MINUTE_MS,
    )
    plan(reportMs, 'issuer_report', type)
    if (random.chance(CHARGEBACK_SHARE)) {
      const delayMs = Math.min(random.lognormal(CHARGEBACK_MEDIAN_MS, CHARGEBACK_SIGMA), CHARGEBACK_MAX_MS)
      plan(reportMs + delayMs, 'chargeback', type)
    }
  }

  /** Somebody at the desk looks at a reviewed transaction; a fifth of them gets no answer. */
  review(of: Remembered, nowMs: number): void {
    const random = this.deps.verdictRandom
    const isFraud = of.fraud !== null && of.fraud.tactic !== HONEST
    // all draws are made every time, so that one answer does not move the next
    const hasNone = random.chance(NO_VERDICT)
    const isMistaken = random.chance(isFraud ? FRAUD_MISJUDGED : GENUINE_MISJUDGED)
    const knownMs = this.deskTime(nowMs + random.lognormal(VERDICT_MEDIAN_MS, VERDICT_SIGMA))
    if (hasNone) return
    const verdict = isFraud !== isMistaken
    const type = verdict && isFraud ? TACTICS[of.fraud.tactic]!.type : 'unknown'
    this.at(knownMs, of, null, 'verdict', type, verdict, true)
  }

  /** The desk works from 8 to 20 h; what would fall into the night is done in the first hours of the next day. */
  private deskTime(timeMs: number): number {
    const midnightMs = Math.floor(timeMs / DAY_MS) * DAY_MS
    const hour = (timeMs - midnightMs) / HOUR_MS
    if (hour >= DESK_OPENS_HOUR && hour < DESK_CLOSES_HOUR) return timeMs
    const openingMs = midnightMs + (hour < DESK_OPENS_HOUR ? 0 : DAY_MS) + DESK_OPENS_HOUR * HOUR_MS
    return openingMs + this.deps.verdictRandom.between(0, 2 * HOUR_MS)
  }

  private at(
    knownMs: number,
    of: Remembered,
    fraud: FraudCase | null,
    source: LabelSource,
    type: FraudType,
    isFraud: boolean,
    isVisible: boolean,
  ): void {
    const { agenda, accounts, random, emit } = this.deps
    const at = Math.floor(knownMs)
    agenda.at(at, () => {
      if (fraud?.isStopped === true) return
      if (isFraud && of.card >= 0) {
        accounts.closeCard(of.card, of.cardId, at + random.between(REISSUE_DAYS_MIN, REISSUE_DAYS_MAX) * DAY_MS)
      }
      if (!isVisible) return
      emit({
        transaction_id: of.transactionId,
        card_id: of.cardId,
        merchant_id: of.merchantId,
        event_time: of.eventMs,
        fraud: isFraud,
        type: isFraud ? type : type === 'first_party' ? 'service_dispute' : 'unknown',
        source,
        confidence: source === 'verdict' ? 0.9 : 1,
        known_at: at,
      })
    })
  }
}
