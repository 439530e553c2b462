import { WeirError } from '#schemas/errors.ts'

/** Something with a life: it is started once and stopped once. */
export interface Part {
  readonly name: string
  /** `signal` is aborted when everything is to stop; a start that still waits then should give up. */
  start(signal: AbortSignal): Promise<void> | void
  /** Ends what `start` began; also called after a start that missed its deadline, since that may yet have begun. */
  stop(): Promise<void> | void
  readonly startWithinMs: number
  readonly stopWithinMs: number
}

/** Starts parts in order and stops them in reverse, each within its deadline. */
export class Lifecycle {
  private readonly parts: readonly Part[]
  private readonly begun: Part[] = []
  private readonly controller = new AbortController()
  private starting: Promise<boolean> | null = null
  private stopping: Promise<void> | null = null

  constructor(parts: readonly Part[]) {
    this.parts = parts
  }

  /** Aborted as soon as the stop begins. */
  get signal(): AbortSignal {
    return this.controller.signal
  }

  /**
   * Starts every part, one after the other. False when the stop came before all were started. Every call gives the same
   * promise.
   *
   * @throws what a part threw, or WeirError TIMEOUT, after those already started were stopped
   */
  start(): Promise<boolean> {
    this.starting ??= this.startAll()
    return this.starting
  }

  /**
   * Stops what was started, last first, and goes on to the next one when a part fails or is late. Waits for a start that
   * is under way, within its deadline. Every call gives the same promise.
   *
   * @throws the first failure, after all were tried
   */
  stop(): Promise<void> {
    this.stopping ??= this.stopAll()
    return this.stopping
  }

  private async startAll(): Promise<boolean> {
    try {
      for (const part of this.parts) {
        if (this.signal.aborted) return false
        await this.startOne(part)
      }
      return !this.signal.aborted
    } catch (error) {
      // A start that gives up because it was told to is no failure.
      if (this.signal.aborted) return false
      this.controller.abort()
      this.stopping ??= this.stopBegun()
      // The failure to start is the cause, and the one the caller is told of.
      await this.stopping.catch(() => {})
      throw error
    }
  }

  private async startOne(part: Part): Promise<void> {
    this.begun.push(part)
    let isSettled = false
    const start = async (): Promise<void> => {
      try {
        await part.start(this.signal)
      } finally {
        isSettled = true
      }
    }
    try {
      await within(part.startWithinMs, `${part.name} did not start`, start)
    } catch (error) {
      // What failed by itself has nothing to stop; what is merely late may have.
      if (isSettled) this.begun.pop()
      throw error
    }
  }

  private async stopAll(): Promise<void> {
    this.controller.abort()
    await this.starting?.catch(() => {})
    await this.stopBegun()
  }

  private async stopBegun(): Promise<void> {
    const failures: unknown[] = []
    for (const part of this.begun.splice(0).reverse()) {
      try {
        await within(part.stopWithinMs, `${part.name} did not stop`, async () => part.stop())
      } catch (error) {
        failures.push(error)
      }
    }
    if (failures.length > 0) throw failures[0]
  }
}

type StopSignal = 'SIGINT' | 'SIGTERM'

/** What is needed of `process`. */
export interface SignalSource {
  on(signal: StopSignal, listener: () => void): unknown
  off(signal: StopSignal, listener: () => void): unknown
}

export interface StopSignalOptions {
  readonly source: SignalSource
  /** Called at the first signal. */
  readonly stop: (signal: StopSignal) => void
  /** Called at every further one, whichever it is, with the code a shell gives that signal. */
  readonly exit: (code: number) => void
}

/** Stops at the first SIGINT or SIGTERM, exits at once at the second. Gives a function that stops listening. */
export function onStopSignal({ source, stop, exit }: StopSignalOptions): () => void {
  let isStopping = false
  const listen = (signal: StopSignal, exitCode: number): (() => void) => {
    const listener = (): void => {
      if (isStopping) return exit(exitCode)
      isStopping = true
      stop(signal)
    }
    source.on(signal, listener)
    return () => source.off(signal, listener)
  }
  const unlisten = [listen('SIGINT', 130), listen('SIGTERM', 143)]
  return () => {
    for (const end of unlisten) end()
  }
}

async function within(deadlineMs: number, what: string, work: () => Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(
        new WeirError('TIMEOUT', `${what} within ${deadlineMs} ms`, {
          fix: 'See the log for what it was waiting for.',
        }),
      )
    }, deadlineMs)
  })
  try {
    await Promise.race([work(), late])
  } finally {
    clearTimeout(timer)
  }
}
