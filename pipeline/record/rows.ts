import type { Alert, Decision } from '#schemas/decision.ts'
import type { JournalLine } from '#schemas/journal.ts'
import type { Label } from '#schemas/label.ts'

/** Columns of each table, in the order in which the rows below write them. */
export const COLUMNS = {
  'weir.scored_transactions': [
    'line', 'index', 'transaction_id', 'event_time', 'kind', 'original_id', 'card_id', 'account_id', 'merchant_id',
    'terminal_id', 'amount', 'currency', 'amount_base', 'merchant_category', 'channel', 'entry_mode', 'country',
    'merchant_country', 'latitude', 'longitude', 'device_id', 'ip_prefix', 'email_hash', 'bin', 'avs', 'cvv', 'three_ds',
    'recurring', 'response_code', 'attributes', 'signals', 'score', 'threshold', 'verdict', 'rule_hits', 'shadow_hits',
    'list_hits', 'model_version', 'rules_version', 'spec_hash', 'input_hash', 'degraded', 'explored', 'scored_at',
  ],
  'weir.alerts': [
    'alert_id', 'open_alert_id', 'incident_id', 'line', 'index', 'transaction_id', 'event_time', 'card_id', 'account_id',
    'merchant_id', 'device_id', 'ip_prefix', 'amount_base', 'score', 'threshold', 'verdict', 'expected_loss',
    'reason_sources', 'reason_codes', 'reason_texts', 'reason_weights', 'explained', 'history', 'history_length',
    'current', 'model_version', 'rules_version', 'spec_hash', 'scored_at',
  ],
  'weir.labels': [
    'line', 'topic_partition', 'topic_offset', 'transaction_id', 'card_id', 'merchant_id', 'event_time', 'fraud', 'type',
    'source', 'confidence', 'known_at',
  ],
  'weir.control_lines': ['line', 'term', 'clock', 'type', 'value', 'sha256'],
} as const satisfies Record<string, readonly string[]> // biome-ignore format: tables
export type RecordedTable = keyof typeof COLUMNS

export function decisionRow(decision: Decision): string {
  const t = decision.transaction
  return `${decision.line}\t${decision.index}\t${text(t.transaction_id)}\t${time(t.event_time)}\t${t.kind}\t${text(t.original_id)}\t${text(t.card_id)}\t${text(t.account_id)}\t${text(t.merchant_id)}\t${text(t.terminal_id)}\t${t.amount}\t${text(t.currency)}\t${decision.amount_base}\t${text(t.merchant_category)}\t${t.channel}\t${t.entry_mode}\t${text(t.country)}\t${text(t.merchant_country)}\t${number(t.latitude)}\t${number(t.longitude)}\t${text(t.device_id)}\t${text(t.ip_prefix)}\t${text(t.email_hash)}\t${text(t.bin)}\t${text(t.avs)}\t${text(t.cvv)}\t${text(t.three_ds)}\t${t.recurring}\t${text(t.response_code)}\t${textMap(t.attributes)}\t${numberMap(t.signals)}\t${number(decision.score)}\t${number(decision.threshold)}\t${decision.verdict}\t${textArray(decision.rule_hits)}\t${textArray(decision.shadow_hits)}\t${textArray(decision.list_hits)}\t${text(decision.model_version)}\t${decision.rules_version}\t${decision.spec_hash}\t${decision.input_hash}\t${decision.degraded}\t${number(decision.explored)}\t${time(decision.scored_at)}\n`
}

export function alertRow(alert: Alert): string {
  const { reasons } = alert
  return `${alert.alert_id}\t${alert.open_alert_id}\t${text(alert.incident_id)}\t${alert.line}\t${alert.index}\t${text(alert.transaction_id)}\t${time(alert.event_time)}\t${text(alert.card_id)}\t${text(alert.account_id)}\t${text(alert.merchant_id)}\t${text(alert.device_id)}\t${text(alert.ip_prefix)}\t${alert.amount_base}\t${number(alert.score)}\t${number(alert.threshold)}\t${alert.verdict}\t${alert.expected_loss}\t${textArray(reasons.map(({ source }) => source))}\t${textArray(reasons.map(({ code }) => code))}\t${textArray(reasons.map((reason) => reason.text))}\t[${reasons.map(({ weight }) => weight).join(',')}]\t${alert.explained}\t${alert.history.toString('base64')}\t${alert.history_length}\t${alert.current.toString('base64')}\t${text(alert.model_version)}\t${alert.rules_version}\t${alert.spec_hash}\t${time(alert.scored_at)}\n`
}

export function labelRow(label: Label, line: number, partition: number, offset: number): string {
  return `${line}\t${partition}\t${offset}\t${text(label.transaction_id)}\t${text(label.card_id)}\t${text(label.merchant_id)}\t${time(label.event_time)}\t${label.fraud}\t${label.type}\t${label.source}\t${label.confidence}\t${time(label.known_at)}\n`
}

export function controlRow({ line, term, clock, control }: JournalLine): string {
  return `${line}\t${term}\t${time(clock)}\t${control!.type}\t${text(control!.value)}\t${control!.sha256}\n`
}

const SPECIAL = /[\t\n\r\\\0\b\f']/

/** ClickHouse's TabSeparated escapes; most ids need none. */
export function text(value: string): string {
  return SPECIAL.test(value) ? value.replace(/[\t\n\r\\\0\b\f']/g, (char) => ESCAPES[char]!) : value
}

const ESCAPES: Readonly<Record<string, string>> = {
  '\t': '\\t',
  '\n': '\\n',
  '\r': '\\r',
  '\\': '\\\\',
  '\0': '\\0',
  '\b': '\\b',
  '\f': '\\f',
  "'": "\\'",
}

/** DateTime64(3) takes ten digits of seconds with a fraction; exact below 2^53 ms. */
function time(epochMs: number): string {
  const whole = Math.floor(epochMs / 1_000)
  const rest = epochMs - whole * 1_000
  return `${String(whole).padStart(10, '0')}.${rest < 10 ? '00' : rest < 100 ? '0' : ''}${rest}`
}

function number(value: number | null): string {
  return value === null ? '\\N' : String(value)
}

function textArray(values: readonly string[]): string {
  return values.length === 0 ? '[]' : `[${values.map((value) => `'${text(value)}'`).join(',')}]`
}

function textMap(values: Readonly<Record<string, string>>): string {
  let map = ''
  for (const key in values) map += `${map === '' ? '' : ','}'${text(key)}':'${text(values[key]!)}'`
  return `{${map}}`
}

function numberMap(values: Readonly<Record<string, number>>): string {
  let map = ''
  for (const key in values) map += `${map === '' ? '' : ','}'${text(key)}':${values[key]}`
  return `{${map}}`
}
