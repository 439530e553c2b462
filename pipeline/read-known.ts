import type { Log, LogReader, LogRecord } from './ports.ts'

const READ_ROWS = 2_048

/**
 * The next records of a partition that is known to hold some: a record was named by one that was read already, but its
 * topic may become visible a moment later. Empty only when none came within the log's `settleMs`.
 */
export async function readKnown(log: Log, reader: LogReader): Promise<readonly LogRecord[]> {
  let records = await reader.read(READ_ROWS)
  if (records.length > 0 || log.settleMs === 0) return records
  const late = AbortSignal.timeout(log.settleMs)
  let seen = -1
  while (!late.aborted) {
    seen = await log.changed(seen, late)
    records = await reader.read(READ_ROWS)
    if (records.length > 0) break
  }
  return records
}
