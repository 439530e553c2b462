import { DAY_MS } from '../calendar.ts'
import type { HeldCard, OnlineSession } from '../checkout.ts'
import type { World } from '../world.ts'
import type { Incident } from './budget.ts'
import { RING } from './tactics.ts'

const MERCHANT_AGE_MAX_DAYS = 30
const DEVICES_MIN = 2
const DEVICES_MAX = 5
const EUR_MIN = 60
const EUR_MAX = 180
const WEEKS_MIN = 2
const WEEKS_MAX = 4
const SECOND_PURCHASE = 0.5
const ABROAD = 0.2
const ADDRESS_MISMATCH = 0.25
const PASSES_THREE_DS = 0.3
const DECLINED = 0.06

interface Gang {
  readonly incident: Incident
  readonly sessions: readonly OnlineSession[]
  readonly country: number
  merchant: number
  turns: number
  left: number
}

/** A gang with a shop: a few devices run many cards through a merchant that has just opened, once or twice each. */
export class Ring {
  private readonly world: World

  constructor(world: World) {
    this.world = world
  }

  begin(timeMs: number): void {
    const { random, agenda, merchants, attackers, budget, size, accounts, checkout } = this.world
    const merchant = merchants.drawNewborn(timeMs, MERCHANT_AGE_MAX_DAYS * DAY_MS, random)
    if (merchant < 0) return
    const country = merchants.country[merchant]!
    const cards = random.whole(size.ringCards[0], size.ringCards[1])
    const purchases: number[] = Array.from({ length: cards }, () => (random.chance(SECOND_PURCHASE) ? 2 : 1))
    const total = purchases.reduce((sum, count) => sum + count, 0)
    const gang: Gang = {
      incident: budget.begin(RING, total * (1 - DECLINED)),
      sessions: Array.from({ length: random.whole(DEVICES_MIN, DEVICES_MAX) }, () =>
        attackers.newSession(country, ABROAD, ADDRESS_MISMATCH, PASSES_THREE_DS),
      ),
      country,
      merchant,
      turns: attackers.turns(RING),
      left: total,
    }
    const lengthMs = random.between(WEEKS_MIN, WEEKS_MAX) * 7 * DAY_MS
    for (const count of purchases) {
      const account = this.drawAccount(country)
      accounts.refresh(account, timeMs)
      const card = accounts.drawCard(account, timeMs, false, random)
      for (let i = 0; i < count; i++) {
        if (card < 0) {
          this.done(gang)
          continue
        }
        const held = checkout.hold(account, card)
        const day = Math.floor((timeMs + random.unit() * lengthMs) / DAY_MS) * DAY_MS
        const at = Math.max(timeMs, day + this.timeOfDay())
        agenda.at(at, (buyMs) => this.buy(gang, held, buyMs))
      }
    }
  }

  private buy(gang: Gang, held: HeldCard, timeMs: number): void {
    const { random, checkout, payments, attackers, merchants, budget } = this.world
    budget.tried(gang.incident, 1 - DECLINED)
    this.done(gang)
    if (attackers.isPaused(RING, timeMs)) return
    if (gang.turns !== attackers.turns(RING)) {
      gang.turns = attackers.turns(RING)
      gang.merchant = merchants.drawSmall(random)
    }
    const session = random.pick(gang.sessions)
    if (random.chance(0.4)) session.email = attackers.drawEmail()
    if (random.chance(0.3)) attackers.moveSession(session, gang.country, ABROAD)
    checkout.byHeldCard(held)
    checkout.price(gang.merchant, random.between(EUR_MIN, EUR_MAX) * attackers.amountFactor(RING))
    payments.steal(checkout.online(gang.merchant, session), timeMs, RING, DECLINED)
  }

  private done(gang: Gang): void {
    gang.left--
    if (gang.left <= 0) this.world.budget.end(gang.incident)
  }

  private drawAccount(country: number): number {
    const { random, accounts } = this.world
    for (let draw = 0; draw < 20; draw++) {
      const account = accounts.drawActive(random)
      if (accounts.homeCountry(account) === country) return account
    }
    return accounts.drawActive(random)
  }

  /** Ordinary hours for an online order, so that the clock gives nothing away. */
  private timeOfDay(): number {
    return this.world.calendar.drawTimeOfDay(this.world.random, true)
  }
}
