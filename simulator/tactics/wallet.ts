import { DEVICES_MAX, PLATFORMS } from '../accounts.ts'
import { DAY_MS } from '../calendar.ts'
import type { HeldCard } from '../checkout.ts'
import { CASH, LINES, lineIndex } from '../lines.ts'
import { AliasTable } from '../random.ts'
import type { World } from '../world.ts'
import type { Incident } from './budget.ts'
import { WALLET } from './tactics.ts'

const DAYS_MIN = 5
const DAYS_MAX = 10
const PER_DAY_MAX = 3
const GIFT_SHARE = 0.35
/** Standard normal quartile: amounts stay between the first and third quartile of what the card usually pays. */
const QUARTILE_Z = 0.674
const AWAY_DEGREES = 0.12
const RADIUS_KM = 9
const DECLINED = 0.02
/** The telephone of somebody who also pays with it; the others are bought for the purpose. */
const MULE_SHARE = 0.55
/** Phones only. */
const PHONES = 2

interface Provisioning {
  readonly incident: Incident
  readonly held: HeldCard
  readonly device: string
  readonly attributes: Readonly<Record<string, string>>
  readonly latitude: number
  readonly longitude: number
  left: number
}

/** A talked-out code puts the card into a stranger's telephone: small everyday payments follow, with every check passed. */
export class Wallet {
  private readonly world: World
  private readonly lines = new AliasTable(LINES.map((line, i) => (line.online || i === CASH ? 0 : line.share)))
  private readonly groceries = lineIndex('grocery', false)

  constructor(world: World) {
    this.world = world
  }

  begin(timeMs: number): void {
    const { random, agenda, accounts, budget, checkout, calendar, ids } = this.world
    const account = accounts.drawActive(random)
    accounts.refresh(account, timeMs)
    const card = accounts.drawCard(account, timeMs, true, random)
    if (card < 0) return
    const isMule = random.chance(MULE_SHARE)
    const mule = accounts.drawActive(random) * DEVICES_MAX
    const days = random.whole(DAYS_MIN, DAYS_MAX)
    const perDay = Array.from({ length: days }, () => random.whole(1, PER_DAY_MAX))
    const total = perDay.reduce((sum, count) => sum + count, 0)
    const provisioning: Provisioning = {
      incident: budget.begin(WALLET, total * (1 - DECLINED)),
      held: checkout.hold(account, card),
      device: isMule ? accounts.device[mule]! : ids.device(),
      attributes: {
        platform: PLATFORMS[isMule ? accounts.platform[mule]! : random.below(PHONES)]!,
        token: ids.token(),
      },
      latitude: accounts.homeLatitude[account]! + AWAY_DEGREES * (random.unit() - 0.5),
      longitude: accounts.homeLongitude[account]! + AWAY_DEGREES * (random.unit() - 0.5),
      left: total,
    }
    const firstDay = Math.ceil(timeMs / DAY_MS)
    perDay.forEach((count, day) => {
      for (let i = 0; i < count; i++) {
        const at = (firstDay + day) * DAY_MS + calendar.drawTimeOfDay(random, false)
        agenda.at(at, (buyMs) => this.buy(provisioning, buyMs))
      }
    })
  }

  private buy(provisioning: Provisioning, timeMs: number): void {
    const { random, checkout, payments, accounts, merchants, attackers, budget } = this.world
    const { held } = provisioning
    budget.tried(provisioning.incident, 1 - DECLINED)
    provisioning.left--
    if (provisioning.left <= 0) budget.end(provisioning.incident)
    const isClosed = !accounts.isCurrent(held.card, held.cardId, timeMs)
    // a token dies with its card: one last try, and no more
    if (attackers.isPaused(WALLET, timeMs) || (isClosed && !random.chance(0.3))) return
    const country = accounts.homeCountry(held.account)
    const isGift = random.chance(GIFT_SHARE)
    const merchant = isGift
      ? merchants.drawGiftShop(country, random)
      : merchants.draw(this.lines.draw(random), country, random)
    const priced = isGift ? merchants.draw(this.groceries, country, random) : merchant
    const z = random.between(-QUARTILE_Z, QUARTILE_Z)
    checkout.byHeldCard(held)
    checkout.price(merchant, checkout.usualEur(priced, held.account, timeMs, z) * attackers.amountFactor(WALLET))
    checkout.spot.within(provisioning.latitude, provisioning.longitude, RADIUS_KM, random)
    const draft = checkout.inStore(merchant, 'WALLET', provisioning.device, provisioning.attributes)
    payments.steal(draft, timeMs, WALLET, DECLINED)
  }
}
