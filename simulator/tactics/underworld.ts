import { MINUTE_MS } from '../calendar.ts'
import type { PurchaseListener } from '../shopper.ts'
import type { World } from '../world.ts'
import { BustOut } from './bust-out.ts'
import { Enumeration } from './enumeration.ts'
import { FirstParty } from './first-party.ts'
import { Leaks } from './leaks.ts'
import { LostCard } from './lost-card.ts'
import { Ring } from './ring.ts'
import { StolenDetails } from './stolen-details.ts'
import { Takeover } from './takeover.ts'
import { BUST_OUT, ENUMERATION, LOST_CARD, RING, STOLEN_DETAILS, TAKEOVER, WALLET } from './tactics.ts'
import { Wallet } from './wallet.ts'

const MEETS_EVERY_MS = 12 * MINUTE_MS
/** Incidents of one tactic that may begin at one meeting. */
const BEGINNINGS_MAX = 8

/** All tactics: looks every few minutes which of them has room for another incident, and begins it. */
export class Underworld implements PurchaseListener {
  private readonly world: World
  private readonly leaks: Leaks
  private readonly lostCard: LostCard
  private readonly firstParty: FirstParty
  private readonly stolenDetails: StolenDetails
  private readonly beginners: readonly (readonly [number, (timeMs: number) => void])[]

  constructor(world: World) {
    this.world = world
    this.leaks = new Leaks(world)
    const stolenDetails = new StolenDetails(world, (timeMs) => this.leaks.findCard(timeMs))
    this.stolenDetails = stolenDetails
    this.leaks.stolenDetails = stolenDetails
    this.lostCard = new LostCard(world)
    this.firstParty = new FirstParty(world)
    const enumeration = new Enumeration(world, stolenDetails)
    const takeover = new Takeover(world)
    const ring = new Ring(world)
    const bustOut = new BustOut(world)
    const wallet = new Wallet(world)
    this.beginners = [
      [ENUMERATION, (timeMs) => enumeration.begin(timeMs)],
      [STOLEN_DETAILS, (timeMs) => stolenDetails.begin(timeMs)],
      [TAKEOVER, (timeMs) => takeover.begin(timeMs)],
      [RING, (timeMs) => ring.begin(timeMs)],
      [BUST_OUT, (timeMs) => bustOut.begin(timeMs)],
      [WALLET, (timeMs) => wallet.begin(timeMs)],
    ]
    world.agenda.at(world.startMs + MEETS_EVERY_MS, this.meet)
  }

  /** Details on offer: bounded. */
  get offers(): number {
    return this.stolenDetails.waiting
  }

  onPurchase(account: number, card: number, merchant: number, online: boolean, timeMs: number): void {
    this.leaks.onPurchase(card, merchant, timeMs)
    if (!online) this.lostCard.onPurchaseInStore(account, card, timeMs)
  }

  claimsAsFirstParty(): boolean {
    return this.firstParty.claims()
  }

  private readonly meet = (timeMs: number): void => {
    const { agenda, random, budget, attackers, merchants } = this.world
    agenda.at(timeMs + random.exponential(MEETS_EVERY_MS), this.meet)
    merchants.advanceTo(timeMs)
    attackers.advanceTo(timeMs)
    this.leaks.advanceTo(timeMs)
    budget.settle(timeMs)
    for (const [tactic, begin] of this.beginners) {
      if (attackers.isPaused(tactic, timeMs)) continue
      for (let i = 0; i < BEGINNINGS_MAX && budget.wants(tactic); i++) begin(timeMs)
    }
    if (this.lostCard.waiting === 0 && budget.wants(LOST_CARD)) this.lostCard.begin()
  }
}
