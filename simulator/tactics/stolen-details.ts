import { CARDS_MAX } from '../accounts.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../calendar.ts'
import type { HeldCard, OnlineSession } from '../checkout.ts'
import type { World } from '../world.ts'
import type { Incident } from './budget.ts'
import { STOLEN_DETAILS } from './tactics.ts'

const PURCHASES_MIN = 2
const PURCHASES_MAX = 8
const WITHIN_MS = 36 * HOUR_MS
const MEDIAN_EUR = 90
const SIGMA = 0.9
const BEGINS_SMALL = 0.35
const ABROAD = 0.4
const ADDRESS_MISMATCH = 0.55
const PASSES_THREE_DS = 0.08
/** Of sprees: with the looks of the owner's own device, sold along with the card. */
const EMULATES_OWNER = 0.05
const DECLINED = 0.12
/** Offers that are known and not yet used; the oldest give way. */
const OFFERS_MAX = 4_096

interface Spree {
  readonly incident: Incident
  readonly session: OnlineSession
  readonly held: HeldCard
  readonly line: number
  merchant: number
  turns: number
  left: number
  misses: number
  isSmall: boolean
}

interface Offer {
  readonly card: number
  readonly cardId: string
}

/**
 * Somebody else shops online with the details of a card, in a day and a half. The details come from card testing or from a
 * merchant that leaked them; there are more on offer than are used.
 */
export class StolenDetails {
  private readonly world: World
  private readonly offers: Offer[] = []
  /** Gives a card when none is on offer. */
  private readonly findLeaked: (timeMs: number) => number

  constructor(world: World, findLeaked: (timeMs: number) => number) {
    this.world = world
    this.findLeaked = findLeaked
  }

  get waiting(): number {
    return this.offers.length
  }

  /** These details come up for sale at `timeMs`. */
  offer(card: number, cardId: string, timeMs: number): void {
    this.world.agenda.at(timeMs, () => {
      if (this.offers.length >= OFFERS_MAX) this.offers.shift()
      this.offers.push({ card, cardId })
    })
  }

  begin(timeMs: number): void {
    const { random, agenda, budget, accounts, attackers, checkout } = this.world
    const offer = this.takeOffer(timeMs)
    if (offer === null) return
    const account = Math.floor(offer.card / CARDS_MAX)
    const purchases = random.whole(PURCHASES_MIN, PURCHASES_MAX)
    const country = accounts.homeCountry(account)
    const session = attackers.newSession(country, ABROAD, ADDRESS_MISMATCH, PASSES_THREE_DS)
    if (random.chance(EMULATES_OWNER)) attackers.emulateOwner(session, account, offer.card)
    // some keep the owner's address of mail, so that the merchant greets a known customer
    if (random.chance(0.35)) session.email = accounts.emails[account * 2]!
    const line = attackers.drawLine()
    const spree: Spree = {
      incident: budget.begin(STOLEN_DETAILS, purchases * (1 - DECLINED)),
      session,
      held: checkout.hold(account, offer.card),
      line,
      merchant: attackers.drawMerchant(line, country),
      turns: attackers.turns(STOLEN_DETAILS),
      left: purchases,
      misses: 0,
      isSmall: random.chance(BEGINS_SMALL),
    }
    agenda.at(timeMs + random.unit() * DAY_MS, (startMs) => this.next(spree, startMs, startMs + WITHIN_MS))
  }

  private next(spree: Spree, timeMs: number, untilMs: number): void {
    const { random, agenda, attackers, budget } = this.world
    if (attackers.isPaused(STOLEN_DETAILS, timeMs)) {
      budget.end(spree.incident)
      return
    }
    const isApproved = this.buy(spree, timeMs)
    spree.left--
    if (!isApproved) spree.misses++
    const { accounts } = this.world
    if (spree.left <= 0 || spree.misses > 2 || !accounts.isCurrent(spree.held.card, spree.held.cardId, timeMs)) {
      budget.end(spree.incident)
      return
    }
    const meanMs = (untilMs - timeMs) / (spree.left + 1)
    // bursts of some minutes, and pauses of hours between them
    const gapMs = random.chance(0.65) ? random.between(1, 14) * MINUTE_MS : random.exponential(meanMs * 1.3)
    const laterMs = Math.min(timeMs + gapMs, untilMs)
    agenda.at(laterMs, (at) => this.next(spree, at, Math.max(untilMs, at)))
  }

  private buy(spree: Spree, timeMs: number): boolean {
    const { random, checkout, payments, attackers, accounts, budget } = this.world
    const country = accounts.homeCountry(spree.held.account)
    if (spree.turns !== attackers.turns(STOLEN_DETAILS) || random.chance(0.55)) {
      spree.turns = attackers.turns(STOLEN_DETAILS)
      const line = random.chance(0.6) ? spree.line : attackers.drawLine()
      spree.merchant = attackers.drawMerchant(line, country)
    }
    const factor = attackers.amountFactor(STOLEN_DETAILS) * budget.amountFactor(STOLEN_DETAILS)
    const eur = spree.isSmall ? random.between(0.8, 6) : random.lognormal(MEDIAN_EUR, SIGMA) * factor
    spree.isSmall = false
    checkout.byHeldCard(spree.held)
    checkout.price(spree.merchant, eur)
    if (random.chance(0.15)) attackers.moveSession(spree.session, country, ABROAD)
    budget.tried(spree.incident, 1 - DECLINED)
    return payments.steal(checkout.online(spree.merchant, spree.session), timeMs, STOLEN_DETAILS, DECLINED)
  }

  private takeOffer(timeMs: number): Offer | null {
    const { random, accounts } = this.world
    while (this.offers.length > 0) {
      const at = random.below(this.offers.length)
      const offer = this.offers[at]!
      this.offers[at] = this.offers[this.offers.length - 1]!
      this.offers.pop()
      if (accounts.isCurrent(offer.card, offer.cardId, timeMs)) return offer
    }
    const card = this.findLeaked(timeMs)
    return card < 0 ? null : { card, cardId: accounts.cardId[card]! }
  }
}
