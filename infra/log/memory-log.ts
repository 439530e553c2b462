import { WeirError } from '#schemas/errors.ts'
import { ChangeSignal } from './change-signal.ts'
import type { Log, LogReader, LogRecord, PartitionRange, RecordToAppend, TopicPartition } from './log.ts'

export interface MemoryLogOptions {
  /** Offsets left out after each unit in every partition it touched, as Kafka's transaction markers do; default 0. */
  readonly gapAfterUnit?: number
}

interface Partition extends TopicPartition {
  start: number
  /** Offset of the next record. */
  end: number
  readonly records: LogRecord[]
}

/** The log's twin in memory: the same behaviour, and nothing left when the process ends. */
export function createMemoryLog({ gapAfterUnit = 0 }: MemoryLogOptions = {}): Log {
  const partitions = new Map<string, Partition>()
  const change = new ChangeSignal()
  let closed = false

  function partitionOf({ topic, partition }: TopicPartition): Partition {
    const key = `${topic}/${partition}`
    let found = partitions.get(key)
    if (found === undefined) {
      found = { topic, partition, start: 0, end: 0, records: [] }
      partitions.set(key, found)
    }
    return found
  }

  function refuseClosed(): void {
    if (closed) throw new WeirError('LOG_CLOSED', 'the log was closed')
  }

  return {
    settleMs: 0,
    append(records) {
      if (closed) return Promise.reject(new WeirError('LOG_CLOSED', 'the log was closed'))
      const offsets = records.map((record) => appendOne(partitionOf(record), record))
      for (const touched of new Set(records.map(partitionOf))) touched.end += gapAfterUnit
      return Promise.resolve().then(() => {
        if (records.length > 0) change.notify()
        return offsets
      })
    },
    reader: (from) => createReader(() => partitions.get(`${from.topic}/${from.partition}`), from, refuseClosed),
    async ranges(): Promise<readonly PartitionRange[]> {
      refuseClosed()
      return [...partitions.values()].map(({ topic, partition, start, end }) => ({ topic, partition, start, end }))
    },
    changed: (since, signal) => change.after(since, signal),
    async retain(keepFrom) {
      refuseClosed()
      for (const { topic, partition, offset } of keepFrom) {
        const found = partitions.get(`${topic}/${partition}`)
        if (found === undefined || offset <= found.start) continue
        found.records.splice(0, indexAt(found.records, offset))
        found.start = Math.min(offset, found.end)
      }
    },
    async close() {
      closed = true
      change.notify()
    },
  }
}

function appendOne(partition: Partition, record: RecordToAppend): number {
  const offset = partition.end++
  partition.records.push({
    topic: record.topic,
    partition: record.partition,
    offset,
    key: record.key === null ? null : Buffer.from(record.key),
    value: record.value === null ? null : Buffer.from(record.value),
  })
  return offset
}

function createReader(
  find: () => Partition | undefined,
  from: TopicPartition & { readonly offset: number },
  refuseClosed: () => void,
): LogReader {
  let position = from.offset
  return {
    get position() {
      return position
    },
    async read(max) {
      refuseClosed()
      const partition = find()
      if (partition === undefined) return []
      if (position < partition.start) throw positionGone(from, position, partition.start)
      const at = indexAt(partition.records, position)
      const records = partition.records.slice(at, at + max)
      if (records.length > 0) position = records.at(-1)!.offset + 1
      return records
    },
    seek(offset) {
      position = offset
    },
    close() {},
  }
}

/** Place of the first record at or behind an offset. */
function indexAt(records: readonly LogRecord[], offset: number): number {
  let low = 0
  let high = records.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (records[middle]!.offset < offset) low = middle + 1
    else high = middle
  }
  return low
}

export function positionGone({ topic, partition }: TopicPartition, position: number, start: number): WeirError {
  return new WeirError('LOG_POSITION_GONE', `offset ${position} is gone: the log now begins at ${start}`, {
    where: `${topic}/${partition}`,
    fix: 'Keep more of the log (log.retentionDays), or rebuild from what is left with a new data folder.',
  })
}
