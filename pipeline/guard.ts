import type { EventColumns } from '#schemas/event-columns.ts'
import type { Label } from '#schemas/label.ts'
import type { Rejection } from './slice.ts'

export interface GuardLimits {
  /** Ids of 1 to this many UTF-8 bytes. */
  readonly idBytesMax: number
  /** Minor units of the base currency. */
  readonly amountBaseMax: number
  /** Epoch milliseconds. */
  readonly notBeforeMs: number
  /** How far ahead of the clock an event may lie. */
  readonly aheadMs: number
}

export const DEFAULT_GUARD: GuardLimits = {
  idBytesMax: 128,
  amountBaseMax: 1e13,
  notBeforeMs: Date.UTC(2000, 0, 1),
  aheadMs: 86_400_000,
}

/** A reason to refuse a transaction that was written into a row, or null. Its `amount_base` is NaN for an unknown currency. */
export function guardTransaction(
  events: EventColumns,
  row: number,
  notAfterMs: number,
  limits: GuardLimits,
): Rejection | null {
  const { text, event_time, amount, amount_base } = events
  if (text.transaction_id.bytes[row] === 0) return idEmpty('transaction_id')
  if (text.card_id.bytes[row] === 0) return idEmpty('card_id')
  if (text.transaction_id.bytes[row]! > limits.idBytesMax) return idTooLong('transaction_id', limits)
  if (text.card_id.bytes[row]! > limits.idBytesMax) return idTooLong('card_id', limits)
  if (text.original_id.bytes[row]! > limits.idBytesMax) return idTooLong('original_id', limits)
  if (text.account_id.bytes[row]! > limits.idBytesMax) return idTooLong('account_id', limits)
  if (text.merchant_id.bytes[row]! > limits.idBytesMax) return idTooLong('merchant_id', limits)
  if (text.terminal_id.bytes[row]! > limits.idBytesMax) return idTooLong('terminal_id', limits)
  if (text.device_id.bytes[row]! > limits.idBytesMax) return idTooLong('device_id', limits)
  if (text.ip_prefix.bytes[row]! > limits.idBytesMax) return idTooLong('ip_prefix', limits)
  if (text.email_hash.bytes[row]! > limits.idBytesMax) return idTooLong('email_hash', limits)
  if (text.bin.bytes[row]! > limits.idBytesMax) return idTooLong('bin', limits)
  const timeMs = event_time[row]!
  if (timeMs < limits.notBeforeMs || timeMs > notAfterMs) return timeOutOfRange('event_time')
  if (Number.isNaN(amount_base[row])) {
    return { reason: 'UNKNOWN_CURRENCY', field: 'currency', detail: 'the currency is not in the rate table' }
  }
  if (amount[row]! < 0 || amount_base[row]! > limits.amountBaseMax) {
    return {
      reason: 'AMOUNT_OUT_OF_RANGE',
      field: 'amount',
      detail: `the amount is negative or above ${limits.amountBaseMax} minor units of the base currency`,
    }
  }
  return null
}

export function guardLabel(from: Label, notAfterMs: number, limits: GuardLimits): Rejection | null {
  if (from.transaction_id === '') return idEmpty('transaction_id')
  if (from.card_id === '') return idEmpty('card_id')
  if (isTooLong(from.transaction_id, limits)) return idTooLong('transaction_id', limits)
  if (isTooLong(from.card_id, limits)) return idTooLong('card_id', limits)
  if (isTooLong(from.merchant_id, limits)) return idTooLong('merchant_id', limits)
  if (from.event_time < limits.notBeforeMs || from.event_time > notAfterMs) return timeOutOfRange('event_time')
  if (from.known_at < limits.notBeforeMs || from.known_at > notAfterMs) return timeOutOfRange('known_at')
  if (!(from.confidence >= 0 && from.confidence <= 1)) {
    return { reason: 'WRONG_TYPE', field: 'confidence', detail: 'the confidence is not between 0 and 1' }
  }
  return null
}

/** UTF-8 needs at most 3 bytes for one UTF-16 unit, so short ids need no count. */
function isTooLong(id: string, limits: GuardLimits): boolean {
  return id.length * 3 > limits.idBytesMax && Buffer.byteLength(id) > limits.idBytesMax
}

function idEmpty(field: string): Rejection {
  return { reason: 'ID_EMPTY', field, detail: `${field} is empty` }
}

function idTooLong(field: string, limits: GuardLimits): Rejection {
  return { reason: 'ID_TOO_LONG', field, detail: `${field} is longer than ${limits.idBytesMax} bytes` }
}

export function timeOutOfRange(field: string): Rejection {
  return {
    reason: 'TIME_OUT_OF_RANGE',
    field,
    detail: `${field} lies before 2000 or more than a day ahead of the clock`,
  }
}
