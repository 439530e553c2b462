import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createMemoryLog } from '#infra/log/memory-log.ts'
import type { Log, LogRecord } from '#infra/log/log.ts'
import type { Settled } from '#pipeline/intake.ts'
import { SliceBuffers } from '#pipeline/slice.ts'
import { DEFAULT_TOPICS as TOPICS } from '#pipeline/topics.ts'
import type { Codec } from '#schemas/codec.ts'
import { WeirError } from '#schemas/errors.ts'
import type { JournalLine } from '#schemas/journal.ts'
import { createMemoryPath, INTAKE, type MemoryPath, NOW_MS } from '#test/support/memory-path.ts'
import { labelOf, testCodec, transactionOf } from '#test/support/transactions.ts'

const codec = testCodec()

function transaction(id: string, atMs: number = NOW_MS - 60_000): Buffer {
  return codec.transaction.encode(transactionOf({ transaction_id: id, event_time: atMs }))
}

function recordsOf(topic: string, partition: number, values: readonly (Buffer | null)[]) {
  return values.map((value) => ({ topic, partition, key: null, value }))
}

/** A transaction over the intake; resolves when it is settled. */
function submit({ intake }: MemoryPath, id: string): Promise<Settled> {
  return new Promise((settle, fail) => {
    assert.ok(intake.push({ topic: TOPICS.transactions, key: id, value: transaction(id), waiter: { settle, fail } }))
  })
}

const idsOf = (records: readonly LogRecord[], from: Codec = codec): string[] =>
  records.map(({ value }) => from.decision.decode(value!).transaction.transaction_id)

const linesOf = (records: readonly LogRecord[]): JournalLine[] =>
  records.map(({ value }) => codec.journalLine.decode(value!))

describe('records that cannot be read, in the middle of others', () => {
  const good = transaction('good-1')
  const unknownId = Buffer.from(good)
  unknownId.writeUInt32BE(99, 1)
  const poison: readonly { readonly name: string; readonly value: Buffer | null; readonly reason: string }[] = [
    { name: 'random bytes', value: Buffer.from('9f3ce1a07755aa00', 'hex'), reason: 'NOT_DECODABLE' },
    { name: 'a truncated record', value: good.subarray(0, good.length - 4), reason: 'NOT_DECODABLE' },
    { name: 'a frame without a body', value: good.subarray(0, 5), reason: 'NOT_DECODABLE' },
    { name: 'trailing bytes', value: Buffer.concat([good, Buffer.from([1, 2])]), reason: 'TRAILING_BYTES' },
    { name: 'an unknown schema id', value: unknownId, reason: 'UNKNOWN_SCHEMA_ID' },
    { name: 'a record of another type', value: codec.label.encode(labelOf()), reason: 'INCOMPATIBLE_SCHEMA' },
    { name: 'JSON with a wrong type', value: Buffer.from('{"transaction_id":7}'), reason: 'WRONG_TYPE' },
    { name: 'broken JSON', value: Buffer.from('{"transaction_id":'), reason: 'NOT_DECODABLE' },
    { name: 'an empty value', value: Buffer.alloc(0), reason: 'EMPTY_RECORD' },
    { name: 'no value', value: null, reason: 'EMPTY_RECORD' },
    { name: 'an empty id', value: transaction(''), reason: 'ID_EMPTY' },
    { name: 'an absurd time', value: transaction('late', NOW_MS + 2 * 86_400_000), reason: 'TIME_OUT_OF_RANGE' },
  ]

  test('become dead letters with reason and place, and the others are decided as if they were not there', async () => {
    const path = createMemoryPath()
    const values = [transaction('first'), ...poison.flatMap(({ value }, i) => [value, transaction(`after-${i}`)])]
    await path.log.append(recordsOf(TOPICS.transactions, 0, values))
    const running = path.run()
    const letters = (await path.records(TOPICS.deadLetters, poison.length)).map(({ value }) =>
      codec.deadLetter.decode(value!),
    )
    assert.deepEqual(
      letters.map(({ topic, partition, offset, reason }) => ({ topic, partition, offset, reason })),
      poison.map(({ reason }, i) => ({ topic: TOPICS.transactions, partition: 0, offset: 1 + 2 * i, reason })),
    )
    assert.ok(letters.every(({ detail }) => detail.length > 0))
    assert.deepEqual(
      letters.map(({ size_bytes }) => size_bytes),
      poison.map(({ value }) => value?.length ?? 0),
    )
    const decided = idsOf(await path.records(TOPICS.decisions, poison.length + 1))
    assert.deepEqual(decided, ['first', ...poison.map((_, i) => `after-${i}`)])
    await running.stop()
    await path.runtime.close()
  })

  test('stop the stream when nothing else comes, and what was waited for is told so', async () => {
    const path = createMemoryPath({ deadLettersInARowMax: 5, rowsMax: 16 })
    await path.log.append(recordsOf(TOPICS.transactions, 0, [null, null, null, null, transaction('between')]))
    await path.log.append(recordsOf(TOPICS.transactions, 0, [null, null, null, null, null]))
    const running = path.run()
    await assert.rejects(running.ended, (error: WeirError) => {
      assert.equal(error.code, 'DEAD_LETTER_LIMIT')
      assert.equal(error.where, `${TOPICS.transactions}/0 offset 9`)
      return true
    })
    // The slice that met the limit is not committed: a restart meets it again.
    assert.equal((await path.log.ranges()).find(({ topic }) => topic === TOPICS.deadLetters)?.end ?? 0, 0)
    await assert.rejects(path.engine.control('overload', { on: true }), { code: 'DEAD_LETTER_LIMIT' })
  })

  test('a good record between starts the count anew', async () => {
    const path = createMemoryPath({ deadLettersInARowMax: 3 })
    const values = Array.from({ length: 8 }, (_, i) => [null, null, transaction(`good-${i}`)]).flat()
    await path.log.append(recordsOf(TOPICS.transactions, 0, values))
    const running = path.run()
    assert.equal((await path.records(TOPICS.decisions, 8)).length, 8)
    await running.stop()
  })
})

describe('the order across partitions', () => {
  const at = (second: number): number => NOW_MS - 3_600_000 + second * 1_000

  async function orderOf(path: MemoryPath): Promise<string[]> {
    const slice = await path.consumer.fill(new SliceBuffers(1_024, path.runtime.layout))
    return Array.from({ length: slice.count }, (_, row) => {
      const value = slice.value[row]!
      return slice.topic[row] === TOPICS.labels
        ? `label ${codec.label.decode(value).transaction_id}`
        : (codec.transaction.tryDecode(value)?.transaction_id ?? 'unreadable')
    })
  }

  test('is that of time, with labels between transactions where they became known', async () => {
    const path = createMemoryPath()
    const many = Array.from({ length: 200 }, (_, i) => transaction(`a${i}`, at(i)))
    await path.log.append(recordsOf(TOPICS.transactions, 0, many))
    await path.log.append(recordsOf(TOPICS.transactions, 2, [transaction('earlier', at(-5))]))
    const label = codec.label.encode(labelOf({ transaction_id: 'a3', known_at: at(120.5) }))
    await path.log.append(recordsOf(TOPICS.labels, 0, [label]))
    assert.ok(await path.consumer.hasInput())
    const order = await orderOf(path)
    assert.deepEqual(order, [
      'earlier',
      ...Array.from({ length: 121 }, (_, i) => `a${i}`),
      'label a3',
      ...Array.from({ length: 79 }, (_, i) => `a${i + 121}`),
    ])
    assert.deepEqual([path.positions.of(TOPICS.transactions, 0), path.positions.of(TOPICS.transactions, 2)], [200, 1])
    assert.equal(path.positions.of(TOPICS.labels, 0), 1)
  })

  test('puts what cannot be read first, and what came over the intake in its place', async () => {
    const path = createMemoryPath()
    const rest = Array.from({ length: 100 }, (_, i) => transaction(`b${i}`, at(i)))
    await path.log.append(recordsOf(TOPICS.transactions, 0, rest))
    await path.log.append(recordsOf(TOPICS.transactions, 3, [Buffer.from([7])]))
    path.intake.push({ topic: TOPICS.transactions, key: 'asked', value: transaction('asked', at(80.5)), waiter: null })
    const order = await orderOf(path)
    assert.equal(order[0], 'unreadable')
    assert.equal(order.indexOf('asked'), order.indexOf('b80') + 1)
    assert.equal(path.positions.of(TOPICS.transactions, INTAKE), 1)
  })
})

describe('the engine', () => {
  test('puts controls between slices, in force only when they are durable', async () => {
    const inForceAt: number[] = []
    const log = createMemoryLog()
    const path = createMemoryPath({
      log,
      applyControl: async () => {
        inForceAt.push((await log.reader({ topic: TOPICS.journal, partition: 0, offset: 0 }).read(100)).length)
      },
    })
    const running = path.run()
    await submit(path, 'before')
    await path.engine.control('threshold', { mode: 'fixed', review: 0.5, decline: null })
    await submit(path, 'after')
    await running.stop()
    const lines = linesOf(await path.records(TOPICS.journal, 4))
    assert.deepEqual(
      lines.map(({ line, control, pieces }) => [line, control?.type ?? null, pieces.length]),
      [
        [0, 'term', 0],
        [1, null, 1],
        [2, 'threshold', 0],
        [3, null, 1],
        [4, null, 0],
      ],
    )
    assert.deepEqual(inForceAt, [1, 3])
  })

  test('refuses a control that is wrong and goes on', async () => {
    const path = createMemoryPath({
      applyControl: async ({ type }) => {
        if (type === 'rules') throw new WeirError('RULES_INVALID', 'line 1 makes no sense')
      },
    })
    const running = path.run()
    await assert.rejects(path.engine.control('rules', { text: '', file: '' }), { code: 'RULES_INVALID' })
    assert.equal((await submit(path, 'still')).outcome, 'accepted')
    await running.stop()
  })

  test('waits for a full disk with the same bytes, and tells the operator rather than who asked', async () => {
    const log = createMemoryLog()
    let isFull = false
    let refused = 0
    const full: Log = {
      ...log,
      append(records) {
        if (!isFull) return log.append(records)
        isFull = false
        refused++
        return Promise.reject(new WeirError('LOG_DISK_FULL', 'no space is left'))
      },
    }
    const told: boolean[] = []
    const path = createMemoryPath({ log: full, onDiskFull: (is) => told.push(is) })
    const running = path.run()
    await submit(path, 'room')
    isFull = true
    assert.equal((await submit(path, 'no room')).outcome, 'accepted')
    assert.equal(refused, 1)
    assert.deepEqual(told, [true, false])
    assert.deepEqual(idsOf(await path.records(TOPICS.decisions, 2)), ['room', 'no room'])
    await running.stop()
  })

  test('writes one empty line when nothing follows, so that the tables learn of the last slice', async () => {
    const path = createMemoryPath({ heartbeatMs: 1 })
    const running = path.run()
    await submit(path, 'last')
    const lines = linesOf(await path.records(TOPICS.journal, 3))
    assert.deepEqual(
      lines.map(({ pieces }) => pieces.length),
      [0, 1, 0],
    )
    await running.stop()
    assert.equal((await path.records(TOPICS.journal, 3)).length, 3, 'a second empty line would say nothing new')
  })

  test('tells who waits when a slice fails, and stops with the same error', async () => {
    const broken = new WeirError('SCORER_FAILED', 'the model is gone')
    const path = createMemoryPath({ path: (whole) => ({ ...whole, run: () => Promise.reject(broken) }) })
    const running = path.run()
    await assert.rejects(submit(path, 'unlucky'), { code: 'SCORER_FAILED' })
    await assert.rejects(running.ended, { code: 'SCORER_FAILED' })
    await assert.rejects(path.engine.heartbeat(), { code: 'SCORER_FAILED' })
    assert.deepEqual(
      (await path.log.ranges()).map(({ topic }) => topic),
      [TOPICS.journal],
    )
  })

  test('tells who waits when the outcome of a commit is unknown, and takes nothing more', async () => {
    const log = createMemoryLog()
    let isBroken = false
    const path = createMemoryPath({
      log: {
        ...log,
        append: (records) =>
          isBroken ? Promise.reject(new WeirError('LOG_FSYNC_FAILED', 'unknown')) : log.append(records),
      },
    })
    const running = path.run()
    await submit(path, 'fine')
    isBroken = true
    await assert.rejects(submit(path, 'unknown'), { code: 'LOG_FSYNC_FAILED' })
    await assert.rejects(running.ended, { code: 'LOG_FSYNC_FAILED' })
  })

  test('finishes what was asked of it before it stops', async () => {
    const path = createMemoryPath()
    const running = path.run()
    await submit(path, 'one')
    const control = path.engine.control('overload', { on: false })
    await Promise.all([control, running.stop()])
    await assert.rejects(path.engine.control('overload', { on: true }), { code: 'LOG_CLOSED' })
    const last = linesOf(await path.records(TOPICS.journal, 3)).at(-1)
    assert.equal(last?.control?.type, 'overload')
  })
})
