import { CARDS_MAX, DEVICES_MAX } from './accounts.ts'
import { DAY_MS, MINUTE_MS, MONTH_MS, QUARTER_MS } from './calendar.ts'
import type { OnlineSession } from './checkout.ts'
import { LINES, lineIndex, lineWeights, onlineShare, SUBSCRIPTION } from './lines.ts'
import { cityCountry, cityLatitude, cityLongitude } from './places.ts'
import { AliasTable, type Random } from './random.ts'
import { FIRST_PARTY, HONEST } from './tactics/tactics.ts'
import type { World } from './world.ts'

const FOLLOWED_BY_ANOTHER = 0.25
const FAVOURITE_SHARE = 0.8
const SUBSCRIPTIONS_MAX = 6
const ONLINE_GROWTH_A_MONTH = 0.005
const ONLINE_SHARE_MAX = 0.6
const ADDRESS_MISMATCH = 0.06
const CARRIER_SHARE = 0.1
const RELAY_SHARE = 0.015
/**
 * Of orders: from a private window, a browser cleared or just installed, which nobody has met before and will not meet
 * again; from somebody else's machine (the family's, a friend's, at work); with an address of mail made for one shop.
 */
const FRESH_BROWSER = 0.05
const BORROWED_DEVICE = 0.02
const ONE_OFF_EMAIL = 0.06
/** Of orders: from somebody else's connection, at work or with friends. */
const ELSEWHERE_SHARE = 0.1
/** Of online orders; comes to 0.5 % of all events. */
const VERIFIED_FIRST = 0.0165
const VERIFICATION_FAILS = 0.08
/** Draws until the account that buys is one of those who would, here and now. */
const ACCOUNT_DRAWS_MAX = 6
/** Events that follow from one purchase on average: outcomes, refunds, reversals, tries again, verifications, repeats. */
const EVENTS_PER_PURCHASE = 1.12

/** Those who want to hear of an approved purchase in a store or online. */
export interface PurchaseListener {
  onPurchase(account: number, card: number, merchant: number, online: boolean, timeMs: number): void
  /** True when the buyer of this purchase will dispute it. */
  claimsAsFirstParty(): boolean
}

/**
 * Honest people. Purchases come as a Poisson process whose rate follows the calendar; each falls to an account that fits
 * the hour and the way of buying, and a quarter of them is followed by another.
 */
export class Shopper {
  private readonly world: World
  private readonly random: Random
  private readonly listener: PurchaseListener
  private readonly inStoreLines = new AliasTable(lineWeights(false))
  private readonly onlineLines = new AliasTable(lineWeights(true))
  private readonly digital = lineIndex('digital', true)
  private readonly goods = lineIndex('online', true)
  /** First purchases in a millisecond, before calendar and channel. */
  private readonly ratePerMs: number
  /** How many each slot has; whoever opens an account there has as many. */
  private readonly subscriptions: Uint8Array
  private readonly subscription: Int32Array
  private readonly subscriptionEur: Float32Array
  private readonly session: OnlineSession = {
    device: '',
    platform: 0,
    email: '',
    address: '',
    country: 0,
    addressMismatch: ADDRESS_MISMATCH,
    codeMismatch: 0.004,
    passesThreeDs: -1,
  }
  private nextQuarterMs: number
  private onlineRate = 0
  private storeRate = 0
  /** Time of the next purchase. */
  nextMs: number

  constructor(world: World, random: Random, listener: PurchaseListener) {
    this.world = world
    this.random = random
    this.listener = listener
    const { accounts, size, startMs } = world
    const purchasesPerDay = size.eventsPerDay / EVENTS_PER_PURCHASE
    const subscribed = LINES[SUBSCRIPTION]!.share / 100
    this.ratePerMs = (purchasesPerDay * (1 - subscribed) * (1 - FOLLOWED_BY_ANOTHER)) / DAY_MS
    // the cut at the most, closed merchants and closed cards cost some
    const subscriptionsMean = (1.1 * subscribed * purchasesPerDay * MONTH_MS) / DAY_MS / accounts.count
    this.subscriptions = new Uint8Array(accounts.count)
    this.subscription = new Int32Array(accounts.count * SUBSCRIPTIONS_MAX)
    this.subscriptionEur = new Float32Array(accounts.count * SUBSCRIPTIONS_MAX)
    for (let account = 0; account < accounts.count; account++) {
      this.subscriptions[account] = Math.min(SUBSCRIPTIONS_MAX, random.poisson(subscriptionsMean))
      this.subscribe(account)
      for (let k = 0; k < this.subscriptions[account]!; k++) {
        const firstMs = startMs + random.unit() * MONTH_MS
        world.agenda.at(firstMs, this.charge, account * SUBSCRIPTIONS_MAX + k)
      }
    }
    accounts.onReplaced = (account) => this.subscribe(account)
    this.nextMs = startMs
    this.nextQuarterMs = Math.floor(startMs / QUARTER_MS) * QUARTER_MS
    this.planNext()
  }

  /** Makes the purchase that was due, and plans the next one. */
  buyNext(): void {
    const timeMs = this.nextMs
    const online = this.random.unit() * (this.onlineRate + this.storeRate) < this.onlineRate
    this.buy(this.drawAccount(timeMs, online), online, timeMs)
    this.planNext()
  }

  /** Exponential gaps at the rate of each quarter of an hour; a gap that leaves it starts again at its end. */
  private planNext(): void {
    for (;;) {
      const gapMs = this.random.exponential(1) / (this.onlineRate + this.storeRate)
      if (this.nextMs + gapMs < this.nextQuarterMs) {
        this.nextMs += gapMs
        return
      }
      this.nextMs = Math.max(this.nextQuarterMs, this.nextMs)
      this.nextQuarterMs += QUARTER_MS
      const { calendar, startMs } = this.world
      const months = (this.nextMs - startMs) / MONTH_MS
      const share = Math.min(ONLINE_SHARE_MAX, onlineShare() + ONLINE_GROWTH_A_MONTH * months)
      this.onlineRate = this.ratePerMs * share * calendar.intensity(this.nextMs, true)
      this.storeRate = this.ratePerMs * (1 - share) * calendar.intensity(this.nextMs, false)
    }
  }

  private drawAccount(timeMs: number, online: boolean): number {
    const { accounts, calendar } = this.world
    const { random } = this
    let account = 0
    for (let draw = 0; draw < ACCOUNT_DRAWS_MAX; draw++) {
      account = accounts.drawActive(random)
      const liking = calendar.personal(timeMs, accounts.chronotype[account]!, accounts.payday[account]!)
      if (random.unit() < liking * accounts.leaning(account, online)) break
    }
    return account
  }

  private buy(account: number, online: boolean, timeMs: number): void {
    const { accounts, agenda } = this.world
    const { random } = this
    accounts.refresh(account, timeMs)
    if (random.chance(FOLLOWED_BY_ANOTHER)) {
      // as many turn from the screen to the street as the other way round
      const isSameWay = random.chance(online ? 0.8 : 0.885)
      const next = account * 2 + (online === isSameWay ? 1 : 0)
      agenda.at(timeMs + random.between(5, 60) * MINUTE_MS, this.buyAnother, next)
    }
    const card = accounts.drawCard(account, timeMs, !online, random)
    if (card < 0) return
    if (online) this.order(account, card, timeMs)
    else this.buyInStore(account, card, timeMs)
  }

  private readonly buyAnother = (timeMs: number, next: number): void => {
    this.buy(next >> 1, (next & 1) === 1, timeMs)
  }

  private buyInStore(account: number, card: number, timeMs: number): void {
    const { accounts, merchants, checkout, payments } = this.world
    const { random } = this
    const line = this.inStoreLines.draw(random)
    const { spot } = checkout
    let merchant: number
    if (accounts.isTravelling(account, timeMs)) {
      const city = accounts.tripCity[account]!
      merchant = merchants.draw(line, cityCountry(city), random)
      spot.ofVisit(
        cityLatitude(city),
        cityLongitude(city),
        account + Math.floor(accounts.tripStartMs[account]! / DAY_MS),
        merchant,
      )
    } else {
      merchant = this.drawMerchant(account, line)
      spot.ofVisit(accounts.homeLatitude[account]!, accounts.homeLongitude[account]!, account, merchant)
    }
    checkout.byCard(account, card)
    checkout.price(merchant, checkout.usualEur(merchant, account, timeMs))
    const entryMode = checkout.drawEntryMode(account, merchant, timeMs)
    const wallet = entryMode === 'WALLET' ? accounts.wallet[account]! : null
    const draft =
      wallet === null
        ? checkout.inStore(merchant, entryMode)
        : checkout.inStore(merchant, entryMode, accounts.device[account * DEVICES_MAX], wallet)
    if (!payments.buy(draft, timeMs)) return
    accounts.lastStoreMs[account] = timeMs
    accounts.lastLatitude[account] = spot.latitude
    accounts.lastLongitude[account] = spot.longitude
    this.listener.onPurchase(account, card, merchant, false, timeMs)
  }

  private order(account: number, card: number, timeMs: number): void {
    const { accounts, merchants, checkout, payments, agenda } = this.world
    const { random } = this
    const line = this.onlineLines.draw(random)
    let merchant = this.drawMerchant(account, line)
    // a purse for the road: travellers order from home's merchants all the same
    if (accounts.isTravelling(account, timeMs) && random.chance(0.3)) {
      merchant = merchants.draw(line, cityCountry(accounts.tripCity[account]!), random)
    }
    this.fillSession(account, card, timeMs)
    if (random.chance(VERIFIED_FIRST)) {
      this.fillOrder(account, card, merchant, timeMs)
      payments.verify(checkout.draft, timeMs, HONEST, VERIFICATION_FAILS)
      if (random.chance(0.4)) return
      const cardId = accounts.cardId[card]!
      const session = { ...this.session }
      agenda.at(timeMs + random.between(0.5, 4) * MINUTE_MS, (laterMs) => {
        if (!accounts.isCurrent(card, cardId, laterMs)) return
        Object.assign(this.session, session)
        this.finishOrder(account, card, merchant, line, laterMs)
      })
      return
    }
    this.finishOrder(account, card, merchant, line, timeMs)
  }

  private finishOrder(account: number, card: number, merchant: number, line: number, timeMs: number): void {
    this.fillOrder(account, card, merchant, timeMs)
    const { payments, checkout } = this.world
    const isFirstParty = (line === this.digital || line === this.goods) && this.listener.claimsAsFirstParty()
    const tactic = isFirstParty ? FIRST_PARTY : HONEST
    if (payments.buy(checkout.draft, timeMs, tactic, isFirstParty)) {
      this.listener.onPurchase(account, card, merchant, true, timeMs)
    }
  }

  private fillOrder(account: number, card: number, merchant: number, timeMs: number): void {
    const { checkout } = this.world
    checkout.byCard(account, card)
    checkout.price(merchant, checkout.usualEur(merchant, account, timeMs))
    checkout.online(merchant, this.session)
  }

  private fillSession(account: number, card: number, timeMs: number): void {
    const { accounts, addresses, ids } = this.world
    const { random, session } = this
    const device = accounts.drawDevice(account, card, random)
    session.device = accounts.device[device]!
    session.platform = accounts.platform[device]!
    const at = random.unit()
    if (at < FRESH_BROWSER) session.device = ids.device()
    else if (at < FRESH_BROWSER + BORROWED_DEVICE) {
      const others = accounts.drawSomebodysDevice(random)
      session.device = accounts.device[others]!
      session.platform = accounts.platform[others]!
    }
    session.email = random.chance(ONE_OFF_EMAIL) ? ids.email() : accounts.drawEmail(account, random)
    session.country = accounts.homeCountry(account)
    if (random.chance(RELAY_SHARE)) {
      session.address = addresses.relay(random)
      session.country = addresses.lastCountry
    } else if (accounts.isTravelling(account, timeMs)) {
      session.country = cityCountry(accounts.tripCity[account]!)
      session.address = addresses.visitor(session.country, random)
    } else if (random.chance(CARRIER_SHARE)) {
      session.address = addresses.carrier(session.country, random)
    } else if (random.chance(ELSEWHERE_SHARE)) {
      session.address = addresses.borrowed(session.country, random)
    } else {
      session.address = accounts.homeAddress[account]!
    }
  }

  private drawMerchant(account: number, line: number): number {
    const { accounts } = this.world
    const favourite = this.random.chance(FAVOURITE_SHARE) ? accounts.drawFavourite(account, line, this.random) : -1
    return favourite >= 0 ? favourite : accounts.drawMerchant(account, line, this.random)
  }

  private subscribe(account: number): void {
    const { accounts, checkout } = this.world
    for (let k = 0; k < this.subscriptions[account]!; k++) {
      const merchant = accounts.drawMerchant(account, SUBSCRIPTION, this.random)
      this.subscription[account * SUBSCRIPTIONS_MAX + k] = merchant
      this.subscriptionEur[account * SUBSCRIPTIONS_MAX + k] = checkout.subscriptionEur(merchant)
    }
  }

  private readonly charge = (timeMs: number, subscription: number): void => {
    const { accounts, agenda, merchants, checkout, payments } = this.world
    const { random } = this
    agenda.at(timeMs + MONTH_MS + random.between(-1, 1) * DAY_MS, this.charge, subscription)
    const account = Math.floor(subscription / SUBSCRIPTIONS_MAX)
    accounts.refresh(account, timeMs)
    const merchant = this.subscription[subscription]!
    const card = account * CARDS_MAX
    if (merchants.isOpen[merchant] === 0 || accounts.cardUsableMs[card]! > timeMs) return
    checkout.byCard(account, card)
    checkout.price(merchant, this.subscriptionEur[subscription]!)
    payments.buy(checkout.onFile(account), timeMs)
  }
}
