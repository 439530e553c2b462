import type { Store } from '#infra/clickhouse/store.ts'
import { COLUMNS, headerOf, type WrittenTable } from '#pipeline/record/rows.ts'
import { WeirError } from '#schemas/errors.ts'
import { readRows } from './clickhouse-rows.ts'

export interface Sent {
  readonly table: WrittenTable
  readonly token: string
  readonly bytes: Buffer
}

/** Tables in memory that keep what the recorder sends, each token once. */
export class BlockStore implements Store {
  /** In the order in which they came first. */
  readonly sent: Sent[] = []
  /** Every insert that was asked for, those that failed and those sent again included. */
  asked = 0
  /** So many inserts fail from now on: before they are done, or when they are. */
  failing = { before: 0, after: 0 }
  fault = new WeirError('STORE_UNAVAILABLE', 'the tables are away')
  /** Called with each insert before anything else. */
  onInsert: (table: string) => void = () => {}
  /** Called with the line of each progress that arrived. */
  onProgress: (line: number) => void = () => {}
  private readonly byToken = new Map<string, Sent>()

  rows(table: WrittenTable): Record<string, unknown>[] {
    const bytes = Buffer.concat(this.sent.filter((sent) => sent.table === table).map((sent) => sent.bytes))
    return readRows(COLUMNS[table], bytes)
  }

  /** What a row says of a line that an earlier version, or a person, wrote. */
  addProgress(line: number): void {
    this.older.push({ line, rows: 0 })
  }

  private readonly older: Record<string, unknown>[] = []

  async insert(...[name, , rows, token]: Parameters<Store['insert']>): Promise<void> {
    const table = name as WrittenTable
    this.asked++
    this.onInsert(table)
    if (this.failing.before-- > 0) throw this.fault
    const [header, bytes] = rows as readonly [Buffer, Buffer]
    if (!header.equals(headerOf(table))) throw new Error(`another header for ${table}`)
    const known = this.byToken.get(token)
    if (known === undefined) {
      const sent = { table, token, bytes: Buffer.from(bytes) }
      this.byToken.set(token, sent)
      this.sent.push(sent)
      if (table === 'weir.recorder_progress') this.onProgress(Number(readRows(COLUMNS[table], bytes)[0]!['line']))
    } else if (!known.bytes.equals(bytes) && table !== 'weir.recorder_progress') {
      throw new Error(`the block ${token} came with other rows`)
    }
    if (this.failing.after-- > 0) throw this.fault
  }

  async query(): ReturnType<Store['query']> {
    const none = { journal_offset: -1, decisions_offset: -1, alerts_offset: -1, rows_max: -1, clock_ms: -1 }
    const rows = [...this.older.map((row) => ({ ...none, ...row })), ...this.rows('weir.recorder_progress')]
    rows.sort((a, b) => Number((b as { line: unknown }).line) - Number((a as { line: unknown }).line))
    return { columns: [], rows: rows.slice(0, 1), truncated: false }
  }

  async command(): Promise<void> {}

  analystQuery(): ReturnType<Store['analystQuery']> {
    return Promise.reject(new Error('nobody asks here'))
  }

  async close(): Promise<void> {}
}
