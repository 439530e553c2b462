import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import type { Log, LogRecord, RecordToAppend } from '#infra/log/log.ts'

export interface LogHome {
  open(): Promise<Log>
  dispose(): Promise<void>
}

const record = (topic: string, partition: number, value: string | null, key: string | null = null): RecordToAppend => ({
  topic,
  partition,
  key: key === null ? null : Buffer.from(key),
  value: value === null ? null : Buffer.from(value),
})

const text = (bytes: Buffer | null): string | null => bytes?.toString() ?? null

async function readAll(log: Log, topic: string, partition: number, offset = 0, max = 100): Promise<LogRecord[]> {
  const reader = log.reader({ topic, partition, offset })
  const all: LogRecord[] = []
  for (let batch = await reader.read(max); batch.length > 0; batch = await reader.read(max)) all.push(...batch)
  reader.close()
  return all
}

/** What every home of the log promises. */
export function logContract(name: string, makeHome: () => Promise<LogHome>): void {
  describe(`the log: ${name}`, () => {
    let home: LogHome
    let log: Log
    let topics = 0
    const topic = (): string => `topic-${++topics}`

    before(async () => {
      home = await makeHome()
      log = await home.open()
    })
    after(async () => {
      await log.close()
      await home.dispose()
    })

    test('offsets are dense per partition and follow the order of the calls', async () => {
      const name = topic()
      const answers = await Promise.all([
        log.append([record(name, 0, 'a'), record(name, 1, 'x'), record(name, 0, 'b')]),
        log.append([record(name, 0, 'c')]),
        log.append([record(name, 1, 'y'), record(name, 0, 'd')]),
      ])
      assert.deepEqual(answers, [[0, 0, 1], [2], [1, 3]])
      assert.deepEqual(
        (await readAll(log, name, 0)).map((r) => [r.offset, text(r.value)]),
        [
          [0, 'a'],
          [1, 'b'],
          [2, 'c'],
          [3, 'd'],
        ],
      )
      assert.deepEqual(
        (await readAll(log, name, 1)).map((r) => text(r.value)),
        ['x', 'y'],
      )
    })

    test('keys and values come back as they were, null and empty ones too', async () => {
      const name = topic()
      const large = 'x'.repeat(700_000)
      await log.append([
        record(name, 0, null, 'k'),
        record(name, 0, ''),
        record(name, 0, large, ''),
        record(name, 0, 'v', 'ü'),
      ])
      const read = await readAll(log, name, 0, 0, 1)
      assert.deepEqual(
        read.map((r) => [text(r.key), text(r.value)]),
        [
          ['k', null],
          [null, ''],
          ['', large],
          ['ü', 'v'],
        ],
      )
    })

    test('a reader beside the writer sees whole appends, in order, from where it was sought', async () => {
      const name = topic()
      const reader = log.reader({ topic: name, partition: 0, offset: 0 })
      assert.deepEqual(await reader.read(10), [])
      for (let i = 0; i < 20; i++) {
        await log.append([record(name, 0, `${i}a`), record(name, 0, `${i}b`)])
        assert.deepEqual(
          (await reader.read(10)).map((r) => text(r.value)),
          [`${i}a`, `${i}b`],
        )
      }
      assert.equal(reader.position, 40)
      reader.seek(13)
      assert.deepEqual(
        (await reader.read(2)).map((r) => [r.offset, text(r.value)]),
        [
          [13, '6b'],
          [14, '7a'],
        ],
      )
      reader.close()
    })

    test('what was read stays as it is while the log goes on', async () => {
      const name = topic()
      await log.append([record(name, 0, 'first')])
      const [first] = await readAll(log, name, 0)
      for (let i = 0; i < 50; i++) await log.append([record(name, 0, 'y'.repeat(10_000))])
      await readAll(log, name, 0)
      assert.equal(text(first!.value), 'first')
    })

    test('a change wakes who waits for it, and an abort does', async () => {
      const name = topic()
      const stop = new AbortController()
      const seen = await log.changed(-1, stop.signal)
      const waiting = log.changed(seen, stop.signal)
      await log.append([record(name, 0, 'a')])
      assert.ok((await waiting) > seen)
      const aborted = log.changed(await waiting, stop.signal)
      stop.abort()
      await aborted
    })

    test('ranges name every partition with its first and next offset', async () => {
      const name = topic()
      await log.append([record(name, 3, 'a'), record(name, 3, 'b'), record(name, 7, 'c')])
      const ranges = (await log.ranges()).filter((range) => range.topic === name)
      assert.deepEqual(
        ranges.map(({ partition, start, end }) => [partition, start, end]).sort((a, b) => a[0]! - b[0]!),
        [
          [3, 0, 2],
          [7, 0, 1],
        ],
      )
    })

    test('random appends read like a plain list', async () => {
      const append = fc.array(
        fc.record({ partition: fc.integer({ min: 0, max: 2 }), value: fc.option(fc.string({ maxLength: 300 })) }),
        { minLength: 1, maxLength: 20 },
      )
      await fc.assert(
        fc.asyncProperty(fc.array(append, { maxLength: 15 }), fc.integer({ min: 1, max: 50 }), async (appends, max) => {
          const name = topic()
          const lists: (string | null)[][] = [[], [], []]
          const answers = appends.map((records) => {
            for (const { partition, value } of records) lists[partition]!.push(value)
            return log.append(records.map(({ partition, value }) => record(name, partition, value)))
          })
          await Promise.all(answers)
          for (const [partition, list] of lists.entries()) {
            const read = await readAll(log, name, partition, 0, max)
            assert.deepEqual(
              read.map((r) => text(r.value)),
              list,
            )
            assert.deepEqual(
              read.map((r) => r.offset),
              [...list.keys()],
            )
          }
        }),
        { numRuns: 25 },
      )
    })

    test('a closed log refuses with a code', async () => {
      const other = await makeHome()
      const closing = await other.open()
      await closing.append([record('t', 0, 'a')])
      await closing.close()
      await assert.rejects(closing.append([record('t', 0, 'b')]), { code: 'LOG_CLOSED' })
      await assert.rejects(closing.reader({ topic: 't', partition: 0, offset: 0 }).read(1), { code: 'LOG_CLOSED' })
      await other.dispose()
    })
  })
}
