/** What happens at its time; `argument` is what the planner handed over. */
export type Task = (timeMs: number, argument: number) => void

/**
 * What is still to happen, in order of time (then in order of planning, so that a seed fixes the stream). A binary heap in
 * typed arrays: it grows with accounts (their subscriptions) and open incidents, never with the number of events past.
 */
export class Agenda {
  private times = new Float64Array(1024)
  private sequences = new Float64Array(1024)
  private arguments = new Float64Array(1024)
  private readonly tasks: (Task | undefined)[] = []
  private count = 0
  private planned = 0

  get size(): number {
    return this.count
  }

  /** Time of the next task, Infinity when there is none. */
  get nextMs(): number {
    return this.count === 0 ? Number.POSITIVE_INFINITY : this.times[0]!
  }

  at(timeMs: number, task: Task, argument = 0): void {
    if (this.count === this.times.length) this.grow()
    let hole = this.count++
    const sequence = this.planned++
    while (hole > 0) {
      const parent = (hole - 1) >> 1
      if (!this.isAfter(parent, timeMs, sequence)) break
      this.move(parent, hole)
      hole = parent
    }
    this.put(hole, timeMs, sequence, task, argument)
  }

  /** Takes the next task off and runs it. */
  runNext(): void {
    const timeMs = this.times[0]!
    const task = this.tasks[0]!
    const argument = this.arguments[0]!
    this.removeFirst()
    task(timeMs, argument)
  }

  private removeFirst(): void {
    const last = --this.count
    const lastTimeMs = this.times[last]!
    const lastSequence = this.sequences[last]!
    const lastTask = this.tasks[last]
    const lastArgument = this.arguments[last]!
    this.tasks[last] = undefined
    if (last === 0) return
    let hole = 0
    for (;;) {
      let child = 2 * hole + 1
      if (child >= last) break
      if (child + 1 < last && this.isAfter(child, this.times[child + 1]!, this.sequences[child + 1]!)) child++
      if (this.isAfter(child, lastTimeMs, lastSequence)) break
      this.move(child, hole)
      hole = child
    }
    this.put(hole, lastTimeMs, lastSequence, lastTask, lastArgument)
  }

  private isAfter(at: number, timeMs: number, sequence: number): boolean {
    const own = this.times[at]!
    return own > timeMs || (own === timeMs && this.sequences[at]! > sequence)
  }

  private move(from: number, to: number): void {
    this.put(to, this.times[from]!, this.sequences[from]!, this.tasks[from], this.arguments[from]!)
  }

  private put(at: number, timeMs: number, sequence: number, task: Task | undefined, argument: number): void {
    this.times[at] = timeMs
    this.sequences[at] = sequence
    this.tasks[at] = task
    this.arguments[at] = argument
  }

  private grow(): void {
    this.times = doubled(this.times)
    this.sequences = doubled(this.sequences)
    this.arguments = doubled(this.arguments)
  }
}

function doubled(from: Float64Array): Float64Array<ArrayBuffer> {
  const to = new Float64Array(from.length * 2)
  to.set(from)
  return to
}
