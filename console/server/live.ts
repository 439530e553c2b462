import type { Reason } from '#schemas/decision.ts'

/** What the first page shows, once a second: the stream in figures, the newest alerts with their reasons. */
export interface LiveFigures {
  /** Stream time: event time of the newest event, epoch milliseconds. */
  readonly streamTimeMs: number
  readonly currency: string
  readonly eventsTotal: number
  readonly eventsPerSecond: number
  /** Milliseconds from taking a slice to its decisions being durable, over the last seconds. */
  readonly latencyP50Ms: number
  readonly latencyP99Ms: number
  readonly alertsTotal: number
  /** Minor units of the base currency. */
  readonly amountTotal: number
  readonly amountFlagged: number
  readonly amountDeclined: number
  readonly labelsTotal: number
  readonly deadLettersTotal: number
  readonly repeatedTotal: number
  readonly rowsRecorded: number
  readonly recorderLagLines: number
  readonly model: { readonly version: string; readonly provider: string; readonly threshold: number | null }
  readonly rules: {
    readonly version: string
    readonly live: number
    readonly shadow: number
    /** Of these, how many do not match yet, and how many no more. */
    readonly warming: number
    readonly expired: number
  }
  readonly note: string
  readonly alerts: readonly LiveAlert[]
}

export interface LiveAlert {
  readonly alert_id: string
  readonly event_time: number
  readonly card_id: string
  readonly merchant_id: string
  readonly amount_base: number
  readonly score: number | null
  readonly verdict: string
  readonly expected_loss: number
  readonly reasons: readonly Reason[]
}
