import type { Log, LogReader } from '#infra/log/log.ts'
import type { Codec } from '#schemas/codec.ts'
import type { Control, JournalLine } from '#schemas/journal.ts'

/** What the end of a journal says of who decides. */
export interface JournalTail {
  readonly line: number
  readonly term: number
  /** Stamped by whoever wrote the line, epoch milliseconds. */
  readonly clockMs: number
  /** Who took the term; null when it was given up. */
  readonly owner: string | null
  /** Whether another line came while it was listened for. */
  readonly isAlive: boolean
  /** This machine's clock when that line arrived, less the line's own, milliseconds; null when none came. */
  readonly clockAheadMs: number | null
}

export interface JournalTailDeps {
  readonly log: Log
  readonly codec: Pick<Codec, 'journalLine'>
  /** The journal's topic. */
  readonly topic: string
  /** Epoch milliseconds. */
  readonly now: () => number
  /** How long a sign of life is waited for. */
  readonly listenMs: number
}

interface Placed {
  readonly offset: number
  readonly line: JournalLine
}

/** Records looked at first; markers of transactions take offsets too. */
const TAIL_OFFSETS = 64
const READ_ROWS = 1_024

/** The newest line, who took its term, and whether more lines come; null where the journal is empty. */
export async function readJournalTail(deps: JournalTailDeps): Promise<JournalTail | null> {
  const { log, topic, now, listenMs } = deps
  const range = (await log.ranges()).find((known) => known.topic === topic && known.partition === 0)
  if (range === undefined) return null
  const reader = log.reader({ topic, partition: 0, offset: range.start })
  try {
    const last = await lastLine(deps, reader, range)
    if (last === null) return null
    const owner = await ownerOf(deps, reader, range.start, last)
    reader.seek(last.offset + 1)
    const next = owner === null ? null : await nextLine(deps, reader, listenMs)
    const { line, term, clock } = next ?? last.line
    return {
      line,
      term,
      clockMs: clock,
      owner,
      isAlive: next !== null,
      clockAheadMs: next === null ? null : now() - clock,
    }
  } finally {
    reader.close()
  }
}

async function lastLine(
  { codec }: JournalTailDeps,
  reader: LogReader,
  { start, end }: { readonly start: number; readonly end: number },
): Promise<Placed | null> {
  for (let back = TAIL_OFFSETS; ; back *= 8) {
    const from = Math.max(start, end - back)
    reader.seek(from)
    let last: Placed | null = null
    for (let records = await reader.read(READ_ROWS); records.length > 0; records = await reader.read(READ_ROWS)) {
      const { offset, value } = records.at(-1)!
      last = { offset, line: codec.journalLine.decode(value!) }
    }
    if (last !== null || from === start) return last
  }
}

/** A term begins with the line that names its owner; offsets grow with terms, so by bisection. */
async function ownerOf(
  { codec }: JournalTailDeps,
  reader: LogReader,
  start: number,
  last: Placed,
): Promise<string | null> {
  const { term, control } = last.line
  const newest = termOwner(control)
  if (newest !== undefined) return newest
  let low = start
  let high = last.offset
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    reader.seek(middle)
    const [record] = await reader.read(1)
    if (record !== undefined && codec.journalLine.decode(record.value!).term < term) low = record.offset + 1
    else high = middle
  }
  reader.seek(low)
  const [first] = await reader.read(1)
  return termOwner(first === undefined ? null : codec.journalLine.decode(first.value!).control) ?? UNKNOWN_OWNER
}

/** Retention has taken the line that named it. */
const UNKNOWN_OWNER = 'an unknown process'

function termOwner(control: Control | null): string | null | undefined {
  if (control?.type !== 'term') return undefined
  return (JSON.parse(control.value) as { readonly owner: string | null }).owner
}

async function nextLine(
  { log, codec }: JournalTailDeps,
  reader: LogReader,
  withinMs: number,
): Promise<JournalLine | null> {
  const late = new AbortController()
  const timer = setTimeout(() => late.abort(), withinMs)
  try {
    let seen = -1
    for (;;) {
      const [record] = await reader.read(1)
      if (record !== undefined) return codec.journalLine.decode(record.value!)
      if (late.signal.aborted) return null
      seen = await log.changed(seen, late.signal)
    }
  } finally {
    clearTimeout(timer)
  }
}
