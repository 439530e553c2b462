import type { Accounts } from './accounts.ts'
import { BINS, PLATFORMS } from './accounts.ts'
import { MONTH_MS } from './calendar.ts'
import { type Currencies, minorPerUnit } from './currencies.ts'
import { Draft } from './draft.ts'
import { CASH, LINES, SUBSCRIPTION } from './lines.ts'
import { MERCHANT_PRICE_SIGMA, type Merchants } from './merchants.ts'
import type { OpaqueIds } from './opaque-ids.ts'
import { COUNTRIES, CURRENCY_OF, Spot } from './places.ts'
import type { Random } from './random.ts'

const PRICE_GROWTH_A_MONTH = 0.003
const CONTACTLESS_SHARE = 0.55
const CONTACTLESS_GROWTH_A_MONTH = 0.01
const CONTACTLESS_SHARE_MAX = 0.85
export const CONTACTLESS_MAX_EUR = 50
const WALLET_USE = 0.55
/** Of orders: whoever buys lets no script of the shop look at the device. */
const UNREAD_DEVICE = 0.08
/** Smallest banknote step of cash machines, in units of the currency. */
const BANKNOTES: Readonly<Record<string, number>> = {
  EUR: 10,
  GBP: 10,
  USD: 20,
  CHF: 10,
  PLN: 50,
  SEK: 100,
  JPY: 1_000,
}
const PLATFORM_ATTRIBUTES = PLATFORMS.map((platform) => Object.freeze({ platform }))
const NO_ATTRIBUTES: Readonly<Record<string, string>> = Object.freeze({})

/** From where and with what somebody orders online, and how the merchant's checks come out. */
export interface OnlineSession {
  device: string
  /** Index in PLATFORMS. */
  platform: number
  email: string
  address: string
  /** Index in COUNTRIES. */
  country: number
  addressMismatch: number
  codeMismatch: number
  /** How likely the buyer comes through 3-D Secure; negative: as the merchant asks for it, the owner can do it. */
  passesThreeDs: number
}

/** A card in wrong hands: what it was when it got there. */
export interface HeldCard {
  readonly account: number
  /** Slot of the card. */
  readonly card: number
  readonly accountId: string
  readonly cardId: string
  readonly bin: string
}

/**
 * Puts purchases together, for everybody in the same way: which fields are filled, how amounts are rounded and where
 * terminals stand depends on merchant and channel, never on who pays.
 */
export class Checkout {
  readonly draft = new Draft()
  readonly spot = new Spot()
  private readonly random: Random
  private readonly ids: OpaqueIds
  private readonly accounts: Accounts
  private readonly merchants: Merchants
  private readonly currencies: Currencies
  private readonly startMs: number

  constructor(
    random: Random,
    ids: OpaqueIds,
    accounts: Accounts,
    merchants: Merchants,
    currencies: Currencies,
    startMs: number,
  ) {
    this.random = random
    this.ids = ids
    this.accounts = accounts
    this.merchants = merchants
    this.currencies = currencies
    this.startMs = startMs
  }

  /** Euros that a purchase of this account at this merchant costs; `z` is its place in the line's distribution. */
  usualEur(merchant: number, account: number, timeMs: number, z = this.random.normal()): number {
    const line = LINES[this.merchants.line[merchant]!]!
    const sigma = Math.sqrt(Math.max(0.04, line.sigma ** 2 - MERCHANT_PRICE_SIGMA ** 2))
    const level = line.medianEur * this.merchants.priceFactor[merchant]! * this.accounts.amountFactor[account]!
    return Math.min(level * this.priceLevel(timeMs) * Math.exp(sigma * z), this.accounts.limitEur[account]!)
  }

  /** The card that pays. */
  byCard(account: number, card: number): Draft {
    const { draft, accounts } = this
    draft.accountId = accounts.id[account]!
    draft.cardId = accounts.cardId[card]!
    draft.bin = BINS[accounts.cardBin[card]!]!
    draft.card = card
    return draft
  }

  /** A card as it is now, for somebody who goes on using it whatever becomes of it. */
  hold(account: number, card: number): HeldCard {
    const { accounts } = this
    return {
      account,
      card,
      accountId: accounts.id[account]!,
      cardId: accounts.cardId[card]!,
      bin: BINS[accounts.cardBin[card]!]!,
    }
  }

  byHeldCard(held: HeldCard): Draft {
    const { draft } = this
    draft.accountId = held.accountId
    draft.cardId = held.cardId
    draft.bin = held.bin
    draft.card = held.card
    return draft
  }

  /** A card of which the issuer has never seen a purchase, if it exists at all. */
  byUnknownCard(bin: number): Draft {
    const { draft, ids } = this
    draft.accountId = ids.account()
    draft.cardId = ids.card()
    draft.bin = BINS[bin]!
    draft.card = -1
    return draft
  }

  /** What is paid, in the merchant's currency and rounded its way; never more than `maxEur`. */
  price(merchant: number, eur: number, maxEur = Number.POSITIVE_INFINITY): void {
    const { draft, merchants, currencies } = this
    const currency = CURRENCY_OF[merchants.country[merchant]!]!
    const unit = minorPerUnit(currency)
    const rate = currencies.rateOf(currency) * unit
    let minor = Math.max(1, Math.round(eur * rate))
    if (merchants.line[merchant] === CASH) {
      const step = BANKNOTES[currency]! * unit
      minor = Math.max(1, Math.round(minor / step)) * step
    } else {
      minor = styled(minor, unit, merchants.priceStyle[merchant]!)
    }
    if (minor > maxEur * rate) minor = Math.max(1, Math.floor(Math.min(eur, maxEur) * rate))
    draft.merchant = merchant
    draft.amount = minor
    draft.currency = currency
    draft.amountEur = minor / rate
  }

  /** At a counter or a cash machine, where `spot` is. `wallet`: the telephone that pays, if one does. */
  inStore(merchant: number, entryMode: Draft['entryMode'], device = '', attributes = NO_ATTRIBUTES): Draft {
    const { draft, spot } = this
    draft.channel = this.merchants.line[merchant] === CASH ? 'ATM' : 'POS'
    draft.entryMode = entryMode
    draft.country = COUNTRIES[this.merchants.country[merchant]!]!
    draft.latitude = spot.latitude
    draft.longitude = spot.longitude
    draft.terminal = this.ids.terminal(merchant, spot.cell)
    draft.device = device
    draft.address = ''
    draft.email = ''
    draft.avs = ''
    draft.cvv = ''
    draft.threeDs = ''
    draft.recurring = false
    draft.attributes = attributes
    return draft
  }

  /** How the owner of a card pays in a store; needs the price. */
  drawEntryMode(account: number, merchant: number, timeMs: number): Draft['entryMode'] {
    const { random } = this
    if (this.merchants.line[merchant] === CASH) return 'CHIP'
    if (this.accounts.wallet[account] !== null && random.chance(WALLET_USE)) return 'WALLET'
    const at = random.unit()
    if (at < 0.012) return 'SWIPE'
    if (at < 0.015) return 'MANUAL'
    const months = (timeMs - this.startMs) / MONTH_MS
    const share = Math.min(CONTACTLESS_SHARE_MAX, CONTACTLESS_SHARE + CONTACTLESS_GROWTH_A_MONTH * months)
    // large sums need the code, so the small ones carry the share
    if (this.draft.amountEur >= CONTACTLESS_MAX_EUR) return random.chance(share * 0.25) ? 'CONTACTLESS' : 'CHIP'
    return random.chance(Math.min(0.96, share * 1.22)) ? 'CONTACTLESS' : 'CHIP'
  }

  /** As above, for one whose account does not matter. */
  drawPlainEntryMode(): Draft['entryMode'] {
    const isSmall = this.draft.amountEur < CONTACTLESS_MAX_EUR
    return this.random.chance(isSmall ? CONTACTLESS_SHARE : CONTACTLESS_SHARE * 0.25) ? 'CONTACTLESS' : 'CHIP'
  }

  /** An order on a merchant's page. */
  online(merchant: number, session: OnlineSession): Draft {
    const { draft, merchants, random } = this
    this.asOrder()
    draft.country = COUNTRIES[session.country]!
    const isRead = !random.chance(UNREAD_DEVICE)
    draft.device = isRead ? session.device : ''
    draft.address = session.address
    draft.email = session.email
    draft.avs = merchants.checksAddress[merchant] === 1 ? this.addressCheck(session.addressMismatch) : ''
    draft.cvv = merchants.checksCode[merchant] === 1 ? this.codeCheck(session.codeMismatch) : ''
    const asks = random.chance(merchants.threeDsShare[merchant]!)
    draft.threeDs =
      session.passesThreeDs < 0 ? this.ownersThreeDs(asks) : this.thiefsThreeDs(session.passesThreeDs, asks)
    draft.recurring = false
    draft.attributes = isRead ? PLATFORM_ATTRIBUTES[session.platform]! : NO_ATTRIBUTES
    return draft
  }

  /** The merchant charges a card it has on file; nobody sits before a screen. */
  onFile(account: number): Draft {
    const draft = this.asOrder()
    draft.country = COUNTRIES[this.accounts.homeCountry(account)]!
    draft.device = ''
    draft.address = ''
    draft.email = this.accounts.emails[account * 2]!
    draft.avs = ''
    draft.cvv = ''
    draft.threeDs = ''
    draft.recurring = true
    draft.attributes = NO_ATTRIBUTES
    return draft
  }

  /** What a subscription costs, the same every month. */
  subscriptionEur(merchant: number): number {
    return LINES[SUBSCRIPTION]!.medianEur * this.merchants.priceFactor[merchant]! * this.random.lognormal(1, 0.4)
  }

  private asOrder(): Draft {
    const { draft } = this
    draft.channel = 'ECOM'
    draft.entryMode = 'ECOM'
    draft.latitude = null
    draft.longitude = null
    draft.terminal = ''
    return draft
  }

  private addressCheck(mismatch: number): string {
    const at = this.random.unit()
    if (at < mismatch) return at < mismatch * 0.5 ? 'N' : at < mismatch * 0.8 ? 'A' : 'Z'
    return this.random.chance(0.05) ? 'U' : 'Y'
  }

  private codeCheck(mismatch: number): string {
    const at = this.random.unit()
    if (at < mismatch) return 'N'
    return at < mismatch + 0.02 ? 'P' : at < mismatch + 0.03 ? 'U' : 'M'
  }

  private ownersThreeDs(asks: boolean): string {
    if (!asks) return ''
    const at = this.random.unit()
    return at < 0.88 ? 'Y' : at < 0.97 ? 'A' : 'U'
  }

  private thiefsThreeDs(passes: number, asks: boolean): string {
    if (this.random.chance(passes)) return 'Y'
    return asks && this.random.chance(0.3) ? (this.random.chance(0.8) ? 'A' : 'U') : ''
  }

  private priceLevel(timeMs: number): number {
    return (1 + PRICE_GROWTH_A_MONTH) ** ((timeMs - this.startMs) / MONTH_MS)
  }
}

/** Brings minor units to how the merchant ends its prices: as it comes, .99, .00, .50, .95. */
function styled(minor: number, unit: number, style: number): number {
  if (style === 0) return minor
  if (unit === 1) return Math.max(10, Math.round(minor / 10) * 10)
  const whole = Math.round(minor / unit) * unit
  if (style === 1) return Math.max(unit, whole) - unit / 100
  if (style === 2) return Math.max(unit, whole)
  if (style === 3) return Math.max(unit / 2, Math.round((2 * minor) / unit) * (unit / 2))
  return Math.max(unit, whole) - (5 * unit) / 100
}
