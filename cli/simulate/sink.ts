import type { Label } from '#schemas/label.ts'
import type { Transaction } from '#schemas/transaction.ts'

/** Where simulated events go. */
export interface Sink {
  transaction(transaction: Transaction): Promise<void>
  label(label: Label): Promise<void>
  /** Makes everything lasting, and says what happened besides. */
  finish(): Promise<Readonly<Record<string, unknown>>>
  /** Leaves nothing half-written. */
  abandon(): Promise<void>
}
