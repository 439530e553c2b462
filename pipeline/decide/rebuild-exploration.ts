import type { Decision } from '#schemas/decision.ts'
import { WeirError } from '#schemas/errors.ts'
import { LABEL } from '#schemas/event-columns.ts'
import { ACCEPTED, type SliceBuffers } from '../slice.ts'
import type { ExplorationBook, ExploredDecision } from './exploration.ts'

export interface CommittedDecision {
  readonly offset: number
  readonly decision: ExploredDecision & Pick<Decision, 'line' | 'index'>
}

/**
 * Brings an exploration book on while a journal is followed: scores are not part of what is followed, so what was let
 * through is taken from the committed decisions. Worth its time only where declined events are explored at all.
 */
export class ExplorationRebuilder {
  /** Offset behind the last decision taken; null before the first. */
  nextOffset: number | null = null
  private readonly book: ExplorationBook
  private readonly read: () => Promise<readonly CommittedDecision[]>
  private decisions: readonly CommittedDecision[] = []
  private at = 0

  /** @param read the next committed decisions, in order, from the place of the first followed line or before it */
  constructor(book: ExplorationBook, read: () => Promise<readonly CommittedDecision[]>) {
    this.book = book
    this.read = read
  }

  /**
   * Takes the decisions of a followed slice. One that was sent again after a crash counts once.
   *
   * @throws WeirError REPLAY_MISMATCH when the log does not hold all of them
   */
  async onSlice({ line, count, outcome, events }: SliceBuffers): Promise<void> {
    for (let row = 0; row < count; row++) {
      // Every accepted event has a decision; labels have none.
      if (outcome[row] === ACCEPTED && events.kind[row] !== LABEL) this.book.fold(await this.decisionOn(line, row))
    }
  }

  private async decisionOn(line: number, row: number): Promise<ExploredDecision> {
    for (;;) {
      const committed = await this.peek()
      if (committed === null || committed.decision.line > line) throw missing(line, row)
      const { offset, decision } = committed
      if (decision.line === line && decision.index > row) throw missing(line, row)
      this.nextOffset = offset + 1
      this.at++
      if (decision.line === line && decision.index === row) return decision
    }
  }

  private async peek(): Promise<CommittedDecision | null> {
    if (this.at >= this.decisions.length) {
      this.decisions = await this.read()
      this.at = 0
    }
    return this.decisions[this.at] ?? null
  }
}

function missing(line: number, row: number): WeirError {
  return new WeirError('REPLAY_MISMATCH', 'a decision that the journal speaks of is not in the log', {
    where: `journal line ${line}, row ${row}`,
    fix: 'Decisions were deleted that the state still needs: keep them longer than the oldest checkpoint.',
  })
}
