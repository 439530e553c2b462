import { WeirError } from '#schemas/errors.ts'
import { parseLabel, parseTransaction } from '#schemas/json-input.ts'
import type { ReadEvent } from './event-format.ts'
import type { EventSource } from './read-events.ts'

/** A line longer than this is not read on: no event is a hundredth of it. */
const LINE_BYTES_MAX = 1_048_576
const NEWLINE = 0x0a

export async function* readJsonLines({ input, name }: EventSource): AsyncGenerator<readonly ReadEvent[]> {
  let rest: Buffer = Buffer.alloc(0)
  let line = 0
  for await (const chunk of input as AsyncIterable<Buffer>) {
    const bytes = rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([rest, Buffer.from(chunk)])
    const events: ReadEvent[] = []
    let from = 0
    for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, from)) {
      pushEvent(events, bytes.toString('utf8', from, end), ++line)
      from = end + 1
    }
    rest = bytes.subarray(from)
    if (rest.length > LINE_BYTES_MAX) {
      throw new WeirError('INPUT_INVALID', `a line is longer than ${LINE_BYTES_MAX} bytes`, {
        where: `${name} line ${line + 1}`,
        fix: 'Write one JSON object a line.',
      })
    }
    if (events.length > 0) yield events
  }
  const last: ReadEvent[] = []
  pushEvent(last, rest.toString('utf8'), line + 1)
  if (last.length > 0) yield last
}

/** An object as an event: with a field `fraud` it is a label. */
export function toEvent(object: unknown, where: string): ReadEvent {
  if (typeof object === 'object' && object !== null && 'fraud' in object) {
    const parsed = parseLabel(object)
    return parsed.ok ? { kind: 'label', label: parsed.value, where } : { kind: 'problem', ...parsed, where }
  }
  const parsed = parseTransaction(object)
  return parsed.ok ? { kind: 'transaction', transaction: parsed.value, where } : { kind: 'problem', ...parsed, where }
}

function pushEvent(events: ReadEvent[], text: string, line: number): void {
  if (text.trim() === '') return
  const where = `line ${line}`
  let object: unknown
  try {
    object = JSON.parse(text)
  } catch {
    events.push({ kind: 'problem', field: '(record)', problem: 'is not valid JSON', where })
    return
  }
  events.push(toEvent(object, where))
}
