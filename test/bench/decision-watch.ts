import type { Log, LogReader } from '#infra/log/log.ts'
import { peekTransaction } from './peek-transaction.ts'
import { Samples } from './percentiles.ts'

const READ_ROWS = 4_096

/** Reads decisions as soon as they are committed, and notes when each came. */
export class DecisionWatch {
  /** From the time in the transaction to its decision being read here, milliseconds. */
  readonly latencyMs = new Samples()
  /** Arrivals of whatever was read together: epoch milliseconds. */
  readonly arrivedAtMs = new Samples()
  count = 0
  private readonly log: Log
  private readonly reader: LogReader
  private readonly stop = new AbortController()
  private readonly working: Promise<void>
  private isTiming = false

  constructor(log: Log, topic: string) {
    this.log = log
    this.reader = log.reader({ topic, partition: 0, offset: 0 })
    this.working = this.work()
    this.working.catch(() => {})
  }

  /** Latencies are noted from now on, or no longer. */
  time(isOn: boolean): void {
    this.isTiming = isOn
  }

  /** The longest time in which nothing came, among arrivals after `fromMs` and the last one before; epoch milliseconds. */
  longestGapSince(fromMs: number): { readonly gapMs: number; readonly endedAtMs: number } {
    let gapMs = 0
    let endedAtMs = fromMs
    for (let i = 1; i < this.arrivedAtMs.count; i++) {
      const at = this.arrivedAtMs.at(i)
      const gap = at - this.arrivedAtMs.at(i - 1)
      if (at < fromMs || gap <= gapMs) continue
      gapMs = gap
      endedAtMs = at
    }
    return { gapMs, endedAtMs }
  }

  async close(): Promise<void> {
    this.stop.abort()
    await this.working
    this.reader.close()
  }

  private async work(): Promise<void> {
    for (let seen = -1; !this.stop.signal.aborted; ) {
      const records = await this.reader.read(READ_ROWS)
      if (records.length === 0) {
        seen = await this.log.changed(seen, this.stop.signal)
        continue
      }
      const nowMs = performance.timeOrigin + performance.now()
      this.arrivedAtMs.add(nowMs)
      this.count += records.length
      if (!this.isTiming) continue
      // Times are whole milliseconds, cut off: half a one is added back.
      for (const { value } of records) this.latencyMs.add(nowMs - peekTransaction(value!).timeMs - 0.5)
    }
  }
}
