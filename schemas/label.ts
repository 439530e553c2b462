/** What became known about a transaction, and when. */
export const FRAUD_TYPES = [
  'unknown',
  'lost_stolen',
  'card_not_present',
  'takeover',
  'counterfeit',
  'first_party',
  'scam',
  'merchant',
  'service_dispute',
] as const
export const LABEL_SOURCES = ['verdict', 'issuer_report', 'chargeback', 'charge_off'] as const

export type FraudType = (typeof FRAUD_TYPES)[number]
export type LabelSource = (typeof LABEL_SOURCES)[number]

export interface Label {
  readonly transaction_id: string
  readonly card_id: string
  readonly merchant_id: string
  /** Event time of the transaction spoken of, epoch milliseconds. */
  readonly event_time: number
  readonly fraud: boolean
  readonly type: FraudType
  readonly source: LabelSource
  /** 0 to 1. */
  readonly confidence: number
  /** Epoch milliseconds. */
  readonly known_at: number
}
