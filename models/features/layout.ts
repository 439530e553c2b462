import type { FeatureColumn, FeatureGroup, FeatureLayout } from '#models/feature-buffers.ts'
import {
  type EntitySpec,
  type FeatureSpec,
  type HabitFeature,
  type RawFeature,
  specHash,
} from '#schemas/feature-spec.ts'

/** Names, groups and units of every column that a spec gives, in the order in which they are written. */
export function layoutOf(spec: FeatureSpec): FeatureLayout {
  const currentColumns: FeatureColumn[] = [
    ...spec.raw.map((name) => ({ name, ...RAW_COLUMNS[name] })),
    ...spec.habit.map((name) => ({ name, ...HABIT_COLUMNS[name] })),
    ...spec.entities.flatMap((entity) => [...figureColumns(entity), ...knownFraudColumns(entity)]),
    ...buckets('category', spec.categoryBuckets, 'place_channel'),
    ...spec.attributes.flatMap(({ name, buckets: n }) => buckets(`attribute_${name}`, n, 'place_channel')),
    ...spec.signals.map((name) => ({ name: `signal_${name}`, group: 'merchant' as const, unit: 'as given' })),
  ]
  return {
    specName: spec.name,
    specHash: specHash(spec),
    historyLength: spec.historyLength,
    historyWidth: spec.historyFeatures.length,
    historyColumns: spec.historyFeatures.map((name) => ({ name, group: 'past_events', unit: 'as when it happened' })),
    currentWidth: currentColumns.length,
    currentColumns,
  }
}

export function figureName(entity: string, aggregate: string, window: string): string {
  const what = aggregate !== 'distinct' ? aggregate : entity === 'card' ? 'merchants' : 'cards'
  return `${entity}_${what}_${window}`
}

function figureColumns(entity: EntitySpec): FeatureColumn[] {
  return entity.figures.flatMap(({ aggregate, windows }) =>
    windows.map((window) => ({
      name: figureName(entity.name, aggregate, window),
      group: groupOf(entity),
      unit: UNITS[aggregate],
    })),
  )
}

function knownFraudColumns(entity: EntitySpec): FeatureColumn[] {
  if (entity.knownFraudWindows.length === 0) return []
  const column = (what: string, unit: string): FeatureColumn => ({
    name: `${entity.name}_${what}`,
    group: 'known_fraud',
    unit,
  })
  return [
    ...entity.knownFraudWindows.flatMap((window) => [
      column(`known_fraud_count_${window}`, 'count'),
      column(`known_fraud_share_${window}`, 'share'),
    ]),
    column('log_since_known_fraud', 'log ms'),
    column('log_since_known_genuine', 'log ms'),
  ]
}

function groupOf(entity: EntitySpec): FeatureGroup {
  if (entity.fields.includes('card_id') || entity.fields.includes('account_id')) return 'card_velocity'
  return entity.fields.includes('merchant_id') ? 'merchant' : 'device_address'
}

function buckets(prefix: string, count: number, group: FeatureGroup): FeatureColumn[] {
  return Array.from({ length: count }, (_, i) => ({ name: `${prefix}_${i}`, group, unit: 'one-hot' }))
}

const UNITS = {
  count: 'count',
  sum: 'minor units',
  mean: 'minor units',
  max: 'minor units',
  declined_count: 'count',
  declined_share: 'share',
  small_share: 'share',
  distinct: 'count',
} as const

const amount = { group: 'amount_habit', unit: 'minor units' } as const
const time = { group: 'time', unit: 'flag' } as const
const place = { group: 'place_channel', unit: 'flag' } as const

const RAW_COLUMNS: Readonly<Record<RawFeature, { readonly group: FeatureGroup; readonly unit: string }>> = {
  amount,
  log_amount: { group: 'amount_habit', unit: 'log minor units' },
  hour_sin: { group: 'time', unit: 'sine' },
  hour_cos: { group: 'time', unit: 'cosine' },
  weekday_sin: { group: 'time', unit: 'sine' },
  weekday_cos: { group: 'time', unit: 'cosine' },
  weekend: time,
  night: time,
  is_verification: place,
  is_refund: place,
  channel_pos: place,
  channel_ecom: place,
  channel_atm: place,
  channel_transfer: place,
  entry_chip: place,
  entry_contactless: place,
  entry_manual: place,
  entry_wallet: place,
  avs_match: place,
  avs_mismatch: place,
  cvv_match: place,
  cvv_mismatch: place,
  three_ds_passed: place,
  three_ds_failed: place,
  recurring: place,
  foreign: place,
  foreign_currency: place,
}

const HABIT_COLUMNS: Readonly<Record<HabitFeature, { readonly group: FeatureGroup; readonly unit: string }>> = {
  log_gap: { group: 'time', unit: 'log ms' },
  log_card_age: { group: 'time', unit: 'log ms' },
  amount_to_median: { group: 'amount_habit', unit: 'ratio' },
  amount_deviation: { group: 'amount_habit', unit: 'deviations' },
  large_ratios_14d: { group: 'amount_habit', unit: 'count' },
  new_merchant: { group: 'merchant', unit: 'flag' },
  new_device: { group: 'device_address', unit: 'flag' },
  new_category: { group: 'merchant', unit: 'flag' },
  new_country: { group: 'place_channel', unit: 'flag' },
  speed_kmh: { group: 'place_channel', unit: 'km/h' },
  merchant_hour_distance: { group: 'merchant', unit: 'one minus cosine' },
  amount_to_merchant_mean: { group: 'merchant', unit: 'log ratio' },
}
