import { createMemoryLog } from '#infra/log/memory-log.ts'
import type { Log, LogRecord, RecordToAppend } from '#infra/log/log.ts'
import type { SharedLog } from '#cli/open-log.ts'
import { WeirError } from '#schemas/errors.ts'

/**
 * A log in memory that several processes of a test share, as Kafka is shared: offsets have gaps, and who has taken it
 * last keeps the others from writing.
 */
export class SharedMemory {
  private readonly log = createMemoryLog({ gapAfterUnit: 1 })
  private epoch = 0
  private lossy: { readonly topic: string; readonly wholeUnit: boolean } | null = null
  private readonly forgotten: LogRecord[] = []
  /** Whether something was lost: nothing more is written from then on until somebody takes over. */
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
      if (!this.hasLost && records.some(({ topic }) => topic === this.lossy?.topic)) {
        this.hasLost = true
        if (!this.lossy!.wholeUnit) await this.appendBut(this.lossy!.topic, records)
      }
      // Never answered, as by a process that was killed meanwhile.
      if (this.hasLost) return await new Promise(() => {})
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
        this.hasLost = false
      },
      takenBack: async ({ topic, offset }) =>
        this.forgotten.filter((record) => record.topic === topic && record.offset >= offset),
      publishPositions: async () => {},
      reader: (from) => log.reader(from),
      ranges: () => log.ranges(),
      changed: (since, signal) => log.changed(since, signal),
      retain: (from) => log.retain(from),
      close: async () => {},
    }
  }

  /** The next unit with something for a topic is lost, and the writer falls silent. */
  lose(topic: string): void {
    this.lossy = { topic, wholeUnit: true }
  }

  /** What the next unit has for a topic is confirmed and forgotten; the rest of it is there, and the writer falls silent. */
  forget(topic: string): void {
    this.lossy = { topic, wholeUnit: false }
  }

  private async appendBut(forgotten: string, records: readonly RecordToAppend[]): Promise<void> {
    const end = (await this.log.ranges()).find(({ topic }) => topic === forgotten)?.end ?? 0
    for (const { topic, partition, key, value } of records) {
      if (topic !== forgotten) continue
      const bytes = (of: Uint8Array | null): Buffer | null => (of === null ? null : Buffer.from(of))
      this.forgotten.push({ topic, partition, offset: end, key: bytes(key), value: bytes(value) })
    }
    await this.log.append(records.filter(({ topic }) => topic !== forgotten))
  }

  /** Input as other producers write it. */
  produce(records: readonly RecordToAppend[]): ReturnType<Log['append']> {
    return this.log.append(records)
  }
}
