import { signal } from '@preact/signals'
import type { LiveAlert, LiveFigures } from '../server/live.ts'
import type { Connection } from './api.ts'

/** Five minutes, one point a second. */
const POINTS_MAX = 300

export interface Points {
  readonly timeS: number[]
  readonly eventsPerSecond: number[]
  readonly p50Ms: number[]
  readonly p99Ms: number[]
  readonly flaggedShareBp: number[]
}

export const connection = signal<Connection>('connecting')
export const figures = signal<LiveFigures | null>(null)
export const points = signal<Points>({ timeS: [], eventsPerSecond: [], p50Ms: [], p99Ms: [], flaggedShareBp: [] })
/** What the table shows: frozen while the pointer rests on it or a row is open. */
export const shownAlerts = signal<readonly LiveAlert[]>([])
export const selected = signal(0)
export const opened = signal<string | null>(null)
export const helpShown = signal(false)
export const hovering = signal(false)

export function takeFigures(next: LiveFigures): void {
  const before = figures.value
  figures.value = next
  if (!hovering.value && opened.value === null) {
    shownAlerts.value = next.alerts
    selected.value = Math.min(selected.value, Math.max(0, next.alerts.length - 1))
  }
  const amount = next.amountTotal - (before?.amountTotal ?? next.amountTotal)
  const flagged = next.amountFlagged - (before?.amountFlagged ?? next.amountFlagged)
  const { timeS, eventsPerSecond, p50Ms, p99Ms, flaggedShareBp } = points.value
  points.value = {
    timeS: push(timeS, Date.now() / 1000),
    eventsPerSecond: push(eventsPerSecond, next.eventsPerSecond),
    p50Ms: push(p50Ms, next.latencyP50Ms),
    p99Ms: push(p99Ms, next.latencyP99Ms),
    flaggedShareBp: push(flaggedShareBp, amount > 0 ? (flagged / amount) * 10_000 : 0),
  }
}

function push(values: readonly number[], value: number): number[] {
  return [...values.slice(1 - POINTS_MAX), value]
}
