/** Counts changes and wakes whoever waits for one that they have not seen. */
export class ChangeSignal {
  private version = 0
  private waiting: (() => void)[] = []

  notify(): void {
    this.version++
    const waiting = this.waiting
    this.waiting = []
    for (const wake of waiting) wake()
  }

  /** Resolves with the newest version as soon as it is above `since`, or on abort. */
  async after(since: number, signal: AbortSignal): Promise<number> {
    if (this.version > since || signal.aborted) return this.version
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        signal.removeEventListener('abort', wake)
        this.waiting = this.waiting.filter((other) => other !== wake)
        resolve()
      }
      this.waiting.push(wake)
      signal.addEventListener('abort', wake)
    })
    return this.version
  }
}
