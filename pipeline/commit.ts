import type { Codec } from '#schemas/codec.ts'
import type { JournalLine } from '#schemas/journal.ts'
import { deadLetterOf } from './dead-letters.ts'
import { DecisionWriter, isDecided } from './decision-writer.ts'
import { piecesOf } from './journal.ts'
import type { RecordToAppend } from './ports.ts'
import { type Explained, REJECTED } from './slice.ts'
import type { Topics } from './topics.ts'

export interface CommitDeps {
  readonly codec: Codec
  readonly topics: Topics
  readonly specHash: string
  /** Input that came over the intake is appended by the same commit, under this partition. */
  readonly intakePartition: number | null
}

/** Everything one slice leaves behind, ready to be appended as one unit: it becomes visible whole or not at all. */
export interface CommitUnit {
  readonly line: JournalLine
  readonly records: readonly RecordToAppend[]
  /** Framed decision by row; undefined for rows that have none. */
  readonly decisionOf: (row: number) => Uint8Array | undefined
}

/** Encodes a finished slice: input that is not in the log yet, decisions, alerts, dead letters and the journal line. */
export function createCommit(deps: CommitDeps): (slice: Explained, term: number) => CommitUnit {
  const { codec, topics, intakePartition } = deps
  const writer = new DecisionWriter(codec.decision.id, deps.specHash)

  return function commit(slice, term) {
    const records: RecordToAppend[] = []
    const decisions = new Array<Uint8Array | undefined>(slice.count)
    writer.begin(slice)
    for (let row = 0; row < slice.count; row++) {
      const partition = slice.partition[row]!
      if (partition === intakePartition) {
        records.push({ topic: slice.topic[row]!, partition, key: null, value: slice.value[row]! })
      }
      if (slice.outcome[row] === REJECTED) {
        const letter = deadLetterOf(slice, row)
        records.push({ topic: topics.deadLetters, partition: 0, key: null, value: codec.deadLetter.encode(letter) })
      }
      if (!isDecided(slice, row)) continue
      const value = writer.write(slice, row)
      decisions[row] = value
      records.push({ topic: topics.decisions, partition: 0, key: null, value })
    }
    for (const alert of slice.alerts) {
      records.push({ topic: topics.alerts, partition: 0, key: null, value: codec.alert.encode(alert) })
    }
    const line = {
      line: slice.line,
      term,
      clock: slice.clock,
      pieces: piecesOf(slice),
      control: null,
      alerts: slice.alerts.length,
    }
    records.push({ topic: topics.journal, partition: 0, key: null, value: codec.journalLine.encode(line) })
    return { line, records, decisionOf: (row) => decisions[row] }
  }
}
