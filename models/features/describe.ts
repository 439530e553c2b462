import type { FeatureLayout } from '#models/feature-buffers.ts'
import type { HistoryFeature } from '#schemas/feature-spec.ts'

/** An amount in minor units of the base currency, for people. */
export type FormatMoney = (minorUnits: number) => string

/**
 * A current feature's value in words that an analyst can check, as 'amount 9.3 times this card's median'. Empty where the
 * value says nothing on its own: an ordinary one, one bucket of many, half of a pair of sine and cosine.
 *
 * @param index column of the layout's current vector
 */
export function describeFeature(
  layout: FeatureLayout,
  index: number,
  value: number,
  money: FormatMoney = hundredths,
): string {
  const { name } = layout.currentColumns[index]!
  const plain = PLAIN[name]
  if (plain !== undefined) return plain(value, money)
  const known = KNOWN_FRAUD.exec(name)
  if (known !== null) return describeKnown(known[1]!, known[2]!, known[3] ?? '', value)
  const figure = FIGURE.exec(name)
  if (figure !== null) return describeFigure(figure[1]!, figure[2]!, figure[3]!, value, money)
  return name.startsWith('signal_') && value !== 0 ? `signal ${name.slice(7)} is ${short(value)}` : ''
}

/**
 * A past event of the card in words, from the numbers that its history keeps.
 *
 * @param back 1 for the newest
 * @param values `[H]`
 */
export function describePastEvent(
  layout: FeatureLayout,
  back: number,
  values: Float32Array,
  money: FormatMoney = hundredths,
): string {
  const numbers = new Map(layout.historyColumns.map(({ name }, i) => [name, values[i]!]))
  const is = (name: HistoryFeature): boolean => numbers.get(name) === 1
  const amount = numbers.get('log_amount')
  const gap = numbers.get('log_gap') ?? 0
  const ratio = Math.expm1(numbers.get('amount_to_median') ?? 0)
  const what = is('is_verification') ? 'a check of the card' : amount === undefined ? '' : money(roundedExpm1(amount))
  const where = is('channel_ecom') ? 'online' : is('channel_atm') ? 'at an ATM' : is('channel_pos') ? 'in a shop' : ''
  const details = [
    timeOfDay(numbers.get('hour_sin'), numbers.get('hour_cos')),
    gap > 0 ? `${duration(Math.expm1(gap))} after the event before it` : '',
    ratio >= LARGE ? `${short(ratio)} times the median of then` : '',
    is('new_device') ? 'new device' : '',
    is('new_merchant') ? 'new merchant' : '',
    is('foreign') ? 'abroad' : '',
    is('avs_mismatch') ? 'address did not match' : '',
  ].filter((part) => part !== '')
  const event = back === 1 ? "the card's event just before this one" : `the card's event ${back} before this one`
  const said = [[what, where].filter((part) => part !== '').join(' '), ...details].filter((part) => part !== '')
  return said.length === 0 ? event : `${event}: ${said.join(', ')}`
}

type Words = (value: number, money: FormatMoney) => string

const WINDOW_WORDS: Readonly<Record<string, string>> = {
  '1m': 'in a minute',
  '10m': 'in 10 minutes',
  '1h': 'in an hour',
  '1d': 'in 24 hours',
  '7d': 'in 7 days',
  '30d': 'in 30 days',
}
const WINDOWS = Object.keys(WINDOW_WORDS).join('|')
const FIGURE = new RegExp(
  `^(\\w+?)_(count|sum|mean|max|declined_count|declined_share|small_share|cards|merchants)_(${WINDOWS})$`,
)
const KNOWN_FRAUD = new RegExp(
  `^(\\w+?)_(known_fraud_count|known_fraud_share|log_since_known_fraud|log_since_known_genuine)(?:_(${WINDOWS}))?$`,
)
/** From here on a ratio of amounts is worth a word. */
const LARGE = 1.5
const YEAR_MS = 365 * 86_400_000

const flag =
  (on: string, off = ''): Words =>
  (value) =>
    value === 1 ? on : off

const PLAIN: Readonly<Record<string, Words>> = {
  amount: (value, money) => `amount ${money(value)}`,
  log_amount: (value, money) => `amount ${money(roundedExpm1(value))}`,
  weekend: flag('at the weekend'),
  night: flag('at night'),
  is_verification: flag('a check of the card without an amount'),
  is_refund: flag('a refund'),
  channel_pos: flag('paid in a shop'),
  channel_ecom: flag('paid online'),
  channel_atm: flag('cash from an ATM'),
  channel_transfer: flag('a transfer'),
  entry_chip: flag('chip read'),
  entry_contactless: flag('contactless'),
  entry_manual: flag('card number typed in'),
  entry_wallet: flag('paid from a wallet'),
  avs_match: flag('address matched', 'address not confirmed'),
  avs_mismatch: flag('address did not match'),
  cvv_match: flag('security code matched', 'security code not confirmed'),
  cvv_mismatch: flag('security code did not match'),
  three_ds_passed: flag('passed 3-D Secure', 'not confirmed by 3-D Secure'),
  three_ds_failed: flag('failed 3-D Secure'),
  recurring: flag('a recurring payment'),
  foreign: flag("merchant outside the cardholder's country"),
  foreign_currency: flag('paid in another currency'),
  log_gap: (value) =>
    value === 0
      ? 'no event of this card shortly before'
      : `${duration(Math.expm1(value))} after this card's last event`,
  log_card_age: (value) =>
    value === 0 ? 'card not seen before' : `card first seen ${duration(Math.expm1(value))} ago`,
  amount_to_median: (value) =>
    value >= LARGE || (value > 0 && value <= 1 / LARGE) ? `amount ${short(value)} times this card's median` : '',
  amount_deviation: (value) =>
    Math.abs(value) < 1
      ? ''
      : `amount ${short(Math.abs(value))} deviations ${value > 0 ? 'above' : 'below'} this card's mean`,
  large_ratios_14d: (value) => (value === 0 ? '' : `${counted(value, 'large amount')} on this card in 14 days`),
  new_merchant: flag('first time at this merchant'),
  new_device: flag('device new to this card'),
  new_category: flag('kind of merchant new to this card'),
  new_country: flag('country new to this card'),
  speed_kmh: (value) => (value < 1 ? '' : `${short(value)} km/h from where the card was last`),
  merchant_hour_distance: (value) => (value < 0.5 ? '' : 'an unusual hour for this merchant'),
  amount_to_merchant_mean: (value) =>
    Math.abs(value) < Math.log(LARGE) ? '' : `amount ${short(Math.exp(value))} times this merchant's mean`,
}

function describeFigure(entity: string, what: string, window: string, value: number, money: FormatMoney): string {
  const here = `${placeOf(entity)} ${WINDOW_WORDS[window]!}`
  switch (what) {
    case 'count':
      return value > 1 ? `${counted(value, 'event')} ${here}` : ''
    case 'sum':
      return value > 0 ? `${money(value)} ${here}` : ''
    case 'mean':
      return value > 0 ? `${money(value)} on average ${here}` : ''
    case 'max':
      return value > 0 ? `up to ${money(value)} ${here}` : ''
    case 'declined_count':
      return value > 0 ? `${counted(value, 'decline')} ${here}` : ''
    case 'declined_share':
      return value > 0 ? `${percent(value)} declined ${here}` : ''
    case 'small_share':
      return value > 0 ? `${percent(value)} small amounts ${here}` : ''
    case 'cards':
      return value > 1 ? `${counted(value, 'card')} ${here}` : ''
    default:
      return value > 1 ? `${counted(value, 'merchant')} ${here}` : ''
  }
}

function describeKnown(entity: string, what: string, window: string, value: number): string {
  const place = placeOf(entity)
  if (what === 'known_fraud_count') {
    return value === 0 ? '' : `${counted(value, 'known fraud')} ${place} ${WINDOW_WORDS[window]!}`
  }
  if (what === 'known_fraud_share') {
    return value === 0 ? '' : `${percent(value)} known fraud ${place} ${WINDOW_WORDS[window]!}`
  }
  const agoMs = Math.expm1(value)
  if (agoMs > YEAR_MS * 0.999) return what === 'log_since_known_genuine' ? `nothing known to be genuine ${place}` : ''
  const kind = what === 'log_since_known_fraud' ? 'fraud' : 'genuine event'
  return `last known ${kind} ${place} ${duration(agoMs)} earlier`
}

const PLACES: Readonly<Record<string, string>> = {
  card: 'on this card',
  account: 'on this account',
  merchant: 'at this merchant',
  terminal: 'at this terminal',
  device: 'on this device',
  ip: 'from this address',
  email: 'with this e-mail address',
}

function placeOf(entity: string): string {
  return PLACES[entity] ?? `with the same ${entity.replaceAll('_', ' ')}`
}

function counted(value: number, what: string): string {
  const whole = Math.round(value)
  return `${WHOLE.format(whole)} ${what}${whole === 1 ? '' : 's'}`
}

function percent(share: number): string {
  return share < 0.01 ? 'under 1 %' : `${Math.round(share * 100)} %`
}

/** Two telling digits. */
function short(value: number): string {
  return Math.abs(value) >= 10 ? WHOLE.format(Math.round(value)) : String(Number(value.toPrecision(2)))
}

function duration(ms: number): string {
  for (const [unit, unitMs] of UNITS_MS) if (ms >= unitMs * 0.995) return counted(ms / unitMs, unit)
  return 'less than a second'
}

const UNITS_MS = [
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
  ['second', 1_000],
] as const

/** Minor units from their logarithm; a Float32 of it is good to about six digits. */
function roundedExpm1(log: number): number {
  return Math.round(Math.expm1(log))
}

function timeOfDay(sine: number | undefined, cosine: number | undefined): string {
  if (sine === undefined || cosine === undefined) return ''
  const minute = Math.round((Math.atan2(sine, cosine) / (2 * Math.PI)) * 1_440 + 1_440) % 1_440
  const two = (n: number): string => String(n).padStart(2, '0')
  return `at ${two(Math.floor(minute / 60))}:${two(minute % 60)} UTC`
}

function hundredths(minorUnits: number): string {
  return HUNDREDTHS.format(minorUnits / 100)
}

// Making a format takes a hundred times as long as using it.
const WHOLE = new Intl.NumberFormat('en-GB')
const HUNDREDTHS = new Intl.NumberFormat('en-GB', { minimumFractionDigits: 2, maximumFractionDigits: 2 })
