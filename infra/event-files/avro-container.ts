import { createHash } from 'node:crypto'
import { inflateRawSync } from 'node:zlib'
import avro from 'avsc'
import { WeirError } from '#schemas/errors.ts'
import { avroType, checkEvolution } from '#schemas/evolution.ts'
import type { Label } from '#schemas/label.ts'
import type { Transaction } from '#schemas/transaction.ts'
import type { ReadEvent } from './event-format.ts'
import type { EventSource } from './read-events.ts'

const MAGIC = Buffer.from('Obj\u0001', 'latin1')
const SYNC_BYTES = 16
/** Of the header, and of one block, compressed or not; writers make blocks of some 64 KB. */
const PART_BYTES_MAX = 67_108_864

/**
 * An Avro object container file (Avro 1.11, "Object Container Files"), uncompressed or deflated, of transactions or of
 * labels in whatever version of their schema; the file says in which.
 */
export async function* readContainer({ input, name, codec }: EventSource): AsyncGenerator<readonly ReadEvent[]> {
  let rest: Buffer = Buffer.alloc(0)
  let header: Header | null = null
  let record = 0
  for await (const chunk of input as AsyncIterable<Buffer>) {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    if (header === null) {
      header = readHeader(rest, name, codec)
      if (header === null) continue
      rest = rest.subarray(header.bytes)
    }
    const events: ReadEvent[] = []
    rest = readBlocks(rest, header, events, record, name)
    record += events.length
    if (events.length > 0) yield events
    if (rest.length > PART_BYTES_MAX) throw unreadable('a part of it is too large', `${name}, after record ${record}`)
  }
  if (header === null) throw unreadable('it ends within its header', name)
  if (rest.length > 0) throw unreadable('it was cut off', `${name}, after record ${record}`)
}

/** Appends the events of every whole block, and gives the bytes that are left. */
function readBlocks(bytes: Buffer, header: Header, events: ReadEvent[], recordsBefore: number, name: string): Buffer {
  let rest = bytes
  for (;;) {
    const done = recordsBefore + events.length
    const block = readBlock(rest, header, `${name}, after record ${done}`)
    if (block === null) return rest
    for (const event of decodeBlock(block, header, done, name)) events.push(event)
    rest = rest.subarray(block.bytes)
  }
}

/** The beginning of a container file. The marker between blocks follows from the schema, so equal data is equal bytes. */
export function containerHeader(type: avro.Type): Buffer {
  const json = JSON.stringify(type.schema({ exportAttrs: true }))
  const meta = META.toBuffer({ 'avro.schema': Buffer.from(json), 'avro.codec': Buffer.from('null') })
  return Buffer.concat([MAGIC, meta, syncMarker(type)])
}

/** One block of `count` records, their bytes joined. */
export function containerBlock(type: avro.Type, count: number, records: Buffer): Buffer {
  return Buffer.concat([LONG.toBuffer(count), LONG.toBuffer(records.length), records, syncMarker(type)])
}

const META = avro.Type.forSchema({ type: 'map', values: 'bytes' })
const LONG = avro.Type.forSchema('long')

interface Header {
  readonly bytes: number
  readonly isLabel: boolean
  readonly isDeflated: boolean
  readonly reader: avro.Type
  readonly resolver: ReturnType<avro.Type['createResolver']>
  readonly sync: Buffer
}

interface Block {
  readonly bytes: number
  readonly count: number
  readonly data: Buffer
}

/** Null while it is not all there. */
function readHeader(bytes: Buffer, name: string, codec: EventSource['codec']): Header | null {
  const seen = Math.min(bytes.length, MAGIC.length)
  if (!bytes.subarray(0, seen).equals(MAGIC.subarray(0, seen))) throw unreadable('it does not begin like one', name)
  const decoded = tryDecode(META, bytes, MAGIC.length)
  if (decoded === null || bytes.length < decoded.offset + SYNC_BYTES) return null
  const meta = decoded.value as Readonly<Record<string, Buffer>>
  const end = decoded.offset + SYNC_BYTES
  const compression = meta['avro.codec']?.toString() ?? 'null'
  if (compression !== 'null' && compression !== 'deflate') throw unreadable('its compression is not known here', name)
  const { isLabel, writer } = schemaOf(meta['avro.schema']?.toString() ?? '', name)
  const reader = isLabel ? codec.label.type : codec.transaction.type
  checkEvolution(`the schema of ${name}`, reader, writer)
  return {
    bytes: end,
    isLabel,
    isDeflated: compression === 'deflate',
    reader,
    resolver: reader.createResolver(avroType(writer)),
    sync: bytes.subarray(decoded.offset, end),
  }
}

function schemaOf(json: string, name: string): { readonly isLabel: boolean; readonly writer: string } {
  try {
    const { name: recordName = '' } = JSON.parse(json) as { readonly name?: string }
    return { isLabel: recordName.split('.').at(-1) === 'Label', writer: json }
  } catch {
    throw unreadable('its schema is not JSON', name)
  }
}

/** Null while it is not all there. */
function readBlock(bytes: Buffer, header: Header, where: string): Block | null {
  const first = tryDecode(LONG, bytes, 0)
  const second = first === null ? null : tryDecode(LONG, bytes, first.offset)
  if (first === null || second === null) return null
  const [count, size] = [first.value as number, second.value as number]
  if (count < 0 || size < 0 || size > PART_BYTES_MAX) throw unreadable('a block is damaged', where)
  const end = second.offset + size
  if (bytes.length < end + SYNC_BYTES) return null
  if (!bytes.subarray(end, end + SYNC_BYTES).equals(header.sync)) throw unreadable('a block is damaged', where)
  const stored = bytes.subarray(second.offset, end)
  return { bytes: end + SYNC_BYTES, count, data: header.isDeflated ? inflated(stored, where) : stored }
}

function decodeBlock(block: Block, header: Header, recordsBefore: number, name: string): ReadEvent[] {
  const events: ReadEvent[] = []
  let at = 0
  for (let i = 1; i <= block.count; i++) {
    const where = `record ${recordsBefore + i}`
    const decoded = tryDecode(header.reader, block.data, at, header.resolver)
    if (decoded === null) throw unreadable('a record cannot be read in the schema of the file', `${name}, ${where}`)
    events.push(
      header.isLabel
        ? { kind: 'label', label: decoded.value as Label, where }
        : { kind: 'transaction', transaction: decoded.value as Transaction, where },
    )
    at = decoded.offset
  }
  if (at !== block.data.length)
    throw unreadable('a block holds more than its records', `${name}, after record ${recordsBefore + block.count}`)
  return events
}

/** Null where the bytes end too early or are no such value; what the library says may quote them, so it is dropped. */
function tryDecode(
  type: avro.Type,
  bytes: Buffer,
  at: number,
  resolver?: Header['resolver'],
): { readonly value: unknown; readonly offset: number } | null {
  try {
    const decoded = type.decode(bytes, at, resolver)
    return decoded.offset < 0 ? null : { value: decoded.value as unknown, offset: decoded.offset }
  } catch {
    return null
  }
}

function inflated(stored: Buffer, where: string): Buffer {
  try {
    return inflateRawSync(stored, { maxOutputLength: PART_BYTES_MAX })
  } catch {
    throw unreadable('a block cannot be decompressed', where)
  }
}

function syncMarker(type: avro.Type): Buffer {
  return createHash('sha256').update(JSON.stringify(type.schema())).digest().subarray(0, SYNC_BYTES)
}

function unreadable(problem: string, where: string): WeirError {
  return new WeirError('INPUT_INVALID', `not a whole Avro object container file: ${problem}`, {
    where,
    fix: 'Write or copy it again; --format says when the file holds something else.',
  })
}
