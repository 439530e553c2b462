import { RECORD_FIXED_BYTES } from './frame.ts'
import type { LogRecord } from './log.ts'
import type { PartitionState } from './partition-table.ts'

/** Walks the records of one section. The buffers it gives are views of the section. */
export class SectionCursor {
  private readonly state: PartitionState
  private readonly section: Buffer
  private at = 0
  private offset: number
  private readonly end: number

  constructor(state: PartitionState, section: Buffer, first: number, count: number) {
    this.state = state
    this.section = section
    this.offset = first
    this.end = first + count
  }

  get isEmpty(): boolean {
    return this.offset >= this.end
  }

  skipTo(offset: number): void {
    while (this.offset < offset && this.offset < this.end) {
      const key = this.section.readInt32LE(this.at)
      const value = this.section.readInt32LE(this.at + 4)
      this.at += RECORD_FIXED_BYTES + (key > 0 ? key : 0) + (value > 0 ? value : 0)
      this.offset++
    }
  }

  /** Adds up to `max` records to `target`. */
  take(max: number, target: LogRecord[]): void {
    const { section } = this
    const { topic, partition } = this.state
    const stop = Math.min(this.end, this.offset + max)
    let at = this.at
    for (let offset = this.offset; offset < stop; offset++) {
      const keyBytes = section.readInt32LE(at)
      const valueBytes = section.readInt32LE(at + 4)
      at += RECORD_FIXED_BYTES
      const key = keyBytes < 0 ? null : section.subarray(at, at + keyBytes)
      if (keyBytes > 0) at += keyBytes
      const value = valueBytes < 0 ? null : section.subarray(at, at + valueBytes)
      if (valueBytes > 0) at += valueBytes
      target.push({ topic, partition, offset, key, value })
    }
    this.at = at
    this.offset = stop
  }
}

