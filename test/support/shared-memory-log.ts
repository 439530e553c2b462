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
  private lossy: string | null = null
  /** Whether something was lost. */
  hasLost = false
  /** Answers nobody, as far as they ask. */
  isAway = false

  /** One process's connection. */
  connect(): SharedLog {
    const { log } = this
    const isAway = (): boolean => this.isAway
    let own = 0
    const append = async (records: readonly RecordToAppend[]): Promise<readonly number[]> => {
      if (own !== this.epoch) throw new WeirError('LOG_FENCED', 'another process writes')
      if (records.some(({ topic }) => topic === this.lossy)) {
        this.hasLost = true
        // Never answered, as by a process that was killed meanwhile.
        return await new Promise(() => {})
      }
      return await log.append(records)
    }
    return {
      get isAway() {
        return isAway()
      },
      settleMs: 0,
      append,
      appendInput: (records) => log.append(records),
      partitions: () => 1,
      take: async () => {
        own = ++this.epoch
        this.lossy = null
      },
      reader: (from) => log.reader(from),
      ranges: () => log.ranges(),
      changed: (since, signal) => log.changed(since, signal),
      retain: (from) => log.retain(from),
      close: async () => {},
    }
  }

  /** What the writer of now appends to a topic from here on is lost; the next writer's is not. */
  lose(topic: string): void {
    this.lossy = topic
  }

  /** Input as other producers write it. */
  produce(records: readonly RecordToAppend[]): ReturnType<Log['append']> {
    return this.log.append(records)
  }
}
