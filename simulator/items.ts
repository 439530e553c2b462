import type { Label } from '#schemas/label.ts'
import type { Transaction } from '#schemas/transaction.ts'

/** What the world knows of a transaction and the issuer does not (yet). */
export interface Truth {
  readonly fraud: boolean
  /** A name of TACTICS, or `none`. */
  readonly tactic: string
  /** By the issuer; an authorization that it declined is followed by an outcome. */
  readonly approved: boolean
}

/**
 * One thing that arrives. `truth` stands with everything that is scored (authorizations, verifications, refunds) and is
 * null for reversals and outcomes.
 */
export type SimulatedItem =
  | { readonly kind: 'transaction'; readonly transaction: Transaction; readonly truth: Truth | null }
  | { readonly kind: 'label'; readonly label: Label }
