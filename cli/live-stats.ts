import type { LiveAlert } from '#console/server/live.ts'
import type { Explained } from '#pipeline/slice.ts'
import { ACCEPTED, REJECTED, REPEATED } from '#pipeline/slice.ts'
import { isFlagged, VERDICTS } from '#schemas/decision.ts'
import { LABEL } from '#schemas/event-columns.ts'

const ALERTS_KEPT = 40
const LATENCIES_KEPT = 512
const DECLINE = VERDICTS.indexOf('decline')

/** Figures of the stream for the live page: counted as slices go by, read once a second. */
export class LiveStats {
  eventsTotal = 0
  labelsTotal = 0
  deadLettersTotal = 0
  repeatedTotal = 0
  alertsTotal = 0
  amountTotal = 0
  amountFlagged = 0
  amountDeclined = 0
  streamTimeMs = 0
  alerts: readonly LiveAlert[] = []
  private readonly latencies = new Float64Array(LATENCIES_KEPT)
  private latencyCount = 0
  private lastEvents = 0
  private lastReadMs = 0
  private rate = 0

  add(slice: Explained): void {
    const { kind, amount_base, event_time } = slice.events
    for (let row = 0; row < slice.count; row++) {
      const outcome = slice.outcome[row]
      if (outcome === REJECTED) this.deadLettersTotal++
      else if (outcome === REPEATED) this.repeatedTotal++
      if (outcome !== ACCEPTED) continue
      if (kind[row] === LABEL) {
        this.labelsTotal++
        continue
      }
      this.eventsTotal++
      if (event_time[row]! > this.streamTimeMs) this.streamTimeMs = event_time[row]!
      if (slice.verdict[row] === 0) continue
      this.amountTotal += amount_base[row]!
      if (isFlagged(VERDICTS[slice.verdict[row]!]!)) this.amountFlagged += amount_base[row]!
      if (slice.verdict[row] === DECLINE) this.amountDeclined += amount_base[row]!
    }
    this.alertsTotal += slice.alerts.length
    if (slice.alerts.length > 0)
      this.alerts = [...slice.alerts].reverse().map(toLive).concat(this.alerts).slice(0, ALERTS_KEPT)
  }

  /** Milliseconds from taking a slice to its decisions being durable. */
  addLatency(ms: number): void {
    this.latencies[this.latencyCount++ % LATENCIES_KEPT] = ms
  }

  latency(share: number): number {
    const known = this.latencies.slice(0, Math.min(this.latencyCount, LATENCIES_KEPT)).sort()
    return known.length === 0 ? 0 : known[Math.min(known.length - 1, Math.floor(known.length * share))]!
  }

  /** Events a second since the last second or so. */
  eventsPerSecond(nowMs: number): number {
    const elapsedMs = nowMs - this.lastReadMs
    if (elapsedMs < 900) return this.rate
    if (this.lastReadMs > 0) this.rate = ((this.eventsTotal - this.lastEvents) * 1_000) / elapsedMs
    this.lastEvents = this.eventsTotal
    this.lastReadMs = nowMs
    return this.rate
  }
}

function toLive(alert: Explained['alerts'][number]): LiveAlert {
  const { alert_id, event_time, card_id, merchant_id, amount_base, score, verdict, expected_loss, reasons } = alert
  return { alert_id, event_time, card_id, merchant_id, amount_base, score, verdict, expected_loss, reasons }
}
