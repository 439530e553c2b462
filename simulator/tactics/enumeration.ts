import { BINS, CARDS_MAX } from '../accounts.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../calendar.ts'
import type { OnlineSession } from '../checkout.ts'
import type { World } from '../world.ts'
import type { Incident } from './budget.ts'
import type { StolenDetails } from './stolen-details.ts'
import { ENUMERATION } from './tactics.ts'

const TRIES_MIN = 150
const TRIES_MAX = 600
const PER_MINUTE_MIN = 20
const PER_MINUTE_MAX = 120
/** Half of the tries only ask whether the card is good; together 92 % are declined. */
const ZERO_SHARE = 0.5
const ZERO_DECLINED = 0.97
const AMOUNT_DECLINED = 0.87
const AMOUNT_MAX_EUR = 2
/** Of what is approved: cards in daily use; the others lie in a drawer. */
const HIT_IN_USE = 0.7
/** Of what is declined: cards that exist all the same. */
const MISS_IN_USE = 0.1
const HITS_SOLD = 0.2

interface Attack {
  readonly incident: Incident
  readonly sessions: readonly OnlineSession[]
  readonly bin: number
  readonly perMinute: number
  merchant: number
  turns: number
  left: number
}

/** Card testing: numbers of one range are tried at one small merchant, a few hundred in some minutes, to see which are good. */
export class Enumeration {
  private readonly world: World
  private readonly stolenDetails: StolenDetails

  constructor(world: World, stolenDetails: StolenDetails) {
    this.world = world
    this.stolenDetails = stolenDetails
  }

  begin(timeMs: number): void {
    const { random, agenda, budget, merchants, attackers } = this.world
    const tries = random.whole(TRIES_MIN, TRIES_MAX)
    const country = random.below(4)
    const attack: Attack = {
      incident: budget.begin(ENUMERATION, tries * (1 - AMOUNT_DECLINED) * (1 - ZERO_SHARE)),
      sessions: Array.from({ length: random.whole(1, 5) }, () => attackers.newSession(country, 0.5, 0.12, 0.03)),
      bin: random.below(BINS.length),
      perMinute: random.between(PER_MINUTE_MIN, PER_MINUTE_MAX),
      merchant: merchants.drawSmall(random),
      turns: attackers.turns(ENUMERATION),
      left: tries,
    }
    agenda.at(timeMs + random.unit() * DAY_MS, (startMs) => this.next(attack, startMs))
  }

  private next(attack: Attack, timeMs: number): void {
    const { random, agenda, attackers, merchants, budget } = this.world
    if (attackers.isPaused(ENUMERATION, timeMs)) {
      agenda.at(timeMs + random.between(2, 20) * HOUR_MS, (laterMs) => this.next(attack, laterMs))
      return
    }
    if (attack.turns !== attackers.turns(ENUMERATION)) {
      attack.turns = attackers.turns(ENUMERATION)
      attack.merchant = merchants.drawSmall(random)
    }
    this.tryCard(attack, timeMs)
    attack.left--
    if (attack.left <= 0) {
      budget.end(attack.incident)
      return
    }
    agenda.at(timeMs + random.exponential(MINUTE_MS / attack.perMinute), (laterMs) => this.next(attack, laterMs))
  }

  private tryCard(attack: Attack, timeMs: number): void {
    const { random, checkout, payments, budget, accounts } = this.world
    const isZero = random.chance(ZERO_SHARE)
    const isHit = !random.chance(isZero ? ZERO_DECLINED : AMOUNT_DECLINED)
    const card = random.chance(isHit ? HIT_IN_USE : MISS_IN_USE) ? this.findCard(attack.bin, timeMs) : -1
    if (card >= 0) checkout.byCard(Math.floor(card / CARDS_MAX), card)
    else checkout.byUnknownCard(attack.bin)
    const session = random.pick(attack.sessions)
    session.codeMismatch = isHit ? 0.02 : 0.1
    const declined = isHit ? 0 : 1
    if (isZero) {
      checkout.price(attack.merchant, 1)
      payments.verify(checkout.online(attack.merchant, session), timeMs, ENUMERATION, declined)
    } else {
      checkout.price(attack.merchant, random.between(0.3, AMOUNT_MAX_EUR), AMOUNT_MAX_EUR)
      budget.tried(attack.incident, 1 - AMOUNT_DECLINED)
      payments.steal(checkout.online(attack.merchant, session), timeMs, ENUMERATION, declined)
    }
    if (!isHit || card < 0 || !random.chance(HITS_SOLD)) return
    const delayMs = random.between(2 / 24, 10) * DAY_MS
    this.stolenDetails.offer(card, accounts.cardId[card]!, timeMs + delayMs)
  }

  /** A card of this range that is in use; -1 when some draws found none. */
  private findCard(bin: number, timeMs: number): number {
    const { random, accounts } = this.world
    for (let draw = 0; draw < 60; draw++) {
      const account = random.below(accounts.count)
      const card = account * CARDS_MAX + random.below(accounts.cards[account]!)
      if (accounts.cardBin[card] === bin && accounts.cardUsableMs[card]! <= timeMs) return card
    }
    return -1
  }
}
