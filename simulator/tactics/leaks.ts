import { CARDS_MAX } from '../accounts.ts'
import { DAY_MS } from '../calendar.ts'
import type { World } from '../world.ts'
import type { StolenDetails } from './stolen-details.ts'

const CARDS_MIN = 300
const CARDS_MAX_LEAKED = 1_500
const LEAK_DAYS = 21
const LEAK_EVERY_DAYS = 60
const USED_SHARE = 0.1
const DELAY_MEAN_DAYS = 25
const DELAY_SD_DAYS = 15
/** The world whose leaks have these sizes; in others they are as much smaller or larger as fraud is. */
const FRAUDS_A_DAY = 40
/** Half of a merchant's remembered visits are forgotten in a week. */
const FORGET_DAYS = 7

interface Leak {
  readonly merchant: number
  readonly untilMs: number
  left: number
}

/**
 * A merchant loses the details of its customers' cards for three weeks; a tenth of them is used weeks later. So stolen
 * cards have a purchase in common that lies before the harm.
 */
export class Leaks {
  private readonly world: World
  private readonly scale: number
  private readonly visits: Float32Array
  private leak: Leak | null = null
  private nextLeakMs: number
  private forgetMs: number
  /** Merchants that leaked before the first day. */
  private readonly formerly: number[] = []
  stolenDetails: StolenDetails | null = null

  constructor(world: World) {
    this.world = world
    const { size, merchants, startMs, random } = world
    this.scale = (size.eventsPerDay * size.fraudByCount) / FRAUDS_A_DAY
    this.visits = new Float32Array(merchants.count)
    this.forgetMs = startMs + FORGET_DAYS * DAY_MS
    // enough days for the visits to tell which merchants are busy
    this.nextLeakMs = startMs + random.between(4, 12) * DAY_MS
  }

  onPurchase(card: number, merchant: number, timeMs: number): void {
    this.visits[merchant]!++
    const { leak } = this
    if (leak === null || leak.merchant !== merchant) return
    const { random, accounts } = this.world
    if (leak.left <= 0 || timeMs > leak.untilMs) return
    leak.left--
    if (!random.chance(USED_SHARE)) return
    const shape = (DELAY_MEAN_DAYS / DELAY_SD_DAYS) ** 2
    const delayMs = random.gamma(shape, DELAY_MEAN_DAYS / shape) * DAY_MS
    this.stolenDetails?.offer(card, accounts.cardId[card]!, timeMs + delayMs)
  }

  advanceTo(timeMs: number): void {
    if (timeMs >= this.forgetMs) {
      this.forgetMs += FORGET_DAYS * DAY_MS
      for (let merchant = 0; merchant < this.visits.length; merchant++) this.visits[merchant]! /= 2
    }
    if (timeMs < this.nextLeakMs) return
    const { random } = this.world
    this.nextLeakMs = timeMs + LEAK_EVERY_DAYS * DAY_MS * random.between(0.8, 1.2)
    const captured = Math.max(30, Math.round(random.whole(CARDS_MIN, CARDS_MAX_LEAKED) * this.scale))
    const merchant = this.chooseMerchant(captured)
    this.formerly.push(merchant)
    if (this.formerly.length > 4) this.formerly.shift()
    this.leak = { merchant, untilMs: timeMs + LEAK_DAYS * DAY_MS, left: captured }
  }

  /** A card that paid at a merchant which leaked long ago, as far as the favourites of its account tell; else any card. */
  findCard(timeMs: number): number {
    const { random, accounts, merchants } = this.world
    if (this.formerly.length === 0) {
      for (let i = 0; i < 3; i++) this.formerly.push(merchants.drawOnline(merchants.drawOnlineLine(random), i, random))
    }
    const merchant = random.pick(this.formerly)
    let fallback = -1
    for (let draw = 0; draw < 300; draw++) {
      const account = accounts.drawActive(random)
      const card = account * CARDS_MAX + random.below(accounts.cards[account]!)
      if (accounts.cardUsableMs[card]! > timeMs) continue
      fallback = card
      if (accounts.drawFavourite(account, merchants.line[merchant]!, random) === merchant) return card
    }
    return fallback
  }

  /** A merchant busy enough for so many cards in three weeks, but not one that everybody uses. */
  private chooseMerchant(captured: number): number {
    const { random } = this.world
    const needed = (captured / LEAK_DAYS) * FORGET_DAYS
    let chosen = 0
    let seen = 0
    let busiest = 0
    for (let merchant = 0; merchant < this.visits.length; merchant++) {
      const visits = this.visits[merchant]!
      if (visits > this.visits[busiest]!) busiest = merchant
      if (visits < needed || visits > needed * 6) continue
      seen++
      if (random.below(seen) === 0) chosen = merchant
    }
    return seen === 0 ? busiest : chosen
  }
}
