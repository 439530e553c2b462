const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** An alert nobody judged is closed after this long; a later hit opens a new one. */
const OPEN_MS_MAX = 7 * DAY_MS
/** So many alerts within an hour that share a merchant, device or address are one incident. */
const INCIDENT_ALERTS = 5
/** Most open alerts and causes held; beyond that the oldest are let go. */
const ENTRIES_MAX = 200_000

export interface AlertHit {
  readonly alertId: string
  readonly cardId: string
  readonly merchantId: string
  readonly deviceId: string
  readonly ipPrefix: string
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

interface Cause {
  firstAlertId: string
  /** Alerts within the running hour. */
  hits: number
  hourMs: number
  incidentId: string
  day: number
  openedToday: number
}

/**
 * Which alert a hit belongs to: one open alert a card, and one incident for a burst that shares a merchant, device or
 * address. A cause that has opened its share of the day's budget opens no more: later hits attach to the incident, where
 * they stay visible. A pure fold over hits and closings, so it is rebuilt from the committed alerts.
 */
export class AlertBook {
  private readonly perCauseMax: number
  private open = new Map<string, Open>()
  private causes = new Map<string, Cause>()

  /** @param causeShareMax share of a day's alerts that one cause may open */
  constructor(alertsPerDay: number, causeShareMax: number) {
    this.perCauseMax = alertsPerDay * causeShareMax
  }

  take(hit: AlertHit): Assigned {
    const causes = this.causesOf(hit)
    let incidentId = ''
    for (const cause of causes) if (cause.incidentId !== '') incidentId = cause.incidentId
    const own = this.open.get(hit.cardId)
    if (own !== undefined && hit.clock - own.sinceMs <= OPEN_MS_MAX) return { openAlertId: own.alertId, incidentId }
    const full = causes.find((cause) => cause.openedToday >= this.perCauseMax)
    const openAlertId = full === undefined ? hit.alertId : full.firstAlertId
    if (full === undefined) for (const cause of causes) cause.openedToday++
    set(this.open, hit.cardId, { alertId: openAlertId, sinceMs: hit.clock })
    return { openAlertId, incidentId: full === undefined ? incidentId : full.incidentId || full.firstAlertId }
  }

  /** A verdict on the card's alert was given. */
  close(cardId: string): void {
    this.open.delete(cardId)
  }

  snapshot(): unknown {
    return { open: [...this.open], causes: [...this.causes] }
  }

  restore(snapshot: unknown): void {
    const { open, causes } = snapshot as { open: [string, Open][]; causes: [string, Cause][] }
    this.open = new Map(open)
    this.causes = new Map(causes)
  }

  private causesOf(hit: AlertHit): Cause[] {
    const causes: Cause[] = []
    if (hit.merchantId !== '') causes.push(this.causeOf(`merchant:${hit.merchantId}`, hit))
    if (hit.deviceId !== '') causes.push(this.causeOf(`device:${hit.deviceId}`, hit))
    if (hit.ipPrefix !== '') causes.push(this.causeOf(`address:${hit.ipPrefix}`, hit))
    return causes
  }

  private causeOf(key: string, hit: AlertHit): Cause {
    const day = Math.floor(hit.clock / DAY_MS)
    let cause = this.causes.get(key)
    if (cause === undefined) {
      cause = { firstAlertId: hit.alertId, hits: 0, hourMs: hit.clock, incidentId: '', day, openedToday: 0 }
      set(this.causes, key, cause)
    }
    if (cause.day !== day) {
      cause.day = day
      cause.openedToday = 0
    }
    if (hit.clock - cause.hourMs > HOUR_MS) {
      cause.hourMs = hit.clock
      cause.hits = 0
      cause.incidentId = ''
      cause.firstAlertId = hit.alertId
    }
    cause.hits++
    if (cause.hits >= INCIDENT_ALERTS && cause.incidentId === '') cause.incidentId = `${key}:${cause.firstAlertId}`
    return cause
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
