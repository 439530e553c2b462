import type { Codec, DecisionTail } from '#schemas/codec.ts'
import { VERDICTS } from '#schemas/decision.ts'
import { LABEL } from '#schemas/event-columns.ts'
import type { JournalLine } from '#schemas/journal.ts'
import { FRAME_BYTES, writeFrame } from '#schemas/wire-type.ts'
import { deadLetterOf } from './dead-letters.ts'
import { piecesOf } from './journal.ts'
import type { RecordToAppend } from './ports.ts'
import { ACCEPTED, type Explained, REJECTED, type SliceBuffers } from './slice.ts'
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

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

/** Encodes a finished slice: input that is not in the log yet, decisions, alerts, dead letters and the journal line. */
export function createCommit(deps: CommitDeps): (slice: Explained, term: number) => CommitUnit {
  const { codec, topics, intakePartition } = deps
  const tail: Mutable<DecisionTail> = {
    line: 0,
    index: 0,
    amount_base: 0,
    score: null,
    threshold: null,
    verdict: 'none',
    rule_hits: [],
    shadow_hits: [],
    list_hits: [],
    model_version: '',
    rules_version: '',
    spec_hash: deps.specHash,
    input_hash: '',
    degraded: '',
    explored: null,
    scored_at: 0,
  }
  const digits = Buffer.allocUnsafe(HASH_DIGITS)
  let estimateBytes = 1 << 16

  return function commit(slice, term) {
    const records: RecordToAppend[] = []
    const decisions = new Array<Uint8Array | undefined>(slice.count)
    const writer = new DecisionWriter(estimateBytes)
    for (let row = 0; row < slice.count; row++) {
      const partition = slice.partition[row]!
      if (partition === intakePartition) {
        records.push({ topic: slice.topic[row]!, partition, key: null, value: slice.value[row]! })
      }
      if (slice.outcome[row] === REJECTED) {
        const letter = deadLetterOf(slice, row)
        records.push({ topic: topics.deadLetters, partition: 0, key: null, value: codec.deadLetter.encode(letter) })
      }
      if (slice.outcome[row] !== ACCEPTED || slice.events.kind[row] === LABEL) continue
      fillTail(tail, slice, row, digits)
      const value = writer.write(codec, slice.body[row]!, tail)
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
    estimateBytes = Math.max(estimateBytes, writer.total)
    return { line, records, decisionOf: (row) => decisions[row] }
  }
}

function fillTail(tail: Mutable<DecisionTail>, slice: SliceBuffers, row: number, digits: Buffer): void {
  const score = slice.score[row]!
  const threshold = slice.threshold[row]!
  const explored = slice.explored[row]!
  const isScored = score === score
  tail.line = slice.line
  tail.index = row
  tail.amount_base = slice.events.amount_base[row]!
  tail.score = isScored ? score : null
  tail.threshold = threshold === threshold ? threshold : null
  tail.verdict = VERDICTS[slice.verdict[row]!]!
  tail.rule_hits = slice.ruleHits[row]!
  tail.shadow_hits = slice.shadowHits[row]!
  tail.list_hits = slice.listHits[row]!
  tail.model_version = isScored ? slice.modelVersion : ''
  tail.rules_version = slice.rulesVersion
  tail.input_hash = isScored ? inputHash(slice, row, digits) : ''
  tail.degraded = tail.verdict === 'none' ? '' : slice.degraded
  tail.explored = explored === explored ? explored : null
  tail.scored_at = slice.clock
}

/** 16 hex digits, put together in `digits`: numbers turned into text one by one take several times as long. */
export function inputHash(slice: SliceBuffers, row: number, digits: Buffer = Buffer.allocUnsafe(HASH_DIGITS)): string {
  let hi = slice.features.inputHashHi[row]!
  let lo = slice.features.inputHashLo[row]!
  for (let i = HASH_DIGITS / 2 - 1; i >= 0; i--) {
    digits[i] = hexDigit(hi & 0xf)
    digits[i + HASH_DIGITS / 2] = hexDigit(lo & 0xf)
    hi >>>= 4
    lo >>>= 4
  }
  return digits.toString('latin1', 0, HASH_DIGITS)
}

const HASH_DIGITS = 16

/** The character code of a digit from 0 to 15. */
function hexDigit(value: number): number {
  return value < 10 ? 0x30 + value : 0x57 + value
}

/** Writes decisions one behind the other into one allocation a slice; a second one when the guess was too small. */
class DecisionWriter {
  total = 0
  private buffer: Buffer
  private at = 0

  constructor(estimateBytes: number) {
    this.buffer = Buffer.allocUnsafe(estimateBytes)
  }

  write(codec: Codec, body: Uint8Array, tail: DecisionTail): Buffer {
    const start = this.at
    const bodyEnd = start + FRAME_BYTES + body.length
    if (bodyEnd <= this.buffer.length) {
      const end = codec.decisionTail.encode(tail, this.buffer, bodyEnd)
      if (end >= 0) {
        writeFrame(this.buffer, start, codec.decision.id)
        this.buffer.set(body, start + FRAME_BYTES)
        this.at = end
        this.total += end - start
        return this.buffer.subarray(start, end)
      }
    }
    this.buffer = Buffer.allocUnsafe(Math.max(this.buffer.length, (FRAME_BYTES + body.length + TAIL_BYTES_MAX) * 2))
    this.at = 0
    return this.write(codec, body, tail)
  }
}

/** Far above what a tail can need: hits are bounded by the rules file. */
const TAIL_BYTES_MAX = 1 << 16
