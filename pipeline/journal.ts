import type { JournalLine, Piece } from '#schemas/journal.ts'
import type { RecordToAppend } from './ports.ts'
import { REJECTED, REPEATED, type SliceBuffers } from './slice.ts'
import type { Topics } from './topics.ts'

/** What a slice took from the input, as its journal line says it: one piece per run of neighbouring offsets. */
export function piecesOf(slice: SliceBuffers): Piece[] {
  const pieces: Piece[] = []
  let row = 0
  while (row < slice.count) {
    const topic = slice.topic[row]!
    const partition = slice.partition[row]!
    const first = slice.offset[row]!
    const rejected: number[] = []
    const repeated: number[] = []
    let last = first
    let rows = 0
    do {
      last = slice.offset[row]!
      if (slice.outcome[row] === REJECTED) rejected.push(last)
      else if (slice.outcome[row] === REPEATED) repeated.push(last)
      rows++
      row++
    } while (
      row < slice.count &&
      slice.topic[row] === topic &&
      slice.partition[row] === partition &&
      slice.offset[row]! > last
    )
    pieces.push({ topic, partition, first, last, count: rows - rejected.length - repeated.length, rejected, repeated })
  }
  return pieces
}

/**
 * A term that somebody took without having seen the newest line: the owner before wrote once more in between. Whoever
 * wrote it finds the same, and takes the next term after this one.
 */
export function isVoid(line: JournalLine, expected: number): boolean {
  return line.control?.type === 'term' && line.line < expected
}

/** Next offset to be taken, by topic and partition. */
export class Positions {
  private readonly next = new Map<string, { topic: string; partition: number; offset: number }>()

  of(topic: string, partition: number): number {
    return this.next.get(key(topic, partition))?.offset ?? 0
  }

  has(topic: string, partition: number): boolean {
    return this.next.has(key(topic, partition))
  }

  advance(pieces: readonly Piece[]): void {
    for (const { topic, partition, last } of pieces) this.set(topic, partition, last + 1)
  }

  /**
   * Where journal, alerts and decisions go on behind a unit that was appended: a checkpoint says so, since lines are not
   * offsets everywhere.
   */
  advanceOver(topics: Topics, records: readonly RecordToAppend[], offsets: readonly number[]): void {
    let seen = ''
    for (let i = records.length - 1; i >= 0; i--) {
      const { topic } = records[i]!
      if (topic === seen) continue
      seen = topic
      if (topic !== topics.journal && topic !== topics.alerts && topic !== topics.decisions) continue
      this.set(topic, 0, offsets[i]! + 1)
      // Line and alerts stand behind the decisions.
      if (topic === topics.decisions) return
    }
  }

  set(topic: string, partition: number, offset: number): void {
    this.next.set(key(topic, partition), { topic, partition, offset })
  }

  list(): readonly { readonly topic: string; readonly partition: number; readonly offset: number }[] {
    return [...this.next.values()].map((position) => ({ ...position }))
  }
}

function key(topic: string, partition: number): string {
  return `${topic}/${partition}`
}
