import { RowBuffer } from '#infra/clickhouse/row-binary.ts'
import type { JournalLine } from '#schemas/journal.ts'
import type { RecordedTable } from './rows.ts'

export interface BlockLimits {
  /** A block closes at the first line at which it holds so many rows. */
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
  /** What it was cut by. */
  readonly limits: BlockLimits
}

export interface TableRows {
  readonly rows: number
  /** RowBinary. */
  readonly bytes: Buffer
}

/** Token under which a table's part of the block counts once, however often it is sent. */
export function blockToken(block: Block, table: string): string {
  return `${table}:${block.firstLine}-${block.lastLine}`
}

/** Rows of one table in the block that is being built. */
export class OpenRows {
  readonly buffer: RowBuffer
  rows = 0

  constructor(capacity: number) {
    this.buffer = new RowBuffer(capacity)
  }
}

/**
 * Cuts the journal into blocks. Where a block ends follows from the lines alone, so that after any crash exactly the same
 * blocks are sent again: at so many rows, after so much of the journal's clock, or at a line without input (a control
 * line, or the line that an idle process writes so that what came last does not wait).
 */
export class BlockBuilder {
  private limits: BlockLimits
  private readonly nextLimits: BlockLimits
  private firstLine = -1
  private firstClock = 0
  private tables = new Map<RecordedTable, OpenRows>()
  /** Bytes of each table's last block: the next one will need about as many. */
  private readonly bytesBefore = new Map<RecordedTable, number>()

  /**
   * @param firstLimits of the first block, where it may have been sent before under other limits: it must come out as it was
   */
  constructor(limits: BlockLimits, firstLimits: BlockLimits = limits) {
    this.limits = firstLimits
    this.nextLimits = limits
  }

  get isEmpty(): boolean {
    return this.firstLine < 0
  }

  /** Where rows of a table are written; each is counted there when it is whole. */
  open(table: RecordedTable): OpenRows {
    let rows = this.tables.get(table)
    if (rows === undefined) {
      rows = new OpenRows(((this.bytesBefore.get(table) ?? 0) * 9) >> 3)
      this.tables.set(table, rows)
    }
    return rows
  }

  /** Ends a line whose rows were added; the finished block, or null while it stays open. */
  endLine(line: JournalLine): Block | null {
    if (this.firstLine < 0) {
      this.firstLine = line.line
      this.firstClock = line.clock
    }
    const { limits, firstLine } = this
    let rows = 0
    for (const open of this.tables.values()) rows += open.rows
    const isFull = rows >= limits.rowsMax
    const isOld = line.clock - this.firstClock >= limits.clockMs
    if (!isFull && !isOld && line.pieces.length > 0) return null
    const tables = new Map<RecordedTable, TableRows>()
    for (const [table, open] of this.tables) {
      const bytes = open.buffer.done()
      this.bytesBefore.set(table, bytes.length)
      if (open.rows > 0) tables.set(table, { rows: open.rows, bytes })
    }
    this.firstLine = -1
    this.tables = new Map()
    this.limits = this.nextLimits
    return { firstLine, lastLine: line.line, rows, tables, limits }
  }
}
