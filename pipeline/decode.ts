import type { Tokenizer } from '#infra/tokenizer.ts'
import type { Codec } from '#schemas/codec.ts'
import { LABEL, writeLabel, writeTransaction } from '#schemas/event-columns.ts'
import { parseLabel, parseTransaction } from '#schemas/json-input.ts'
import { baseFactors, type RateTable } from '#schemas/rates.ts'
import { TransactionReader } from '#schemas/transaction-reader.ts'
import { FRAME_BYTES } from '#schemas/wire-type.ts'
import { type GuardLimits, guardLabel, guardTransaction, timeOutOfRange } from './guard.ts'
import {
  ACCEPTED,
  type Decoded,
  type Received,
  REJECTED,
  type Rejection,
  reached,
  type SliceBuffers,
  type Stage,
} from './slice.ts'

export interface DecodeDeps {
  readonly codec: Codec
  readonly tokenizer: Tokenizer
  readonly limits: GuardLimits
  readonly rates: RateTable
  readonly topics: { readonly transactions: string; readonly labels: string }
  readonly recordBytesMax: number
}

export interface Decode extends Stage<Received, Decoded> {
  /** Takes effect from the next slice on; named by a control line. */
  setRates(rates: RateTable): void
  /** Following a journal: what it accepted is accepted, the guard is not asked again. */
  setTrusting(trusting: boolean): void
  /**
   * Finds again why rows were rejected of which a journal says only that they were.
   *
   * @param notAfterMs latest time that an event could have then, epoch milliseconds
   */
  findReasons(slice: SliceBuffers, notAfterMs: number): void
}

/** Bytes to columns. What cannot be read, or makes no sense, is rejected with a reason and the stream goes on. */
export function createDecode(deps: DecodeDeps): Decode {
  const { codec, tokenizer, limits, topics, recordBytesMax } = deps
  const reader = new TransactionReader()
  let factors = baseFactors(deps.rates)
  let trusting = false

  function decode(slice: Received): Decoded {
    const notAfterMs = slice.notAfterMs
    slice.events.count = slice.count
    for (let row = 0; row < slice.count; row++) {
      if (slice.outcome[row] !== ACCEPTED) continue
      const rejection = rejectionOf(slice, row, notAfterMs)
      slice.rejection[row] = rejection
      if (rejection !== null) slice.outcome[row] = REJECTED
    }
    if (slice.clockFollowsEvents) slice.clock = latest(slice)
    return reached(slice)
  }

  function rejectionOf(slice: SliceBuffers, row: number, notAfterMs: number): Rejection | null {
    const value = slice.value[row]!
    return sizeProblem(value) ?? decodeRow(slice, row, value, notAfterMs)
  }

  function sizeProblem(value: Buffer | null): Rejection | null {
    if (value === null || value.length === 0) {
      return { reason: 'EMPTY_RECORD', field: '', detail: 'the record has no value' }
    }
    if (value.length > recordBytesMax) {
      return { reason: 'RECORD_TOO_LARGE', field: '', detail: `the record is larger than ${recordBytesMax} bytes` }
    }
    return null
  }

  function decodeRow(slice: SliceBuffers, row: number, value: Buffer, notAfterMs: number): Rejection | null {
    const isJson = value[0] === OPEN_BRACE
    if (slice.topic[row] === topics.labels) {
      const read = isJson ? fromJson(value, parseLabel) : codec.label.tryDecode(value)
      if (read === null) return codec.label.failure
      if ('reason' in read) return read
      const label = tokenizer.label(read)
      const problem = trusting ? null : guardLabel(label, notAfterMs, limits)
      if (problem === null) writeLabel(slice.events, row, label)
      return problem
    }
    const problem = isJson || !readPlainly(slice, row, value) ? readAnyhow(slice, row, value, isJson) : null
    return problem ?? finishTransaction(slice, row, notAfterMs)
  }

  /** The way of nearly all records: no object, no check for what cannot be. */
  function readPlainly(slice: SliceBuffers, row: number, value: Buffer): boolean {
    if (!codec.transaction.isCurrent(value) || !reader.read(value, FRAME_BYTES, slice.events, row)) return false
    slice.body[row] = value
    slice.bodyAt[row] = FRAME_BYTES
    return true
  }

  function readAnyhow(slice: SliceBuffers, row: number, value: Buffer, isJson: boolean): Rejection | null {
    const read = isJson ? fromJson(value, parseTransaction) : codec.transaction.tryDecode(value)
    if (read === null) return codec.transaction.failure
    if ('reason' in read) return read
    const transaction = tokenizer.transaction(read)
    writeTransaction(slice.events, row, transaction, Number.NaN)
    const isAsRead = transaction === read && !isJson && codec.transaction.isCurrent(value)
    slice.body[row] = isAsRead ? value : codec.transaction.type.toBuffer(transaction)
    slice.bodyAt[row] = isAsRead ? FRAME_BYTES : 0
    return null
  }

  function finishTransaction(slice: SliceBuffers, row: number, notAfterMs: number): Rejection | null {
    const { events } = slice
    const factor = factors.get(events.text.currency.at(row))
    events.amount_base[row] = factor === undefined ? Number.NaN : Math.round(events.amount[row]! * factor)
    return trusting ? null : guardTransaction(events, row, notAfterMs, limits)
  }

  return Object.assign(decode, {
    setRates(rates: RateTable): void {
      factors = baseFactors(rates)
    },
    setTrusting(value: boolean): void {
      trusting = value
    },
    findReasons(slice: SliceBuffers, notAfterMs: number): void {
      for (let row = 0; row < slice.count; row++) {
        if (slice.outcome[row] !== REJECTED) continue
        // Nothing but time runs on meanwhile.
        slice.rejection[row] = rejectionOf(slice, row, notAfterMs) ?? timeOutOfRange('event_time')
      }
    },
  })
}

const OPEN_BRACE = 0x7b

/** The largest event time or known_at of what was accepted, and never below what was seen before. */
function latest(slice: SliceBuffers): number {
  let clock = slice.clock
  const { kind, event_time, label_known_at } = slice.events
  for (let row = 0; row < slice.count; row++) {
    if (slice.outcome[row] !== ACCEPTED) continue
    const time = kind[row] === LABEL ? label_known_at[row]! : event_time[row]!
    if (time > clock) clock = time
  }
  return clock
}

function fromJson<T>(
  value: Buffer,
  parse: (input: unknown) => { ok: true; value: T } | { ok: false; field: string; problem: string },
): T | Rejection {
  let input: unknown
  try {
    input = JSON.parse(value.toString('utf8'))
  } catch {
    return { reason: 'NOT_DECODABLE', field: '', detail: 'the record is not valid JSON' }
  }
  const parsed = parse(input)
  if (parsed.ok) return parsed.value
  return { reason: 'WRONG_TYPE', field: parsed.field, detail: `field ${parsed.field}: ${parsed.problem}` }
}
