import type { Store } from '#infra/clickhouse/store.ts'
import type { Codec } from '#schemas/codec.ts'
import { WeirError } from '#schemas/errors.ts'
import type { Log } from '../ports.ts'
import type { COLUMNS } from './rows.ts'
import { seekFirst, type Stream } from './stream.ts'

/**
 * The newest row says through which line every table is complete, at which offsets to go on, and what blocks were cut by;
 * -1 where it does not say.
 */
export type Progress = Readonly<Record<keyof (typeof COLUMNS)['weir.recorder_progress'], number>>

const NO_PROGRESS: Progress = {
  line: -1,
  rows: 0,
  journal_offset: -1,
  decisions_offset: -1,
  alerts_offset: -1,
  rows_max: -1,
  clock_ms: -1,
}

export async function readProgress(store: Store): Promise<Progress> {
  const { rows } = await store.query(`
    SELECT line, rows, journal_offset, decisions_offset, alerts_offset, rows_max, clock_ms
    FROM weir.recorder_progress ORDER BY line DESC LIMIT 1`)
  const [row] = rows
  if (row === undefined) return NO_PROGRESS
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, Number(value)])) as Progress
}

/**
 * Moves each stream to the first record that is not in the tables yet: to the offset that progress names, else by searching
 * for the line.
 *
 * @throws WeirError STORE_MISMATCH when the tables hold more than the journal, LOG_POSITION_GONE when the log begins later
 */
export async function findPlaces(
  log: Log,
  codec: Codec,
  streams: { readonly journal: Stream; readonly decisions: Stream; readonly alerts: Stream },
  progress: Progress,
): Promise<void> {
  const { journal, decisions, alerts } = streams
  const { line } = progress
  await findInJournal(log, codec, journal, progress)
  if (progress.decisions_offset >= 0) decisions.seek(progress.decisions_offset)
  else await seekFirst(log, decisions, (value) => codec.decision.decode(value).line <= line)
  if (progress.alerts_offset >= 0) alerts.seek(progress.alerts_offset)
  else await seekFirst(log, alerts, (value) => codec.alert.decode(value).line <= line)
}

async function findInJournal(
  log: Log,
  codec: Codec,
  journal: Stream,
  { line, journal_offset }: Progress,
): Promise<void> {
  const { topic } = journal
  if (journal_offset >= 0) {
    const end = (await log.ranges()).find((range) => range.topic === topic && range.partition === 0)?.end ?? 0
    if (end < journal_offset) throw notThisJournal(`${topic}, which ends at offset ${end}`, line)
    journal.seek(journal_offset)
    return
  }
  let newest = -1
  await seekFirst(log, journal, (value) => {
    const found = codec.journalLine.decode(value).line
    if (found <= line) newest = Math.max(newest, found)
    return found <= line
  })
  if (newest < line && (await journal.peek()) === null) throw notThisJournal(topic, line)
}

export function notThisJournal(where: string, line: number): WeirError {
  return new WeirError('STORE_MISMATCH', `the tables hold journal line ${line}, which this journal does not have`, {
    where,
    fix: 'Tables and log must belong together: restore the one that is older, or use another data folder or ClickHouse.',
  })
}
