import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { KafkaAdmin } from '#infra/kafka/admin.ts'
import type { KafkaClient } from '#infra/kafka/client.ts'
import { KafkaProducer } from '#infra/kafka/producer.ts'
import { packRecords } from '#infra/kafka/record-batch-writer.ts'
import type { Log, LogRecord, RecordToAppend } from '#infra/log/log.ts'
import type { Metrics } from '#infra/metrics.ts'
import { type RunningKafka, startKafka } from '#test/support/kafka-broker.ts'
import { Cable, REQUEST } from '#test/support/kafka-cable.ts'
import { adminOf, deleteRecords, kafkaClientOf, openLog, planOf, withTool } from '#test/support/kafka-client.ts'
import { prepareKafka } from '#test/support/kafka-home.ts'
import { runJavaClient } from '#test/support/kafka-java-client.ts'
import { skipWithout } from '#test/support/optional-tool.ts'

const home = await prepareKafka()

describe('reading from Kafka', { skip: skipWithout(home) }, () => {
  let kafka: RunningKafka
  let client: KafkaClient
  let admin: KafkaAdmin
  let log: Log
  let topics = 0

  before(async () => {
    kafka = await startKafka(home.tool!)
    client = await kafkaClientOf(kafka.brokers)
    admin = adminOf(client)
    log = await openLog(client)
  })
  after(async () => {
    await log.close()
    await admin.close()
    await kafka.close()
  })

  async function makeTopic(partitions = 1, settings: Record<string, string> = {}): Promise<string> {
    const topic = `read-${++topics}`
    await admin.createTopics([planOf(topic, partitions, { settings })])
    return topic
  }

  /** A writer whose transactions the test ends as it likes. */
  async function startWriter(transactionalId: string): Promise<{
    write(topic: string, ...values: string[]): Promise<void>
    begin(topic: string): Promise<void>
    commit(): Promise<void>
    abort(): Promise<void>
    close(): Promise<void>
  }> {
    const connection = client.createConnection([])
    const { signal } = new AbortController()
    const options = {
      transactionalId,
      transactionTimeoutMs: 60_000,
      isTransactional: true,
      compression: 'none',
      produceTimeoutMs: 5_000,
    } as const
    const producer = await startPatiently(() => KafkaProducer.start(connection, options, () => Date.now(), signal))
    return {
      begin: async (topic) => {
        connection.addTopics([topic])
        await connection.refresh()
        await producer.begin([{ topic, partition: 0 }], signal)
      },
      write: async (topic, ...values) => {
        const packed = await packRecords(
          values.map((value) => record(topic, value)),
          'none',
        )
        await producer.write([{ topic, partition: 0, packed }])
      },
      commit: () => producer.commit(),
      abort: () => producer.abort(),
      close: () => connection.close(),
    }
  }

  test('aborted transactions are not seen, however they lie across each other', async () => {
    const topic = await makeTopic()
    const writers = await Promise.all(['a', 'b', 'c'].map((name) => startWriter(`writer-${name}`)))
    const [a, b, c] = writers as [(typeof writers)[0], (typeof writers)[0], (typeof writers)[0]]
    await log.append([record(topic, 'plain 1')])
    // Three open at once: b ends before a and is listed first, although it began later.
    await a.begin(topic)
    await a.write(topic, 'a aborted 1')
    await b.begin(topic)
    await c.begin(topic)
    await b.write(topic, 'b aborted 1', 'b aborted 2')
    await c.write(topic, 'c committed 1')
    await b.abort()
    await a.write(topic, 'a aborted 2')
    await a.abort()
    await c.write(topic, 'c committed 2')
    await c.commit()
    await log.append([record(topic, 'plain 2')])
    const all = await readAll(log, topic)
    assert.deepEqual(valuesOf(all), ['plain 1', 'c committed 1', 'c committed 2', 'plain 2'])
    // From every offset on, the same are seen: also where the reading begins in the middle of what was taken back.
    const { end } = (await log.ranges()).find((range) => range.topic === topic)!
    for (let from = 0; from <= end; from++) {
      const expected = all.filter(({ offset }) => offset >= from)
      assert.deepEqual(valuesOf(await readAll(log, topic, from)), valuesOf(expected))
    }
    await Promise.all(writers.map((writer) => writer.close()))
  })

  test('what an open transaction holds back is not waited for, and comes when it ends', async () => {
    const topic = await makeTopic()
    const writer = await startWriter('writer-open')
    await writer.begin(topic)
    await writer.write(topic, 'held back')
    const other = await startWriter('writer-other')
    await other.begin(topic)
    await other.write(topic, 'behind it')
    await other.commit()
    const reader = log.reader({ topic, partition: 0, offset: 0 })
    assert.deepEqual(await reader.read(10), [])
    await writer.commit()
    assert.deepEqual(await readSome(log, reader, 2), ['held back', 'behind it'])
    reader.close()
    await Promise.all([writer.close(), other.close()])
  })

  test("what Kafka's own client writes is read, with every compression, and it reads what Weir writes", async () => {
    const [foreign, own] = [await makeTopic(), await makeTopic()]
    const codecs = ['none', 'gzip', 'snappy', 'lz4', 'zstd']
    await runJavaClient(home.tool!, ['produce', kafka.brokers[0]!, foreign, '1000', codecs.join(',')])
    const records = await readAll(log, foreign)
    assert.deepEqual(
      records.map(({ key, value }) => [String(key), String(value)]),
      codecs.flatMap((codec) => Array.from({ length: 1_000 }, (_, i) => [codec, `${codec} ${i}`])),
    )
    const expected: string[] = []
    for (const compression of ['none', 'gzip', 'snappy', 'lz4'] as const) {
      const writing = await openLog(client, { compression })
      const values = Array.from({ length: 300 }, (_, i) => `${compression} ${i}`)
      await writing.append(values.map((value) => record(own, value)))
      expected.push(...values)
      await writing.close()
    }
    const lines = await runJavaClient(home.tool!, ['consume', kafka.brokers[0]!, own, String(expected.length)])
    assert.deepEqual(lines, expected)
  })

  test('a position that the broker has dropped is an error, never a silent reset', async () => {
    const topic = await makeTopic()
    await log.append(['a', 'b', 'c', 'd'].map((value) => record(topic, value)))
    // Records can be dropped when the end of their transaction has arrived.
    assert.equal((await readAll(log, topic)).length, 4)
    await deleteRecords(client, topic, 2)
    const late = log.reader({ topic, partition: 0, offset: 1 })
    await assert.rejects(late.read(10), { code: 'LOG_POSITION_GONE', message: /begins at 2/ })
    late.seek(2)
    assert.deepEqual(valuesOf(await late.read(10)), ['c', 'd'])
    const range = (await log.ranges()).find((r) => r.topic === topic)!
    assert.equal(range.start, 2)
    const early = log.reader({ topic, partition: 0, offset: range.end + 100 })
    await assert.rejects(early.read(10), { code: 'LOG_POSITION_GONE', message: /now ends at/ })
    late.close()
    early.close()
  })

  test('a new partition appears and is read from its beginning', async () => {
    const topic = await makeTopic(1)
    await log.append([record(topic, 'old')])
    await withTool(client, (tool) => tool.createPartitions({ topicPartitions: [{ topic, count: 3 }] }))
    await log.append([record(topic, 'new', 2)])
    const ranges = (await log.ranges()).filter((range) => range.topic === topic)
    assert.deepEqual(
      ranges.map(({ partition, start }) => [partition, start]),
      [
        [0, 0],
        [1, 0],
        [2, 0],
      ],
    )
    assert.deepEqual(valuesOf(await readAll(log, topic, 0, 2)), ['new'])
  })

  test('a topic that is deleted while it is read stops its readers, and only them', async () => {
    const [gone, kept] = [await makeTopic(), await makeTopic()]
    const own = await openLog(client, { topics: [gone, kept], tuning: { missingAfterMs: 300 } })
    await own.append([record(gone, 'x'), record(kept, 'y')])
    const readers = [gone, kept].map((topic) => own.reader({ topic, partition: 0, offset: 0 }))
    for (const reader of readers) assert.equal((await reader.read(1)).length, 1)
    await withTool(client, (tool) => tool.deleteTopics({ topics: [gone] }))
    await assert.rejects(readUntilError(own, readers[0]!), { code: 'LOG_TOPIC_MISSING', where: gone })
    await assert.rejects(own.ranges(), { code: 'LOG_TOPIC_MISSING', where: gone })
    await own.append([record(kept, 'z')])
    assert.deepEqual(await readSome(own, readers[1]!, 1), ['z'])
    await own.close()
  })

  test('a reader that is silently stuck gets a new connection', async () => {
    const topic = await makeTopic()
    const cable = new Cable()
    const counted: string[] = []
    const metrics: Metrics = { count: (name) => void counted.push(name), gauge() {}, observe() {} }
    const own = await openLog(await kafkaClientOf(kafka.brokers, {}, cable.connect), {
      metrics,
      tuning: { stuckAfterMs: 100 },
    })
    const reader = own.reader({ topic, partition: 0, offset: 0 })
    assert.deepEqual(await reader.read(1), [])
    await cable.once(REQUEST.fetch, 'freeze')
    await log.append([record(topic, 'a')])
    assert.deepEqual(await readSome(own, reader, 1), ['a'])
    assert.ok(counted.includes('weir_kafka_reader_restarts_total'))
    await own.close()
  })

  test('a lost connection is made anew and nothing is left out or read twice', async () => {
    const topic = await makeTopic(2)
    const cable = new Cable()
    const own = await openLog(await kafkaClientOf(kafka.brokers, {}, cable.connect))
    const readers = [0, 1].map((partition) => own.reader({ topic, partition, offset: 0 }))
    let fetches = 0
    cable.fate = (apiKey) =>
      apiKey !== REQUEST.fetch ? 'pass' : (['pass', 'cut', 'pass', 'lose'] as const)[fetches++ % 4]!
    for (let i = 0; i < 40; i++) await log.append([record(topic, `${i}`), record(topic, `${i}`, 1)])
    const expected = Array.from({ length: 40 }, (_, i) => `${i}`)
    for (const reader of readers) assert.deepEqual(await readSome(own, reader, 40), expected)
    await own.close()
  })

  test('a reader that nobody empties does not fill the memory', async () => {
    const topic = await makeTopic(1)
    const value = 'x'.repeat(100_000)
    for (let i = 0; i < 20; i++) await log.append(Array.from({ length: 5 }, () => record(topic, value)))
    const cable = new Cable()
    const own = await openLog(await kafkaClientOf(kafka.brokers, {}, cable.connect), {
      tuning: { bufferBytesMax: 1_000_000, fetchPartitionBytesMax: 500_000, fetchMaxWaitMs: 5 },
    })
    const reader = own.reader({ topic, partition: 0, offset: 0 })
    const first = await reader.read(1)
    const idle = own.reader({ topic, partition: 0, offset: (await own.ranges())[0]!.end })
    for (let i = 0; i < 10; i++) assert.deepEqual(await idle.read(1), [])
    assert.ok(cable.bytesReceived < 3_000_000, `${cable.bytesReceived} bytes were fetched`)
    let left = first.length
    for (let batch = await reader.read(7); batch.length > 0; batch = await reader.read(7)) left += batch.length
    assert.equal(left, 100)
    await own.close()
  })

  test('topics are made as planned, described, and left alone when they are there', async () => {
    const plan = planOf('planned', 3, { settings: { 'retention.ms': '86400000', 'compression.type': 'producer' } })
    assert.deepEqual(await admin.createTopics([plan], true), ['planned'])
    assert.deepEqual(await admin.describeTopics(['planned']), [null])
    assert.deepEqual(await admin.createTopics([plan]), ['planned'])
    assert.deepEqual(await admin.createTopics([plan]), [])
    const [facts] = await admin.describeTopics(['planned'])
    const { partitions, replicas, leaderless, settings } = facts!
    assert.deepEqual([partitions, replicas, leaderless], [3, 1, 0])
    assert.equal(settings['retention.ms'], '86400000')
    assert.equal(settings['min.insync.replicas'], '1')
    assert.equal(settings['unclean.leader.election.enable'], 'false')
    assert.equal(settings['cleanup.policy'], 'delete')
    const impossible = planOf('impossible', 1, { replicas: 3 })
    await assert.rejects(admin.createTopics([impossible]), { code: 'SERVICE_UNREACHABLE' })
    const brokers = await admin.describeBrokers()
    assert.deepEqual(
      brokers.map(({ address, release }) => [address, release]),
      [[kafka.brokers[0], '4.1 or later']],
    )
  })

  test('positions are published as those of a group without members', async () => {
    const topic = await makeTopic(2)
    const log = await openLog(client, { transactionalId: 'weir' })
    await log.publishPositions([
      { topic, partition: 0, offset: 17 },
      { topic, partition: 1, offset: 4 },
    ])
    await log.publishPositions([{ topic, partition: 0, offset: 18 }])
    await log.close()
    const [found] = await withTool(client, (tool) => tool.fetchOffsets({ groupId: 'weir', topics: [topic] }))
    assert.deepEqual(
      found!.partitions.map(({ partition, offset }) => [partition, offset]).sort((a, b) => Number(a[0]) - Number(b[0])),
      [
        [0, '18'],
        [1, '4'],
      ],
    )
  })
})

const record = (topic: string, value: string, partition = 0): RecordToAppend => ({
  topic,
  partition,
  key: null,
  value: Buffer.from(value),
})

const valuesOf = (records: readonly LogRecord[]): string[] => records.map(({ value }) => String(value))

async function readAll(log: Log, topic: string, offset = 0, partition = 0): Promise<LogRecord[]> {
  const reader = log.reader({ topic, partition, offset })
  const all: LogRecord[] = []
  for (let batch = await reader.read(1_000); batch.length > 0; batch = await reader.read(1_000)) all.push(...batch)
  reader.close()
  return all
}

/** Waits until there were `count` values. */
async function readSome(log: Log, reader: ReturnType<Log['reader']>, count: number): Promise<string[]> {
  const values: string[] = []
  const { signal } = new AbortController()
  for (let seen = -1; ; seen = await log.changed(seen, signal)) {
    values.push(...valuesOf(await reader.read(1_000)))
    if (values.length >= count) return values
  }
}

async function readUntilError(log: Log, reader: ReturnType<Log['reader']>): Promise<never> {
  const { signal } = new AbortController()
  for (let seen = -1; ; seen = await log.changed(seen, signal)) await reader.read(1_000)
}

/** On a fresh broker the first ones are told to come back. */
async function startPatiently(start: () => Promise<KafkaProducer>): Promise<KafkaProducer> {
  for (let tries = 0; ; tries++) {
    try {
      return await start()
    } catch (error) {
      if (tries === 50) throw error
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }
}
