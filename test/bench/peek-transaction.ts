import { FRAME_BYTES } from '#schemas/wire-type.ts'

const SHORT_LENGTH_MAX = 63

/**
 * Id and time of a framed transaction or decision without decoding the rest: both begin with the id, then the time. Ids
 * of up to 63 bytes.
 */
export function peekTransaction(value: Buffer): { readonly id: string; readonly timeMs: number } {
  const length = value[FRAME_BYTES]! / 2
  if (length > SHORT_LENGTH_MAX) throw new RangeError('an id longer than a load makes them')
  const idAt = FRAME_BYTES + 1
  const timeAt = idAt + length
  let time = 0
  let factor = 1
  for (let at = timeAt; ; at++) {
    const byte = value[at]!
    time += (byte & 0x7f) * factor
    factor *= 128
    if (byte < 0x80) break
  }
  return { id: value.toString('latin1', idAt, timeAt), timeMs: time / 2 }
}
