import type { Codec } from '#schemas/codec.ts'
import { WeirError } from '#schemas/errors.ts'
import type { Control, JournalLine, Piece } from '#schemas/journal.ts'
import type { Fold } from './assemble.ts'
import { isVoid, piecesOf, type Positions } from './journal.ts'
import { type InputSource, LogInput } from './input-source.ts'
import type { Log } from './ports.ts'
import { ACCEPTED, type Featurized, REJECTED, reached, type SliceBuffers } from './slice.ts'
import type { Topics } from './topics.ts'

export interface FollowDeps {
  readonly log: Log
  readonly codec: Codec
  readonly topics: Topics
  readonly fold: Fold
  readonly positions: Positions
  /** Where what the journal names is read, closed at the end; absent: the log's own topics. */
  readonly input?: InputSource
  /** Buffers of at least `rows` rows. */
  readonly sliceOf: (rows: number) => SliceBuffers
  readonly fromLine: number
  /** Offset in the journal's topic at which `fromLine` is looked for. */
  readonly fromOffset: number
  /** Stop before this line; absent: go on to the journal's end. */
  readonly toLine?: number
  readonly onControl: (control: Control, line: JournalLine) => void | Promise<void>
  /**
   * Sees each slice after it was folded; its buffers are reused. Where outputs may be missing though their line is there
   * (`isLastHeld`), only when the next line is there too: then those of this one are complete.
   */
  readonly onSlice?: (slice: Featurized, line: JournalLine) => void | Promise<void>
  readonly onProgress?: (line: number, events: number) => void
  /** The last slice is not shown to `onSlice` but given back. */
  readonly isLastHeld?: boolean
  /** One that was given back before: it is shown as soon as there is a line behind it, or this one is not to be held. */
  readonly held?: HeldSlice | null
  readonly onLine?: (so: Followed) => void
  /** Between two lines, when nothing is half done. */
  readonly betweenLines?: (so: Followed) => Promise<void> | void
  /** Asked when there is no further line: true to look again. Absent: the end is the end. */
  readonly atEnd?: () => Promise<boolean>
  readonly signal: AbortSignal
}

export interface Followed {
  /** Number of the line that comes next. */
  readonly nextLine: number
  /** Offset in the journal's topic from which that line is looked for. */
  readonly nextOffset: number
  /** Highest term read. */
  readonly term: number
  /** Clock of the last line, epoch milliseconds; 0 when there was none. */
  readonly clock: number
  readonly events: number
  /** The last slice, where it was held back: its outputs may be missing. Valid until the buffers are used again. */
  readonly held: HeldSlice | null
}

export interface HeldSlice {
  readonly slice: Featurized
  readonly line: JournalLine
}

const READ_ROWS = 2_048

/**
 * Folds what the journal says was folded, in the same slices: the state afterwards is, bit for bit, that of the process
 * that wrote the journal. Nothing is scored.
 *
 * @throws WeirError REPLAY_MISMATCH when the input does not give what the journal says of it
 * @throws WeirError LOG_POSITION_GONE when retention has taken input that the journal still needs
 */
export async function follow(deps: FollowDeps): Promise<Followed> {
  const { log, codec, topics, fold, positions, signal } = deps
  const journal = log.reader({ topic: topics.journal, partition: 0, offset: deps.fromOffset })
  const input = deps.input ?? new LogInput(log)
  const start = { nextLine: deps.fromLine, nextOffset: deps.fromOffset, term: 0, clock: 0, events: 0 }
  let followed: Omit<Followed, 'held'> = start
  let held = deps.held ?? null
  fold.decode.setTrusting(true)
  try {
    while (!signal.aborted) {
      const records = await journal.read(READ_ROWS)
      if (records.length === 0) {
        if (deps.atEnd !== undefined && (await deps.atEnd())) continue
        break
      }
      for (const record of records) {
        const line = codec.journalLine.decode(record.value!)
        if (line.line === deps.toLine || signal.aborted) return { ...followed, held }
        if (isVoid(line, followed.nextLine) || (followed === start && isAgain(line, followed.nextLine))) continue
        expectLine(line, followed.nextLine)
        if (held !== null) await deps.onSlice?.(held.slice, held.line)
        held = null
        const pause = followed === start ? undefined : deps.betweenLines?.({ ...followed, held })
        if (pause !== undefined) await pause
        if (line.control !== null) {
          await deps.onControl(line.control, line)
        } else if (line.pieces.length > 0) {
          const slice = await fillFromLine(line, input, deps.sliceOf)
          const folded = fold.run(slice)
          expectSame(line, slice, input)
          positions.advance(line.pieces)
          if (deps.isLastHeld === true) held = { slice: folded, line }
          else await deps.onSlice?.(folded, line)
        }
        followed = {
          nextLine: line.line + 1,
          nextOffset: record.offset + 1,
          term: Math.max(followed.term, line.term),
          clock: line.clock,
          events: followed.events + line.pieces.reduce((sum, piece) => sum + piece.count, 0),
        }
        positions.set(topics.journal, 0, followed.nextOffset)
        deps.onProgress?.(line.line, followed.events)
        deps.onLine?.({ ...followed, held })
      }
    }
    if (held !== null && deps.isLastHeld !== true && !signal.aborted) {
      await deps.onSlice?.(held.slice, held.line)
      held = null
    }
    return { ...followed, held }
  } finally {
    fold.decode.setTrusting(false)
    journal.close()
    input.close()
  }
}

async function fillFromLine(
  line: JournalLine,
  input: InputSource,
  sliceOf: (rows: number) => SliceBuffers,
): Promise<Parameters<Fold['run']>[0]> {
  const rows = line.pieces.reduce((sum, { first, last }) => sum + (last - first + 1), 0)
  const slice = sliceOf(rows)
  slice.line = line.line
  slice.clock = line.clock
  slice.clockFollowsEvents = false
  slice.notAfterMs = Number.POSITIVE_INFINITY
  slice.count = 0
  for (const piece of line.pieces) {
    for (const record of await input.read(piece, line.line)) {
      const row = slice.count++
      slice.topic[row] = record.topic
      slice.partition[row] = record.partition
      slice.offset[row] = record.offset
      slice.value[row] = record.value
      slice.rejection[row] = null
      slice.outcome[row] = piece.rejected.includes(record.offset) ? REJECTED : ACCEPTED
    }
  }
  return reached(slice)
}

/** The last line of a checkpoint, written a second time: a broker had confirmed it and forgot it. */
function isAgain(line: JournalLine, expected: number): boolean {
  return line.line === expected - 1
}

function expectLine(line: JournalLine, expected: number): void {
  if (line.line === expected) return
  throw new WeirError('REPLAY_MISMATCH', `journal line ${expected} is missing: line ${line.line} follows`, {
    where: `journal line ${expected}`,
    fix: 'Keep the data folder as it is and report this.',
  })
}

function expectSame(line: JournalLine, slice: SliceBuffers, input: InputSource): void {
  const now = piecesOf(slice)
  if (!input.holdsAll(line.line)) {
    // Pieces that lost their rejected records may have become one.
    const accepted = (pieces: readonly Piece[]): number => pieces.reduce((sum, { count }) => sum + count, 0)
    if (accepted(now) !== accepted(line.pieces))
      throw mismatch(line, line.pieces[0]!, accepted(line.pieces), accepted(now))
    return
  }
  for (const [i, piece] of line.pieces.entries()) {
    const same =
      now[i] !== undefined &&
      now[i].count === piece.count &&
      now[i].repeated.length === piece.repeated.length &&
      now[i].repeated.every((offset, at) => offset === piece.repeated[at])
    if (!same) throw mismatch(line, piece, piece.count, now[i]?.count ?? 0)
  }
}

function mismatch(line: JournalLine, piece: Piece, before: number, now: number): WeirError {
  return new WeirError(
    'REPLAY_MISMATCH',
    `the journal says ${before} records were accepted, the same records now give ${now}`,
    {
      where: `journal line ${line.line}, ${piece.topic}/${piece.partition} offsets ${piece.first} to ${piece.last}`,
      fix: 'The input, the build or the feature spec is not the one that wrote the journal.',
    },
  )
}
