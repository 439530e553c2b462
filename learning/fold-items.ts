import type { Fold } from '#pipeline/assemble.ts'
import { ACCEPTED, type Featurized, type Received, reached, type SliceBuffers } from '#pipeline/slice.ts'
import type { Topics } from '#pipeline/topics.ts'

export interface FoldItem {
  readonly topic: string
  readonly value: Buffer
}

/**
 * Folds a stream of records in slices, without scoring and without a log: for training and backtests. Time is the
 * stream's own. Gives the number of records.
 */
export async function foldItems(
  fold: Fold,
  slice: SliceBuffers,
  topics: Pick<Topics, 'transactions' | 'labels'>,
  batches: AsyncIterable<readonly FoldItem[]>,
  onSlice: (slice: Featurized) => void | Promise<void>,
  signal: AbortSignal,
): Promise<number> {
  const offsets = new Map([
    [topics.transactions, 0],
    [topics.labels, 0],
  ])
  let records = 0
  slice.count = 0
  const flush = async (): Promise<void> => {
    if (slice.count === 0) return
    records += slice.count
    slice.line++
    slice.clockFollowsEvents = true
    slice.notAfterMs = Number.POSITIVE_INFINITY
    await onSlice(fold.run(reached<Received>(slice)))
    slice.count = 0
  }
  for await (const batch of batches) {
    if (signal.aborted) break
    for (const { topic, value } of batch) {
      const row = slice.count++
      const offset = offsets.get(topic)!
      offsets.set(topic, offset + 1)
      slice.topic[row] = topic
      slice.partition[row] = 0
      slice.offset[row] = offset
      slice.value[row] = value
      slice.outcome[row] = ACCEPTED
      slice.rejection[row] = null
      if (slice.count === slice.capacity) await flush()
    }
  }
  await flush()
  return records
}
