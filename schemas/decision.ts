import type { Transaction } from './transaction.ts'

/** What was decided, from the mildest to the hardest; `none` for kinds that are recorded but not scored. */
export const VERDICTS = ['none', 'approve', 'review', 'challenge', 'hold', 'decline'] as const
export type Verdict = (typeof VERDICTS)[number]

export interface Decision {
  /** Tokenised: no card number in the clear. */
  readonly transaction: Transaction
  /** Journal line and place within it: the position of the decision. */
  readonly line: number
  readonly index: number
  /** Minor units of the base currency. */
  readonly amount_base: number
  readonly score: number | null
  readonly threshold: number | null
  readonly verdict: Verdict
  readonly rule_hits: readonly string[]
  readonly shadow_hits: readonly string[]
  readonly list_hits: readonly string[]
  readonly model_version: string
  readonly rules_version: string
  readonly spec_hash: string
  /** 16 hex digits; empty where not scored. */
  readonly input_hash: string
  readonly degraded: string
  readonly explored: number | null
  /** The journal line's clock, epoch milliseconds. */
  readonly scored_at: number
}

export const REASON_SOURCES = ['rule', 'list', 'model', 'event'] as const
export type ReasonSource = (typeof REASON_SOURCES)[number]

/** One reason, frozen at decision time. */
export interface Reason {
  readonly source: ReasonSource
  /** Reason code of a rule, `kind:field` of a list, or the name of a feature group. */
  readonly code: string
  readonly text: string
  /** Shapley value in log odds for source `model`; 0 for rules and lists. */
  readonly weight: number
}

export interface Alert {
  readonly alert_id: string
  readonly open_alert_id: string
  readonly incident_id: string
  readonly line: number
  readonly index: number
  readonly transaction_id: string
  readonly event_time: number
  readonly card_id: string
  readonly account_id: string
  readonly merchant_id: string
  readonly device_id: string
  readonly ip_prefix: string
  readonly amount_base: number
  readonly score: number | null
  readonly threshold: number | null
  readonly verdict: Verdict
  readonly expected_loss: number
  readonly reasons: readonly Reason[]
  readonly explained: boolean
  /** float32 little-endian `[K, H]`, exactly what was scored. */
  readonly history: Buffer
  readonly history_length: number
  /** float32 little-endian `[F]`. */
  readonly current: Buffer
  readonly model_version: string
  readonly rules_version: string
  readonly spec_hash: string
  readonly scored_at: number
}

/** Verdicts that put an event in front of people or stop it; `approve` and `none` do not. */
export function isFlagged(verdict: Verdict): boolean {
  return verdict !== 'none' && verdict !== 'approve'
}
