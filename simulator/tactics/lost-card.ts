import { DAY_MS, HOUR_MS, MINUTE_MS } from '../calendar.ts'
import { CONTACTLESS_MAX_EUR, type HeldCard } from '../checkout.ts'
import { CASH, LINES } from '../lines.ts'
import { AliasTable } from '../random.ts'
import type { World } from '../world.ts'
import type { Incident } from './budget.ts'
import { LOST_CARD } from './tactics.ts'

const PURCHASES_MIN = 3
const PURCHASES_MAX = 10
const WITHIN_MS = 4 * HOUR_MS
const RADIUS_KM = 5
const MEDIAN_EUR = 24
const SIGMA = 0.6
const SMALLEST_EUR = 2
const DECLINED = 0.05
/** How long the owner goes without the card before noticing. */
const UNNOTICED_MAX_DAYS = 4
/** Share of purchases in a store after which the card is lost while one is due to be: chosen by chance, not by haste. */
const LOST_HERE = 0.02

interface Find {
  readonly incident: Incident
  readonly held: HeldCard
  readonly latitude: number
  readonly longitude: number
  readonly untilMs: number
  left: number
}

/** A finder or pickpocket pays without a code, near where the owner last paid, within hours. */
export class LostCard {
  private readonly world: World
  private readonly lines = new AliasTable(LINES.map((line, i) => (line.online || i === CASH ? 0 : line.share)))
  private due = 0

  constructor(world: World) {
    this.world = world
  }

  /** The next owner to be unlucky loses a card. */
  begin(): void {
    this.due++
  }

  get waiting(): number {
    return this.due
  }

  onPurchaseInStore(account: number, card: number, timeMs: number): void {
    if (this.due === 0) return
    const { random, accounts, agenda, budget, attackers, checkout } = this.world
    if (!random.chance(LOST_HERE) || accounts.isTravelling(account, timeMs)) return
    if (attackers.isPaused(LOST_CARD, timeMs)) return
    this.due--
    const purchases = random.whole(PURCHASES_MIN, PURCHASES_MAX)
    const find: Find = {
      incident: budget.begin(LOST_CARD, purchases * (1 - DECLINED)),
      held: checkout.hold(account, card),
      latitude: accounts.lastLatitude[account]!,
      longitude: accounts.lastLongitude[account]!,
      untilMs: timeMs + WITHIN_MS,
      left: purchases,
    }
    accounts.cardLostUntilMs[card] = timeMs + random.between(1, UNNOTICED_MAX_DAYS) * DAY_MS
    agenda.at(timeMs + random.between(6, 60) * MINUTE_MS, (at) => this.next(find, at))
  }

  private next(find: Find, timeMs: number): void {
    const { random, agenda, budget } = this.world
    this.buy(find, timeMs)
    find.left--
    const meanMs = (find.untilMs - timeMs) / (find.left + 1)
    const laterMs = timeMs + 2 * MINUTE_MS + random.between(0.3, 1.2) * meanMs
    if (find.left <= 0 || laterMs > find.untilMs) {
      budget.end(find.incident)
      return
    }
    agenda.at(laterMs, (at) => this.next(find, at))
  }

  private buy(find: Find, timeMs: number): void {
    const { random, checkout, payments, accounts, merchants, budget, attackers } = this.world
    const country = accounts.homeCountry(find.held.account)
    const merchant = merchants.draw(this.lines.draw(random), country, random)
    checkout.byHeldCard(find.held)
    const eur = Math.max(SMALLEST_EUR, random.lognormal(MEDIAN_EUR, SIGMA) * attackers.amountFactor(LOST_CARD))
    // what is too dear for one tap is not bought
    checkout.price(
      merchant,
      eur < CONTACTLESS_MAX_EUR ? eur : random.between(12, CONTACTLESS_MAX_EUR),
      CONTACTLESS_MAX_EUR,
    )
    checkout.spot.within(find.latitude, find.longitude, RADIUS_KM, random)
    budget.tried(find.incident, 1 - DECLINED)
    payments.steal(checkout.inStore(merchant, 'CONTACTLESS'), timeMs, LOST_CARD, DECLINED)
  }
}
