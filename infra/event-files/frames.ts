import { WeirError } from '#schemas/errors.ts'
import type { ReadEvent } from './event-format.ts'
import type { EventSource } from './read-events.ts'

/** Before each record: its length, unsigned, big-endian. */
export const LENGTH_BYTES = 4
const RECORD_BYTES_MAX = 1_048_576

export async function* readFrames({ input, name, codec }: EventSource): AsyncGenerator<readonly ReadEvent[]> {
  let rest: Buffer = Buffer.alloc(0)
  let record = 0
  for await (const chunk of input as AsyncIterable<Buffer>) {
    const bytes: Buffer = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    const events: ReadEvent[] = []
    let at = 0
    while (bytes.length - at >= LENGTH_BYTES) {
      const length = bytes.readUInt32BE(at)
      if (length > RECORD_BYTES_MAX) throw notFrames(name, record + 1)
      if (bytes.length - at - LENGTH_BYTES < length) break
      const value = bytes.subarray(at + LENGTH_BYTES, at + LENGTH_BYTES + length)
      events.push(decode(value, `record ${++record}`))
      at += LENGTH_BYTES + length
    }
    rest = bytes.subarray(at)
    if (events.length > 0) yield events
  }
  if (rest.length > 0) {
    throw new WeirError('INPUT_INVALID', 'the file ends in the middle of a record', {
      where: `${name} record ${record + 1}`,
      fix: 'Write or copy it again.',
    })
  }

  function decode(value: Buffer, where: string): ReadEvent {
    const isLabel = value.length > LENGTH_BYTES && value.readUInt32BE(1) === codec.label.id
    if (isLabel) {
      const label = codec.label.tryDecode(value)
      if (label !== null) return { kind: 'label', label, where }
      return { kind: 'problem', field: codec.label.failure.field, problem: codec.label.failure.detail, where }
    }
    const transaction = codec.transaction.tryDecode(value)
    if (transaction !== null) return { kind: 'transaction', transaction, where }
    return { kind: 'problem', field: codec.transaction.failure.field, problem: codec.transaction.failure.detail, where }
  }
}

function notFrames(name: string, record: number): WeirError {
  return new WeirError('INPUT_INVALID', `a record of more than ${RECORD_BYTES_MAX} bytes is announced`, {
    where: `${name} record ${record}`,
    fix: 'The file is no sequence of length-prefixed records (4 bytes, big-endian), or is damaged there.',
  })
}
