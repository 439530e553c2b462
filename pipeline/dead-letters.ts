import type { DeadLetter } from '#schemas/dead-letter.ts'
import { WeirError } from '#schemas/errors.ts'
import { REJECTED, type SliceBuffers } from './slice.ts'

const MASKED_BYTES_MAX = 4_096
/** Digit runs of this length and more are masked: shorter ones cannot give a card number away. */
const RUN_DIGITS_MIN = 6

/** The dead letter of a rejected row: where it stood, why, and its bytes with digit runs masked. */
export function deadLetterOf(slice: SliceBuffers, row: number): DeadLetter {
  const rejection = slice.rejection[row]!
  const value = slice.value[row] ?? Buffer.alloc(0)
  return {
    topic: slice.topic[row]!,
    partition: slice.partition[row]!,
    offset: slice.offset[row]!,
    reason: rejection.reason,
    field: rejection.field,
    detail: rejection.detail,
    masked: maskDigits(value.subarray(0, MASKED_BYTES_MAX)),
    size_bytes: value.length,
    refused_at: slice.clock,
  }
}

/** A copy in which every run of digits (grouped by single spaces or dashes or not) is overwritten with `*`. */
export function maskDigits(bytes: Uint8Array): Buffer {
  const masked = Buffer.from(bytes)
  let i = 0
  while (i < masked.length) {
    if (!isDigit(masked[i]!)) {
      i++
      continue
    }
    const start = i
    let end = i
    let digits = 0
    while (i < masked.length) {
      if (isDigit(masked[i]!)) {
        digits++
        end = ++i
      } else if (isGroupMark(masked[i]!) && i + 1 < masked.length && isDigit(masked[i + 1]!)) {
        i++
      } else {
        break
      }
    }
    if (digits >= RUN_DIGITS_MIN) masked.fill(0x2a, start, end)
  }
  return masked
}

/** Stops the stream when nearly nothing can be read any more: a wrong deployment must not quietly empty a topic. */
export class DeadLetterLimit {
  private readonly inARowMax: number
  private inARow = 0

  constructor(inARowMax: number) {
    this.inARowMax = inARowMax
  }

  /**
   * @throws WeirError DEAD_LETTER_LIMIT after too many rejected records in a row
   */
  check(slice: SliceBuffers): void {
    for (let row = 0; row < slice.count; row++) {
      if (slice.outcome[row] !== REJECTED) {
        this.inARow = 0
        continue
      }
      if (++this.inARow < this.inARowMax) continue
      const rejection = slice.rejection[row]!
      throw new WeirError(
        'DEAD_LETTER_LIMIT',
        `${this.inARow} records in a row could not be accepted; the last one because ${rejection.detail}`,
        {
          where: `${slice.topic[row]}/${slice.partition[row]} offset ${slice.offset[row]}`,
          fix: 'Check what the producer writes; raise path.deadLettersInARowMax only if these records are expected.',
        },
      )
    }
  }
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39
}

function isGroupMark(byte: number): boolean {
  return byte === 0x20 || byte === 0x2d
}
