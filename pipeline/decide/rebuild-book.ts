import type { Alert } from '#schemas/decision.ts'
import { LABEL } from '#schemas/event-columns.ts'
import { LABEL_SOURCES } from '#schemas/label.ts'
import { ACCEPTED, type SliceBuffers } from '../slice.ts'
import type { AlertBook } from './alert-book.ts'

const VERDICT_SOURCE = LABEL_SOURCES.indexOf('verdict')

/** Whether an accepted row is a label with an analyst's verdict, which closes its card's open alert. */
export function isJudgement({ outcome, events }: SliceBuffers, row: number): boolean {
  return outcome[row] === ACCEPTED && events.kind[row] === LABEL && events.label_source[row] === VERDICT_SOURCE
}

/**
 * Brings an alert book on while a journal is followed: scores are not part of what is followed, so alerts are taken as
 * they were committed, and verdicts close alerts in between, in the order of lines and rows in which it happened.
 */
export class BookRebuilder {
  private readonly book: AlertBook
  private readonly read: () => Promise<readonly Alert[]>
  private alerts: readonly Alert[] = []
  private at = 0
  private isAtEnd = false

  /** @param read the next committed alerts, in order; none at the end */
  constructor(book: AlertBook, read: () => Promise<readonly Alert[]>) {
    this.book = book
    this.read = read
  }

  /** Takes alerts and verdicts of a followed slice. */
  async onSlice(slice: SliceBuffers): Promise<void> {
    let row = 0
    for (let alert = await this.peek(); alert !== null && alert.line <= slice.line; alert = await this.peek()) {
      if (alert.line === slice.line) row = this.close(slice, row, alert.index)
      this.book.fold(alert)
      this.at++
    }
    this.close(slice, row, slice.count)
  }

  private close(slice: SliceBuffers, from: number, to: number): number {
    for (let row = from; row < to; row++) {
      if (isJudgement(slice, row)) this.book.close(slice.events.text.card_id[row]!)
    }
    return to
  }

  private async peek(): Promise<Alert | null> {
    if (this.at >= this.alerts.length && !this.isAtEnd) {
      this.alerts = await this.read()
      this.at = 0
      this.isAtEnd = this.alerts.length === 0
    }
    return this.alerts[this.at] ?? null
  }
}
