import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { wallClock } from '#infra/clock.ts'
import { openFileLog } from '#infra/log/file-log.ts'
import type { Log, RecordToAppend } from '#infra/log/log.ts'

const RECORD_BYTES = 300
/** Single appends under way at a time: what a busy service has waiting for the disk. */
const SMALL_IN_FLIGHT = 256
const SMALL_APPENDS = 30_000
const LARGE_APPEND_RECORDS = 10_000
const LARGE_APPENDS = 40
const READ_RECORDS_MAX = 10_000
const MEGABYTE = 1e6

/**
 * The file log alone: single small appends that share their syncs, large appends, and reading what the large ones wrote
 * (from the page cache). `folder` should lie on the disk that is asked about; a folder in memory flatters the syncs.
 */
export async function benchLog(folder: string = tmpdir()): Promise<Record<string, number>> {
  const home = await mkdtemp(join(folder, 'weir-bench-log-'))
  try {
    const log = await openFileLog({
      folder: home,
      segmentBytesMax: 67_108_864,
      retentionMs: Number.MAX_SAFE_INTEGER,
      clock: wallClock,
    })
    try {
      return {
        ...(await benchAlone(log)),
        ...(await benchSmall(log)),
        ...(await benchLarge(log)),
        ...(await benchRead(log)),
      }
    } finally {
      await log.close()
    }
  } finally {
    await rm(home, { recursive: true })
  }
}

/** One append after the other, each waiting for its own sync. */
async function benchAlone(log: Log): Promise<Record<string, number>> {
  const appends = 500
  const waits = new Float64Array(appends)
  for (let i = 0; i < appends; i++) waits[i] = await secondsOf(() => log.append([record('alone', i)]))
  waits.sort()
  return { aloneMsP50: waits[appends >> 1]! * 1e3, aloneMsP99: waits[Math.floor(appends * 0.99)]! * 1e3 }
}

async function benchSmall(log: Log): Promise<Record<string, number>> {
  let next = 0
  const keepAppending = async (): Promise<void> => {
    while (next < SMALL_APPENDS) await log.append([record('small', next++)])
  }
  const seconds = await secondsOf(() => Promise.all(Array.from({ length: SMALL_IN_FLIGHT }, keepAppending)))
  return {
    smallAppends: SMALL_APPENDS,
    smallInFlight: SMALL_IN_FLIGHT,
    smallAppendsPerSecond: Math.round(SMALL_APPENDS / seconds),
  }
}

async function benchLarge(log: Log): Promise<Record<string, number>> {
  const records = Array.from({ length: LARGE_APPEND_RECORDS }, (_, i) => record('large', i))
  const seconds = await secondsOf(async () => {
    for (let i = 0; i < LARGE_APPENDS; i++) await log.append(records)
  })
  const count = LARGE_APPENDS * LARGE_APPEND_RECORDS
  return {
    largeAppends: LARGE_APPENDS,
    largeAppendRecords: LARGE_APPEND_RECORDS,
    recordBytes: RECORD_BYTES,
    largeRecordsPerSecond: Math.round(count / seconds),
    largeMegabytesPerSecond: Math.round((count * RECORD_BYTES) / MEGABYTE / seconds),
  }
}

async function benchRead(log: Log): Promise<Record<string, number>> {
  const reader = log.reader({ topic: 'large', partition: 0, offset: 0 })
  let count = 0
  const seconds = await secondsOf(async () => {
    for (;;) {
      const records = await reader.read(READ_RECORDS_MAX)
      if (records.length === 0) break
      count += records.length
    }
  })
  reader.close()
  return {
    readRecords: count,
    readRecordsPerSecond: Math.round(count / seconds),
    readMegabytesPerSecond: Math.round((count * RECORD_BYTES) / MEGABYTE / seconds),
  }
}

/** Bytes that differ from record to record, as encoded events do. */
function record(topic: string, n: number): RecordToAppend {
  const value = Buffer.alloc(RECORD_BYTES)
  for (let at = 0; at < RECORD_BYTES; at += 4) value.writeUInt32LE(Math.imul(n * 75 + at, 2_654_435_761) >>> 0, at)
  return { topic, partition: 0, key: null, value }
}

async function secondsOf(work: () => Promise<unknown>): Promise<number> {
  const started = process.hrtime.bigint()
  await work()
  return Number(process.hrtime.bigint() - started) / 1e9
}
