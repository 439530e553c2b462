import { DAY_MS } from '../calendar.ts'
import type { Random } from '../random.ts'
import { STOLEN_DETAILS, TACTICS, TAKEOVER, WALLET } from './tactics.ts'

const MIX_DAYS = 30
const MIX_CONCENTRATION = 20
/** How far amounts may be moved to meet the rate by value. */
const AMOUNT_FACTOR = 1.42
const AMOUNT_FACTOR_MIN = 0.6
const AMOUNT_FACTOR_MAX = 2.6
const WEIGHED_DAYS = 12

/** Purchases that an incident still has before it. */
export interface Incident {
  readonly tactic: number
  open: number
}

export interface BudgetOptions {
  readonly fraudByCount: number
  readonly fraudByValue: number
  readonly startMs: number
  /** From then on wallet provisioning takes its share. */
  readonly walletFromMs: number
  /** Approved authorizations a day, for planning ahead. */
  readonly approvedPerDay: number
}

/**
 * Keeps fraud at its rate: every approved authorization allows a little fraud of every tactic, and an incident begins when
 * enough has gathered. Incidents whose purchases come much later are begun as much earlier.
 */
export class FraudBudget {
  private readonly random: Random
  private readonly options: BudgetOptions
  private readonly allowed = new Float64Array(TACTICS.length)
  private readonly approved = new Float64Array(TACTICS.length)
  private readonly open = new Float64Array(TACTICS.length)
  private readonly threshold = new Float64Array(TACTICS.length)
  private shares: number[] = []
  private mixUntilMs: number
  private hasWallets = false
  private settledCount = 0
  private approvedCount = 0
  private approvedEur = 0
  private fraudEur = 0

  constructor(random: Random, options: BudgetOptions) {
    this.random = random
    this.options = options
    this.mixUntilMs = options.startMs
    // the first incident of each tactic comes early, so that a short run sees them all
    TACTICS.forEach((tactic, i) => {
      this.threshold[i] = tactic.size * 0.15
    })
  }

  /** What was approved since the last call now allows fraud; call it every few minutes. */
  settle(timeMs: number): void {
    if (timeMs >= this.mixUntilMs || this.hasWallets !== timeMs >= this.options.walletFromMs) this.drawMix(timeMs)
    const allowance = (this.approvedCount - this.settledCount) * this.options.fraudByCount
    this.settledCount = this.approvedCount
    for (let tactic = 0; tactic < TACTICS.length; tactic++) {
      this.allowed[tactic]! += allowance * this.shares[tactic]!
    }
  }

  /** True while another incident of this tactic has room. */
  wants(tactic: number): boolean {
    const { fraudByCount, approvedPerDay } = this.options
    const ahead = TACTICS[tactic]!.lagDays * approvedPerDay * fraudByCount * this.shares[tactic]!
    const committed = this.approved[tactic]! + this.open[tactic]!
    return this.shares[tactic]! > 0 && this.allowed[tactic]! + ahead - committed > this.threshold[tactic]!
  }

  /** `purchases`: how many of them will be approved, as far as one can tell. */
  begin(tactic: number, purchases: number): Incident {
    this.open[tactic]! += purchases
    this.redrawThreshold(tactic)
    return { tactic, open: purchases }
  }

  /** One of the incident's purchases is being tried. */
  tried(incident: Incident, purchases: number): void {
    const part = Math.min(purchases, incident.open)
    incident.open -= part
    this.open[incident.tactic]! -= part
  }

  end(incident: Incident): void {
    this.tried(incident, incident.open)
  }

  /** Counts every approved authorization of the world; `tactic` is negative for honest ones. */
  countApproved(tactic: number, amountEur: number): void {
    this.approvedCount++
    this.approvedEur += amountEur
    if (tactic < 0) return
    this.approved[tactic]!++
    this.fraudEur += amountEur
  }

  /** By what thieves who choose their amounts have to multiply them for fraud to keep its rate by value. */
  amountFactor(tactic: number): number {
    if (tactic !== STOLEN_DETAILS && tactic !== TAKEOVER) return 1
    const { fraudByValue, approvedPerDay } = this.options
    const wanted = this.approvedEur * fraudByValue
    // the first days are all noise: a gap weighs what it is of some weeks' fraud
    const weeks = (WEIGHED_DAYS * approvedPerDay * wanted) / (this.approvedCount + 1)
    const factor = AMOUNT_FACTOR + (4 * (wanted - this.fraudEur)) / (0.2 * wanted + weeks + 1)
    return Math.min(AMOUNT_FACTOR_MAX, Math.max(AMOUNT_FACTOR_MIN, factor))
  }

  private drawMix(timeMs: number): void {
    this.hasWallets = timeMs >= this.options.walletFromMs
    this.mixUntilMs = timeMs + MIX_DAYS * DAY_MS
    const base = TACTICS.map((tactic) => (this.hasWallets ? tactic.lateShare : tactic.share))
    const drawn = this.random.dirichlet(base, MIX_CONCENTRATION)
    this.shares = drawn
    if (!this.hasWallets) this.shares[WALLET] = 0
  }

  private redrawThreshold(tactic: number): void {
    this.threshold[tactic] = TACTICS[tactic]!.size * Math.min(2, this.random.exponential(0.5))
  }
}
