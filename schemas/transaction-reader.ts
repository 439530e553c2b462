import { CODE_BYTES_MAX, CodePool } from './code-pool.ts'
import type { EventColumns } from './event-columns.ts'
import { Hash64 } from './hash64.ts'
import type { TextColumn } from './text-column.ts'
import { CHANNELS, ENTRY_MODES, TRANSACTION_KINDS } from './transaction.ts'

/** A card number has at least so many digits, and a number that looks like one is at least so large. */
const CARD_DIGITS = 13
const CARD_NUMBER_MIN = 1e12
/** A map of more entries goes the long way. */
const MAP_ENTRIES_MAX = 64
const NONE: Readonly<Record<string, never>> = Object.freeze({})

/**
 * Reads the Avro body of a transaction of the current schema straight into a row, without an object between. It takes
 * only what is plain: ASCII texts in which no card number can be, values in range, maps in one block. About anything else
 * it says no, and the record goes the long way through the library, which knows what is wrong with it, or that nothing is.
 */
export class TransactionReader {
  private readonly codes = new CodePool()
  private readonly hash = new Hash64()
  private bytes: Buffer = Buffer.alloc(0)
  private at = 0
  private isPlain = true

  /**
   * False: not plain, and the row holds nothing that means anything.
   *
   * @param from where the body begins
   */
  read(bytes: Buffer, from: number, columns: EventColumns, row: number): boolean {
    const { text, hashHi: hi, hashLo: lo } = columns
    this.bytes = bytes
    columns.source[row] = bytes
    this.at = from
    this.isPlain = true
    this.readText(text.transaction_id, hi.transaction_id, lo.transaction_id, row)
    columns.event_time[row] = this.readLong()
    this.readText(text.card_id, hi.card_id, lo.card_id, row)
    columns.amount[row] = this.readLong()
    this.readCode(text.currency, hi.currency, lo.currency, row)
    columns.kind[row] = this.readIndex(TRANSACTION_KINDS.length)
    this.readText(text.original_id, hi.original_id, lo.original_id, row)
    this.readText(text.account_id, hi.account_id, lo.account_id, row)
    this.readText(text.merchant_id, hi.merchant_id, lo.merchant_id, row)
    this.readText(text.terminal_id, hi.terminal_id, lo.terminal_id, row)
    this.readCode(text.merchant_category, hi.merchant_category, lo.merchant_category, row)
    columns.channel[row] = this.readIndex(CHANNELS.length)
    columns.entry_mode[row] = this.readIndex(ENTRY_MODES.length)
    this.readCode(text.country, hi.country, lo.country, row)
    this.readCode(text.merchant_country, hi.merchant_country, lo.merchant_country, row)
    columns.latitude[row] = this.readOptionalDouble()
    columns.longitude[row] = this.readOptionalDouble()
    this.readText(text.device_id, hi.device_id, lo.device_id, row)
    this.readText(text.ip_prefix, hi.ip_prefix, lo.ip_prefix, row)
    this.readText(text.email_hash, hi.email_hash, lo.email_hash, row)
    this.readText(text.bin, hi.bin, lo.bin, row)
    this.readCode(text.avs, hi.avs, lo.avs, row)
    this.readCode(text.cvv, hi.cvv, lo.cvv, row)
    this.readCode(text.three_ds, hi.three_ds, lo.three_ds, row)
    columns.recurring[row] = this.readBit()
    this.readCode(text.response_code, hi.response_code, lo.response_code, row)
    columns.attributes[row] = this.readMap(this.readAttribute)
    columns.signals[row] = this.readMap(this.readSignal)
    return this.isPlain && this.at === bytes.length
  }

  private readText(column: TextColumn, hi: Uint32Array, lo: Uint32Array, row: number): void {
    const { bytes, hash } = this
    const from = this.nextText()
    if (from < 0) {
      writeNone(column, hi, lo, row)
      return
    }
    if (!hash.ofAscii(bytes, from, this.at)) this.isPlain = false
    column.setBytes(row, from, this.at)
    hi[row] = hash.hi
    lo[row] = hash.lo
  }

  /** As `readText`, for fields whose texts are codes, most of them. */
  private readCode(column: TextColumn, hi: Uint32Array, lo: Uint32Array, row: number): void {
    const { codes, at } = this
    const from = this.nextText()
    if (from < 0) {
      writeNone(column, hi, lo, row)
      return
    }
    if (this.at - from > CODE_BYTES_MAX) {
      this.at = at
      this.readText(column, hi, lo, row)
      return
    }
    const code = codes.take(this.bytes, from, this.at)
    if (code === '') this.isPlain = false
    column.set(row, code, this.at - from)
    hi[row] = codes.hash.hi
    lo[row] = codes.hash.lo
  }

  /** Moves behind the next text; where it begins, -1: it is empty, or not plain. */
  private nextText(): number {
    const { bytes } = this
    const length = this.readLong()
    if (length === 0) return -1
    const from = this.at
    const to = from + length
    if (length < 0 || to > bytes.length) {
      this.isPlain = false
      return -1
    }
    this.at = to
    if (length >= CARD_DIGITS && hasLongNumber(bytes, from, to)) this.isPlain = false
    return from
  }

  /** Zigzag varint; one beyond the whole numbers of a double is not plain. */
  private readLong(): number {
    const { bytes } = this
    let at = this.at
    let byte = bytes[at++]!
    if (byte < 0x80) {
      this.at = at
      return (byte >>> 1) ^ -(byte & 1)
    }
    let low = byte & 0x7f
    let shift = 7
    do {
      byte = bytes[at++]!
      low |= (byte & 0x7f) << shift
      shift += 7
    } while (byte >= 0x80 && shift < 28)
    let high = 0
    for (shift = 0; byte >= 0x80 && shift < 28; shift += 7) {
      byte = bytes[at++]!
      high |= (byte & 0x7f) << shift
    }
    this.at = at
    if (byte >= 0x80 || high >= 2 ** 25) this.isPlain = false
    const zigzag = high * 2 ** 28 + low
    return (low & 1) === 0 ? zigzag / 2 : -(zigzag + 1) / 2
  }

  /** Of an enum with so many symbols. */
  private readIndex(symbols: number): number {
    const index = this.readLong()
    if (index >= 0 && index < symbols) return index
    this.isPlain = false
    return 0
  }

  private readBit(): number {
    const byte = this.bytes[this.at++]!
    if (byte > 1) this.isPlain = false
    return byte
  }

  /** NaN where there is none. */
  private readOptionalDouble(): number {
    const branch = this.readIndex(2)
    return branch === 0 ? Number.NaN : this.readDouble()
  }

  private readDouble(): number {
    const { at } = this
    this.at = at + 8
    if (this.at <= this.bytes.length) return this.bytes.readDoubleLE(at)
    this.isPlain = false
    return 0
  }

  private readMap<T>(readValue: () => T): Readonly<Record<string, T>> {
    const entries = this.readLong()
    if (entries === 0 || !this.isPlain) return NONE
    const map: Record<string, T> = {}
    if (entries < 0 || entries > MAP_ENTRIES_MAX) this.isPlain = false
    for (let i = 0; i < entries && this.isPlain; i++) {
      const name = this.readAttribute()
      map[name] = readValue()
    }
    if (this.readLong() !== 0) this.isPlain = false
    return map
  }

  private readonly readAttribute = (): string => {
    const from = this.nextText()
    if (from < 0) return ''
    if (!this.hash.ofAscii(this.bytes, from, this.at)) this.isPlain = false
    return this.bytes.toString('latin1', from, this.at)
  }

  private readonly readSignal = (): number => {
    const value = this.readDouble()
    if (!(Math.abs(value) < CARD_NUMBER_MIN)) this.isPlain = false
    return value
  }
}

function writeNone(column: TextColumn, hi: Uint32Array, lo: Uint32Array, row: number): void {
  column.set(row, '', 0)
  hi[row] = 0
  lo[row] = 0
}

/** Whether digits in a row, single spaces and dashes between them left out, are as many as a card number has. */
function hasLongNumber(bytes: Uint8Array, from: number, to: number): boolean {
  let digits = 0
  for (let i = from; i < to; i++) {
    const code = bytes[i]!
    if (code >= 0x30 && code <= 0x39) {
      if (++digits === CARD_DIGITS) return true
    } else if (code !== 0x20 && code !== 0x2d) {
      digits = 0
    }
  }
  return false
}
