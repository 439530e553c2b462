import { readLong, writeLong } from './record-batch.ts'

/** Reads the fields of a Kafka answer one after the other. */
export class WireReader {
  private readonly buffer: Buffer
  private at = 0

  constructor(buffer: Buffer) {
    this.buffer = buffer
  }

  int16(): number {
    this.at += 2
    return this.buffer.readInt16BE(this.at - 2)
  }

  int32(): number {
    this.at += 4
    return this.buffer.readInt32BE(this.at - 4)
  }

  int64(): number {
    this.at += 8
    return readLong(this.buffer, this.at - 8)
  }

  string(): string {
    const length = this.int16()
    this.at += length
    return this.buffer.toString('utf8', this.at - length, this.at)
  }

  /** A view; none is the same as empty. */
  bytes(): Buffer {
    const length = Math.max(0, this.int32())
    this.at += length
    return this.buffer.subarray(this.at - length, this.at)
  }
}

/** Writes the fields of a Kafka request one after the other. */
export class WireWriter {
  private readonly parts: Buffer[] = []
  private buffer = Buffer.allocUnsafe(PART_BYTES)
  private at = 0

  int8(value: number): this {
    this.reserve(1)
    this.at = this.buffer.writeInt8(value, this.at)
    return this
  }

  int16(value: number): this {
    this.reserve(2)
    this.at = this.buffer.writeInt16BE(value, this.at)
    return this
  }

  int32(value: number): this {
    this.reserve(4)
    this.at = this.buffer.writeInt32BE(value, this.at)
    return this
  }

  int64(value: number): this {
    this.reserve(8)
    writeLong(this.buffer, value, this.at)
    this.at += 8
    return this
  }

  string(value: string | null): this {
    if (value === null) return this.int16(-1)
    const bytes = Buffer.byteLength(value)
    this.int16(bytes)
    this.reserve(bytes)
    this.at += this.buffer.write(value, this.at)
    return this
  }

  /** Takes the bytes as they are, without a copy. */
  bytes(value: Buffer): this {
    this.int32(value.length)
    this.flush()
    this.parts.push(value)
    return this
  }

  finish(): Buffer {
    this.flush()
    return this.parts.length === 1 ? this.parts[0]! : Buffer.concat(this.parts)
  }

  private reserve(bytes: number): void {
    if (this.at + bytes <= this.buffer.length) return
    this.flush()
    this.buffer = Buffer.allocUnsafe(Math.max(bytes, PART_BYTES))
  }

  private flush(): void {
    if (this.at > 0) this.parts.push(this.buffer.subarray(0, this.at))
    this.buffer = this.buffer.subarray(this.at)
    this.at = 0
  }
}

const PART_BYTES = 1_024
