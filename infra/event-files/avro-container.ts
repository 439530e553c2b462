import { createHash } from 'node:crypto'
import avro from 'avsc'
import { messageOf, WeirError } from '#schemas/errors.ts'
import { avroType, checkEvolution } from '#schemas/evolution.ts'
import type { Label } from '#schemas/label.ts'
import type { Transaction } from '#schemas/transaction.ts'
import type { ReadEvent } from './event-format.ts'
import type { EventSource } from './read-events.ts'

const BATCH_RECORDS = 500
const MAGIC = Buffer.from('Obj\u0001', 'latin1')

/**
 * An Avro object container file (Avro 1.11, "Object Container Files"), uncompressed or deflated, of transactions or of
 * labels in whatever version of their schema; the file says in which.
 */
export async function* readContainer({ input, name, codec }: EventSource): AsyncGenerator<readonly ReadEvent[]> {
  let isLabel = false
  let resolver: ReturnType<avro.Type['createResolver']> | undefined
  let failure: WeirError | null = null
  const decoder = new avro.streams.BlockDecoder({
    parseHook(schema: avro.Schema) {
      const json = JSON.stringify(schema)
      isLabel = (schema as { readonly name?: string }).name === 'Label'
      const type = isLabel ? codec.label.type : codec.transaction.type
      try {
        checkEvolution(`the schema of ${name}`, type, json)
        const writer = avroType(json)
        resolver = type.createResolver(writer)
        return writer
      } catch (error) {
        failure = error as WeirError
        throw error
      }
    },
    // Records come as bytes and are resolved here, so that one that cannot be read is a problem and not the end.
    noDecode: true,
  } as Partial<avro.DecoderOptions>)
  let events: ReadEvent[] = []
  let record = 0
  try {
    for await (const bytes of input.pipe(decoder) as unknown as AsyncIterable<Buffer>) {
      events.push(decode(bytes, `record ${++record}`))
      if (events.length < BATCH_RECORDS) continue
      yield events
      events = []
    }
  } catch (cause) {
    throw failure ?? unreadable(cause, name, record)
  } finally {
    input.unpipe(decoder)
  }
  if (events.length > 0) yield events

  function decode(bytes: Buffer, where: string): ReadEvent {
    const type = isLabel ? codec.label.type : codec.transaction.type
    try {
      const value: unknown = type.fromBuffer(bytes, resolver)
      return isLabel
        ? { kind: 'label', label: value as Label, where }
        : { kind: 'transaction', transaction: value as Transaction, where }
    } catch {
      // What the library says may quote the bytes, so it is not passed on.
      return { kind: 'problem', field: '(record)', problem: 'cannot be read in the schema of the file', where }
    }
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

function syncMarker(type: avro.Type): Buffer {
  return createHash('sha256').update(JSON.stringify(type.schema())).digest().subarray(0, 16)
}

function unreadable(cause: unknown, name: string, record: number): WeirError {
  return new WeirError('INPUT_INVALID', `not a whole Avro object container file: ${messageOf(cause)}`, {
    where: `${name}, after record ${record}`,
    fix: 'Write or copy it again; --format says when the file holds something else.',
  })
}
