import type { Decision } from '#schemas/decision.ts'
import { WeirError } from '#schemas/errors.ts'
import { LABEL } from '#schemas/event-columns.ts'
import { ACCEPTED, type SliceBuffers } from '../slice.ts'
import type { ExplorationBook, ExploredDecision } from './exploration.ts'

export interface CommittedDecision {
  readonly offset: number
  readonly decision: ExploredDecision & Pick<Decision, 'line'>
}

/**
 * Brings an exploration book on while a journal is followed: scores are not part of what is followed, so what was let
 * through is taken from the committed decisions. Worth its time only where declined events are explored at all.
 */
export class ExplorationRebuilder {
  /** Offset behind the last decision taken; null before the first. */
  nextOffset: number | null = null
  private readonly book: ExplorationBook
  private readonly read: (isKnown: boolean) => Promise<readonly CommittedDecision[]>
  private decisions: readonly CommittedDecision[] = []
  private at = 0

  /**
   * @param read the next committed decisions, in order, from the place of the first followed line or before it;
   * `isKnown`: there are some, so they are waited for
   */
  constructor(book: ExplorationBook, read: (isKnown: boolean) => Promise<readonly CommittedDecision[]>) {
    this.book = book
    this.read = read
  }

  /**
   * Takes the decisions of a followed slice.
   *
   * @throws WeirError REPLAY_MISMATCH when the log does not hold as many as the slice has
   */
  async onSlice(slice: SliceBuffers): Promise<void> {
    const count = decisionsOf(slice)
    for (let taken = 0; taken < count; ) {
      const committed = await this.peek()
      if (committed === null || committed.decision.line > slice.line) throw missing(slice.line, count, taken)
      this.nextOffset = committed.offset + 1
      this.at++
      if (committed.decision.line < slice.line) continue
      this.book.fold(committed.decision)
      taken++
    }
  }

  private async peek(): Promise<CommittedDecision | null> {
    if (this.at >= this.decisions.length) {
      this.decisions = await this.read(true)
      this.at = 0
    }
    return this.decisions[this.at] ?? null
  }
}

/** Every accepted event has a decision; labels have none. */
function decisionsOf({ count, outcome, events }: SliceBuffers): number {
  let decisions = 0
  for (let row = 0; row < count; row++) if (outcome[row] === ACCEPTED && events.kind[row] !== LABEL) decisions++
  return decisions
}

function missing(line: number, count: number, found: number): WeirError {
  return new WeirError('REPLAY_MISMATCH', `the journal says ${count} decisions were made, the log holds ${found}`, {
    where: `journal line ${line}`,
    fix: 'Decisions were deleted that the state still needs: keep them longer than the oldest checkpoint.',
  })
}
