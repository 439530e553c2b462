import { Hash64 } from '#schemas/hash64.ts'
import type { IntakeItem, Requests, Waiter } from './intake.ts'
import type { RecordToAppend } from './ports.ts'

export interface AppendingIntakeDeps {
  /** Makes records durable in their topics; resolves when they are. */
  readonly append: (records: readonly RecordToAppend[]) => Promise<unknown>
  /** How many partitions a topic has. */
  readonly partitions: (topic: string) => number
  /** Requests that may wait at a time, appended or not. */
  readonly capacity: number
}

/** Records appended at once. */
const BATCH_ROWS = 512

/**
 * The door where the input is a topic that others write to as well: requests are appended to it and come back with the
 * rest of the stream, in whatever place they got there. A request is known again by its bytes: two with the same bytes
 * are the same event, and it does not matter which of them is told that it was the repeat.
 */
export class AppendingIntake implements Requests {
  private readonly deps: AppendingIntakeDeps
  private readonly hash = new Hash64()
  private queue: IntakeItem[] = []
  private readonly waiters = new Map<string, Waiter[]>()
  private waiting = 0
  private isAppending = false
  private wakeWriters: (() => void)[] = []
  private closedWith: unknown = null

  constructor(deps: AppendingIntakeDeps) {
    this.deps = deps
  }

  get length(): number {
    return this.waiting
  }

  push(item: IntakeItem): boolean {
    if (this.waiting >= this.deps.capacity || this.closedWith !== null) return false
    this.waiting++
    this.queue.push(item)
    if (!this.isAppending) void this.appendAll()
    return true
  }

  async room(): Promise<void> {
    if (this.closedWith !== null) throw this.closedWith
    if (this.waiting < this.deps.capacity) return
    await new Promise<void>((resolve) => this.wakeWriters.push(resolve))
    if (this.closedWith !== null) throw this.closedWith as Error
  }

  /** Who waits for a record that came with the stream; null where nobody does. */
  claim(topic: string, value: Buffer | null): Waiter | null {
    if (this.waiters.size === 0 || value === null) return null
    const key = this.keyOf(topic, value)
    const found = this.waiters.get(key)
    const waiter = found?.shift() ?? null
    if (found?.length === 0) this.waiters.delete(key)
    if (waiter !== null) this.release()
    return waiter
  }

  close(reason: unknown): void {
    this.closedWith = reason
    for (const { waiter } of this.queue.splice(0)) waiter?.fail(reason)
    for (const waiters of this.waiters.values()) for (const waiter of waiters) waiter.fail(reason)
    this.waiters.clear()
    this.wake()
  }

  private async appendAll(): Promise<void> {
    this.isAppending = true
    // Requests of one turn of the event loop go together.
    await Promise.resolve()
    while (this.queue.length > 0) {
      const batch = this.queue.splice(0, BATCH_ROWS)
      // Before it is appended: it may come back before the append is acknowledged.
      for (const item of batch) this.remember(item)
      try {
        await this.deps.append(batch.map((item) => this.recordOf(item)))
      } catch (error) {
        for (const { topic, value } of batch) this.claim(topic, value)?.fail(error)
      }
    }
    this.isAppending = false
  }

  private recordOf({ topic, key, value }: IntakeItem): RecordToAppend {
    const place = this.hash.ofText(key).lo % this.deps.partitions(topic)
    return { topic, partition: place, key: Buffer.from(key), value }
  }

  private remember({ topic, value, waiter }: IntakeItem): void {
    if (waiter === null) {
      this.release()
      return
    }
    const key = this.keyOf(topic, value)
    const others = this.waiters.get(key)
    if (others === undefined) this.waiters.set(key, [waiter])
    else others.push(waiter)
  }

  private release(): void {
    this.waiting--
    if (this.waiting <= this.deps.capacity / 2) this.wake()
  }

  private wake(): void {
    for (const wake of this.wakeWriters.splice(0)) wake()
  }

  private keyOf(topic: string, value: Buffer): string {
    return `${topic}/${this.hash.ofText(value.toString('latin1')).toHex()}`
  }
}
