import { z } from 'zod'
import { maskCardNumbers } from './card-number.ts'
import { FRAUD_TYPES, LABEL_SOURCES, type Label } from './label.ts'
import { CHANNELS, ENTRY_MODES, TRANSACTION_DEFAULTS, TRANSACTION_KINDS, type Transaction } from './transaction.ts'

const text = z.string().max(4096)
const timeMs = z.union([z.int(), z.iso.datetime({ offset: true }).transform((iso) => Date.parse(iso))])
const amount = z.int().min(0)

const transactionShape = z.strictObject({
  transaction_id: text,
  event_time: timeMs,
  card_id: text,
  amount,
  currency: text,
  kind: z.enum(TRANSACTION_KINDS).optional(),
  original_id: text.optional(),
  account_id: text.optional(),
  merchant_id: text.optional(),
  terminal_id: text.optional(),
  merchant_category: text.optional(),
  channel: z.enum(CHANNELS).optional(),
  entry_mode: z.enum(ENTRY_MODES).optional(),
  country: text.optional(),
  merchant_country: text.optional(),
  latitude: z.number().min(-90).max(90).nullable().optional(),
  longitude: z.number().min(-180).max(180).nullable().optional(),
  device_id: text.optional(),
  ip_prefix: text.optional(),
  email_hash: text.optional(),
  bin: text.optional(),
  avs: text.optional(),
  cvv: text.optional(),
  three_ds: text.optional(),
  recurring: z.boolean().optional(),
  response_code: text.optional(),
  attributes: z.record(z.string(), text).optional(),
  signals: z.record(z.string(), z.number()).optional(),
})

const labelShape = z.strictObject({
  transaction_id: text,
  card_id: text,
  merchant_id: text.default(''),
  event_time: timeMs,
  fraud: z.boolean(),
  type: z.enum(FRAUD_TYPES).default('unknown'),
  source: z.enum(LABEL_SOURCES).default('issuer_report'),
  confidence: z.number().min(0).max(1).default(1),
  known_at: timeMs,
})

/** A value from JSON, or which field is wrong and what it should be; never the value itself. */
export type Parsed<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly field: string; readonly problem: string }

/** A transaction as people write it: the required fields, any optional ones, times as milliseconds or ISO 8601. */
export function parseTransaction(input: unknown): Parsed<Transaction> {
  const parsed = transactionShape.safeParse(input)
  if (!parsed.success) return problemOf(parsed.error)
  return { ok: true, value: { ...TRANSACTION_DEFAULTS, ...parsed.data } as Transaction }
}

export function parseLabel(input: unknown): Parsed<Label> {
  const parsed = labelShape.safeParse(input)
  return parsed.success ? { ok: true, value: parsed.data } : problemOf(parsed.error)
}

function problemOf(error: z.ZodError): { readonly ok: false; readonly field: string; readonly problem: string } {
  const issue = error.issues[0]!
  if (issue.code === 'unrecognized_keys') {
    return { ok: false, field: maskCardNumbers(issue.keys[0] ?? ''), problem: 'is not a field of the schema' }
  }
  const field = maskCardNumbers(issue.path.join('.'))
  return { ok: false, field: field === '' ? '(record)' : field, problem: issue.message.replace(/, received .*$/, '') }
}
