import type { Alert } from '#schemas/decision.ts'
import { WeirError } from '#schemas/errors.ts'
import { LABEL } from '#schemas/event-columns.ts'
import { LABEL_SOURCES } from '#schemas/label.ts'
import { ACCEPTED, type SliceBuffers } from '../slice.ts'
import type { AlertBook } from './alert-book.ts'

const VERDICT_SOURCE = LABEL_SOURCES.indexOf('verdict')

/** Whether an accepted row is a label with an analyst's verdict, which closes its card's open alert. */
export function isJudgement({ outcome, events }: SliceBuffers, row: number): boolean {
  return outcome[row] === ACCEPTED && events.kind[row] === LABEL && events.label_source[row] === VERDICT_SOURCE
}

export interface CommittedAlert {
  readonly offset: number
  readonly alert: Alert
}

/**
 * Brings an alert book on while a journal is followed: scores are not part of what is followed, so alerts are taken as
 * they were committed, and verdicts close alerts in between, in the order of lines and rows in which it happened.
 */
export class BookRebuilder {
  /** Offset behind the last alert taken; null before the first. */
  nextOffset: number | null = null
  private readonly book: AlertBook
  private readonly read: (isKnown: boolean) => Promise<readonly CommittedAlert[]>
  private alerts: readonly CommittedAlert[] = []
  private at = 0

  /** @param read the next committed alerts, in order; `isKnown`: there are some, so they are waited for */
  constructor(book: AlertBook, read: (isKnown: boolean) => Promise<readonly CommittedAlert[]>) {
    this.book = book
    this.read = read
  }

  /**
   * Takes alerts and verdicts of a followed slice; `count`: alerts that its line says were committed with it.
   *
   * @throws WeirError REPLAY_MISMATCH when the log holds fewer
   */
  async onSlice(slice: SliceBuffers, count: number | null): Promise<void> {
    let row = 0
    let lastIndex = -1
    let taken = 0
    const wanted = count ?? Number.POSITIVE_INFINITY
    while (taken < wanted) {
      const committed = await this.peek(count !== null)
      if (committed === null || committed.alert.line > slice.line) {
        if (count !== null) throw missing(slice.line, count, taken)
        break
      }
      const { alert, offset } = committed
      this.nextOffset = offset + 1
      this.at++
      // Sent a second time after a crash, equal to the first.
      const isRepeat = count !== null && (alert.line < slice.line || alert.index <= lastIndex)
      if (isRepeat) continue
      lastIndex = alert.index
      taken++
      if (alert.line === slice.line) row = this.close(slice, row, alert.index)
      this.book.fold(alert)
    }
    this.close(slice, row, slice.count)
  }

  private close(slice: SliceBuffers, from: number, to: number): number {
    for (let row = from; row < to; row++) {
      if (isJudgement(slice, row)) this.book.close(slice.events.text.card_id.at(row))
    }
    return to
  }

  private async peek(isKnown: boolean): Promise<CommittedAlert | null> {
    if (this.at >= this.alerts.length) {
      this.alerts = await this.read(isKnown)
      this.at = 0
    }
    return this.alerts[this.at] ?? null
  }
}

function missing(line: number, count: number, found: number): WeirError {
  return new WeirError('REPLAY_MISMATCH', `the journal says ${count} alerts were committed, the log holds ${found}`, {
    where: `journal line ${line}`,
    fix: 'Alerts were deleted that the state still needs: keep them longer than the oldest checkpoint.',
  })
}
