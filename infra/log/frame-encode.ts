import { crc32 } from 'node:zlib'
import { WeirError } from '#schemas/errors.ts'
import { ENTRY_FIXED_BYTES, FRAME_BYTES_MAX, FRAME_FIXED_BYTES, FRAME_MAGIC, RECORD_FIXED_BYTES } from './frame.ts'
import type { RecordToAppend } from './log.ts'
import type { PartitionState, PartitionTable } from './partition-table.ts'

/** A frame as laid out, before it is written into a buffer. */
export interface FramePlan {
  readonly frameBytes: number
  readonly headBytes: number
  readonly groups: readonly PartitionState[]
  /** By group. */
  readonly counts: readonly number[]
  readonly sectionBytes: readonly number[]
  /** By record. */
  readonly groupOf: Int32Array
}

/**
 * Lays out the frame of one append: which partition each record goes to, and how many bytes all of it takes.
 *
 * @throws WeirError INVARIANT when a frame cannot hold so much
 */
export function planFrame(records: readonly RecordToAppend[], table: PartitionTable): FramePlan {
  const groups: PartitionState[] = []
  const counts: number[] = []
  const sectionBytes: number[] = []
  const groupOf = new Int32Array(records.length)
  let state: PartitionState | null = null
  try {
    for (let i = 0; i < records.length; i++) {
      const record = records[i]!
      if (state === null || state.partition !== record.partition || state.topic !== record.topic) {
        state = table.state(record.topic, record.partition)
        if (state.slot < 0) {
          state.slot = groups.push(state) - 1
          counts.push(0)
          sectionBytes.push(0)
        }
      }
      const slot = state.slot
      groupOf[i] = slot
      counts[slot]!++
      sectionBytes[slot]! += RECORD_FIXED_BYTES + (record.key?.length ?? 0) + (record.value?.length ?? 0)
    }
  } finally {
    for (const group of groups) group.slot = -1
  }
  let headBytes = FRAME_FIXED_BYTES
  let frameBytes = 0
  for (const [slot, group] of groups.entries()) {
    headBytes += ENTRY_FIXED_BYTES + group.topicBytes.length
    frameBytes += sectionBytes[slot]!
  }
  frameBytes += headBytes
  if (frameBytes > FRAME_BYTES_MAX) {
    throw new WeirError('INVARIANT', `an append of ${frameBytes} bytes is over the ${FRAME_BYTES_MAX} one unit may have`, {
      fix: 'Append the records in several smaller units.',
    })
  }
  return { frameBytes, headBytes, groups, counts, sectionBytes, groupOf }
}

export interface FrameTimes {
  readonly position: number
  readonly durable: number
  readonly timestampMs: number
}

/**
 * Writes a planned frame into `bytes` at `at` and moves `next` of its partitions on.
 *
 * @returns the offset given to each record
 */
export function encodeFrame(
  plan: FramePlan,
  records: readonly RecordToAppend[],
  times: FrameTimes,
  bytes: Buffer,
  at: number,
): number[] {
  const { groups, counts, sectionBytes, groupOf, headBytes, frameBytes } = plan
  const starts: number[] = []
  let cursor = at + headBytes
  for (const length of sectionBytes) {
    starts.push(cursor)
    cursor += length
  }
  const firsts = groups.map((group) => group.next)
  const offsets = encodeRecords(records, groupOf, groups, [...starts], bytes)

  let entry = at + FRAME_FIXED_BYTES
  for (const [slot, group] of groups.entries()) {
    const start = starts[slot]!
    bytes.writeUInt32LE(group.partition, entry)
    bytes.writeDoubleLE(firsts[slot]!, entry + 4)
    bytes.writeUInt32LE(counts[slot]!, entry + 12)
    bytes.writeUInt32LE(sectionBytes[slot]!, entry + 16)
    bytes.writeUInt32LE(crc32(bytes.subarray(start, start + sectionBytes[slot]!)), entry + 20)
    bytes[entry + 24] = group.topicBytes.length
    bytes.set(group.topicBytes, entry + ENTRY_FIXED_BYTES)
    entry += ENTRY_FIXED_BYTES + group.topicBytes.length
  }
  bytes.writeUInt32LE(FRAME_MAGIC, at)
  bytes.writeUInt32LE(frameBytes, at + 8)
  bytes.writeUInt32LE(headBytes, at + 12)
  bytes.writeDoubleLE(times.position, at + 16)
  bytes.writeDoubleLE(times.durable, at + 24)
  bytes.writeDoubleLE(times.timestampMs, at + 32)
  bytes.writeUInt32LE(groups.length, at + 40)
  bytes.writeUInt32LE(crc32(bytes.subarray(at + 8, at + headBytes)), at + 4)
  return offsets
}

function encodeRecords(
  records: readonly RecordToAppend[],
  groupOf: Int32Array,
  groups: readonly PartitionState[],
  cursors: number[],
  bytes: Buffer,
): number[] {
  const offsets = new Array<number>(records.length)
  for (let i = 0; i < records.length; i++) {
    const { key, value } = records[i]!
    const slot = groupOf[i]!
    let at = cursors[slot]!
    bytes.writeInt32LE(key === null ? -1 : key.length, at)
    bytes.writeInt32LE(value === null ? -1 : value.length, at + 4)
    at += RECORD_FIXED_BYTES
    if (key !== null) {
      bytes.set(key, at)
      at += key.length
    }
    if (value !== null) {
      bytes.set(value, at)
      at += value.length
    }
    cursors[slot] = at
    offsets[i] = groups[slot]!.next++
  }
  return offsets
}

