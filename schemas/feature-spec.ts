import { createHash } from 'node:crypto'
import { z } from 'zod'
import { WeirError } from './errors.ts'
import { TEXT_FIELDS } from './transaction.ts'

/** Windows a figure may have, by the name it has in columns and rules. */
export const WINDOWS_MS = {
  '1m': 60_000,
  '10m': 600_000,
  '1h': 3_600_000,
  '1d': 86_400_000,
  '7d': 604_800_000,
  '30d': 2_592_000_000,
} as const
export type WindowName = keyof typeof WINDOWS_MS

export const AGGREGATES = [
  'count',
  'sum',
  'mean',
  'max',
  'declined_count',
  'declined_share',
  'small_share',
  'distinct',
] as const
export type Aggregate = (typeof AGGREGATES)[number]

/** Numbers of the event itself. */
export const RAW_FEATURES = [
  'amount',
  'log_amount',
  'hour_sin',
  'hour_cos',
  'weekday_sin',
  'weekday_cos',
  'weekend',
  'night',
  'is_verification',
  'is_refund',
  'channel_pos',
  'channel_ecom',
  'channel_atm',
  'channel_transfer',
  'entry_chip',
  'entry_contactless',
  'entry_manual',
  'entry_wallet',
  'avs_match',
  'avs_mismatch',
  'cvv_match',
  'cvv_mismatch',
  'three_ds_passed',
  'three_ds_failed',
  'recurring',
  'foreign',
  'foreign_currency',
] as const
export type RawFeature = (typeof RAW_FEATURES)[number]

/** Numbers of the event against the card's and the merchant's past, the event itself left out. */
export const HABIT_FEATURES = [
  'log_gap',
  'log_card_age',
  'amount_to_median',
  'amount_deviation',
  'large_ratios_14d',
  'new_merchant',
  'new_device',
  'new_category',
  'new_country',
  'speed_kmh',
  'merchant_hour_distance',
  'amount_to_merchant_mean',
] as const
export type HabitFeature = (typeof HABIT_FEATURES)[number]

/** Numbers kept of each past event; frozen when it was current. */
export const HISTORY_FEATURES = [
  'log_amount',
  'log_gap',
  'hour_sin',
  'hour_cos',
  'weekend',
  'channel_pos',
  'channel_ecom',
  'channel_atm',
  'entry_contactless',
  'entry_wallet',
  'is_verification',
  'foreign',
  'avs_mismatch',
  'three_ds_passed',
  'amount_to_median',
  'new_merchant',
  'new_device',
  'new_category',
  'category_sin',
  'category_cos',
  'log_card_count_1h',
  'log_merchant_count_1h',
] as const
export type HistoryFeature = (typeof HISTORY_FEATURES)[number]

const windowName = z.enum(Object.keys(WINDOWS_MS) as [WindowName, ...WindowName[]])
const name = z.string().regex(/^[a-z][a-z0-9_]{0,39}$/, 'use lower-case letters, digits and _')

const entityShape = z
  .strictObject({
    name,
    /** One field, or several joined into one key. */
    fields: z.array(z.enum(TEXT_FIELDS)).min(1).max(4),
    figures: z.array(z.strictObject({ aggregate: z.enum(AGGREGATES), windows: z.array(windowName).min(1) })),
    /** Windows of the known-fraud count and share; empty: none. */
    knownFraudWindows: z.array(windowName).default([]),
    /** Above this many events in the longest window old ones become one row a minute. */
    ringMax: z.int().min(64).max(8_192).default(4_096),
  })
  .superRefine((entity, context) => {
    for (const { aggregate, windows } of entity.figures) {
      if (aggregate !== 'distinct') continue
      for (const window of windows) {
        if (WINDOWS_MS[window] <= WINDOWS_MS['1d']) continue
        context.addIssue({ code: 'custom', path: ['figures'], message: 'distinct is for windows up to 1d' })
      }
    }
  })

const specShape = z
  .strictObject({
    name,
    version: z.int().min(1),
    /** K: past events given to the model. */
    historyLength: z.int().min(1).max(64),
    historyFeatures: z.array(z.enum(HISTORY_FEATURES)).min(1).max(24),
    raw: z.array(z.enum(RAW_FEATURES)),
    habit: z.array(z.enum(HABIT_FEATURES)),
    entities: z.array(entityShape).min(1).max(8),
    /** Hashed one-hot columns of the merchant category. */
    categoryBuckets: z.int().min(0).max(32).default(0),
    attributes: z.array(z.strictObject({ name: z.string().min(1), buckets: z.int().min(1).max(16) })).default([]),
    signals: z.array(z.string().min(1)).default([]),
    /** Below this an amount is small, minor units of the base currency. */
    smallAmount: z.int().min(0).default(500),
    /** Cards and other entities without an event for so long start afresh. */
    idleDays: z.int().min(31).max(1_000).default(90),
    /** How late an event may come and still find its windows whole. */
    lateHours: z.int().min(1).max(240).default(24),
  })
  .superRefine((spec, context) => {
    const names = spec.entities.map((entity) => entity.name)
    if (new Set(names).size !== names.length) {
      context.addIssue({ code: 'custom', path: ['entities'], message: 'two entities have the same name' })
    }
    if (!names.includes('card')) {
      context.addIssue({
        code: 'custom',
        path: ['entities'],
        message: 'an entity named card is needed for the history',
      })
    }
  })

export type FeatureSpec = z.infer<typeof specShape>
export type EntitySpec = FeatureSpec['entities'][number]

/**
 * @param where file or place named in errors
 * @throws WeirError SPEC_INVALID naming the path within the spec
 */
export function parseFeatureSpec(input: unknown, where: string): FeatureSpec {
  const parsed = specShape.safeParse(input)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]!
  throw new WeirError('SPEC_INVALID', `${issue.path.join('.') || '(spec)'}: ${issue.message}`, {
    where,
    fix: 'The shipped specs default and lean are examples.',
  })
}

/** SHA-256 of the spec with all defaults filled in and keys in order, hex: equal hashes mean equal features. */
export function specHash(spec: FeatureSpec): string {
  return createHash('sha256').update(canonicalJson(spec)).digest('hex')
}

function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
    return `{${entries.map(([key, inner]) => `${JSON.stringify(key)}:${canonicalJson(inner)}`).join(',')}}`
  }
  return JSON.stringify(value)
}
