/** What came in over the API or from a simulator in the same process, on its way into a slice and, with it, into the log. */
export interface IntakeItem {
  readonly topic: string
  /** The card: events of one card keep their order. */
  readonly key: string
  readonly value: Buffer
  /** Told the outcome once it is durable; null where nobody waits. */
  readonly waiter: Waiter | null
}

export type Outcome = 'accepted' | 'repeated' | 'rejected'

export interface Settled {
  readonly outcome: Outcome
  /** Framed decision; null for labels and for what was not accepted. */
  readonly decision: Buffer | null
  readonly reason: string
  readonly field: string
  readonly detail: string
}

export interface Waiter {
  settle(settled: Settled): void
  fail(error: unknown): void
}

/** Where the door puts requests: bounded, in whatever way they get into the stream. */
export interface Requests {
  /** Requests taken that have not come to the path yet. */
  readonly length: number
  /** False when there is no room: wait for `room` and try again. */
  push(item: IntakeItem): boolean
  room(): Promise<void>
  /** Nothing more comes in; whoever still waits is told why. */
  close(reason: unknown): void
}

/** A bounded queue between producers in this process and the path. */
export class Intake implements Requests {
  private readonly capacity: number
  private readonly items: (IntakeItem | undefined)[]
  private first = 0
  private size = 0
  private wakeReaders: (() => void)[] = []
  private wakeWriters: (() => void)[] = []
  private closedWith: unknown = null

  constructor(capacity: number) {
    this.capacity = capacity
    this.items = new Array<IntakeItem | undefined>(capacity)
  }

  get length(): number {
    return this.size
  }

  push(item: IntakeItem): boolean {
    if (this.size === this.capacity || this.closedWith !== null) return false
    this.items[(this.first + this.size) % this.capacity] = item
    this.size++
    if (this.wakeReaders.length > 0) this.wakeReaders = wakeAll(this.wakeReaders)
    return true
  }

  peek(): IntakeItem | undefined {
    return this.size === 0 ? undefined : this.items[this.first]
  }

  shift(): IntakeItem {
    const item = this.items[this.first]!
    this.items[this.first] = undefined
    this.first = (this.first + 1) % this.capacity
    this.size--
    if (this.wakeWriters.length > 0 && this.size <= this.capacity / 2) this.wakeWriters = wakeAll(this.wakeWriters)
    return item
  }

  /** Resolves when half the queue is free. */
  async room(): Promise<void> {
    if (this.closedWith !== null) throw this.closedWith
    if (this.size < this.capacity) return
    await new Promise<void>((resolve) => this.wakeWriters.push(resolve))
    if (this.closedWith !== null) throw this.closedWith as Error
  }

  /** Resolves when something is there, or at once when the intake is closed. */
  async arrival(signal: AbortSignal): Promise<void> {
    if (this.size > 0 || this.closedWith !== null || signal.aborted) return
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        signal.removeEventListener('abort', wake)
        this.wakeReaders = this.wakeReaders.filter((other) => other !== wake)
        resolve()
      }
      this.wakeReaders.push(wake)
      signal.addEventListener('abort', wake)
    })
  }

  close(reason: unknown): void {
    this.closedWith = reason
    while (this.size > 0) this.shift().waiter?.fail(reason)
    this.wakeReaders = wakeAll(this.wakeReaders)
    this.wakeWriters = wakeAll(this.wakeWriters)
  }
}

function wakeAll(wakes: readonly (() => void)[]): (() => void)[] {
  for (const wake of wakes) wake()
  return []
}
