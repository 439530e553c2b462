import type { Alert, Verdict } from '#schemas/decision.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** An alert nobody judged is closed after this long; a later hit opens a new one. */
const OPEN_MS_MAX = 7 * DAY_MS
/** So many cards hit within an hour over one merchant, device or address are one incident. */
const INCIDENT_CARDS = 5
/** Most open alerts and causes held; beyond that the oldest are let go. */
const ENTRIES_MAX = 200_000
/** A snapshot of another shape gives its open alerts only: causes fill again within a day. */
const SNAPSHOT_FORMAT = 2

export interface AlertHit {
  readonly alertId: string
  readonly cardId: string
  readonly merchantId: string
  readonly deviceId: string
  readonly ipPrefix: string
  readonly verdict: Verdict
  /** The journal line's clock, epoch milliseconds. */
  readonly clock: number
}

export interface Assigned {
  /** The alert this hit belongs to; its own id when it opens one. */
  readonly openAlertId: string
  readonly incidentId: string
}

interface Open {
  readonly alertId: string
  readonly sinceMs: number
}

interface Seen {
  readonly cardId: string
  readonly alertId: string
  readonly atMs: number
}

interface Cause {
  /** `merchant:m1`, `device:d1`, `address:10.0.0`. */
  readonly key: string
  /** The last hit of each of the latest INCIDENT_CARDS cards, oldest first. */
  seen: readonly Seen[]
  lastMs: number
  incidentId: string
  day: number
  /** Alerts opened today for people to look at, and the first of them. */
  openedToday: number
  firstOpenedId: string
}

/**
 * Which alert a hit belongs to: one open alert a card, and one incident for a burst that shares a merchant, device or
 * address. A cause that has opened its share of the day's budget opens no more that day: later hits attach to the first
 * alert it opened, where they stay visible. Declines ask nothing of the desk, so they are neither counted nor held back.
 * What is held follows from hits, closings and what was assigned, so it is rebuilt from the committed alerts.
 */
export class AlertBook {
  private readonly perCauseMax: number
  private open = new Map<string, Open>()
  private causes = new Map<string, Cause>()

  /** @param causeShareMax share of a day's alerts that one cause may open; it may always open one */
  constructor(alertsPerDay: number, causeShareMax: number) {
    this.perCauseMax = Math.max(1, alertsPerDay * causeShareMax)
  }

  /** Assigns a new hit. */
  take(hit: AlertHit): Assigned {
    const causes = this.noteHit(hit)
    const assigned = this.assign(hit, causes)
    this.noteAssigned(hit, assigned, causes)
    return assigned
  }

  /** Takes over a committed alert as it was assigned, whatever would be assigned today. */
  fold(alert: Alert): void {
    const hit = hitOf(alert)
    const assigned = { openAlertId: alert.open_alert_id, incidentId: alert.incident_id }
    this.noteAssigned(hit, assigned, this.noteHit(hit))
  }

  /** A verdict on the card's alert was given. */
  close(cardId: string): void {
    this.open.delete(cardId)
  }

  snapshot(): unknown {
    return { format: SNAPSHOT_FORMAT, open: [...this.open], causes: [...this.causes] }
  }

  restore(snapshot: unknown): void {
    const { format, open, causes } = snapshot as {
      format?: number
      open: [string, Open][]
      causes: [string, Cause][]
    }
    this.open = new Map(open)
    this.causes = new Map(format === SNAPSHOT_FORMAT ? causes.map(([key, cause]) => [key, { ...cause }]) : [])
  }

  private assign(hit: AlertHit, causes: readonly Cause[]): Assigned {
    let incidentId = ''
    for (const cause of causes) if (cause.incidentId !== '') incidentId = cause.incidentId
    const own = this.open.get(hit.cardId)
    if (own !== undefined && hit.clock - own.sinceMs <= OPEN_MS_MAX) return { openAlertId: own.alertId, incidentId }
    const full =
      hit.verdict === 'decline' ? undefined : causes.find(({ openedToday }) => openedToday >= this.perCauseMax)
    if (full === undefined) return { openAlertId: hit.alertId, incidentId }
    return { openAlertId: full.firstOpenedId, incidentId: full.incidentId || `${full.key}:${full.firstOpenedId}` }
  }

  /** Only an alert that a hit opens becomes its card's: one that belongs to another card closes with that card. */
  private noteAssigned(hit: AlertHit, { openAlertId, incidentId }: Assigned, causes: readonly Cause[]): void {
    for (const cause of causes) if (incidentId.startsWith(`${cause.key}:`)) cause.incidentId = incidentId
    if (openAlertId !== hit.alertId) return
    set(this.open, hit.cardId, { alertId: openAlertId, sinceMs: hit.clock })
    if (hit.verdict === 'decline') return
    for (const cause of causes) if (cause.openedToday++ === 0) cause.firstOpenedId = openAlertId
  }

  private noteHit(hit: AlertHit): Cause[] {
    const causes: Cause[] = []
    if (hit.merchantId !== '') causes.push(this.noteCause(`merchant:${hit.merchantId}`, hit))
    if (hit.deviceId !== '') causes.push(this.noteCause(`device:${hit.deviceId}`, hit))
    if (hit.ipPrefix !== '') causes.push(this.noteCause(`address:${hit.ipPrefix}`, hit))
    return causes
  }

  private noteCause(key: string, hit: AlertHit): Cause {
    const day = Math.floor(hit.clock / DAY_MS)
    let cause = this.causes.get(key)
    if (cause === undefined) {
      cause = { key, seen: [], lastMs: hit.clock, incidentId: '', day, openedToday: 0, firstOpenedId: '' }
      set(this.causes, key, cause)
    }
    if (cause.day !== day) {
      cause.day = day
      cause.openedToday = 0
      cause.firstOpenedId = ''
    }
    // An incident goes on for as long as no hour passes without a hit.
    if (hit.clock - cause.lastMs > HOUR_MS) cause.incidentId = ''
    cause.lastMs = hit.clock
    const others = cause.seen.filter(({ cardId, atMs }) => cardId !== hit.cardId && hit.clock - atMs <= HOUR_MS)
    const seen = [...others, { cardId: hit.cardId, alertId: hit.alertId, atMs: hit.clock }].slice(-INCIDENT_CARDS)
    cause.seen = seen
    if (seen.length === INCIDENT_CARDS && cause.incidentId === '') cause.incidentId = `${key}:${seen[0]!.alertId}`
    return cause
  }
}

function hitOf(alert: Alert): AlertHit {
  return {
    alertId: alert.alert_id,
    cardId: alert.card_id,
    merchantId: alert.merchant_id,
    deviceId: alert.device_id,
    ipPrefix: alert.ip_prefix,
    verdict: alert.verdict,
    clock: alert.scored_at,
  }
}

/** Sets the newest entry and lets the oldest go when there are too many. */
function set<T>(map: Map<string, T>, key: string, value: T): void {
  map.delete(key)
  map.set(key, value)
  if (map.size <= ENTRIES_MAX) return
  for (const oldest of map.keys()) {
    map.delete(oldest)
    break
  }
}
