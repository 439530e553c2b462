/** How a set of alerts did against the truth. */
export interface AlertFigures {
  readonly alerts: number
  /** Share of frauds among the alerts' events, by count. */
  readonly recall: number
  /** Share of fraud money that was in an alert. */
  readonly valueRecall: number
  readonly falsePositivesPerFraud: number
}

/** One authorization that the issuer would have approved, so that money would be lost: a tried card that the issuer declines anyway costs nothing. */
export interface Judged {
  readonly fraud: boolean
  /** Minor units of the base currency. */
  readonly amountBase: number
  readonly flagged: boolean
  /** How strongly the live rules speak against it: 0 nothing, higher for harder actions and more hits. */
  readonly ruleRank: number
}

/**
 * Compares what was flagged with the rules alone at the same number of alerts: the events on which the rules speak most
 * strongly; where they are silent, the largest amounts.
 */
export class DemoSummary {
  private readonly fraud: boolean[] = []
  private readonly amount: number[] = []
  private readonly flagged: boolean[] = []
  private readonly ruleRank: number[] = []

  add(event: Judged): void {
    this.fraud.push(event.fraud)
    this.amount.push(event.amountBase)
    this.flagged.push(event.flagged)
    this.ruleRank.push(event.ruleRank)
  }

  get frauds(): number {
    return this.fraud.reduce((sum, fraud) => sum + (fraud ? 1 : 0), 0)
  }

  decided(): AlertFigures {
    return this.figures([...this.flagged.keys()].filter((i) => this.flagged[i]))
  }

  rulesAlone(): AlertFigures {
    const alerts = this.decided().alerts
    const order = [...this.ruleRank.keys()].sort(
      (a, b) => this.ruleRank[b]! - this.ruleRank[a]! || this.amount[b]! - this.amount[a]! || a - b,
    )
    return this.figures(order.slice(0, alerts))
  }

  private figures(alerts: readonly number[]): AlertFigures {
    let caught = 0
    let caughtValue = 0
    for (const i of alerts) {
      if (!this.fraud[i]) continue
      caught++
      caughtValue += this.amount[i]!
    }
    const value = this.amount.reduce((sum, amount, i) => sum + (this.fraud[i] ? amount : 0), 0)
    const frauds = this.frauds
    return {
      alerts: alerts.length,
      recall: frauds === 0 ? 0 : caught / frauds,
      valueRecall: value === 0 ? 0 : caughtValue / value,
      falsePositivesPerFraud: caught === 0 ? alerts.length : (alerts.length - caught) / caught,
    }
  }
}
