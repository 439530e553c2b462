import { Hash64 } from './hash64.ts'
import { FRAUD_TYPES, LABEL_SOURCES, type Label } from './label.ts'
import { TextColumn } from './text-column.ts'
import {
  CHANNELS,
  ENTRY_MODES,
  TEXT_FIELDS,
  TRANSACTION_KINDS,
  type TextField,
  type Transaction,
} from './transaction.ts'

/** `kind` of a row: the index in TRANSACTION_KINDS, or LABEL for a label that arrived between transactions. */
export const AUTHORIZATION = TRANSACTION_KINDS.indexOf('authorization')
export const VERIFICATION = TRANSACTION_KINDS.indexOf('verification')
export const REVERSAL = TRANSACTION_KINDS.indexOf('reversal')
export const REFUND = TRANSACTION_KINDS.indexOf('refund')
export const OUTCOME = TRANSACTION_KINDS.indexOf('outcome')
export const LABEL = TRANSACTION_KINDS.length

/** Authorizations, verifications and refunds are scored; reversals, outcomes and labels only change state. */
export function isScoredKind(kind: number): boolean {
  return kind === AUTHORIZATION || kind === VERIFICATION || kind === REFUND
}

/**
 * Up to `capacity` events in columns, in the order in which they are folded: transactions, and labels at the place where
 * they arrived. Columns carry the wire's names. Written by the decode stage, read by features, rules and commit; reused
 * from slice to slice, so rows at or beyond `count` hold old values.
 *
 * A label row fills transaction_id, card_id, merchant_id, event_time (of the transaction spoken of) and the `label_*`
 * columns; its other columns hold defaults.
 */
export class EventColumns {
  readonly capacity: number
  count = 0

  /** Index in TRANSACTION_KINDS, or LABEL. */
  readonly kind: Uint8Array
  /** Epoch milliseconds. */
  readonly event_time: Float64Array
  /** Minor units of `currency`. */
  readonly amount: Float64Array
  /** Minor units of the base currency, a whole number. */
  readonly amount_base: Float64Array
  /** Index in CHANNELS. */
  readonly channel: Uint8Array
  /** Index in ENTRY_MODES. */
  readonly entry_mode: Uint8Array
  /** NaN where not given. */
  readonly latitude: Float64Array
  readonly longitude: Float64Array
  readonly recurring: Uint8Array
  /** What a row was read from, where its texts are left in there. */
  readonly source: Buffer[]
  readonly text: Readonly<Record<TextField, TextColumn>>
  /** Halves of the 64-bit hash of each text, hashed once for all who look something up by it; both 0 where it is empty. */
  readonly hashHi: Readonly<Record<TextField, Uint32Array>>
  readonly hashLo: Readonly<Record<TextField, Uint32Array>>
  readonly attributes: Readonly<Record<string, string>>[]
  readonly signals: Readonly<Record<string, number>>[]

  /** 1 fraud, 0 genuine; label rows only. */
  readonly label_fraud: Uint8Array
  /** Index in FRAUD_TYPES. */
  readonly label_type: Uint8Array
  /** Index in LABEL_SOURCES. */
  readonly label_source: Uint8Array
  /** Epoch milliseconds. */
  readonly label_known_at: Float64Array
  /** Used while a row is written. */
  readonly scratch = new Hash64()

  constructor(capacity: number) {
    this.capacity = capacity
    this.kind = new Uint8Array(capacity)
    this.event_time = new Float64Array(capacity)
    this.amount = new Float64Array(capacity)
    this.amount_base = new Float64Array(capacity)
    this.channel = new Uint8Array(capacity)
    this.entry_mode = new Uint8Array(capacity)
    this.latitude = new Float64Array(capacity)
    this.longitude = new Float64Array(capacity)
    this.recurring = new Uint8Array(capacity)
    this.source = new Array<Buffer>(capacity).fill(NO_BYTES)
    this.text = byField(() => new TextColumn(this.source, capacity))
    this.hashHi = byField(() => new Uint32Array(capacity))
    this.hashLo = byField(() => new Uint32Array(capacity))
    this.attributes = new Array<Record<string, string>>(capacity).fill({})
    this.signals = new Array<Record<string, number>>(capacity).fill({})
    this.label_fraud = new Uint8Array(capacity)
    this.label_type = new Uint8Array(capacity)
    this.label_source = new Uint8Array(capacity)
    this.label_known_at = new Float64Array(capacity)
  }
}

/** Writes a transaction into a row; `amountBase` is its amount in whole minor units of the base currency. */
export function writeTransaction(columns: EventColumns, row: number, from: Transaction, amountBase: number): void {
  columns.kind[row] = KIND_INDEX.get(from.kind)!
  columns.event_time[row] = from.event_time
  columns.amount[row] = from.amount
  columns.amount_base[row] = amountBase
  columns.channel[row] = CHANNEL_INDEX.get(from.channel)!
  columns.entry_mode[row] = ENTRY_MODE_INDEX.get(from.entry_mode)!
  columns.latitude[row] = from.latitude ?? Number.NaN
  columns.longitude[row] = from.longitude ?? Number.NaN
  columns.recurring[row] = from.recurring ? 1 : 0
  for (let i = 0; i < TEXT_FIELDS.length; i++) writeText(columns, TEXT_FIELDS[i]!, row, from[TEXT_FIELDS[i]!])
  columns.attributes[row] = from.attributes
  columns.signals[row] = from.signals
}

/** Writes a label into a row, so that it is folded at its place between transactions. */
export function writeLabel(columns: EventColumns, row: number, from: Label): void {
  columns.kind[row] = LABEL
  columns.event_time[row] = from.event_time
  columns.amount[row] = 0
  columns.amount_base[row] = 0
  columns.channel[row] = 0
  columns.entry_mode[row] = 0
  columns.latitude[row] = Number.NaN
  columns.longitude[row] = Number.NaN
  columns.recurring[row] = 0
  for (const field of TEXT_FIELDS) writeText(columns, field, row, '')
  writeText(columns, 'transaction_id', row, from.transaction_id)
  writeText(columns, 'card_id', row, from.card_id)
  writeText(columns, 'merchant_id', row, from.merchant_id)
  columns.attributes[row] = NO_ATTRIBUTES
  columns.signals[row] = NO_SIGNALS
  columns.label_fraud[row] = from.fraud ? 1 : 0
  columns.label_type[row] = FRAUD_TYPES.indexOf(from.type)
  columns.label_source[row] = LABEL_SOURCES.indexOf(from.source)
  columns.label_known_at[row] = from.known_at
}

/** A text and its hash always change together. */
function writeText(columns: EventColumns, field: TextField, row: number, text: string): void {
  const { scratch: hash } = columns
  columns.text[field].set(row, text, Buffer.byteLength(text))
  if (text === '') hash.hi = hash.lo = 0
  else hash.ofText(text)
  columns.hashHi[field][row] = hash.hi
  columns.hashLo[field][row] = hash.lo
}

function byField<T>(make: () => T): Record<TextField, T> {
  return Object.fromEntries(TEXT_FIELDS.map((field) => [field, make()])) as Record<TextField, T>
}

const NO_BYTES = Buffer.alloc(0)
const NO_ATTRIBUTES: Readonly<Record<string, string>> = {}
const NO_SIGNALS: Readonly<Record<string, number>> = {}
const KIND_INDEX = new Map<string, number>(TRANSACTION_KINDS.map((name, i) => [name, i]))
const CHANNEL_INDEX = new Map<string, number>(CHANNELS.map((name, i) => [name, i]))
const ENTRY_MODE_INDEX = new Map<string, number>(ENTRY_MODES.map((name, i) => [name, i]))
