import type { Accounts } from '../accounts.ts'
import type { AddressBook } from '../addresses.ts'
import { DAY_MS, HOUR_MS } from '../calendar.ts'
import type { OnlineSession } from '../checkout.ts'
import type { Merchants } from '../merchants.ts'
import type { OpaqueIds } from '../opaque-ids.ts'
import { HOME_COUNTRIES } from '../places.ts'
import type { Random } from '../random.ts'
import { TACTICS } from './tactics.ts'

const CAMPAIGN_DAYS = 45
/** How much of the work follows the campaign; the rest is as varied as honest people. */
const CAMPAIGN_SHARE = 0.3
/** Machines are fitted to the crowd: one of the most common families. */
const COMMON_PLATFORMS = 3
/** Of sessions: through the infected machine of somebody who has a card here too. */
const INFECTED_SHARE = 0.55
/** Of addresses of mail: taken over from somebody who has a card here too. */
const HIJACKED_MAILBOX = 0.35
const WINDOW_HOURS = 24
const STOPPED_SHARE = 0.7
const TRIES_MIN = 5
const SMALLEST_AMOUNT_FACTOR = 0.25

/** How a tactic has reacted to being stopped. */
interface Pressure {
  readonly tries: Float64Array
  readonly stops: Float64Array
  hour: number
  amountFactor: number
  /** Raised by one whenever the tactic turns to other merchants. */
  turns: number
  pausedUntilMs: number
  calmUntilMs: number
}

/**
 * What thieves have in common: what they are after and with what machines (both change every 45 days), from where they
 * come, and, in a closed loop, what they do when most of what they try in a day is stopped.
 */
export class Attackers {
  private readonly random: Random
  private readonly accounts: Accounts
  private readonly merchants: Merchants
  private readonly addresses: AddressBook
  private readonly ids: OpaqueIds
  private readonly pressures: readonly Pressure[]
  private campaignUntilMs: number
  private campaignLine = 0
  private campaignPlatform = 0

  constructor(
    random: Random,
    accounts: Accounts,
    merchants: Merchants,
    addresses: AddressBook,
    ids: OpaqueIds,
    startMs: number,
  ) {
    this.random = random
    this.accounts = accounts
    this.merchants = merchants
    this.addresses = addresses
    this.ids = ids
    this.campaignUntilMs = startMs
    this.advanceTo(startMs)
    this.pressures = TACTICS.map(() => ({
      tries: new Float64Array(WINDOW_HOURS),
      stops: new Float64Array(WINDOW_HOURS),
      hour: 0,
      amountFactor: 1,
      turns: 0,
      pausedUntilMs: 0,
      calmUntilMs: 0,
    }))
  }

  advanceTo(timeMs: number): void {
    if (timeMs < this.campaignUntilMs) return
    this.campaignUntilMs += CAMPAIGN_DAYS * DAY_MS
    this.campaignLine = this.merchants.drawOnlineLine(this.random)
    this.campaignPlatform = this.random.below(COMMON_PLATFORMS)
  }

  /** What this purchase is after. */
  drawLine(): number {
    return this.random.chance(CAMPAIGN_SHARE) ? this.campaignLine : this.merchants.drawOnlineLine(this.random)
  }

  /** A merchant of that line; of several, one that seldom asks for 3-D Secure. */
  drawMerchant(line: number, country: number): number {
    const first = this.merchants.drawOnline(line, country, this.random)
    const second = this.merchants.drawOnline(line, country, this.random)
    return this.merchants.threeDsShare[first]! <= this.merchants.threeDsShare[second]! ? first : second
  }

  /**
   * A session from a device that the card has never met, which is not to say that nobody has. `abroad`: how likely its
   * address is not in the card's country.
   */
  newSession(country: number, abroad: number, mismatch: number, passesThreeDs: number): OnlineSession {
    const { random, accounts } = this
    const isInfected = random.chance(INFECTED_SHARE)
    const infected = isInfected ? accounts.drawSomebodysDevice(random) : -1
    const session: OnlineSession = {
      device: isInfected ? accounts.device[infected]! : this.ids.device(),
      platform: isInfected ? accounts.platform[infected]! : this.drawPlatform(),
      email: this.drawEmail(),
      address: '',
      country,
      addressMismatch: mismatch,
      codeMismatch: 0.03,
      passesThreeDs,
    }
    this.moveSession(session, country, abroad)
    return session
  }

  /** An address of mail: made for the purpose, or a mailbox of somebody else, which shops have known for years. */
  drawEmail(): string {
    const { random, accounts, ids } = this
    return random.chance(HIJACKED_MAILBOX) ? accounts.drawEmail(accounts.drawActive(random), random) : ids.email()
  }

  /** Makes the session look like the card owner's own device, as bought along with the details of the card. */
  emulateOwner(session: OnlineSession, account: number, card: number): void {
    const device = this.accounts.drawDevice(account, card, this.random)
    session.device = this.accounts.device[device]!
    session.platform = this.accounts.platform[device]!
  }

  /** Gives a session another address. */
  moveSession(session: OnlineSession, country: number, abroad: number): void {
    const { random, addresses } = this
    if (random.chance(abroad)) {
      if (random.chance(0.5)) {
        do session.address = addresses.relay(random)
        while (addresses.lastCountry === country)
        session.country = addresses.lastCountry
        return
      }
      session.country = foreignTo(country, random)
      session.address = addresses.visitor(session.country, random)
      return
    }
    session.country = country
    session.address = random.chance(0.3) ? addresses.carrier(country, random) : addresses.borrowed(country, random)
  }

  /** Tells what became of one try; `timeMs` of the decision. */
  hear(tactic: number, isStopped: boolean, timeMs: number): void {
    const pressure = this.pressures[tactic]!
    forget(pressure, Math.floor(timeMs / HOUR_MS))
    const at = pressure.hour % WINDOW_HOURS
    pressure.tries[at]!++
    if (isStopped) pressure.stops[at]!++
    if (timeMs < pressure.calmUntilMs) return
    const tries = sum(pressure.tries)
    if (tries < TRIES_MIN || sum(pressure.stops) <= STOPPED_SHARE * tries) return
    this.react(pressure, timeMs)
  }

  amountFactor(tactic: number): number {
    return this.pressures[tactic]!.amountFactor
  }

  isPaused(tactic: number, timeMs: number): boolean {
    return timeMs < this.pressures[tactic]!.pausedUntilMs
  }

  /** How often the tactic has turned to other merchants; whoever remembers another number chooses anew. */
  turns(tactic: number): number {
    return this.pressures[tactic]!.turns
  }

  private drawPlatform(): number {
    const { random, accounts } = this
    return random.chance(CAMPAIGN_SHARE) ? this.campaignPlatform : accounts.drawPlatform(random)
  }

  private react(pressure: Pressure, timeMs: number): void {
    pressure.calmUntilMs = timeMs + WINDOW_HOURS * HOUR_MS
    const choice = this.random.below(3)
    if (choice === 0) pressure.amountFactor = Math.max(SMALLEST_AMOUNT_FACTOR, pressure.amountFactor / 2)
    else if (choice === 1) pressure.turns++
    else pressure.pausedUntilMs = timeMs + this.random.between(1, 4) * DAY_MS
  }
}

/** A country other than this one: mostly one that the issuer's customers travel to. */
export function foreignTo(country: number, random: Random): number {
  if (random.chance(0.7)) return HOME_COUNTRIES + random.below(6)
  return (country + 1 + random.below(HOME_COUNTRIES - 1)) % HOME_COUNTRIES
}

/** Drops the hours that have left the window. */
function forget(pressure: Pressure, hour: number): void {
  const passed = Math.min(WINDOW_HOURS, hour - pressure.hour)
  for (let i = 0; i < passed; i++) {
    pressure.tries[(hour - i) % WINDOW_HOURS] = 0
    pressure.stops[(hour - i) % WINDOW_HOURS] = 0
  }
  if (hour > pressure.hour) pressure.hour = hour
}

function sum(hours: Float64Array): number {
  let total = 0
  for (const hour of hours) total += hour
  return total
}
