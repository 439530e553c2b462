import type { Transaction } from '#schemas/transaction.ts'
import type { FraudCase } from './labels.ts'

/** What is kept of a transaction until somebody has decided on it. */
export interface Remembered {
  readonly transactionId: string
  readonly cardId: string
  readonly merchantId: string
  readonly eventMs: number
  /** Slot of the card; -1 for one the issuer does not know. */
  readonly card: number
  readonly fraud: FraudCase | null
}

/** The last transactions that were handed out, by id; older ones are forgotten, decided or not. */
export class Recent {
  private readonly ids: string[]
  private readonly known = new Map<string, Remembered>()
  private next = 0

  constructor(capacity: number) {
    this.ids = Array.from({ length: capacity }, () => '')
  }

  get size(): number {
    return this.known.size
  }

  remember(of: Transaction, card: number, fraud: FraudCase | null): void {
    const forgotten = this.ids[this.next]!
    if (forgotten !== '') this.known.delete(forgotten)
    this.ids[this.next] = of.transaction_id
    this.next = (this.next + 1) % this.ids.length
    this.known.set(of.transaction_id, {
      transactionId: of.transaction_id,
      cardId: of.card_id,
      merchantId: of.merchant_id,
      eventMs: of.event_time,
      card,
      fraud,
    })
  }

  get(transactionId: string): Remembered | undefined {
    return this.known.get(transactionId)
  }
}
