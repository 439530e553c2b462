import type { Fold } from '#pipeline/assemble.ts'
import { ACCEPTED, type Featurized, type Received, reached, type SliceBuffers } from '#pipeline/slice.ts'
import type { Topics } from '#pipeline/topics.ts'

export interface FoldItem {
  readonly topic: string
  readonly value: Buffer
}

/**
 * Folds a stream of records in slices, without scoring and without a log: for training and backtests. Time is the
 * stream's own.
 *
 * @param next the next record, or null at the end
 */
export async function foldItems(
  fold: Fold,
  slice: SliceBuffers,
  topics: Topics,
  next: () => FoldItem | null,
  onSlice: (slice: Featurized) => void,
  signal: AbortSignal,
): Promise<number> {
  const offsets = { [topics.transactions]: 0, [topics.labels]: 0 }
  let events = 0
  for (let isOver = false; !isOver && !signal.aborted; ) {
    slice.count = 0
    slice.line++
    slice.clockFollowsEvents = true
    slice.notAfterMs = Number.POSITIVE_INFINITY
    while (slice.count < slice.capacity) {
      const item = next()
      isOver = item === null
      if (item === null) break
      const row = slice.count++
      slice.topic[row] = item.topic
      slice.partition[row] = 0
      slice.offset[row] = offsets[item.topic]!++
      slice.value[row] = item.value
      slice.outcome[row] = ACCEPTED
      slice.rejection[row] = null
    }
    if (slice.count === 0) break
    events += slice.count
    onSlice(fold.run(reached<Received>(slice)))
    // Signals and timers get their turn.
    await new Promise((resolve) => setImmediate(resolve))
  }
  return events
}
