import type { Log, LogReader } from '#infra/log/log.ts'
import type { Codec } from '#schemas/codec.ts'
import type { JournalLine } from '#schemas/journal.ts'
import { Samples } from './percentiles.ts'

const READ_ROWS = 4_096

/** Follows the journal as anybody may: how much was taken from the input so far, and by which line. */
export class JournalWatch {
  /** Records taken, whatever became of them. */
  taken = 0
  /** Of them not repeated and not rejected. */
  accepted = 0
  term = 0
  nextLine = 0
  /** What does not belong into a journal. */
  readonly problems: string[] = []
  /** `taken` after each line. */
  private readonly takenBy = new Samples()
  private readonly positions = new Map<string, number>()
  private readonly log: Log
  private readonly codec: Codec
  private readonly reader: LogReader
  private readonly stop = new AbortController()
  private readonly working: Promise<void>

  constructor(log: Log, codec: Codec, topic: string) {
    this.log = log
    this.codec = codec
    this.reader = log.reader({ topic, partition: 0, offset: 0 })
    this.working = this.work()
    this.working.catch(() => {})
  }

  /** Records taken through a line; of a line that was not read yet: all. */
  takenThrough(line: number): number {
    if (line < 0) return 0
    return line < this.takenBy.count ? this.takenBy.at(line) : this.taken
  }

  /** Offset in the journal's topic up to which everything was read. */
  get nextOffset(): number {
    return this.reader.position
  }

  /** Behind the last record of a partition that was taken. */
  positionOf(topic: string, partition: number): number {
    return this.positions.get(`${topic}/${partition}`) ?? 0
  }

  async close(): Promise<void> {
    this.stop.abort()
    await this.working
    this.reader.close()
  }

  private async work(): Promise<void> {
    for (let seen = -1; !this.stop.signal.aborted; ) {
      const records = await this.reader.read(READ_ROWS)
      for (const { value } of records) this.add(this.codec.journalLine.decode(value!))
      if (records.length === 0) seen = await this.log.changed(seen, this.stop.signal)
    }
  }

  private add(line: JournalLine): void {
    // A term that was taken without having seen the newest line: its owner found out and took another one.
    if (line.line < this.nextLine && line.control?.type === 'term') return
    if (line.line !== this.nextLine) this.problems.push(`line ${line.line} follows line ${this.nextLine - 1}`)
    if (line.term < this.term) this.problems.push(`line ${line.line} has term ${line.term} after term ${this.term}`)
    for (const { topic, partition, first, last, count } of line.pieces) {
      if (first !== this.positionOf(topic, partition)) {
        this.problems.push(`line ${line.line} takes ${topic}/${partition} from ${first} on`)
      }
      this.positions.set(`${topic}/${partition}`, last + 1)
      // Producers here write without transactions, so offsets of the input are dense.
      this.taken += last - first + 1
      this.accepted += count
    }
    this.nextLine = line.line + 1
    this.term = line.term
    this.takenBy.add(this.taken)
  }
}
