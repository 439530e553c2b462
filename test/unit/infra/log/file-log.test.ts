import assert from 'node:assert/strict'
import { appendFile, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { openFileLog } from '#infra/log/file-log.ts'
import type { Log, RecordToAppend } from '#infra/log/log.ts'
import { diskFiles, type LogFile, type LogFiles } from '#infra/log/log-files.ts'

let folder: string
let nowMs = 1_000
const FIRST = 'segment-00000001.log'

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weir-file-log-'))
})
afterEach(() => rm(folder, { recursive: true }))

const open = (files: LogFiles = diskFiles, segmentBytesMax = 1_000_000): Promise<Log> =>
  openFileLog({ folder, segmentBytesMax, retentionMs: 100, clock: { now: () => nowMs }, files })

const RESERVE_BYTES = 4_000
const openReserving = (files: LogFiles = diskFiles): Promise<Log> =>
  openFileLog({
    folder,
    segmentBytesMax: 2_000,
    retentionMs: 100,
    reserveBytes: RESERVE_BYTES,
    clock: { now: () => nowMs },
    files,
  })

const record = (value: string, topic = 't'): RecordToAppend => ({
  topic,
  partition: 0,
  key: null,
  value: Buffer.from(value),
})

async function values(log: Log, topic = 't'): Promise<string[]> {
  const read = await log.reader({ topic, partition: 0, offset: 0 }).read(10_000)
  return read.map((r) => r.value!.toString())
}

test('offsets go on where they stood after the log is opened again', async () => {
  const first = await open(diskFiles, 300)
  for (let i = 0; i < 20; i++) await first.append([record(`v${i}`)])
  await first.close()
  assert.ok((await readdir(folder)).length > 3)
  const again = await open(diskFiles, 300)
  assert.deepEqual(await again.append([record('next')]), [20])
  assert.equal((await values(again)).length, 21)
  await again.close()
})

test('a last frame torn at any byte is cut off, and everything before it stays', async () => {
  const log = await open()
  await log.append([record('one')])
  await log.append([record('two')])
  const whole = (await readFile(join(folder, FIRST))).length
  await log.append([record('three'), record('side', 'other')])
  await log.close()
  const bytes = await readFile(join(folder, FIRST))
  for (let length = whole; length < bytes.length; length++) {
    await writeFile(join(folder, FIRST), bytes.subarray(0, length))
    const torn = await open()
    assert.deepEqual(await values(torn), ['one', 'two'])
    assert.deepEqual(await torn.append([record('again')]), [2])
    await torn.close()
  }
})

test('a flipped byte in the last frame cuts it off; in an earlier one the log refuses to open and says where', async () => {
  const log = await open()
  await log.append([record('one')])
  const firstEnd = (await readFile(join(folder, FIRST))).length
  await log.append([record('two')])
  const secondEnd = (await readFile(join(folder, FIRST))).length
  await log.append([record('three')])
  await log.close()
  const bytes = await readFile(join(folder, FIRST))
  const flipped = async (at: number): Promise<void> => {
    const copy = Buffer.from(bytes)
    copy[at]! ^= 0x40
    await writeFile(join(folder, FIRST), copy)
  }
  for (let at = secondEnd; at < bytes.length; at += 3) {
    await flipped(at)
    const cut = await open()
    assert.deepEqual(await values(cut), ['one', 'two'])
    await cut.close()
  }
  for (const at of [0, 5, 9, 20, firstEnd - 1, firstEnd + 1, secondEnd - 1]) {
    await flipped(at)
    await assert.rejects(open(), (error: { code?: string; where?: string }) => {
      assert.equal(error.code, 'LOG_DAMAGED')
      assert.match(error.where ?? '', /segment-00000001\.log byte \d+/)
      return true
    })
  }
})

test('damage in a segment that was closed long ago refuses to open', async () => {
  const log = await open(diskFiles, 200)
  for (let i = 0; i < 10; i++) await log.append([record(`v${i}`)])
  await log.close()
  await truncate(join(folder, FIRST), 50)
  await assert.rejects(open(diskFiles, 200), { code: 'LOG_DAMAGED' })
})

test('garbage behind the last frame is cut off', async () => {
  const log = await open()
  await log.append([record('one')])
  await log.close()
  await appendFile(join(folder, FIRST), Buffer.alloc(5_000, 0x57))
  const again = await open()
  assert.deepEqual(await values(again), ['one'])
  await again.close()
})

test('a full disk refuses the append, keeps the log whole and goes on when there is room', async () => {
  let full = false
  const files = failing({
    write: async (file, bytes, position) => {
      if (!full) return file.write(bytes, position)
      await file.write(bytes.subarray(0, bytes.length >> 1), position)
      throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
    },
  })
  const log = await open(files)
  await log.append([record('one')])
  full = true
  await assert.rejects(log.append([record('two')]), { code: 'LOG_DISK_FULL', retryable: true })
  full = false
  assert.deepEqual(await log.append([record('three')]), [1])
  assert.deepEqual(await values(log), ['one', 'three'])
  await log.close()
  const again = await open()
  assert.deepEqual(await values(again), ['one', 'three'])
  await again.close()
})

test('what was reserved and not written is cut off after a crash, at the end of a file, and when the log is closed', async () => {
  const log = await openReserving()
  await log.append([record('one')])
  await log.append([record('two')])
  const crashed = await readFile(join(folder, FIRST))
  assert.ok(crashed.length > RESERVE_BYTES)
  for (let i = 0; i < 40; i++) await log.append([record(`more ${i} ${'x'.repeat(100)}`)])
  const segments = (await readdir(folder)).sort()
  assert.ok(segments.length > 2)
  await log.close()
  for (const name of segments) {
    const bytes = await readFile(join(folder, name))
    assert.notEqual(bytes.at(-1), 0, name)
  }
  const again = await openReserving()
  assert.equal((await values(again)).length, 42)
  await again.close()
  for (const name of segments) await rm(join(folder, name))
  await writeFile(join(folder, FIRST), crashed)
  const recovered = await openReserving()
  assert.deepEqual(await values(recovered), ['one', 'two'])
  assert.deepEqual(await recovered.append([record('three')]), [2])
  await recovered.close()
})

test('a disk that has room for the records and not for a reserve takes the records', async () => {
  const files = failing({
    write: async (file, bytes, position) => {
      if (bytes.length < RESERVE_BYTES) return file.write(bytes, position)
      await file.write(bytes.subarray(0, 1_000), position)
      throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
    },
  })
  const log = await openReserving(files)
  assert.deepEqual(await log.append([record('one')]), [0])
  assert.deepEqual(await log.append([record('two')]), [1])
  assert.deepEqual(await values(log), ['one', 'two'])
  await log.close()
})

test('a sync that fails ends the log for good and is never tried again', async () => {
  let syncs = 0
  let broken = false
  const files = failing({
    datasync: async (file) => {
      syncs++
      if (broken) throw Object.assign(new Error('i/o error'), { code: 'EIO' })
      await file.datasync()
    },
  })
  const log = await open(files)
  await log.append([record('one')])
  broken = true
  await assert.rejects(log.append([record('two')]), { code: 'LOG_FSYNC_FAILED' })
  const before = syncs
  broken = false
  await assert.rejects(log.append([record('three')]), { code: 'LOG_FSYNC_FAILED' })
  assert.equal(syncs, before)
  await log.close()
})

test('a reader never sees what is not durable yet', async () => {
  let release: () => void = () => {}
  let hold = false
  const files = failing({
    datasync: async (file) => {
      if (hold) await new Promise<void>((resolve) => (release = resolve))
      await file.datasync()
    },
  })
  const log = await open(files)
  await log.append([record('one')])
  hold = true
  const appended = log.append([record('two')])
  assert.deepEqual(await values(log), ['one'])
  hold = false
  while (release.name === '') await new Promise((resolve) => setImmediate(resolve))
  release()
  await appended
  assert.deepEqual(await values(log), ['one', 'two'])
  await log.close()
})

test('old segments go only when nobody needs them and they are older than the retention', async () => {
  nowMs = 1_000
  const log = await open(diskFiles, 150)
  for (let i = 0; i < 12; i++) await log.append([record(`v${i}`)])
  const count = (await readdir(folder)).length
  await log.retain([{ topic: 't', partition: 0, offset: 12 }])
  assert.equal((await readdir(folder)).length, count, 'too young')
  nowMs = 10_000
  await log.retain([{ topic: 't', partition: 0, offset: 6 }])
  assert.ok((await readdir(folder)).length < count)
  const [range] = await log.ranges()
  assert.ok(range!.start > 0 && range!.start <= 6)
  await assert.rejects(log.reader({ topic: 't', partition: 0, offset: 0 }).read(1), { code: 'LOG_POSITION_GONE' })
  assert.equal((await log.reader({ topic: 't', partition: 0, offset: 6 }).read(1))[0]!.value!.toString(), 'v6')
  await log.close()
})

/** The disk, with some operations replaced. */
function failing(replaced: {
  write?: (file: LogFile, bytes: Uint8Array, position: number) => Promise<void>
  datasync?: (file: LogFile) => Promise<void>
}): LogFiles {
  return {
    ...diskFiles,
    async open(path, create) {
      const file = await diskFiles.open(path, create)
      return {
        ...file,
        write: (bytes, position) => replaced.write?.(file, bytes, position) ?? file.write(bytes, position),
        datasync: () => replaced.datasync?.(file) ?? file.datasync(),
      }
    },
  }
}
