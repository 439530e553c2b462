import type { Waiting } from '#pipeline/gateway.ts'
import { OverloadController, overloadLimits } from '#pipeline/overload.ts'

export interface WatchOverloadOptions {
  readonly waiting: (nowMs: number) => Waiting
  /** Milliseconds of a clock that does not go back. */
  readonly now: () => number
  /** What is in force at the start. */
  readonly isOn: boolean
  /** Requests are given up after this, milliseconds. */
  readonly timeoutMs: number
  /** Puts it in force; resolves when it is. */
  readonly control: (on: boolean) => Promise<void>
  readonly warn: (text: string) => void
}

const PERIOD_MS = 50

/** Looks at how long requests wait, and has scoring stop and go on as the controller says. Gives what ends it. */
export function watchOverload({ waiting, now, isOn, timeoutMs, control, warn }: WatchOverloadOptions): () => void {
  const controller = new OverloadController(overloadLimits(timeoutMs), isOn)
  let changing = false
  const timer = setInterval(() => {
    // One change at a time, so that the journal has them in the order in which they were decided.
    if (changing) return
    const nowMs = now()
    const change = controller.observe(nowMs, waiting(nowMs).oldestMs)
    if (change === null) return
    changing = true
    warn(change ? 'requests wait too long: rules decide alone' : 'requests are quick again: events are scored')
    control(change)
      .catch(() => {})
      .finally(() => {
        changing = false
      })
  }, PERIOD_MS)
  timer.unref()
  return () => clearInterval(timer)
}
