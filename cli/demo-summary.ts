/** How a set of alerts did against the truth. */
export interface AlertFigures {
  readonly alerts: number
  /** Share of frauds among the alerts' events, by count. */
  readonly recall: number
  /** Share of fraud money that was in an alert. */
  readonly valueRecall: number
  readonly falsePositivesPerFraud: number
}

/**
 * One authorization that the issuer would have approved, so that money would be lost: a tried card that the issuer
 * declines anyway costs nothing.
 */
export interface Judged {
  readonly fraud: boolean
  /** Minor units of the base currency. */
  readonly amountBase: number
  readonly flagged: boolean
  /** Live rules that matched. */
  readonly ruleHits: number
  /** Probability of fraud; NaN where no model answered. */
  readonly score: number
}

/** Compares what was flagged, what the rules alone flag, and what the model finds with exactly as many alerts as the rules. */
export class DemoSummary {
  private readonly events: Judged[] = []

  add(event: Judged): void {
    this.events.push(event)
  }

  get frauds(): number {
    return this.events.reduce((sum, { fraud }) => sum + (fraud ? 1 : 0), 0)
  }

  /** Rules, lists and model together, as decided. */
  decided(): AlertFigures {
    return this.figures(this.events.filter(({ flagged }) => flagged))
  }

  rulesAlone(): AlertFigures {
    return this.figures(this.events.filter(({ ruleHits }) => ruleHits > 0))
  }

  /** The events with the highest scores, as many as the rules flag. */
  modelAtSameAlerts(): AlertFigures {
    const alerts = this.rulesAlone().alerts
    const scored = this.events.filter(({ score }) => !Number.isNaN(score))
    return this.figures(scored.sort((a, b) => b.score - a.score).slice(0, alerts))
  }

  private figures(alerts: readonly Judged[]): AlertFigures {
    const caught = alerts.filter(({ fraud }) => fraud)
    const money = (events: readonly Judged[]): number => events.reduce((sum, { amountBase }) => sum + amountBase, 0)
    const frauds = this.events.filter(({ fraud }) => fraud)
    const share = (part: number, whole: number): number => (whole === 0 ? 0 : Number((part / whole).toFixed(4)))
    return {
      alerts: alerts.length,
      recall: share(caught.length, frauds.length),
      valueRecall: share(money(caught), money(frauds)),
      falsePositivesPerFraud:
        caught.length === 0 ? alerts.length : Number(((alerts.length - caught.length) / caught.length).toFixed(2)),
    }
  }
}
