import { COUNTRIES } from './places.ts'
import type { Random } from './random.ts'

const CARRIER_PREFIXES = 12
const ABROAD_PREFIXES = 60
const RELAY_PREFIXES = 80
/** Accounts behind one prefix of a home connection. */
const ACCOUNTS_A_PREFIX = 3
/** Relays (private networks, data centres) by country of their exit. */
const RELAY_COUNTRIES = [0, 0, 1, 2, 3, 4, 4, 5, 5, 6, 7, 8, 9] as const

/**
 * Internet address prefixes. Every pool is used by genuine people and by thieves alike: homes, mobile carriers, networks
 * abroad (hotels, roaming) and relays.
 */
export class AddressBook {
  private readonly random: Random
  private readonly homes: string[][]
  private readonly carriers: string[][]
  private readonly abroad: string[][]
  private readonly relays: string[] = []
  private readonly relayCountry: number[] = []
  /** Country of the last relay drawn. */
  lastCountry = 0

  constructor(random: Random, accounts: number, homeCountries: number) {
    this.random = random
    const taken = new Set<string>()
    const fresh = (): string => {
      for (;;) {
        const prefix = `${random.whole(11, 223)}.${random.below(256)}.${random.below(256)}.0/24`
        if (taken.has(prefix)) continue
        taken.add(prefix)
        return prefix
      }
    }
    const pool = (count: number): string[] => Array.from({ length: count }, fresh)
    const homes = Math.ceil(accounts / ACCOUNTS_A_PREFIX / homeCountries)
    this.homes = Array.from({ length: homeCountries }, () => pool(homes))
    this.carriers = Array.from({ length: homeCountries }, () => pool(CARRIER_PREFIXES))
    this.abroad = COUNTRIES.map(() => pool(ABROAD_PREFIXES))
    for (let i = 0; i < RELAY_PREFIXES; i++) {
      this.relays.push(fresh())
      this.relayCountry.push(RELAY_COUNTRIES[i % RELAY_COUNTRIES.length]!)
    }
  }

  home(country: number): string {
    return this.random.pick(this.homes[country]!)
  }

  /** A prefix of a large mobile carrier: thousands of people behind each. */
  carrier(country: number, random: Random): string {
    return random.pick(this.carriers[country]!)
  }

  /** Where a traveller, or somebody else in that country, is online. */
  visitor(country: number, random: Random): string {
    return random.pick(this.abroad[country]!)
  }

  /** A relay; `lastCountry` says where it seems to be. */
  relay(random: Random): string {
    const at = Math.floor(random.unit() ** 2 * this.relays.length)
    this.lastCountry = this.relayCountry[at]!
    return this.relays[at]!
  }

  /** Somebody's home connection used by somebody else. */
  borrowed(country: number, random: Random): string {
    return random.pick(this.homes[country]!)
  }
}
