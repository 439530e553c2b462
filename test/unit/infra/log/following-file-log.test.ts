import assert from 'node:assert/strict'
import { appendFileSync, readFileSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { openFileLog } from '#infra/log/file-log.ts'
import { openFollowingFileLog } from '#infra/log/following-file-log.ts'
import type { Log, RecordToAppend } from '#infra/log/log.ts'
import { inTempFolder } from '#test/support/temp-folder.ts'

const FAST = { everyMs: 2, settledMs: 20 }
/** Longer than any test: the newest frame counts only when a later one names it. */
const NEVER_SETTLED = { everyMs: 2, settledMs: 3_600_000 }
const WAIT_MS_MAX = 20_000

test('what the writer appends is read in order, across files, while it is written', () =>
  inTempFolder(async (folder) => {
    const writer = await openWriter(folder, 1_000)
    const follower = await openFollowingFileLog({ folder, ...FAST })
    try {
      const reading = readAll(follower, 200)
      for (let i = 0; i < 200; i++)
        await writer.append([recordOf('a', `${i} ${'x'.repeat(50)}`), recordOf('b', `${i}`)])
      const read = await reading
      assert.deepEqual(
        read.map(({ offset, value }) => [offset, parseInt(value, 10)]),
        Array.from({ length: 200 }, (_, i) => [i, i]),
      )
      assert.deepEqual(await follower.ranges(), await writer.ranges())
    } finally {
      await follower.close()
      await writer.close()
    }
  }))

test('a follower that is there before anything was written finds what comes', () =>
  inTempFolder(async (folder) => {
    const home = join(folder, 'not there yet')
    const follower = await openFollowingFileLog({ folder: home, ...FAST })
    const reading = readAll(follower, 1)
    const writer = await openWriter(home, 100_000)
    await writer.append([recordOf('a', 'first')])
    assert.equal((await reading)[0]!.value, 'first')
    await follower.close()
    await writer.close()
  }))

test('the newest frame counts when a later one names it durable, or when it has stood for a while', () =>
  inTempFolder(async (folder) => {
    const writer = await openWriter(folder, 100_000)
    const strict = await openFollowingFileLog({ folder, ...NEVER_SETTLED })
    const patient = await openFollowingFileLog({ folder, ...FAST })
    try {
      await writer.append([recordOf('a', 'one')])
      assert.equal((await readAll(patient, 1))[0]!.value, 'one')
      assert.deepEqual(await strict.ranges(), [])
      await writer.append([recordOf('a', 'two')])
      assert.equal((await readAll(strict, 1))[0]!.value, 'one')
      assert.equal((await strict.ranges())[0]!.end, 1)
    } finally {
      await strict.close()
      await patient.close()
      await writer.close()
    }
  }))

test('a write that is under way, or was taken back, is not seen', () =>
  inTempFolder(async (folder) => {
    const writer = await openWriter(folder, 100_000)
    await writer.append([recordOf('a', 'one')])
    await writer.append([recordOf('a', 'two')])
    await writer.close()
    const file = join(folder, 'segment-00000001.log')
    const whole = readFileSync(file)
    const follower = await openFollowingFileLog({ folder, ...NEVER_SETTLED })
    try {
      // Half of the first frame once more, then taken back.
      appendFileSync(file, whole.subarray(0, 20))
      await passes(50)
      truncateSync(file, whole.length)
      await passes(50)
      assert.equal((await follower.ranges())[0]!.end, 1)
    } finally {
      await follower.close()
    }
  }))

test('damage where the log had been durable is refused', () =>
  inTempFolder(async (folder) => {
    const writer = await openWriter(folder, 200)
    for (let i = 0; i < 20; i++) await writer.append([recordOf('a', `${i} ${'x'.repeat(50)}`)])
    await writer.close()
    truncateSync(join(folder, 'segment-00000002.log'), 30)
    await assert.rejects(openFollowingFileLog({ folder, ...FAST }), { code: 'LOG_DAMAGED' })
  }))

test('it is for reading only, and what was closed refuses to read', () =>
  inTempFolder(async (folder) => {
    const writer = await openWriter(folder, 100_000)
    await writer.append([recordOf('a', 'one')])
    await writer.close()
    const follower = await openFollowingFileLog({ folder, ...FAST })
    await assert.rejects(follower.append([recordOf('a', 'two')]), { code: 'LOG_CLOSED' })
    const reader = follower.reader({ topic: 'a', partition: 0, offset: 0 })
    await follower.close()
    await assert.rejects(reader.read(1), { code: 'LOG_CLOSED' })
  }))

function openWriter(folder: string, segmentBytesMax: number): Promise<Log> {
  return openFileLog({ folder, segmentBytesMax, retentionMs: 1e12, reserveBytes: 900, clock: { now: () => 1_000 } })
}

function recordOf(topic: string, value: string): RecordToAppend {
  return { topic, partition: 0, key: null, value: Buffer.from(value) }
}

async function readAll(log: Log, count: number): Promise<{ readonly offset: number; readonly value: string }[]> {
  const reader = log.reader({ topic: 'a', partition: 0, offset: 0 })
  const giveUp = AbortSignal.timeout(WAIT_MS_MAX)
  const read: { readonly offset: number; readonly value: string }[] = []
  for (let seen = -1; read.length < count && !giveUp.aborted; ) {
    const records = await reader.read(7)
    if (records.length === 0) seen = await log.changed(seen, giveUp)
    for (const { offset, value } of records) read.push({ offset, value: value!.toString() })
  }
  reader.close()
  return read
}

/** Time for a follower to look, and look again. */
function passes(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
