import type { Channel, EntryMode, Transaction, TransactionKind } from '#schemas/transaction.ts'

const NONE: Readonly<Record<string, never>> = Object.freeze({})

/** A purchase while it is being put together; one object, used again for every purchase. */
export class Draft {
  accountId = ''
  cardId = ''
  bin = ''
  /** Slot of the card among the issuer's accounts; -1 for a card the issuer has never seen. */
  card = -1
  /** Slot of the merchant. */
  merchant = 0
  terminal = ''
  amount = 0
  currency = ''
  amountEur = 0
  channel: Channel = 'POS'
  entryMode: EntryMode = 'CHIP'
  country = ''
  latitude: number | null = null
  longitude: number | null = null
  device = ''
  address = ''
  email = ''
  avs = ''
  cvv = ''
  threeDs = ''
  recurring = false
  attributes: Readonly<Record<string, string>> = NONE
}

/** Who sells: what a transaction says of its merchant. */
export interface Seller {
  readonly id: string
  readonly category: string
  readonly country: string
}

/** A fresh transaction from the draft; one literal, so that all of them have one shape. */
export function toTransaction(
  draft: Draft,
  seller: Seller,
  id: string,
  timeMs: number,
  kind: TransactionKind,
): Transaction {
  return {
    transaction_id: id,
    event_time: timeMs,
    card_id: draft.cardId,
    amount: draft.amount,
    currency: draft.currency,
    kind,
    original_id: '',
    account_id: draft.accountId,
    merchant_id: seller.id,
    terminal_id: draft.terminal,
    merchant_category: seller.category,
    channel: draft.channel,
    entry_mode: draft.entryMode,
    country: draft.country,
    merchant_country: seller.country,
    latitude: draft.latitude,
    longitude: draft.longitude,
    device_id: draft.device,
    ip_prefix: draft.address,
    email_hash: draft.email,
    bin: draft.bin,
    avs: draft.avs,
    cvv: draft.cvv,
    three_ds: draft.threeDs,
    recurring: draft.recurring,
    response_code: '',
    attributes: draft.attributes,
    signals: NONE,
  }
}

/** An event that speaks of another: its outcome, reversal, refund, or the same purchase tried again (no original). */
export function toFollowing(
  of: Transaction,
  id: string,
  timeMs: number,
  kind: TransactionKind,
  amount: number,
  responseCode: string,
): Transaction {
  return {
    transaction_id: id,
    event_time: timeMs,
    card_id: of.card_id,
    amount,
    currency: of.currency,
    kind,
    original_id: kind === 'authorization' ? '' : of.transaction_id,
    account_id: of.account_id,
    merchant_id: of.merchant_id,
    terminal_id: of.terminal_id,
    merchant_category: of.merchant_category,
    channel: of.channel,
    entry_mode: of.entry_mode,
    country: of.country,
    merchant_country: of.merchant_country,
    latitude: of.latitude,
    longitude: of.longitude,
    device_id: of.device_id,
    ip_prefix: of.ip_prefix,
    email_hash: of.email_hash,
    bin: of.bin,
    avs: of.avs,
    cvv: of.cvv,
    three_ds: of.three_ds,
    recurring: of.recurring,
    response_code: responseCode,
    attributes: of.attributes,
    signals: of.signals,
  }
}
