import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf, WeirError } from '#schemas/errors.ts'
import type { LogReader } from '../log/log.ts'
import type { Logger } from '../logger.ts'
import type { EnsuredSchemas } from './registry-schemas.ts'
import { unknownWriterIds } from './writer-ids.ts'

const RETRY_MS_FIRST = 250
const RETRY_MS_MAX = 10_000

/**
 * A reader that hands records out only when the schemas they were written with are known, so that whoever reads may
 * decode at once. A registry that cannot be reached is waited for: a record is never taken for unreadable because of it.
 * After `stop` nothing more is handed out.
 */
export function readWithSchemas(
  inner: LogReader,
  schemas: EnsuredSchemas,
  logger: Logger,
  stop: AbortSignal,
): LogReader {
  return {
    get position() {
      return inner.position
    },
    get isDry() {
      return inner.isDry === true
    },
    async read(max) {
      const records = await inner.read(max)
      const values = records.map(({ value }) => value)
      const unknown = unknownWriterIds(values, values.length, schemas.isKnown)
      return unknown.length === 0 || (await ensured(unknown)) ? records : []
    },
    seek: (offset) => inner.seek(offset),
    close: () => inner.close(),
  }

  /** False when the stop came first. */
  async function ensured(ids: readonly number[]): Promise<boolean> {
    for (let pauseMs = RETRY_MS_FIRST; !stop.aborted; pauseMs = Math.min(RETRY_MS_MAX, pauseMs * 2)) {
      try {
        await schemas.ensure(ids, stop)
        return true
      } catch (error) {
        if (stop.aborted) break
        if (!(error instanceof WeirError) || !error.retryable) throw error
        logger.warn(`schemas of the input are waited for: ${messageOf(error)}`)
        await sleep(pauseMs, undefined, { signal: stop }).catch(() => {})
      }
    }
    return false
  }
}
