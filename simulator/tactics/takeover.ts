import { DAY_MS, HOUR_MS, MINUTE_MS } from '../calendar.ts'
import type { HeldCard, OnlineSession } from '../checkout.ts'
import type { World } from '../world.ts'
import type { Incident } from './budget.ts'
import { TAKEOVER } from './tactics.ts'

const ORDINARY_MAX = 2
const LARGE_MIN = 1
const LARGE_MAX = 4
const LIMIT_SHARE_MIN = 0.05
const LIMIT_SHARE_MAX = 0.3
const AT_VICTIMS_MERCHANTS = 0.5
const PASSES_THREE_DS = 0.6
const ABROAD = 0.25
const ADDRESS_MISMATCH = 0.15
const DECLINED = 0.08

interface Intrusion {
  readonly incident: Incident
  readonly session: OnlineSession
  readonly held: HeldCard
  ordinary: number
  large: number
  misses: number
}

/** Somebody gets into an account: a new device, a new address of mail, some ordinary orders, then the large ones. */
export class Takeover {
  private readonly world: World

  constructor(world: World) {
    this.world = world
  }

  begin(timeMs: number): void {
    const { random, agenda, accounts, budget, attackers, checkout } = this.world
    const account = accounts.drawActive(random)
    accounts.refresh(account, timeMs)
    const card = accounts.drawCard(account, timeMs, false, random)
    if (card < 0) return
    const ordinary = random.whole(0, ORDINARY_MAX)
    const large = random.whole(LARGE_MIN, LARGE_MAX)
    const intrusion: Intrusion = {
      incident: budget.begin(TAKEOVER, (ordinary + large) * (1 - DECLINED)),
      session: attackers.newSession(accounts.homeCountry(account), ABROAD, ADDRESS_MISMATCH, PASSES_THREE_DS),
      held: checkout.hold(account, card),
      ordinary,
      large,
      misses: 0,
    }
    agenda.at(timeMs + random.unit() * DAY_MS, (startMs) =>
      this.next(intrusion, startMs, startMs + random.between(1, 3) * DAY_MS),
    )
  }

  private next(intrusion: Intrusion, timeMs: number, harvestMs: number): void {
    const { random, agenda, budget, accounts, attackers } = this.world
    const isOver = intrusion.large <= 0 || intrusion.misses > 1
    if (isOver || attackers.isPaused(TAKEOVER, timeMs)) {
      budget.end(intrusion.incident)
      return
    }
    const isOrdinary = intrusion.ordinary > 0
    if (!this.buy(intrusion, isOrdinary, timeMs)) intrusion.misses++
    if (!accounts.isCurrent(intrusion.held.card, intrusion.held.cardId, timeMs)) intrusion.large = 0
    if (isOrdinary) intrusion.ordinary--
    else intrusion.large--
    let laterMs = timeMs + random.between(8, 240) * MINUTE_MS
    if (isOrdinary) {
      const restMs = Math.max(HOUR_MS, harvestMs - timeMs)
      laterMs = timeMs + (intrusion.ordinary > 0 ? random.between(0.2, 0.6) : random.between(0.8, 1)) * restMs
    }
    agenda.at(laterMs, (at) => this.next(intrusion, at, harvestMs))
  }

  private buy(intrusion: Intrusion, isOrdinary: boolean, timeMs: number): boolean {
    const { random, checkout, payments, accounts, attackers, budget } = this.world
    const { account } = intrusion.held
    const line = attackers.drawLine()
    const country = accounts.homeCountry(account)
    const known = random.chance(AT_VICTIMS_MERCHANTS) ? accounts.drawFavourite(account, line, random) : -1
    const merchant = known >= 0 ? known : attackers.drawMerchant(line, country)
    checkout.byHeldCard(intrusion.held)
    const share = random.between(LIMIT_SHARE_MIN, LIMIT_SHARE_MAX)
    const factor = attackers.amountFactor(TAKEOVER) * budget.amountFactor(TAKEOVER)
    const eur = isOrdinary
      ? checkout.usualEur(merchant, account, timeMs)
      : accounts.limitEur[account]! * Math.min(LIMIT_SHARE_MAX, Math.max(LIMIT_SHARE_MIN, share * factor))
    checkout.price(merchant, eur)
    budget.tried(intrusion.incident, 1 - DECLINED)
    return payments.steal(checkout.online(merchant, intrusion.session), timeMs, TAKEOVER, DECLINED)
  }
}
