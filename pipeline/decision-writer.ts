import { VERDICTS } from '#schemas/decision.ts'
import { LABEL } from '#schemas/event-columns.ts'
import { FRAME_BYTES, writeFrame } from '#schemas/wire-type.ts'
import { ACCEPTED, type SliceBuffers } from './slice.ts'

const HASH_DIGITS = 16
const NO_VERDICT = VERDICTS.indexOf('none')
/** Above what one number, flag or empty list of a decision takes, all of them together. */
const NUMBERS_BYTES_MAX = 128
/** Bytes of a UTF-16 unit in UTF-8, at most, and of the length before a text. */
const UNIT_BYTES_MAX = 3
const LENGTH_BYTES_MAX = 5
/** Some slices' worth of decisions, or part of a large one's: what is asked for anew each time has to be collected each time. */
const CHUNK_BYTES = 1 << 19

/**
 * Writes decisions one behind the other into few large allocations: the transaction's bytes as they came, then the rest in
 * the order of the decision's schema. What is the same in all decisions of a slice is encoded once.
 */
export class DecisionWriter {
  private readonly schemaId: number
  private readonly specHash: string
  private buffer: Buffer = Buffer.alloc(0)
  private at = 0
  /** Versions of model, rules and spec of a scored row and of any other, and the clock, encoded. */
  private scoredVersions: Buffer = Buffer.alloc(0)
  private otherVersions: Buffer = Buffer.alloc(0)
  private readonly float = new Float32Array(1)
  private readonly floatBytes = new Uint8Array(this.float.buffer)

  /** @param schemaId of the decision */
  constructor(schemaId: number, specHash: string) {
    this.schemaId = schemaId
    this.specHash = specHash
  }

  /** To be called before the decisions of a slice; those handed out before keep their bytes. */
  begin({ modelVersion, rulesVersion }: SliceBuffers): void {
    this.scoredVersions = this.encodeTexts(modelVersion, rulesVersion, this.specHash)
    this.otherVersions = this.encodeTexts('', rulesVersion, this.specHash)
  }

  /** The framed decision of a row, which is one of a transaction that was accepted. */
  write(slice: SliceBuffers, row: number): Buffer {
    this.makeRoom(slice, row)
    const start = this.at
    writeFrame(this.buffer, start, this.schemaId)
    this.at = start + FRAME_BYTES
    this.copy(slice.body[row]!, slice.bodyAt[row]!)
    const score = slice.score[row]!
    const isScored = score === score
    this.writeLong(slice.line)
    this.writeLong(row)
    this.writeLong(slice.events.amount_base[row]!)
    this.writeOptionalFloat(score)
    this.writeOptionalFloat(slice.threshold[row]!)
    this.writeLong(slice.verdict[row]!)
    this.writeTexts(slice.ruleHits[row]!)
    this.writeTexts(slice.shadowHits[row]!)
    this.writeTexts(slice.listHits[row]!)
    this.copy(isScored ? this.scoredVersions : this.otherVersions, 0)
    if (isScored) this.writeHash(slice.features.inputHashHi[row]!, slice.features.inputHashLo[row]!)
    else this.writeText('')
    this.writeText(slice.verdict[row] === NO_VERDICT ? '' : slice.degraded)
    this.writeOptionalFloat(slice.explored[row]!)
    this.writeLong(slice.clock)
    return this.buffer.subarray(start, this.at)
  }

  private makeRoom(slice: SliceBuffers, row: number): void {
    const body = slice.body[row]!.length - slice.bodyAt[row]!
    const hits = bytesMax(slice.ruleHits[row]!) + bytesMax(slice.shadowHits[row]!) + bytesMax(slice.listHits[row]!)
    const texts = this.scoredVersions.length + textBytesMax(slice.degraded)
    const needed = FRAME_BYTES + body + NUMBERS_BYTES_MAX + hits + texts
    if (this.at + needed <= this.buffer.length) return
    this.buffer = Buffer.allocUnsafe(Math.max(CHUNK_BYTES, needed))
    this.at = 0
  }

  private encodeTexts(...texts: readonly string[]): Buffer {
    const { buffer, at } = this
    this.buffer = Buffer.alloc(texts.reduce((bytes, text) => bytes + textBytesMax(text), 0))
    this.at = 0
    for (const text of texts) this.writeText(text)
    const encoded = this.buffer.subarray(0, this.at)
    this.buffer = buffer
    this.at = at
    return encoded
  }

  /** A loop: for some hundred bytes it is faster than a view and a call into the engine. */
  private copy(from: Uint8Array, first: number): void {
    const { buffer } = this
    let at = this.at
    for (let i = first; i < from.length; i++) buffer[at++] = from[i]!
    this.at = at
  }

  /** Zigzag varint of a whole number, below 2^53 in size. */
  private writeLong(value: number): void {
    const { buffer } = this
    let at = this.at
    let rest = value >= 0 ? value * 2 : -value * 2 - 1
    for (; rest >= 2 ** 28; rest = Math.floor(rest / 128)) buffer[at++] = (rest % 128) | 0x80
    for (; rest >= 128; rest >>>= 7) buffer[at++] = (rest & 0x7f) | 0x80
    buffer[at++] = rest
    this.at = at
  }

  /** Null where it is NaN. */
  private writeOptionalFloat(value: number): void {
    const { buffer, float, floatBytes, at } = this
    if (value !== value) {
      buffer[at] = 0
      this.at = at + 1
      return
    }
    float[0] = value
    buffer[at] = 2
    buffer[at + 1] = floatBytes[0]!
    buffer[at + 2] = floatBytes[1]!
    buffer[at + 3] = floatBytes[2]!
    buffer[at + 4] = floatBytes[3]!
    this.at = at + 5
  }

  private writeTexts(texts: readonly string[]): void {
    if (texts.length > 0) {
      this.writeLong(texts.length)
      for (const text of texts) this.writeText(text)
    }
    this.writeLong(0)
  }

  private writeText(text: string): void {
    if (text === '') {
      this.writeLong(0)
      return
    }
    this.writeLong(Buffer.byteLength(text))
    this.at += this.buffer.write(text, this.at)
  }

  private writeHash(hi: number, lo: number): void {
    this.writeLong(HASH_DIGITS)
    writeHex(this.buffer, this.at, hi)
    writeHex(this.buffer, this.at + HASH_DIGITS / 2, lo)
    this.at += HASH_DIGITS
  }
}

/** Whether a row leaves a decision. */
export function isDecided(slice: SliceBuffers, row: number): boolean {
  return slice.outcome[row] === ACCEPTED && slice.events.kind[row] !== LABEL
}

/** 16 hex digits of a row's input hash. */
export function inputHash({ features }: SliceBuffers, row: number): string {
  const digits = Buffer.allocUnsafe(HASH_DIGITS)
  writeHex(digits, 0, features.inputHashHi[row]!)
  writeHex(digits, HASH_DIGITS / 2, features.inputHashLo[row]!)
  return digits.toString('latin1')
}

/** 8 hex digits. */
function writeHex(into: Uint8Array, at: number, value: number): void {
  let rest = value
  for (let i = at + 7; i >= at; i--) {
    const digit = rest & 0xf
    into[i] = digit < 10 ? 0x30 + digit : 0x57 + digit
    rest >>>= 4
  }
}

function textBytesMax(text: string): number {
  return LENGTH_BYTES_MAX + text.length * UNIT_BYTES_MAX
}

function bytesMax(texts: readonly string[]): number {
  let bytes = LENGTH_BYTES_MAX
  for (const text of texts) bytes += textBytesMax(text)
  return bytes
}
