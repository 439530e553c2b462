import type { Accounts } from './accounts.ts'
import type { AddressBook } from './addresses.ts'
import type { Agenda } from './agenda.ts'
import type { Calendar } from './calendar.ts'
import type { Checkout } from './checkout.ts'
import type { Merchants } from './merchants.ts'
import type { OpaqueIds } from './opaque-ids.ts'
import type { Payments } from './payments.ts'
import type { WorldSize } from './presets.ts'
import type { Random } from './random.ts'
import type { Attackers } from './tactics/attackers.ts'
import type { FraudBudget } from './tactics/budget.ts'

/** What a tactic works with. */
export interface World {
  readonly random: Random
  readonly ids: OpaqueIds
  readonly agenda: Agenda
  readonly calendar: Calendar
  readonly accounts: Accounts
  readonly merchants: Merchants
  readonly addresses: AddressBook
  readonly checkout: Checkout
  readonly payments: Payments
  readonly budget: FraudBudget
  readonly attackers: Attackers
  readonly size: WorldSize
  readonly startMs: number
}
