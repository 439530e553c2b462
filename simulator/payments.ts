import type { Transaction } from '#schemas/transaction.ts'
import type { Accounts } from './accounts.ts'
import type { Agenda } from './agenda.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from './calendar.ts'
import { type Draft, type Seller, toFollowing, toTransaction } from './draft.ts'
import type { SimulatedItem, Truth } from './items.ts'
import type { FraudCase, Labels } from './labels.ts'
import type { Merchants } from './merchants.ts'
import type { OpaqueIds } from './opaque-ids.ts'
import { COUNTRIES } from './places.ts'
import { AliasTable, type Random } from './random.ts'
import type { Recent } from './recent.ts'
import type { FraudBudget } from './tactics/budget.ts'
import { HONEST, TACTICS } from './tactics/tactics.ts'

const UNKNOWN_SELLER: Seller = { id: '', category: '', country: '' }

/** Of all authorizations, tries after a decline included. */
export const DECLINED_ONLINE = 0.06
export const DECLINED_IN_STORE = 0.02
const RETRIED = 0.6
const RETRY_DECLINED = 0.3
const RETRY_MAX_MS = 2 * MINUTE_MS
const REVERSED = 0.008
/** Of orders somebody placed; comes to 2.5 % of all that is paid online. */
const REFUNDED_ONLINE = 0.029
const LATE = 0.01
const LATE_MAX_MS = 6 * HOUR_MS
const LATE_MEAN_MS = 1.2 * HOUR_MS
const REPEATED = 0.001

/** ISO 8583 field 39 of what is declined: no honour, no funds, limit, expired, no such card, suspected fraud, wrong code. */
const RESPONSES = ['05', '51', '61', '54', '14', '59', '82'] as const
const HONEST_RESPONSES = new AliasTable([0.28, 0.38, 0.1, 0.08, 0.05, 0.05, 0.06])
const THIEF_RESPONSES = new AliasTable([0.36, 0.1, 0.06, 0.14, 0.18, 0.1, 0.06])
/** A closed card that is tried again. */
const CLOSED_RESPONSE = '54'

/** First tries are declined this often, so that with the tries that follow the whole comes to its rate. */
const FIRST_DECLINED_ONLINE = firstDeclined(DECLINED_ONLINE)
const FIRST_DECLINED_IN_STORE = firstDeclined(DECLINED_IN_STORE)

export interface PaymentsDeps {
  readonly random: Random
  readonly ids: OpaqueIds
  readonly agenda: Agenda
  readonly accounts: Accounts
  readonly merchants: Merchants
  readonly labels: Labels
  readonly recent: Recent
  readonly budget: FraudBudget
  /** Hands an item out at once. */
  readonly emit: (item: SimulatedItem) => void
  /** Only the merchants of one acquirer, who does not know accounts. */
  readonly isAcquirerView: boolean
}

/**
 * The payment network: an authorization is scored before it is answered, so it goes out without an answer; what is
 * declined is followed by its outcome. Noise that every event may meet (late, twice, reversed, refunded) is added here,
 * for honest people and thieves alike.
 */
export class Payments {
  private readonly deps: PaymentsDeps
  private readonly sellers: Seller[]
  private readonly truths: readonly Truth[]

  constructor(deps: PaymentsDeps) {
    this.deps = deps
    this.sellers = Array.from({ length: deps.merchants.count }, () => UNKNOWN_SELLER)
    this.truths = [HONEST, ...TACTICS.keys()].flatMap((tactic) =>
      [false, true].map((approved) =>
        Object.freeze({
          fraud: tactic !== HONEST,
          tactic: tactic === HONEST ? 'none' : TACTICS[tactic]!.name,
          approved,
        }),
      ),
    )
  }

  /** An honest purchase; `isSure`: the issuer will approve it. Returns whether it was approved at once. */
  buy(draft: Draft, timeMs: number, tactic = HONEST, isSure = false): boolean {
    const online = draft.channel === 'ECOM'
    const { random } = this.deps
    const isApproved = isSure || !random.chance(online ? FIRST_DECLINED_ONLINE : FIRST_DECLINED_IN_STORE)
    if (!isApproved && online) this.showWhy(draft)
    const transaction = this.authorization(draft, timeMs)
    this.submit(transaction, draft.card, draft.merchant, draft.amountEur, tactic, isApproved)
    return isApproved
  }

  /** A thief's purchase. A card that was closed in the meantime is declined. Returns whether it was approved. */
  steal(draft: Draft, timeMs: number, tactic: number, declined: number): boolean {
    const { accounts, random } = this.deps
    const isClosed = draft.card >= 0 && !accounts.isCurrent(draft.card, draft.cardId, timeMs)
    const isApproved = !isClosed && !random.chance(declined)
    const transaction = this.authorization(draft, timeMs)
    this.submit(transaction, draft.card, draft.merchant, draft.amountEur, tactic, isApproved, isClosed)
    return isApproved
  }

  /** A zero-amount check of a card; `declined`: how likely it fails. */
  verify(draft: Draft, timeMs: number, tactic: number, declined: number): boolean {
    const { ids, random, accounts } = this.deps
    const isClosed = draft.card >= 0 && !accounts.isCurrent(draft.card, draft.cardId, timeMs)
    const isApproved = !isClosed && !random.chance(declined)
    draft.amount = 0
    draft.amountEur = 0
    const seller = this.sellerOf(draft.merchant)
    const transaction = toTransaction(this.seen(draft), seller, ids.transaction(), Math.floor(timeMs), 'verification')
    this.submit(transaction, draft.card, draft.merchant, 0, tactic, isApproved, isClosed)
    return isApproved
  }

  private authorization(draft: Draft, timeMs: number): Transaction {
    const id = this.deps.ids.transaction()
    return toTransaction(this.seen(draft), this.sellerOf(draft.merchant), id, Math.floor(timeMs), 'authorization')
  }

  private submit(
    transaction: Transaction,
    card: number,
    merchant: number,
    amountEur: number,
    tactic: number,
    isApproved: boolean,
    isClosed = false,
  ): void {
    const { random, labels, recent, budget } = this.deps
    const isVisible = this.isVisible(merchant)
    const isAuthorization = transaction.kind === 'authorization'
    const latenessMs = this.lateness()
    const isDisputed = tactic === HONEST && isApproved && isAuthorization && labels.isDisputed()
    const fraud: FraudCase | null = tactic === HONEST && !isDisputed ? null : { tactic, isStopped: false }
    this.hand(transaction, this.truthOf(tactic, isApproved), latenessMs, isVisible)
    if (isVisible) recent.remember(transaction, card, fraud)
    if (!isApproved) {
      const response = isClosed
        ? CLOSED_RESPONSE
        : RESPONSES[(tactic === HONEST ? HONEST_RESPONSES : THIEF_RESPONSES).draw(random)]!
      this.follow(
        transaction,
        'outcome',
        0.2 * SECOND_MS + random.unit() * 0.7 * SECOND_MS,
        latenessMs,
        isVisible,
        response,
      )
      if (tactic === HONEST && isAuthorization && random.chance(RETRIED))
        this.retry(transaction, card, merchant, amountEur)
      return
    }
    if (isAuthorization) {
      budget.countApproved(tactic, amountEur)
      if (random.chance(REVERSED)) {
        const delayMs = 5 * SECOND_MS + random.exponential(6 * MINUTE_MS)
        this.follow(transaction, 'reversal', delayMs, latenessMs, isVisible)
      } else if (transaction.channel === 'ECOM' && !transaction.recurring && random.chance(REFUNDED_ONLINE)) {
        this.follow(transaction, 'refund', random.between(0.5, 14) * DAY_MS, latenessMs, isVisible)
      }
    }
    if (fraud !== null) {
      const remembered = {
        transactionId: transaction.transaction_id,
        cardId: transaction.card_id,
        merchantId: transaction.merchant_id,
        eventMs: transaction.event_time,
        card,
        fraud,
      }
      labels.plan(remembered, fraud, transaction.event_time + latenessMs, isVisible)
    }
  }

  private retry(of: Transaction, card: number, merchant: number, amountEur: number): void {
    const { random, agenda, accounts, ids } = this.deps
    agenda.at(of.event_time + 4 * SECOND_MS + random.unit() * (RETRY_MAX_MS - 4 * SECOND_MS), (timeMs) => {
      if (!accounts.isCurrent(card, of.card_id, timeMs)) return
      const again = toFollowing(of, ids.transaction(), Math.floor(timeMs), 'authorization', of.amount, '')
      this.submit(again, card, merchant, amountEur, HONEST, !random.chance(RETRY_DECLINED))
    })
  }

  /** Outcome, reversal or refund: `delayMs` after the original happened, and never before the original has arrived. */
  private follow(
    of: Transaction,
    kind: 'outcome' | 'reversal' | 'refund',
    delayMs: number,
    latenessMs: number,
    isVisible: boolean,
    response = '',
  ): void {
    if (!isVisible) return
    const { random, agenda, ids, recent } = this.deps
    const isPartial = kind === 'refund' && random.chance(0.25)
    const amount = isPartial ? Math.max(1, Math.round(of.amount * random.between(0.2, 0.8))) : of.amount
    agenda.at(of.event_time + delayMs, (timeMs) => {
      const following = toFollowing(of, ids.transaction(), Math.floor(timeMs), kind, amount, response)
      const behindMs = Math.max(0, latenessMs + SECOND_MS / 5 - delayMs)
      const isScored = kind === 'refund'
      // an outcome travels with its authorization; the others may be late on their own
      const ownLatenessMs = kind === 'outcome' ? latenessMs : Math.max(behindMs, this.lateness())
      this.hand(following, isScored ? this.truthOf(HONEST, true) : null, ownLatenessMs, true)
      if (isScored) recent.remember(following, -1, null)
    })
  }

  /** Lets an event arrive: at once or late, once or twice. */
  private hand(transaction: Transaction, truth: Truth | null, latenessMs: number, isVisible: boolean): void {
    if (!isVisible) return
    const { random, agenda, emit } = this.deps
    const item: SimulatedItem = { kind: 'transaction', transaction, truth }
    if (latenessMs === 0) emit(item)
    else agenda.at(transaction.event_time + latenessMs, () => emit(item))
    if (random.chance(REPEATED)) {
      const againMs = transaction.event_time + latenessMs + SECOND_MS + random.exponential(3 * MINUTE_MS)
      agenda.at(againMs, () => emit(item))
    }
  }

  private lateness(): number {
    const { random } = this.deps
    if (!random.chance(LATE)) return 0
    return Math.ceil(2 * SECOND_MS + (random.exponential(LATE_MEAN_MS) % (LATE_MAX_MS - 2 * SECOND_MS)))
  }

  /** What the merchant saw of a decline that was not about money. */
  private showWhy(draft: Draft): void {
    const at = this.deps.random.unit()
    if (at < 0.15) draft.threeDs = 'N'
    else if (at < 0.27 && draft.cvv !== '') draft.cvv = 'N'
  }

  private seen(draft: Draft): Draft {
    if (this.deps.isAcquirerView) draft.accountId = ''
    return draft
  }

  private sellerOf(merchant: number): Seller {
    const { merchants } = this.deps
    const known = this.sellers[merchant]!
    if (known.id === merchants.id[merchant]) return known
    const seller = {
      id: merchants.id[merchant]!,
      category: merchants.category[merchant]!,
      country: COUNTRIES[merchants.country[merchant]!]!,
    }
    this.sellers[merchant] = seller
    return seller
  }

  private isVisible(merchant: number): boolean {
    return !this.deps.isAcquirerView || this.deps.merchants.isAcquired[merchant] === 1
  }

  private truthOf(tactic: number, isApproved: boolean): Truth {
    return this.truths[(tactic + 1) * 2 + (isApproved ? 1 : 0)]!
  }
}

/** Of d first tries declined, 60 % are tried again, and 30 % of those fail as well: r = d g / (1 + 0.6 d g). */
function firstDeclined(rate: number): number {
  const chain = 1 / (1 - RETRIED * RETRY_DECLINED)
  return rate / (chain * (1 - RETRIED * rate))
}
