/**
 * A transaction as every part of Weir understands it. Field names are those of the wire (`kafka/transaction.avsc`), of
 * ClickHouse, of the rules language and of CSV files: one word for one thing from end to end.
 */
export const TRANSACTION_KINDS = ['authorization', 'verification', 'reversal', 'refund', 'outcome'] as const
export const CHANNELS = ['UNKNOWN', 'POS', 'ECOM', 'ATM', 'TRANSFER'] as const
export const ENTRY_MODES = ['UNKNOWN', 'CHIP', 'CONTACTLESS', 'SWIPE', 'MANUAL', 'ECOM', 'WALLET'] as const

export type TransactionKind = (typeof TRANSACTION_KINDS)[number]
export type Channel = (typeof CHANNELS)[number]
export type EntryMode = (typeof ENTRY_MODES)[number]

export interface Transaction {
  readonly transaction_id: string
  /** Epoch milliseconds. */
  readonly event_time: number
  readonly card_id: string
  /** Minor units of `currency`. */
  readonly amount: number
  /** ISO 4217 alphabetic code. */
  readonly currency: string
  readonly kind: TransactionKind
  /** Of a reversal, refund or outcome: the transaction it speaks of. */
  readonly original_id: string
  readonly account_id: string
  readonly merchant_id: string
  readonly terminal_id: string
  readonly merchant_category: string
  readonly channel: Channel
  readonly entry_mode: EntryMode
  readonly country: string
  readonly merchant_country: string
  readonly latitude: number | null
  readonly longitude: number | null
  readonly device_id: string
  readonly ip_prefix: string
  readonly email_hash: string
  readonly bin: string
  readonly avs: string
  readonly cvv: string
  readonly three_ds: string
  readonly recurring: boolean
  /** See `isDeclined`; empty: not known, taken as approved until an outcome says otherwise. */
  readonly response_code: string
  readonly attributes: Readonly<Record<string, string>>
  readonly signals: Readonly<Record<string, number>>
}

/** Text fields in wire order; the ones a rule, a list or an entity key may name. */
export const TEXT_FIELDS = [
  'transaction_id',
  'card_id',
  'currency',
  'original_id',
  'account_id',
  'merchant_id',
  'terminal_id',
  'merchant_category',
  'country',
  'merchant_country',
  'device_id',
  'ip_prefix',
  'email_hash',
  'bin',
  'avs',
  'cvv',
  'three_ds',
  'response_code',
] as const
export type TextField = (typeof TEXT_FIELDS)[number]

/** Every optional field with the value it has when it is not given. */
export const TRANSACTION_DEFAULTS = {
  kind: 'authorization',
  original_id: '',
  account_id: '',
  merchant_id: '',
  terminal_id: '',
  merchant_category: '',
  channel: 'UNKNOWN',
  entry_mode: 'UNKNOWN',
  country: '',
  merchant_country: '',
  latitude: null,
  longitude: null,
  device_id: '',
  ip_prefix: '',
  email_hash: '',
  bin: '',
  avs: '',
  cvv: '',
  three_ds: '',
  recurring: false,
  response_code: '',
  attributes: {},
  signals: {},
} as const satisfies Partial<Transaction>

/** A declined authorization: a response code that is known and neither 00 (approved), 10 (in part) nor 85 (no reason to decline). */
export function isDeclined(responseCode: string): boolean {
  return responseCode !== '' && responseCode !== '00' && responseCode !== '10' && responseCode !== '85'
}
