import { WeirError } from '#schemas/errors.ts'

/** Columns of a table in the order in which its rows are written: name and ClickHouse type. */
export type Columns = Readonly<Record<string, string>>

/** Writes one value of a column's type. */
export type ValueWriter = (rows: RowBuffer, value: unknown) => void

const CAPACITY_MIN = 4_096
const TWO_32 = 4_294_967_296

/**
 * Rows in ClickHouse's RowBinary format, in one growing buffer: integers and floats little-endian, texts with their length
 * as LEB128 before them.
 */
export class RowBuffer {
  length = 0
  private bytes: Buffer

  constructor(capacity = CAPACITY_MIN) {
    this.bytes = Buffer.allocUnsafeSlow(Math.max(capacity, CAPACITY_MIN))
  }

  byte(value: number): void {
    if (this.length === this.bytes.length) this.grow(1)
    this.bytes[this.length++] = value
  }

  varint(value: number): void {
    let rest = value
    while (rest > 0x7f) {
      this.byte((rest & 0x7f) | 0x80)
      rest = rest > 0x7fff_ffff ? Math.floor(rest / 128) : rest >>> 7
    }
    this.byte(rest)
  }

  uint32(value: number): void {
    this.reserve(4)
    const { bytes, length: at } = this
    bytes[at] = value
    bytes[at + 1] = value >>> 8
    bytes[at + 2] = value >>> 16
    bytes[at + 3] = value >>> 24
    this.length = at + 4
  }

  /** Whole numbers up to 2^53 either way, as Int64 or UInt64. */
  int64(value: number): void {
    const high = Math.floor(value / TWO_32)
    this.uint32(value - high * TWO_32)
    this.uint32(high)
  }

  float32(value: number): void {
    this.reserve(4)
    this.length = this.bytes.writeFloatLE(value, this.length)
  }

  float64(value: number): void {
    this.reserve(8)
    this.length = this.bytes.writeDoubleLE(value, this.length)
  }

  text(value: string): void {
    const bytes = Buffer.byteLength(value)
    this.varint(bytes)
    this.reserve(bytes)
    this.length += this.bytes.write(value, this.length, bytes)
  }

  /**
   * The buffer itself, with room for so many bytes behind `length`; whoever writes there sets `length` to where it ends.
   */
  room(bytes: number): Buffer {
    this.reserve(bytes)
    return this.bytes
  }

  /** Takes back what was written from `length` on. */
  truncate(length: number): void {
    this.length = length
  }

  /** A view of what was written. */
  done(): Buffer {
    return this.bytes.subarray(0, this.length)
  }

  private reserve(bytes: number): void {
    if (this.length + bytes > this.bytes.length) this.grow(bytes)
  }

  private grow(bytes: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.max(this.bytes.length * 2, this.length + bytes))
    this.bytes.copy(larger, 0, 0, this.length)
    this.bytes = larger
  }
}

/**
 * What stands before the rows of RowBinaryWithNamesAndTypes. The engine compares it with the table, so that rows of
 * another version of Weir are refused rather than read askew.
 */
export function rowBinaryHeader(columns: Columns): Buffer {
  const header = new RowBuffer()
  const entries = Object.entries(columns)
  header.varint(entries.length)
  for (const [name] of entries) header.text(name)
  for (const [, type] of entries) header.text(type)
  return header.done()
}

/** @throws WeirError INVARIANT for a type that no table of Weir has */
export function valueWriter(type: string): ValueWriter {
  const [, outer, inner] = /^(\w+)\((.*)\)$/.exec(type) ?? [type, type, '']
  switch (outer) {
    case 'String':
    case 'LowCardinality':
      return (rows, value) => rows.text(value as string)
    case 'Bool':
      return (rows, value) => rows.byte(value === true ? 1 : 0)
    case 'UInt8':
      return (rows, value) => rows.byte(value as number)
    case 'UInt32':
      return (rows, value) => rows.uint32(value as number)
    case 'Int64':
    case 'UInt64':
    case 'DateTime64':
      return (rows, value) => rows.int64(value as number)
    case 'Float32':
      return (rows, value) => rows.float32(value as number)
    case 'Float64':
      return (rows, value) => rows.float64(value as number)
    case 'Nullable': {
      const write = valueWriter(inner)
      return (rows, value) => {
        rows.byte(value === null ? 1 : 0)
        if (value !== null) write(rows, value)
      }
    }
    case 'Array': {
      const write = valueWriter(inner)
      return (rows, value) => {
        const items = value as readonly unknown[]
        rows.varint(items.length)
        for (const item of items) write(rows, item)
      }
    }
    case 'Map': {
      const comma = inner.lastIndexOf(',')
      const writeKey = valueWriter(inner.slice(0, comma).trim())
      const write = valueWriter(inner.slice(comma + 1).trim())
      return (rows, value) => {
        const entries = Object.entries(value as Readonly<Record<string, unknown>>)
        rows.varint(entries.length)
        for (const [key, item] of entries) {
          writeKey(rows, key)
          write(rows, item)
        }
      }
    }
    default:
      throw new WeirError('INVARIANT', `no way to write a column of type ${type}`)
  }
}
