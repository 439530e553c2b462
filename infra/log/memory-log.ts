import { WeirError } from '#schemas/errors.ts'
import { ChangeSignal } from './change-signal.ts'
import type { Log, LogReader, LogRecord, PartitionRange, RecordToAppend, TopicPartition } from './log.ts'

interface Partition extends TopicPartition {
  start: number
  readonly records: LogRecord[]
}

/** The log's twin in memory: the same behaviour, and nothing left when the process ends. */
export function createMemoryLog(): Log {
  const partitions = new Map<string, Partition>()
  const change = new ChangeSignal()
  let closed = false

  function partitionOf({ topic, partition }: TopicPartition): Partition {
    const key = `${topic}/${partition}`
    let found = partitions.get(key)
    if (found === undefined) {
      found = { topic, partition, start: 0, records: [] }
      partitions.set(key, found)
    }
    return found
  }

  function refuseClosed(): void {
    if (closed) throw new WeirError('LOG_CLOSED', 'the log was closed')
  }

  return {
    append(records) {
      if (closed) return Promise.reject(new WeirError('LOG_CLOSED', 'the log was closed'))
      const offsets = records.map((record) => appendOne(partitionOf(record), record))
      return Promise.resolve().then(() => {
        if (records.length > 0) change.notify()
        return offsets
      })
    },
    reader: (from) => createReader(() => partitions.get(`${from.topic}/${from.partition}`), from, refuseClosed),
    async ranges(): Promise<readonly PartitionRange[]> {
      refuseClosed()
      return [...partitions.values()].map(({ topic, partition, start, records }) => ({
        topic,
        partition,
        start,
        end: start + records.length,
      }))
    },
    changed: (since, signal) => change.after(since, signal),
    async retain(keepFrom) {
      refuseClosed()
      for (const { topic, partition, offset } of keepFrom) {
        const found = partitions.get(`${topic}/${partition}`)
        if (found === undefined || offset <= found.start) continue
        found.records.splice(0, offset - found.start)
        found.start = Math.min(offset, found.start + found.records.length + (offset - found.start))
      }
    },
    async close() {
      closed = true
      change.notify()
    },
  }
}

function appendOne(partition: Partition, record: RecordToAppend): number {
  const offset = partition.start + partition.records.length
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
      const at = position - partition.start
      const records = partition.records.slice(at, at + max)
      position += records.length
      return records
    },
    seek(offset) {
      position = offset
    },
    close() {},
  }
}

export function positionGone({ topic, partition }: TopicPartition, position: number, start: number): WeirError {
  return new WeirError('LOG_POSITION_GONE', `offset ${position} is gone: the log now begins at ${start}`, {
    where: `${topic}/${partition}`,
    fix: 'Keep more of the log (log.retentionDays), or rebuild from what is left with a new data folder.',
  })
}
