import { WeirError } from '#schemas/errors.ts'
import type { Piece } from '#schemas/journal.ts'
import type { Log, LogReader, LogRecord } from './ports.ts'
import { readKnown } from './read-known.ts'

/** Where what the journal names is read again. Lines are asked for in order, and their pieces too. */
export interface InputSource {
  /** Whether it gives all records of a line, or only those that were accepted. */
  holdsAll(line: number): boolean
  /** @throws WeirError REPLAY_MISMATCH where there is less than the journal says */
  read(piece: Piece, line: number): Promise<readonly LogRecord[]>
  close(): void
}

/** Records of pieces, read ahead in their partition's order. */
export class LogInput implements InputSource {
  private readonly log: Log
  private readonly open = new Map<string, { reader: LogReader; records: readonly LogRecord[]; at: number }>()

  constructor(log: Log) {
    this.log = log
  }

  holdsAll(): boolean {
    return true
  }

  async read(piece: Piece): Promise<readonly LogRecord[]> {
    const key = `${piece.topic}/${piece.partition}`
    let source = this.open.get(key)
    if (source === undefined) {
      const reader = this.log.reader({ topic: piece.topic, partition: piece.partition, offset: piece.first })
      source = { reader, records: [], at: 0 }
      this.open.set(key, source)
    }
    const taken: LogRecord[] = []
    for (;;) {
      if (source.at >= source.records.length) {
        source.records = await readKnown(this.log, source.reader)
        source.at = 0
        if (source.records.length === 0) throw missing(piece)
      }
      const record = source.records[source.at]!
      if (record.offset > piece.last) break
      source.at++
      if (record.offset >= piece.first) taken.push(record)
      if (record.offset === piece.last) break
    }
    return taken
  }

  close(): void {
    for (const { reader } of this.open.values()) reader.close()
  }
}

function missing(piece: Piece): WeirError {
  return new WeirError('REPLAY_MISMATCH', 'input that the journal names is not in the log', {
    where: `${piece.topic}/${piece.partition} offsets ${piece.first} to ${piece.last}`,
    fix: 'It was deleted, or the log is another one than the journal speaks of: restore the topic, name the right brokers, or replay it from ClickHouse.',
  })
}
