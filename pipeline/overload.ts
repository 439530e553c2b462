/** When the path is too slow for those who wait, and when it no longer is. */
export interface OverloadLimits {
  /** Too slow: the oldest request has waited longer than this, milliseconds. */
  readonly slowMs: number
  /** Quick again: no request has waited longer than this. Well below `slowMs`, so that one does not follow on the other. */
  readonly quickMs: number
  /** Scoring stops when it was too slow for so long without a break. */
  readonly slowForMs: number
  /** Scoring is taken up again when it was quick for so long without a break. */
  readonly quickForMs: number
  /** That time doubles whenever scoring had to stop again soon after, up to this. */
  readonly quickForMsMax: number
}

/** Limits for requests that are given up after `timeoutMs`. */
export function overloadLimits(timeoutMs: number): OverloadLimits {
  return {
    slowMs: timeoutMs / 2,
    quickMs: timeoutMs / 10,
    slowForMs: timeoutMs / 4,
    quickForMs: 2_000,
    quickForMsMax: 60_000,
  }
}

/** Scoring that has to stop again within so many times the last pause was taken up too early. */
const RELAPSE_PAUSES = 3

/**
 * Decides when scoring stops and rules go on alone, from nothing but what it is shown: how long the oldest request has
 * waited, and at what time. Steady on both sides: it acts neither on a single slow moment nor on a single quick one, and
 * where scoring again brings the trouble back it waits longer each time.
 */
export class OverloadController {
  private readonly limits: OverloadLimits
  private on: boolean
  /** Since when it has been slow (while off) or quick (while on) without a break; null: it is not. */
  private sinceMs: number | null = null
  private liftedMs = Number.NEGATIVE_INFINITY
  private quickForMs: number

  /** @param isOn what is in force at the start */
  constructor(limits: OverloadLimits, isOn: boolean) {
    this.limits = limits
    this.on = isOn
    this.quickForMs = limits.quickForMs
  }

  get isOn(): boolean {
    return this.on
  }

  /**
   * @param nowMs of a clock that does not go back
   * @param oldestMs how long the oldest request has waited; 0 where none waits
   * @returns what is to be from now on, where that changes; null otherwise
   */
  observe(nowMs: number, oldestMs: number): boolean | null {
    const { slowMs, quickMs, slowForMs } = this.limits
    const points = this.on ? oldestMs <= quickMs : oldestMs > slowMs
    if (!points) {
      this.sinceMs = null
      return null
    }
    this.sinceMs ??= nowMs
    if (nowMs - this.sinceMs < (this.on ? this.quickForMs : slowForMs)) return null
    this.sinceMs = null
    if (this.on) this.liftedMs = nowMs
    else this.quickForMs = this.pauseAfter(nowMs)
    this.on = !this.on
    return this.on
  }

  private pauseAfter(nowMs: number): number {
    const { quickForMs, quickForMsMax } = this.limits
    const isRelapse = nowMs - this.liftedMs <= RELAPSE_PAUSES * this.quickForMs
    return isRelapse ? Math.min(this.quickForMs * 2, quickForMsMax) : quickForMs
  }
}
