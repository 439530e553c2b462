import { DAY_MS } from '../calendar.ts'
import type { HeldCard, OnlineSession } from '../checkout.ts'
import { lineIndex } from '../lines.ts'
import type { World } from '../world.ts'
import type { Incident } from './budget.ts'
import { BUST_OUT } from './tactics.ts'

const ORDINARY_DAYS_MIN = 60
const ORDINARY_DAYS_MAX = 120
const LIMIT_SHARE_MIN = 0.9
const LIMIT_SHARE_MAX = 1.3
/** Whoever plans this sees to it that the limit is worth the months. */
const LIMIT_MIN_EUR = 1_800
const DAYS_MIN = 3
const DAYS_MAX = 6
const PURCHASES_MIN = 8
const PURCHASES_MAX = 15
const ONLINE_SHARE = 0.5
const DECLINED = 0.05
const GONE_DAYS_MIN = 5
const GONE_DAYS_MAX = 30
/** What can be sold on. */
const LINE_NAMES = ['electronics', 'fashion', 'travel', 'other', 'grocery']

interface Bust {
  readonly incident: Incident
  readonly held: HeldCard
  left: number
}

/** A customer of some months, ordinary so far, spends the whole limit within days and is gone. */
export class BustOut {
  private readonly world: World
  private readonly onlineLines = LINE_NAMES.map((name) => lineIndex(name, true))
  private readonly storeLines = LINE_NAMES.map((name) => lineIndex(name, false))

  constructor(world: World) {
    this.world = world
  }

  begin(timeMs: number): void {
    const { random, agenda, accounts, budget, checkout, calendar } = this.world
    const account = this.findAccount(timeMs)
    if (account < 0) return
    const card = accounts.drawCard(account, timeMs, true, random)
    if (card < 0) return
    const purchases = random.whole(PURCHASES_MIN, PURCHASES_MAX)
    const bust: Bust = {
      incident: budget.begin(BUST_OUT, purchases * (1 - DECLINED)),
      held: checkout.hold(account, card),
      left: purchases,
    }
    const days = random.whole(DAYS_MIN, DAYS_MAX)
    const totalEur = accounts.limitEur[account]! * random.between(LIMIT_SHARE_MIN, LIMIT_SHARE_MAX)
    const parts = random.dirichlet(
      Array.from({ length: purchases }, () => 1),
      purchases * 4,
    )
    const firstDay = Math.ceil(timeMs / DAY_MS)
    for (let i = 0; i < purchases; i++) {
      const online = random.chance(ONLINE_SHARE)
      const at = (firstDay + random.below(days)) * DAY_MS + calendar.drawTimeOfDay(random, online)
      agenda.at(at, (buyMs) => this.buy(bust, online, totalEur * parts[i]!, buyMs))
    }
    const goneMs = (firstDay + days + random.between(GONE_DAYS_MIN, GONE_DAYS_MAX)) * DAY_MS
    const accountId = accounts.id[account]!
    agenda.at(goneMs, (at) => {
      if (accounts.id[account] === accountId) accounts.endAccount(account, at)
    })
  }

  private buy(bust: Bust, online: boolean, eur: number, timeMs: number): void {
    const { random, checkout, payments, accounts, merchants, attackers, budget } = this.world
    const { account } = bust.held
    budget.tried(bust.incident, 1 - DECLINED)
    bust.left--
    if (bust.left <= 0) budget.end(bust.incident)
    if (attackers.isPaused(BUST_OUT, timeMs)) return
    const line = random.pick(online ? this.onlineLines : this.storeLines)
    const country = accounts.homeCountry(account)
    const merchant = online ? merchants.drawOnline(line, country, random) : merchants.draw(line, country, random)
    checkout.byHeldCard(bust.held)
    checkout.price(merchant, eur * attackers.amountFactor(BUST_OUT))
    if (online) {
      payments.steal(checkout.online(merchant, this.ownSession(bust.held)), timeMs, BUST_OUT, DECLINED)
      return
    }
    checkout.spot.ofVisit(accounts.homeLatitude[account]!, accounts.homeLongitude[account]!, account, merchant)
    payments.steal(checkout.inStore(merchant, checkout.drawPlainEntryMode()), timeMs, BUST_OUT, DECLINED)
  }

  /** The customer's own device and addresses: nobody else is at work here. */
  private ownSession(held: HeldCard): OnlineSession {
    const { random, accounts } = this.world
    const device = accounts.drawDevice(held.account, held.card, random)
    return {
      device: accounts.device[device]!,
      platform: accounts.platform[device]!,
      email: accounts.drawEmail(held.account, random),
      address: accounts.homeAddress[held.account]!,
      country: accounts.homeCountry(held.account),
      addressMismatch: 0.06,
      codeMismatch: 0.004,
      passesThreeDs: -1,
    }
  }

  private findAccount(timeMs: number): number {
    const { random, accounts } = this.world
    let youngest = -1
    for (let draw = 0; draw < 3_000; draw++) {
      const account = draw < 1_500 ? accounts.drawActive(random) : random.below(accounts.count)
      accounts.refresh(account, timeMs)
      const days = (timeMs - accounts.openedMs[account]!) / DAY_MS
      const isWorthIt = accounts.limitEur[account]! >= LIMIT_MIN_EUR || draw >= 1_500
      if (isWorthIt && days >= ORDINARY_DAYS_MIN && days <= ORDINARY_DAYS_MAX) return account
      if (days > ORDINARY_DAYS_MAX && (youngest < 0 || accounts.openedMs[account]! > accounts.openedMs[youngest]!)) {
        youngest = account
      }
    }
    return youngest
  }
}
