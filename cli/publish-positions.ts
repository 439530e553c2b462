import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '#infra/logger.ts'
import type { Positions } from '#pipeline/journal.ts'
import { messageOf } from '#schemas/errors.ts'
import type { SharedLog } from './open-log.ts'

export interface PublishPositionsDeps {
  readonly log: SharedLog
  readonly positions: Positions
  readonly inputTopics: readonly string[]
  readonly logger: Logger
}

const EVERY_MS = 5_000

/**
 * Shows tools that watch lag how far the input is taken, now and every few seconds until the signal comes. That it does not
 * work is told once: nothing depends on it.
 */
export async function publishPositions(deps: PublishPositionsDeps, signal: AbortSignal): Promise<void> {
  const { log, positions, inputTopics, logger } = deps
  let published = ''
  let hasTold = false
  while (!signal.aborted) {
    const offsets = positions.list().filter(({ topic }) => inputTopics.includes(topic))
    const now = JSON.stringify(offsets)
    if (offsets.length > 0 && now !== published) {
      try {
        await log.publishPositions(offsets)
        published = now
        hasTold = false
      } catch (error) {
        if (!hasTold && !signal.aborted) logger.warn(`tools that watch lag do not see positions: ${messageOf(error)}`)
        hasTold = true
      }
    }
    await sleep(EVERY_MS, undefined, { signal }).catch(() => {})
  }
}
