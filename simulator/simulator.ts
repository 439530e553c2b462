import { WeirError } from '#schemas/errors.ts'
import type { RateTable } from '#schemas/rates.ts'
import { Accounts } from './accounts.ts'
import { AddressBook } from './addresses.ts'
import { Agenda } from './agenda.ts'
import { Calendar, DAY_MS } from './calendar.ts'
import { Checkout } from './checkout.ts'
import { Currencies } from './currencies.ts'
import type { SimulatedItem } from './items.ts'
import { Labels } from './labels.ts'
import { Merchants } from './merchants.ts'
import { OpaqueIds } from './opaque-ids.ts'
import { Payments } from './payments.ts'
import { HOME_COUNTRIES } from './places.ts'
import { type Preset, WORLD_SIZES, type WorldSize } from './presets.ts'
import { Random } from './random.ts'
import { Recent } from './recent.ts'
import { Shopper } from './shopper.ts'
import { Attackers } from './tactics/attackers.ts'
import { FraudBudget } from './tactics/budget.ts'
import { Underworld } from './tactics/underworld.ts'
import type { World } from './world.ts'

export type { SimulatedItem, Truth } from './items.ts'

export interface SimulatorOptions {
  readonly preset: Preset
  /** A whole number from 0 to 2^53 - 1; same options, same stream. */
  readonly seed: number
  /** Epoch milliseconds of the first day's beginning. */
  readonly startMs: number
  readonly accounts?: number
  readonly merchants?: number
  /** Transactions of every kind in the whole world; the acquirer's view shows about 15 % of them. */
  readonly eventsPerDay?: number
  readonly view?: 'issuer' | 'acquirer'
  /** Thieves react to what is declined. */
  readonly closedLoop?: boolean
  /** Length of the run: wallet provisioning begins at 70 % of it. Without it, on day 84, as in a run of 120 days. */
  readonly totalEvents?: number
  /** Transactions that `decided` still knows. */
  readonly recentMax?: number
}

const RECENT_MAX = 32_768
const WALLETS_FROM = 0.7
const RUN_DAYS = 120
/** Approved authorizations among all transactions. */
const APPROVED_SHARE = 0.915

/** How much is held, for whoever wants to see that it stays bounded. */
export interface Holdings {
  readonly planned: number
  readonly waiting: number
  readonly recent: number
  readonly offers: number
}

/**
 * A world of accounts, merchants and thieves, as one endless stream in order of arrival: an event is handed out at its
 * event_time plus lateness, a label at its known_at. Transactions are fresh objects; truths and attributes are shared and
 * frozen or never changed. Memory depends on the number of accounts and merchants, not on how long it runs.
 */
export class Simulator {
  private readonly agenda = new Agenda()
  private readonly shopper: Shopper
  private readonly currencies: Currencies
  private readonly recent: Recent
  private readonly labels: Labels
  private readonly attackers: Attackers
  private readonly underworld: Underworld
  private readonly isClosedLoop: boolean
  private waiting: SimulatedItem[] = []
  private handed = 0
  private ready: SimulatedItem[] = []
  private nowMs: number

  /** Throws WeirError CONFIG_INVALID for sizes that make no world. */
  constructor(options: SimulatorOptions) {
    const size = sizeOf(options)
    const { seed, startMs } = options
    const root = new Random(seed)
    const ids = new OpaqueIds(root.fork('ids'))
    const genuine = root.fork('genuine')
    const criminal = root.fork('criminal')
    const { agenda } = this
    this.nowMs = startMs
    this.isClosedLoop = options.closedLoop === true
    this.currencies = new Currencies(root.fork('currencies'), seed, startMs)
    const merchants = new Merchants(root.fork('merchants'), ids, size.merchants, startMs)
    const addresses = new AddressBook(root.fork('addresses'), size.accounts, HOME_COUNTRIES)
    const accounts = new Accounts(root.fork('accounts'), ids, merchants, addresses, size.accounts, startMs)
    const emit = (item: SimulatedItem): void => void this.waiting.push(item)
    this.recent = new Recent(options.recentMax ?? RECENT_MAX)
    this.labels = new Labels({
      random: root.fork('labels'),
      verdictRandom: root.fork('verdicts'),
      agenda,
      accounts,
      emit: (label) => emit({ kind: 'label', label }),
    })
    const runDays = options.totalEvents === undefined ? RUN_DAYS : options.totalEvents / size.eventsPerDay
    const budget = new FraudBudget(root.fork('budget'), {
      fraudByCount: size.fraudByCount,
      fraudByValue: size.fraudByValue,
      startMs,
      walletFromMs: startMs + WALLETS_FROM * runDays * DAY_MS,
      approvedPerDay: size.eventsPerDay * APPROVED_SHARE,
    })
    const calendar = new Calendar(startMs)
    const checkout = new Checkout(root.fork('checkout'), ids, accounts, merchants, this.currencies, startMs)
    const payments = new Payments({
      random: root.fork('payments'),
      ids,
      agenda,
      accounts,
      merchants,
      labels: this.labels,
      recent: this.recent,
      budget,
      emit,
      isAcquirerView: options.view === 'acquirer',
    })
    this.attackers = new Attackers(criminal, accounts, merchants, addresses, ids, startMs)
    const world: World = {
      random: criminal,
      ids,
      agenda,
      calendar,
      accounts,
      merchants,
      addresses,
      checkout,
      payments,
      budget,
      attackers: this.attackers,
      size,
      startMs,
    }
    this.underworld = new Underworld(world)
    this.shopper = new Shopper(world, genuine, this.underworld)
  }

  /** What arrives next; there is always something. */
  next(): SimulatedItem {
    while (this.handed === this.ready.length) this.advance()
    return this.ready[this.handed++]!
  }

  /** Arrival time of what was handed out last, epoch milliseconds. */
  get clockMs(): number {
    return this.nowMs
  }

  /** Today's exchange rates. */
  get rates(): RateTable {
    return this.currencies.table()
  }

  get holdings(): Holdings {
    return {
      planned: this.agenda.size,
      waiting: this.waiting.length + this.ready.length - this.handed,
      recent: this.recent.size,
      offers: this.underworld.offers,
    }
  }

  /**
   * What whoever scores the stream did with a transaction. A fraud that was declined is never reported; a reviewed one
   * gets a verdict. Unknown ids (too old, not scored) are passed over.
   */
  decided(transactionId: string, declined: boolean, reviewed: boolean): void {
    const known = this.recent.get(transactionId)
    if (known === undefined) return
    const { fraud } = known
    if (declined && fraud !== null) fraud.isStopped = true
    if (reviewed) this.labels.review(known, Math.max(this.nowMs, known.eventMs))
    if (this.isClosedLoop && fraud !== null && fraud.tactic >= 0)
      this.attackers.hear(fraud.tactic, declined, this.nowMs)
  }

  /** Lets the world go on until something has arrived. */
  private advance(): void {
    const spare = this.ready
    spare.length = 0
    this.handed = 0
    while (this.waiting.length === 0) {
      const purchaseMs = this.shopper.nextMs
      const plannedMs = this.agenda.nextMs
      this.nowMs = Math.min(purchaseMs, plannedMs)
      this.currencies.advanceTo(this.nowMs)
      if (plannedMs <= purchaseMs) this.agenda.runNext()
      else this.shopper.buyNext()
    }
    this.ready = this.waiting
    this.waiting = spare
  }
}

function sizeOf(options: SimulatorOptions): WorldSize {
  const preset = WORLD_SIZES[options.preset]
  const size = {
    ...preset,
    accounts: options.accounts ?? preset.accounts,
    merchants: options.merchants ?? preset.merchants,
    eventsPerDay: options.eventsPerDay ?? preset.eventsPerDay,
  }
  const check = (name: string, value: number, low: number, high: number): void => {
    if (Number.isSafeInteger(value) && value >= low && value <= high) return
    throw new WeirError('CONFIG_INVALID', `simulator: ${name} must be a whole number from ${low} to ${high}`, {
      where: `simulator.${name}`,
      fix: `Give ${name} a value in that range, or leave it out.`,
    })
  }
  check('seed', options.seed, 0, Number.MAX_SAFE_INTEGER)
  check('startMs', options.startMs, 0, Date.UTC(2200, 0))
  check('accounts', size.accounts, 50, 5_000_000)
  check('merchants', size.merchants, 50, 60_000)
  check('eventsPerDay', size.eventsPerDay, 10, 1_000_000_000)
  if (options.totalEvents !== undefined) check('totalEvents', options.totalEvents, 1, Number.MAX_SAFE_INTEGER)
  if (options.recentMax !== undefined) check('recentMax', options.recentMax, 1, 2 ** 24)
  return size
}
