import type { JournalLine } from '#schemas/journal.ts'
import type { RecordedTable } from './rows.ts'

export interface BlockLimits {
  /** A block closes at the first line at which it holds so many events. */
  readonly rowsMax: number
  /** Or at which the journal's clock has moved so far since its first line, milliseconds. */
  readonly clockMs: number
}

/** Rows of a run of journal lines, as they are sent to ClickHouse: one insert a table. */
export interface Block {
  readonly firstLine: number
  readonly lastLine: number
  readonly rows: number
  readonly tables: ReadonlyMap<RecordedTable, TableRows>
}

export interface TableRows {
  readonly rows: number
  /** Tab-separated lines, UTF-8. */
  readonly tsv: Buffer
}

/** Token under which a table's part of the block counts once, however often it is sent. */
export function blockToken(block: Block, table: string): string {
  return `${table}:${block.firstLine}-${block.lastLine}`
}

/**
 * Cuts the journal into blocks. Where a block ends follows from the lines alone, so that after any crash exactly the same
 * blocks are sent again: at so many rows, after so much of the journal's clock, or at a line without input (a control
 * line, or the line that an idle process writes so that what came last does not wait).
 */
export class BlockBuilder {
  private readonly limits: BlockLimits
  private firstLine = -1
  private firstClock = 0
  private rows = 0
  private tables = new Map<RecordedTable, GrowingRows>()

  constructor(limits: BlockLimits) {
    this.limits = limits
  }

  get isEmpty(): boolean {
    return this.firstLine < 0
  }

  add(table: RecordedTable, row: string): void {
    let rows = this.tables.get(table)
    if (rows === undefined) {
      rows = new GrowingRows()
      this.tables.set(table, rows)
    }
    rows.add(row)
    this.rows++
  }

  /** Ends a line whose rows were added; the finished block, or null while it stays open. */
  endLine(line: JournalLine): Block | null {
    if (this.firstLine < 0) {
      this.firstLine = line.line
      this.firstClock = line.clock
    }
    const isFull = this.rows >= this.limits.rowsMax
    const isOld = line.clock - this.firstClock >= this.limits.clockMs
    if (!isFull && !isOld && line.pieces.length > 0) return null
    const tables = new Map([...this.tables].map(([table, rows]) => [table, rows.done()]))
    const block = { firstLine: this.firstLine, lastLine: line.line, rows: this.rows, tables }
    this.firstLine = -1
    this.rows = 0
    this.tables = new Map()
    return block
  }
}

const ROWS_A_CHUNK = 64

/**
 * Rows become bytes a few at a time: thousands of texts kept until a block closes would age in the heap, and joining them
 * all at once would hold up the event loop.
 */
class GrowingRows {
  private count = 0
  private text = ''
  private readonly chunks: Buffer[] = []

  add(row: string): void {
    this.text += row
    if (++this.count % ROWS_A_CHUNK === 0) this.flush()
  }

  done(): TableRows {
    this.flush()
    return { rows: this.count, tsv: Buffer.concat(this.chunks) }
  }

  private flush(): void {
    this.chunks.push(Buffer.from(this.text))
    this.text = ''
  }
}
