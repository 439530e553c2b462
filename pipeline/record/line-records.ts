import { WeirError } from '#schemas/errors.ts'
import type { Stream } from './stream.ts'

/** Where records become rows. What was written last can be taken back until it is kept. */
export interface RowSink {
  /** Place in the journal of the record written last. */
  readonly line: number
  readonly index: number
  write(value: Buffer): void
  keep(): void
  undo(): void
}

interface Early {
  /** Of the first of them. */
  readonly offset: number
  readonly byIndex: Map<number, Buffer>
}

/** Records of later lines held while an earlier one is not complete; far above what a few lines under way can have. */
const EARLY_MAX = 200_000
/** Rows written before the event loop gets a turn: about a millisecond. */
const ROWS_A_TURN = 128

/**
 * Records of one topic by the journal line they belong to. Each line's are there once and in order; only where a log makes
 * records visible one by one may some come again, after a crash, or behind those of a later line. A line's records that
 * come again begin anew from its first one, so whatever is not above the last one kept is a repeat.
 */
export class LineRecords {
  private readonly stream: Stream
  private readonly sink: RowSink
  private readonly early = new Map<number, Early>()
  private earlyCount = 0
  private doneLine = -1
  private doneIndex = -1
  private rowsThisTurn = 0

  constructor(stream: Stream, sink: RowSink) {
    this.stream = stream
    this.sink = sink
  }

  /** Where to begin reading to meet everything that was not kept yet. */
  get resumeOffset(): number {
    let offset = this.stream.position
    for (const early of this.early.values()) offset = Math.min(offset, early.offset)
    return offset
  }

  /**
   * Writes the rows of a line.
   *
   * @param expected how many there are; null where nobody says: then all that are there now
   * @param more waits for further records; false when they will not be waited for any longer
   * @returns false when `more` gave up
   * @throws WeirError LOG_DAMAGED when there are more or fewer than expected
   */
  async take(line: number, expected: number | null, more: () => Promise<boolean>): Promise<boolean> {
    const { stream, sink } = this
    let kept = 0
    let lastIndex = -1
    for (const [index, value] of this.earlyOf(line)) {
      sink.write(value)
      sink.keep()
      kept++
      lastIndex = index
    }
    const enough = expected ?? Number.POSITIVE_INFINITY
    while (kept < enough) {
      const record = stream.next ?? (await stream.peek())
      if (record === null) {
        if (expected === null) break
        if (!(await more())) return false
        continue
      }
      sink.write(record.value!)
      if (sink.line === line && sink.index > lastIndex) {
        sink.keep()
        kept++
        lastIndex = sink.index
      } else {
        sink.undo()
        if (sink.line > line) {
          if (expected === null) break
          this.hold(record.offset, record.value!)
        } else if (sink.line === this.doneLine && sink.index > this.doneIndex) {
          throw surplus(stream.topic, sink.line)
        }
      }
      stream.take()
      if (++this.rowsThisTurn % ROWS_A_TURN === 0) await nextTurn()
    }
    this.doneLine = line
    this.doneIndex = kept === 0 ? -1 : lastIndex
    return true
  }

  private earlyOf(line: number): (readonly [number, Buffer])[] {
    const early = this.early.get(line)
    if (early === undefined) return []
    this.early.delete(line)
    this.earlyCount -= early.byIndex.size
    return [...early.byIndex].sort(([a], [b]) => a - b)
  }

  private hold(offset: number, value: Buffer): void {
    const { line, index } = this.sink
    let early = this.early.get(line)
    if (early === undefined) {
      early = { offset, byIndex: new Map() }
      this.early.set(line, early)
    }
    if (early.byIndex.has(index)) return
    early.byIndex.set(index, value)
    if (++this.earlyCount <= EARLY_MAX) return
    throw new WeirError('LOG_DAMAGED', `records of an earlier journal line than ${line} are missing`, {
      where: `${this.stream.topic} offset ${offset}`,
      fix: 'They were committed and are gone: restore the topic, or the tables, from a backup.',
    })
  }
}

export function missing(topic: string, line: number): WeirError {
  return new WeirError('LOG_DAMAGED', `journal line ${line} counts more records than the log has`, {
    where: topic,
    fix: 'They were committed and are gone: restore the log from a backup.',
  })
}

function surplus(topic: string, line: number): WeirError {
  return new WeirError('LOG_DAMAGED', `the log has more records of journal line ${line} than it counts`, {
    where: topic,
    fix: 'Does a second service write to these topics? Give it other ones.',
  })
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
