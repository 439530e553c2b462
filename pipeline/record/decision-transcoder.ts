import type avro from 'avsc'
import { type Columns, RowBuffer } from '#infra/clickhouse/row-binary.ts'
import type { Codec } from '#schemas/codec.ts'
import { WeirError } from '#schemas/errors.ts'
import { FRAME_BYTES } from '#schemas/wire-type.ts'
import { COLUMNS, writeDecision } from './rows.ts'

/** What is done with a field of the wire format. */
const TEXT = 0
const WORD = 1
const INT64 = 2
const UINT32 = 3
const BOOL = 4
const BYTES4 = 5
const BYTES8 = 6
const OPTIONAL = 7
const TEXTS = 8
const MAP = 9

interface Step {
  readonly op: number
  /** Where the value goes besides: the decision's place in the journal. */
  readonly keeps: 'line' | 'index' | null
  /** WORD: symbols with their length before them. */
  readonly words: readonly Buffer[]
  /** Bytes of the value, or of each value of a map; 0 for texts. */
  readonly bytes: number
}

/**
 * Turns decisions on the wire into rows of `weir.scored_transactions` without making objects of them: Avro and RowBinary
 * write most things alike, so a row is mostly the record's bytes, copied field by field. The steps follow from the schema;
 * decisions of another schema take the way over objects.
 */
export class DecisionTranscoder {
  /** Place in the journal of the decision written last. */
  line = 0
  index = 0
  private readonly codec: Codec
  private readonly steps: readonly Step[]
  private at = 0

  /** @throws WeirError INVARIANT when schema and table differ */
  constructor(codec: Codec) {
    this.codec = codec
    this.steps = stepsOf(codec.decision.type, COLUMNS['weir.scored_transactions'])
  }

  /**
   * Appends the row of one framed decision.
   *
   * @throws WeirError INPUT_INVALID when the bytes cannot be read; nothing is appended then
   */
  write(value: Buffer, rows: RowBuffer): void {
    const before = rows.length
    if (this.codec.decision.isCurrent(value) && this.copy(value, rows)) return
    rows.truncate(before)
    const decision = this.codec.decision.decode(value)
    this.line = decision.line
    this.index = decision.index
    writeDecision(rows, decision)
  }

  /**
   * False where the bytes are cut off, or written in a way that is allowed and rare. One loop over local variables: at this
   * rate every call counts.
   */
  private copy(value: Buffer, rows: RowBuffer): boolean {
    const { steps } = this
    const out = rows.room(value.length + GROWTH_BYTES_MAX)
    const end = value.length
    let to = rows.length
    let from = FRAME_BYTES
    for (let i = 0; i < steps.length; i++) {
      const step = steps[i]!
      const { op } = step
      if (op === BOOL) {
        out[to++] = value[from++]!
        continue
      }
      if (op === BYTES4 || op === BYTES8) {
        for (const stop = from + step.bytes; from < stop; ) out[to++] = value[from++]!
        continue
      }
      // All else begins with a number: a length, a count, a place in a list, or itself.
      let number = value[from]!
      if (number > 0x7f) {
        this.at = from
        number = this.readLong(value)
        from = this.at
      } else {
        number = (number >>> 1) ^ -(number & 1)
        from++
      }
      switch (op) {
        case TEXT:
          if (number < 0 || from + number > end) return false
          to = writeText(out, to, value, from, number)
          from += number
          break
        case WORD: {
          const word = step.words[number]
          if (word === undefined) return false
          for (let at = 0; at < word.length; at++) out[to++] = word[at]!
          break
        }
        case INT64:
          if (step.keeps === 'line') this.line = number
          to = writeInt64(out, to, number)
          break
        case UINT32:
          if (step.keeps === 'index') this.index = number
          to = writeUint32(out, to, number)
          break
        case OPTIONAL:
          out[to++] = number === 0 ? 1 : 0
          if (number !== 0) for (const stop = from + step.bytes; from < stop; ) out[to++] = value[from++]!
          break
        case TEXTS:
        case MAP:
          this.at = from
          to = this.copyItems(value, out, to, step, number)
          if (to < 0) return false
          from = this.at
          break
        default:
          return false
      }
      if (from > end) return false
    }
    rows.length = to
    return from === end
  }

  /** Items of an array or a map; -1 when they stand in several blocks, or are cut off. */
  private copyItems(value: Buffer, out: Buffer, start: number, step: Step, counted: number): number {
    let count = counted
    if (count < 0) {
      count = -count
      this.readLong(value)
    }
    let to = writeVarint(out, start, count)
    if (count === 0) return to
    for (let i = 0; i < count; i++) {
      to = this.copyText(value, out, to)
      if (to < 0) return -1
      if (step.op === TEXTS) continue
      if (step.bytes === 0) to = this.copyText(value, out, to)
      else for (let at = 0; at < step.bytes; at++) out[to++] = value[this.at++]!
      if (to < 0 || this.at > value.length) return -1
    }
    return this.readLong(value) === 0 ? to : -1
  }

  private copyText(value: Buffer, out: Buffer, to: number): number {
    const length = this.readLong(value)
    if (length < 0 || this.at + length > value.length) return -1
    const next = writeText(out, to, value, this.at, length)
    this.at += length
    return next
  }

  /** Avro's int and long: seven bits a byte, the lowest first, the sign in the lowest bit. */
  private readLong(value: Buffer): number {
    let byte = value[this.at++]!
    let low = byte & 0x7f
    for (let shift = 7; byte > 0x7f && shift < 28; shift += 7) {
      byte = value[this.at++]!
      low |= (byte & 0x7f) << shift
    }
    if (byte <= 0x7f) return (low >>> 1) ^ -(low & 1)
    let high = 0
    for (let scale = 1; byte > 0x7f; scale *= 128) {
      byte = value[this.at++]!
      high += (byte & 0x7f) * scale
    }
    const size = high * 2 ** 27 + (low >>> 1)
    return (low & 1) === 0 ? size : -size - 1
  }
}

/** Symbols and whole numbers take more bytes in a row than on the wire, each at most so many more. */
const GROWTH_BYTES_MAX = 2_048
/** Below this many bytes a loop is quicker than a call into the runtime. */
const COPY_LOOP_BYTES_MAX = 48
const TWO_32 = 4_294_967_296

function writeText(out: Buffer, at: number, value: Buffer, from: number, length: number): number {
  let to = writeVarint(out, at, length)
  if (length > COPY_LOOP_BYTES_MAX) return to + value.copy(out, to, from, from + length)
  for (let i = 0; i < length; i++) out[to++] = value[from + i]!
  return to
}

function writeVarint(out: Buffer, at: number, value: number): number {
  let to = at
  let rest = value
  while (rest > 0x7f) {
    out[to++] = (rest & 0x7f) | 0x80
    rest >>>= 7
  }
  out[to++] = rest
  return to
}

function writeInt64(out: Buffer, at: number, value: number): number {
  const high = Math.floor(value / TWO_32)
  return writeUint32(out, writeUint32(out, at, value - high * TWO_32), high)
}

function writeUint32(out: Buffer, at: number, value: number): number {
  out[at] = value
  out[at + 1] = value >>> 8
  out[at + 2] = value >>> 16
  out[at + 3] = value >>> 24
  return at + 4
}

function stepsOf(type: avro.Type, columns: Columns): Step[] {
  const fields = fieldsOf(type)
  const entries = Object.entries(columns)
  const steps = entries.map(([column, columnType], i) => {
    const field = fields[i]
    const step = field?.name === column ? stepOf(field.type, columnType) : null
    if (step === null) {
      throw new WeirError('INVARIANT', `decisions on the wire and their table differ at column ${column}`, {
        fix: 'Bring COLUMNS in pipeline/record/rows.ts and a migration in line with schemas/kafka/decision.avsc.',
      })
    }
    return { ...step, keeps: column === 'line' || column === 'index' ? column : null } as const
  })
  if (fields.length > entries.length) {
    throw new WeirError('INVARIANT', `a field of decisions has no column: ${fields[entries.length]!.name}`)
  }
  return steps
}

interface Field {
  readonly name: string
  readonly type: avro.Type
}

/** All fields in order; those of the transaction stand in its place. */
function fieldsOf(type: avro.Type): Field[] {
  return (type as avro.types.RecordType).fields.flatMap((field) =>
    field.type.typeName === 'record' ? fieldsOf(field.type) : [{ name: field.name, type: field.type }],
  )
}

/** How a field gets into a column of that type; null when it does not. */
function stepOf(type: avro.Type, column: string): Omit<Step, 'keeps'> | null {
  const step = (op: number, more: Partial<Step> = {}): Omit<Step, 'keeps'> => ({ op, words: [], bytes: 0, ...more })
  const isText = column === 'String' || column === 'LowCardinality(String)'
  switch (type.typeName) {
    case 'string':
      return isText ? step(TEXT) : null
    case 'enum':
      return isText ? step(WORD, { words: (type as avro.types.EnumType).symbols.map(wordOf) }) : null
    case 'int':
      return column === 'UInt32' ? step(UINT32) : null
    case 'long':
      return /^(U?Int64|DateTime64\(3,.*\))$/.test(column) ? step(INT64) : null
    case 'boolean':
      return column === 'Bool' ? step(BOOL) : null
    case 'float':
      return column === 'Float32' ? step(BYTES4, { bytes: 4 }) : null
    case 'double':
      return column === 'Float64' ? step(BYTES8, { bytes: 8 }) : null
    case 'union:unwrapped': {
      const [none, some, ...others] = (type as avro.types.UnwrappedUnionType).types
      const inner = some === undefined ? null : stepOf(some, /^Nullable\((.*)\)$/.exec(column)?.[1] ?? '')
      if (none?.typeName !== 'null' || others.length > 0) return null
      if (inner?.op === BYTES4) return step(OPTIONAL, { bytes: 4 })
      return inner?.op === BYTES8 ? step(OPTIONAL, { bytes: 8 }) : null
    }
    case 'array': {
      const { itemsType } = type as avro.types.ArrayType
      return itemsType.typeName === 'string' && /^Array\(.*String/.test(column) ? step(TEXTS) : null
    }
    case 'map': {
      const { valuesType } = type as avro.types.MapType
      const value = /^Map\(LowCardinality\(String\), (\w+)\)$/.exec(column)?.[1] ?? ''
      const inner = stepOf(valuesType, value)
      if (inner?.op === TEXT) return step(MAP)
      return inner?.op === BYTES8 ? step(MAP, { bytes: 8 }) : null
    }
    default:
      return null
  }
}

function wordOf(symbol: string): Buffer {
  const word = new RowBuffer()
  word.text(symbol)
  return Buffer.from(word.done())
}
