import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import type { Log, LogRecord, RecordToAppend } from '#infra/log/log.ts'

export interface LogHome {
  open(): Promise<Log>
  /** Where topics have to be made before they are written to; gives the name that it has. */
  makeTopic?(name: string, partitions: number): Promise<string>
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

export interface LogPromises {
  /**
   * `dense`: 0, 1, 2 and so on in every partition. `growing`: dense within one append; between two of them, offsets may
   * be left out.
   */
  readonly offsets: 'dense' | 'growing'
  /** Reason not to run, or false. */
  readonly skip?: string | false
}

/** What every home of the log promises. */
export function logContract(name: string, promises: LogPromises, makeHome: () => Promise<LogHome>): void {
  const isDense = promises.offsets === 'dense'

  function assertOrder(offsets: readonly number[]): void {
    if (isDense) assert.deepEqual(offsets, [...offsets.keys()])
    else assert.ok(offsets.every((offset, i) => i === 0 || offset > offsets[i - 1]!))
  }

  describe(`the log: ${name}`, { skip: promises.skip ?? false }, () => {
    let home: LogHome
    let log: Log
    let topics = 0
    const topic = async (partitions = 1): Promise<string> => {
      const name = `topic-${++topics}`
      return (await home.makeTopic?.(name, partitions)) ?? name
    }

    before(async () => {
      home = await makeHome()
      log = await home.open()
    })
    after(async () => {
      await log.close()
      await home.dispose()
    })

    test(`offsets are ${promises.offsets} per partition and follow the order of the calls`, async () => {
      const name = await topic(2)
      const [[a, x, b], [c], [y, d]] = (await Promise.all([
        log.append([record(name, 0, 'a'), record(name, 1, 'x'), record(name, 0, 'b')]),
        log.append([record(name, 0, 'c')]),
        log.append([record(name, 1, 'y'), record(name, 0, 'd')]),
      ])) as [[number, number, number], [number], [number, number]]
      assertOrder([a, b, c, d])
      assertOrder([x, y])
      assert.equal(b, a + 1)
      assert.deepEqual(
        (await readAll(log, name, 0)).map((r) => [r.offset, text(r.value)]),
        [
          [a, 'a'],
          [b, 'b'],
          [c, 'c'],
          [d, 'd'],
        ],
      )
      assert.deepEqual(
        (await readAll(log, name, 1)).map((r) => [r.offset, text(r.value)]),
        [
          [x, 'x'],
          [y, 'y'],
        ],
      )
    })

    test('keys and values come back as they were, null and empty ones too', async () => {
      const name = await topic()
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
      const name = await topic()
      const reader = log.reader({ topic: name, partition: 0, offset: 0 })
      assert.deepEqual(await reader.read(10), [])
      const offsets: number[] = []
      for (let i = 0; i < 20; i++) {
        offsets.push(...(await log.append([record(name, 0, `${i}a`), record(name, 0, `${i}b`)])))
        assert.deepEqual(
          (await reader.read(10)).map((r) => [r.offset, text(r.value)]),
          [
            [offsets.at(-2), `${i}a`],
            [offsets.at(-1), `${i}b`],
          ],
        )
        assert.ok(reader.position > offsets.at(-1)!)
      }
      assertOrder(offsets)
      if (isDense) assert.equal(reader.position, 40)
      reader.seek(offsets[13]!)
      assert.deepEqual(
        (await reader.read(2)).map((r) => [r.offset, text(r.value)]),
        [
          [offsets[13], '6b'],
          [offsets[14], '7a'],
        ],
      )
      reader.close()
    })

    test('two readers of one partition do not know of each other', async () => {
      const name = await topic()
      await log.append([record(name, 0, 'a'), record(name, 0, 'b'), record(name, 0, 'c')])
      const slow = log.reader({ topic: name, partition: 0, offset: 0 })
      const quick = log.reader({ topic: name, partition: 0, offset: 1 })
      assert.deepEqual(
        (await slow.read(1)).map((r) => text(r.value)),
        ['a'],
      )
      assert.deepEqual(
        (await quick.read(5)).map((r) => text(r.value)),
        ['b', 'c'],
      )
      quick.close()
      assert.deepEqual(
        (await slow.read(5)).map((r) => text(r.value)),
        ['b', 'c'],
      )
      slow.close()
    })

    test('what was read stays as it is while the log goes on', async () => {
      const name = await topic()
      await log.append([record(name, 0, 'first')])
      const [first] = await readAll(log, name, 0)
      for (let i = 0; i < 50; i++) await log.append([record(name, 0, 'y'.repeat(10_000))])
      await readAll(log, name, 0)
      assert.equal(text(first!.value), 'first')
    })

    test('a change wakes who waits for it, and an abort does', async () => {
      const name = await topic()
      const stop = new AbortController()
      const seen = await log.changed(-1, stop.signal)
      const waiting = log.changed(seen, stop.signal)
      await log.append([record(name, 0, 'a')])
      assert.ok((await waiting) > seen)
      const aborted = log.changed(await waiting, stop.signal)
      stop.abort()
      await aborted
    })

    test('ranges name every partition that holds something with its first and next offset', async () => {
      const name = await topic(8)
      await log.append([record(name, 3, 'a'), record(name, 3, 'b'), record(name, 7, 'c')])
      const ranges = (await log.ranges()).filter((range) => range.topic === name && range.end > range.start)
      assert.deepEqual(
        ranges.map(({ partition, start }) => [partition, start]).sort((a, b) => a[0]! - b[0]!),
        [
          [3, 0],
          [7, 0],
        ],
      )
      for (const { partition, start, end } of ranges) {
        const records = await readAll(log, name, partition, start)
        assert.ok(end > records.at(-1)!.offset)
        if (isDense) assert.equal(end, records.length)
        const reader = log.reader({ topic: name, partition, offset: end })
        assert.deepEqual(await reader.read(10), [])
        reader.close()
      }
    })

    test('a reader that has read all stands at the end that ranges tell', async () => {
      const name = await topic()
      for (const value of ['a', 'b', 'c']) await log.append([record(name, 0, value)])
      const reader = log.reader({ topic: name, partition: 0, offset: 0 })
      while ((await reader.read(2)).length > 0);
      const { end } = (await log.ranges()).find((range) => range.topic === name)!
      assert.ok(reader.position >= end)
      reader.close()
    })

    test('a reader is never called dry while something is there for it', async () => {
      const name = await topic()
      const reader = log.reader({ topic: name, partition: 0, offset: 0 })
      await log.append([record(name, 0, 'a'), record(name, 0, 'b')])
      assert.notEqual(reader.isDry, true)
      await reader.read(1)
      assert.notEqual(reader.isDry, true)
      while ((await reader.read(2)).length > 0);
      assert.notEqual(reader.isDry, false)
      reader.seek(0)
      assert.notEqual(reader.isDry, true)
      reader.close()
      assert.notEqual(reader.isDry, true)
    })

    test('random appends read like a plain list', async () => {
      const append = fc.array(
        fc.record({ partition: fc.integer({ min: 0, max: 2 }), value: fc.option(fc.string({ maxLength: 300 })) }),
        { minLength: 1, maxLength: 20 },
      )
      await fc.assert(
        fc.asyncProperty(fc.array(append, { maxLength: 15 }), fc.integer({ min: 1, max: 50 }), async (appends, max) => {
          const name = await topic(3)
          const lists: (string | null)[][] = [[], [], []]
          const answers = appends.map((records) => {
            for (const { partition, value } of records) lists[partition]!.push(value)
            return log.append(records.map(({ partition, value }) => record(name, partition, value)))
          })
          const answered: number[][] = [[], [], []]
          for (const [i, offsets] of (await Promise.all(answers)).entries()) {
            for (const [j, offset] of offsets.entries()) answered[appends[i]![j]!.partition]!.push(offset)
          }
          for (const [partition, list] of lists.entries()) {
            const read = await readAll(log, name, partition, 0, max)
            assert.deepEqual(
              read.map((r) => text(r.value)),
              list,
            )
            assertOrder(read.map((r) => r.offset))
            assert.deepEqual(
              read.map((r) => r.offset),
              answered[partition],
            )
          }
        }),
        { numRuns: 25 },
      )
    })

    test('a closed log refuses with a code', async () => {
      const other = await makeHome()
      const closing = await other.open()
      const name = (await other.makeTopic?.('closing', 1)) ?? 'closing'
      await closing.append([record(name, 0, 'a')])
      await closing.close()
      await assert.rejects(closing.append([record(name, 0, 'b')]), { code: 'LOG_CLOSED' })
      await assert.rejects(closing.reader({ topic: name, partition: 0, offset: 0 }).read(1), {
        code: 'LOG_CLOSED',
      })
      await other.dispose()
    })
  })
}
