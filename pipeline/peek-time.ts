import type { Codec } from '#schemas/codec.ts'
import { FRAME_BYTES } from '#schemas/wire-type.ts'

/**
 * When a record happened or became known, epoch milliseconds, without decoding it where that can be avoided: in the
 * current schema event_time follows the first string. Unreadable records come first (-Infinity): they only become dead
 * letters.
 */
export function createPeekTime(codec: Codec, labelsTopic: string): (topic: string, value: Buffer | null) => number {
  return function peekTime(topic, value) {
    if (value === null || value.length <= FRAME_BYTES) return Number.NEGATIVE_INFINITY
    if (topic === labelsTopic) {
      return codec.label.tryDecode(value)?.known_at ?? jsonTime(value, 'known_at')
    }
    if (!codec.transaction.isCurrent(value)) {
      return codec.transaction.tryDecode(value)?.event_time ?? jsonTime(value, 'event_time')
    }
    const at = FRAME_BYTES + varintBytes(value, FRAME_BYTES) + varlong(value, FRAME_BYTES)
    return at < value.length ? varlong(value, at) : Number.NEGATIVE_INFINITY
  }
}

function varintBytes(value: Buffer, at: number): number {
  let n = 1
  while (at + n <= value.length && (value[at + n - 1]! & 0x80) !== 0) n++
  return n
}

/** Avro long: zig-zag, seven bits a byte, least significant first; exact below 2^53. */
function varlong(value: Buffer, at: number): number {
  let result = 0
  let scale = 1
  for (let i = at; i < value.length && i < at + 10; i++) {
    const byte = value[i]!
    result += (byte & 0x7f) * scale
    if ((byte & 0x80) === 0) break
    scale *= 128
  }
  return result % 2 === 0 ? result / 2 : -(result + 1) / 2
}

function jsonTime(value: Buffer, field: string): number {
  if (value[0] !== 0x7b) return Number.NEGATIVE_INFINITY
  try {
    const time = (JSON.parse(value.toString('utf8')) as Record<string, unknown>)[field]
    const ms = typeof time === 'string' ? Date.parse(time) : time
    return typeof ms === 'number' && Number.isFinite(ms) ? ms : Number.NEGATIVE_INFINITY
  } catch {
    return Number.NEGATIVE_INFINITY
  }
}
