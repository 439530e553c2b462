import type avro from 'avsc'
import type { Codec } from '#schemas/codec.ts'
import type { Label } from '#schemas/label.ts'
import { type Transaction, TRANSACTION_DEFAULTS } from '#schemas/transaction.ts'
import { containerBlock, containerHeader } from './avro-container.ts'
import { csvLine, LABEL_COLUMNS, TRANSACTION_COLUMNS } from './csv.ts'
import type { EventFormat } from './event-format.ts'
import { LENGTH_BYTES } from './frames.ts'

/** Writes events of one kind. `add` gathers; when it gives true it is time for `flush`. */
export interface EventWriter<T> {
  add(event: T): boolean
  flush(): Promise<void>
  /** Writes what is left; the stream below stays open. */
  finish(): Promise<void>
}

export interface EventWriterOptions {
  readonly format: EventFormat
  readonly codec: Codec
  /** Takes bytes; resolves when there is room for more. */
  readonly write: (bytes: Buffer) => Promise<void>
}

export function createTransactionWriter(options: EventWriterOptions): EventWriter<Transaction> {
  const { transaction } = options.codec
  const columns = TRANSACTION_COLUMNS
  return createWriter(options, { wire: transaction, columns, toJson: withoutDefaults })
}

export function createLabelWriter(options: EventWriterOptions): EventWriter<Label> {
  return createWriter(options, { wire: options.codec.label, columns: LABEL_COLUMNS, toJson: (label) => label })
}

interface Shape<T> {
  readonly wire: { readonly type: avro.Type; encode(value: T): Buffer }
  readonly columns: readonly string[]
  readonly toJson: (value: T) => object
}

const FLUSH_BYTES = 65_536

function createWriter<T extends object>({ format, write }: EventWriterOptions, shape: Shape<T>): EventWriter<T> {
  const { type } = shape.wire
  let parts: Buffer[] = []
  let bytes = 0
  let isBegun = false

  function encode(event: T): Buffer {
    if (format === 'jsonl') return Buffer.from(`${JSON.stringify(shape.toJson(event))}\n`)
    if (format === 'csv') return Buffer.from(csvLine(event, shape.columns))
    return format === 'avro' ? type.toBuffer(event) : framed(shape.wire.encode(event))
  }

  /** What stands before the first event, also of an empty file. */
  function header(): Buffer {
    if (format === 'csv') return Buffer.from(`${shape.columns.join(',')}\n`)
    return format === 'avro' ? containerHeader(type) : Buffer.alloc(0)
  }

  async function flush(): Promise<void> {
    const gathered = Buffer.concat(parts)
    const body = format === 'avro' && parts.length > 0 ? containerBlock(type, parts.length, gathered) : gathered
    const out = isBegun ? body : Buffer.concat([header(), body])
    isBegun = true
    parts = []
    bytes = 0
    if (out.length > 0) await write(out)
  }

  return {
    add(event) {
      const encoded = encode(event)
      parts.push(encoded)
      bytes += encoded.length
      return bytes >= FLUSH_BYTES
    },
    flush,
    finish: flush,
  }
}

function framed(value: Buffer): Buffer {
  const frame = Buffer.allocUnsafe(LENGTH_BYTES + value.length)
  frame.writeUInt32BE(value.length)
  value.copy(frame, LENGTH_BYTES)
  return frame
}

/** People read these lines: fields that were not given are not there. */
function withoutDefaults(transaction: Transaction): object {
  const given: Record<string, unknown> = {}
  for (const [field, value] of Object.entries(transaction)) {
    const fallback = (TRANSACTION_DEFAULTS as Partial<Record<string, unknown>>)[field]
    const isEmptyMap = typeof value === 'object' && value !== null && Object.keys(value as object).length === 0
    if (value !== fallback && !isEmptyMap) given[field] = value
  }
  return given
}
