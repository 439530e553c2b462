import { setTimeout as sleep } from 'node:timers/promises'

const FIRST_MS = 10
const LONGEST_MS = 250
const TELL_EVERY_MS = 10_000

/** Pauses between tries that grow to a quarter of a second, and word of the fault at its beginning and then now and again. */
export class Patience {
  private readonly nowMs: () => number
  private pauseMs = FIRST_MS
  private toldAtMs = Number.NEGATIVE_INFINITY

  constructor(nowMs: () => number) {
    this.nowMs = nowMs
  }

  isWorthTelling(): boolean {
    const now = this.nowMs()
    if (now - this.toldAtMs < TELL_EVERY_MS) return false
    this.toldAtMs = now
    return true
  }

  reset(): void {
    this.pauseMs = FIRST_MS
  }

  async wait(signal: AbortSignal): Promise<void> {
    const pauseMs = this.pauseMs
    this.pauseMs = Math.min(LONGEST_MS, pauseMs * 2)
    try {
      await sleep(pauseMs, undefined, { signal })
    } catch (error) {
      if (!signal.aborted) throw error
    }
  }
}
