import { createMemoryLog } from '#infra/log/memory-log.ts'
import type { Log, RecordToAppend } from '#infra/log/log.ts'
import type { SharedLog } from '#cli/open-log.ts'
import { WeirError } from '#schemas/errors.ts'

/**
 * A log in memory that several processes of a test share, as Kafka is shared: offsets have gaps, and who has taken it
 * last keeps the others from writing.
 */
export class SharedMemory {
  private readonly log = createMemoryLog({ gapAfterUnit: 1 })
  private epoch = 0

  /** One process's connection. */
  connect(): SharedLog {
    const { log } = this
    let own = 0
    const append = async (records: readonly RecordToAppend[]): Promise<readonly number[]> => {
      if (own !== this.epoch) throw new WeirError('LOG_FENCED', 'another process writes')
      return await log.append(records)
    }
    return {
      settleMs: 0,
      append,
      appendInput: (records) => log.append(records),
      partitions: () => 1,
      take: async () => {
        own = ++this.epoch
      },
      reader: (from) => log.reader(from),
      ranges: () => log.ranges(),
      changed: (since, signal) => log.changed(since, signal),
      retain: (from) => log.retain(from),
      close: async () => {},
    }
  }

  /** Input as other producers write it. */
  produce(records: readonly RecordToAppend[]): ReturnType<Log['append']> {
    return this.log.append(records)
  }
}
