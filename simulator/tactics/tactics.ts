import type { FraudType } from '#schemas/label.ts'

/** How thieves work. `share` and the rest are of approved fraud, by count. */
export interface Tactic {
  readonly name: string
  readonly share: number
  /** From 70 % of the run on. */
  readonly lateShare: number
  /** Approved purchases of one incident. */
  readonly size: number
  /** Mean time from the start of an incident to its purchases. */
  readonly lagDays: number
  /** Median time to the issuer's report. */
  readonly reportDays: number
  readonly neverLabelled: number
  readonly type: FraudType
}

export const ENUMERATION = 0
export const STOLEN_DETAILS = 1
export const TAKEOVER = 2
export const LOST_CARD = 3
export const RING = 4
export const BUST_OUT = 5
export const FIRST_PARTY = 6
export const WALLET = 7
/** Not a tactic: an honest purchase. */
export const HONEST = -1

/** The others shrink when wallet provisioning begins. */
const REST = 0.7

export const TACTICS: readonly Tactic[] = [
  tactic('enumeration', 0.2, { size: 26, lagDays: 0, reportDays: 20, neverLabelled: 0.45, type: 'card_not_present' }),
  tactic('stolen_details', 0.4, {
    size: 4.3,
    lagDays: 0.9,
    reportDays: 12,
    neverLabelled: 0.12,
    type: 'card_not_present',
  }),
  tactic('takeover', 0.08, { size: 3.2, lagDays: 2, reportDays: 3, neverLabelled: 0.05, type: 'takeover' }),
  tactic('lost_stolen', 0.1, { size: 6.2, lagDays: 0.1, reportDays: 1, neverLabelled: 0.08, type: 'lost_stolen' }),
  tactic('ring', 0.08, { size: 36, lagDays: 10, reportDays: 25, neverLabelled: 0.25, type: 'merchant' }),
  tactic('bust_out', 0.04, { size: 11, lagDays: 2.3, reportDays: 135, neverLabelled: 0.5, type: 'first_party' }),
  tactic('first_party', 0.1, { size: 1, lagDays: 0, reportDays: 47, neverLabelled: 0, type: 'first_party' }),
  {
    ...tactic('wallet', 0, { size: 14.5, lagDays: 4, reportDays: 9, neverLabelled: 0.15, type: 'scam' }),
    lateShare: 0.3,
  },
]

function tactic(name: string, share: number, rest: Omit<Tactic, 'name' | 'share' | 'lateShare'>): Tactic {
  return { name, share, lateShare: share * REST, ...rest }
}
