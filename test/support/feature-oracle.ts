import { layoutOf } from '#models/features/layout.ts'
import { countsInWindows } from '#models/features/raw.ts'
import type { EventColumns } from '#schemas/event-columns.ts'
import { AUTHORIZATION, isScoredKind, LABEL, OUTCOME, REVERSAL } from '#schemas/event-columns.ts'
import { type EntitySpec, type FeatureSpec, WINDOWS_MS } from '#schemas/feature-spec.ts'
import { FRAUD_TYPES } from '#schemas/label.ts'
import { isDeclined } from '#schemas/transaction.ts'

interface Row {
  readonly id: string
  readonly time: number
  amount: number
  declined: boolean
  readonly small: boolean
  readonly card: string
  readonly merchant: string
  readonly device: string
}

interface Past {
  rows: Row[]
  newest: number
}

const DAY_MS = 86_400_000
const NEVER = Math.log1p(365 * DAY_MS)

/**
 * The figures of windows, known fraud and usual amounts by their definitions: every event in plain lists, everything
 * counted anew for every event. Slow and obvious; the featurizer must agree with it to the last bit of a float.
 */
export class FeatureOracle {
  private readonly spec: FeatureSpec
  private readonly names: readonly string[]
  private readonly past = new Map<string, Past>()
  private readonly labels = new Map<string, { id: string; time: number; fraud: boolean }[]>()
  private readonly labelSeen = new Map<string, number>()
  private streamTime = 0

  constructor(spec: FeatureSpec) {
    this.spec = spec
    this.names = layoutOf(spec).currentColumns.map(({ name }) => name)
  }

  /** Folds one row; the current vector by column name for scored kinds (columns it knows), else null. */
  fold(events: EventColumns, at: number): ReadonlyMap<string, number> | null {
    const kind = events.kind[at]!
    if (kind === LABEL) this.label(events, at)
    else if (kind === REVERSAL) this.change(events, at, 'reversal')
    else if (kind === OUTCOME) this.change(events, at, 'outcome')
    else if (isScoredKind(kind)) return this.score(events, at)
    return null
  }

  private score(events: EventColumns, at: number): ReadonlyMap<string, number> {
    const time = events.event_time[at]!
    this.streamTime = Math.max(this.streamTime, time)
    const counts = countsInWindows(events.kind[at]!)
    const row: Row = {
      id: events.text.transaction_id.at(at),
      time,
      amount: events.amount_base[at]!,
      declined: isDeclined(events.text.response_code.at(at)),
      small: events.kind[at] === AUTHORIZATION && events.amount_base[at]! < this.spec.smallAmount,
      card: events.text.card_id.at(at),
      merchant: events.text.merchant_id.at(at),
      device: events.text.device_id.at(at),
    }
    const values = new Map<string, number>()
    for (const entity of this.spec.entities) this.figures(entity, events, at, row, counts, values)
    this.habit(events, at, row, values)
    for (const entity of this.spec.entities) {
      const key = keyOf(entity, events, at)
      if (key === null) continue
      const past = this.pastOf(entity, key) ?? { rows: [], newest: time }
      this.past.set(`${entity.name}/${key}`, past)
      if (counts) insert(past, { ...row }, this.horizon(entity))
      else past.newest = Math.max(past.newest, time)
    }
    return values
  }

  private figures(
    entity: EntitySpec,
    events: EventColumns,
    at: number,
    row: Row,
    counts: boolean,
    values: Map<string, number>,
  ): void {
    const key = keyOf(entity, events, at)
    const before = key === null ? [] : (this.pastOf(entity, key)?.rows ?? [])
    for (const { aggregate, windows } of entity.figures) {
      for (const window of windows) {
        const inside = before.filter((r) => r.time > row.time - WINDOWS_MS[window] && r.time <= row.time)
        const own = counts && key !== null ? [row] : []
        const all = [...inside, ...own]
        const sum = all.reduce((total, r) => total + r.amount, 0)
        const declined = inside.filter((r) => r.declined).length
        const others = new Set(all.map((r) => (entity.name === 'card' ? r.merchant : r.card)).filter((id) => id !== ''))
        const what = aggregate !== 'distinct' ? aggregate : entity.name === 'card' ? 'merchants' : 'cards'
        const value = {
          count: all.length,
          sum,
          mean: all.length === 0 ? 0 : sum / all.length,
          max: all.reduce((max, r) => Math.max(max, r.amount), 0),
          declined_count: declined,
          declined_share: declined === 0 ? 0 : declined / all.length,
          small_share: all.length === 0 ? 0 : all.filter((r) => r.small).length / all.length,
          distinct: others.size,
        }[aggregate]
        values.set(`${entity.name}_${what}_${window}`, value)
      }
    }
    this.known(entity, key, before, row, counts, values)
  }

  private known(
    entity: EntitySpec,
    key: string | null,
    before: readonly Row[],
    row: Row,
    counts: boolean,
    values: Map<string, number>,
  ): void {
    if (entity.knownFraudWindows.length === 0) return
    const name = `${entity.name}/${key}`
    const isIdle = this.streamTime - (this.labelSeen.get(name) ?? 0) > this.spec.idleDays * DAY_MS
    const labels = key === null || isIdle ? [] : (this.labels.get(name) ?? []).filter((l) => l.time <= row.time)
    for (const window of entity.knownFraudWindows) {
      const from = row.time - WINDOWS_MS[window]
      const frauds = labels.filter((l) => l.fraud && l.time > from).length
      const all = before.filter((r) => r.time > from && r.time <= row.time).length + (counts ? 1 : 0)
      values.set(`${entity.name}_known_fraud_count_${window}`, frauds)
      values.set(
        `${entity.name}_known_fraud_share_${window}`,
        frauds === 0 ? 0 : Math.min(1, frauds / Math.max(1, all)),
      )
    }
    const since = (fraud: boolean): number => {
      const times = labels.filter((l) => l.fraud === fraud).map((l) => l.time)
      return times.length === 0 ? NEVER : Math.log1p(row.time - Math.max(...times))
    }
    values.set(`${entity.name}_log_since_known_fraud`, since(true))
    values.set(`${entity.name}_log_since_known_genuine`, since(false))
  }

  private habit(events: EventColumns, at: number, row: Row, values: Map<string, number>): void {
    const card = this.spec.entities.find(({ name }) => name === 'card')!
    const before = (this.pastOf(card, keyOf(card, events, at)!)?.rows ?? []).filter((r) => r.time <= row.time)
    const amounts = before
      .map((r) => r.amount)
      .filter((amount) => amount > 0)
      .slice(-32)
    const sorted = [...amounts].sort((a, b) => a - b)
    const middle = sorted.length >> 1
    const median = sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
    values.set('amount_to_median', amounts.length === 0 ? 0 : Math.min(1_000, row.amount / median))
    values.set('log_gap', before.length === 0 ? 0 : Math.log1p(row.time - before.at(-1)!.time))
    const isNew = (field: 'merchant' | 'device'): number =>
      row[field] !== '' && !before.some((r) => r[field] === row[field]) ? 1 : 0
    values.set('new_merchant', isNew('merchant'))
    values.set('new_device', isNew('device'))
    const large = before.filter((r) => r.time > row.time - 14 * DAY_MS && r.amount > median * 2.5).length
    values.set('large_ratios_14d', amounts.length === 0 ? 0 : large)
  }

  private change(events: EventColumns, at: number, what: 'reversal' | 'outcome'): void {
    const card = this.spec.entities.find(({ name }) => name === 'card')!
    const id = events.text.original_id.at(at)
    const original = this.pastOf(card, keyOf(card, events, at)!)?.rows.findLast((r) => r.id === id)
    if (original === undefined) return
    const { time, amount } = original
    const back = events.amount_base[at]!
    for (const entity of this.spec.entities) {
      const key = keyOf(entity, events, at)
      const past = key === null ? undefined : this.pastOf(entity, key)
      const found = past?.rows.findLast((r) => r.id === id && r.time === time && r.amount === amount)
      if (past === undefined || found === undefined) continue
      if (what === 'outcome') found.declined = isDeclined(events.text.response_code.at(at))
      else if (back === 0 || back >= amount) past.rows.splice(past.rows.indexOf(found), 1)
      else found.amount -= back
    }
  }

  private label(events: EventColumns, at: number): void {
    const id = events.text.transaction_id.at(at)
    const time = events.event_time[at]!
    const fraud = events.label_fraud[at] === 1 && FRAUD_TYPES[events.label_type[at]!] !== 'service_dispute'
    const card = this.spec.entities.find(({ name }) => name === 'card')!
    for (const entity of this.spec.entities) {
      if (entity.knownFraudWindows.length === 0) continue
      let key: string | null
      if (entity.name === 'device') {
        const row = this.pastOf(card, events.text.card_id.at(at))?.rows.findLast((r) => r.id === id)
        key = row === undefined || row.device === '' ? null : row.device
        if (key !== null && this.pastOf(entity, key) === undefined) key = null
      } else {
        key = keyOf(entity, events, at)
      }
      if (key === null) continue
      const name = `${entity.name}/${key}`
      const isIdle = this.streamTime - (this.labelSeen.get(name) ?? time) > this.spec.idleDays * DAY_MS
      const list = isIdle ? [] : (this.labels.get(name) ?? [])
      const newest = isIdle ? time : Math.max(this.labelSeen.get(name) ?? time, time)
      this.labels.set(name, list)
      this.labelSeen.set(name, newest)
      const same = list.find((l) => l.id === id)
      if (same !== undefined) same.fraud = fraud
      else if (time >= newest - 45 * DAY_MS) list.push({ id, time, fraud })
      this.labels.set(
        name,
        list.filter((l) => l.time >= newest - 45 * DAY_MS),
      )
    }
  }

  /** The entity's rows, unless it was idle too long. */
  private pastOf(entity: EntitySpec, key: string): Past | undefined {
    const past = this.past.get(`${entity.name}/${key}`)
    if (past === undefined || this.streamTime - past.newest > this.spec.idleDays * DAY_MS) return undefined
    return past
  }

  private horizon(entity: EntitySpec): number {
    const names = [...entity.figures.flatMap(({ windows }) => windows), ...entity.knownFraudWindows]
    const windows = names.map((window) => WINDOWS_MS[window])
    if (entity.name === 'card') windows.push(WINDOWS_MS['30d'])
    return Math.max(0, ...windows) + this.spec.lateHours * 3_600_000
  }

  /** Columns the oracle computes. */
  knows(name: string): boolean {
    return this.names.includes(name)
  }
}

function insert(past: Past, row: Row, horizon: number): void {
  if (row.time < past.newest - horizon) return
  past.newest = Math.max(past.newest, row.time)
  past.rows = past.rows.filter((r) => r.time >= past.newest - horizon)
  const place = past.rows.findIndex((r) => r.time > row.time)
  if (place < 0) past.rows.push(row)
  else past.rows.splice(place, 0, row)
}

function keyOf(entity: EntitySpec, events: EventColumns, at: number): string | null {
  const parts = entity.fields.map((field) => events.text[field].at(at))
  if (parts.every((part) => part !== '')) return parts.join('|')
  return entity.fields[0] === 'account_id' ? events.text.card_id.at(at) : null
}
