import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import { assetPath } from '#infra/assets.ts'
import type { KafkaClient } from '#infra/kafka/client.ts'
import type { KafkaLog } from '#infra/log/kafka-log.ts'
import { createCodec } from '#schemas/codec.ts'
import { FRAME_BYTES, writeFrame } from '#schemas/wire-type.ts'
import { createFileSchemas } from '#schemas/schema-source.ts'
import { type Transaction, TRANSACTION_DEFAULTS } from '#schemas/transaction.ts'
import { type RunningKafka, startKafka } from '#test/support/kafka-broker.ts'
import { kafkaClientOf, openLog, withTool } from '#test/support/kafka-client.ts'
import { prepareKafka } from '#test/support/kafka-home.ts'
import { skipWithout } from '#test/support/optional-tool.ts'
import { RunningService, WEIR, weir } from '#test/support/running-service.ts'
import { newTempFolder } from '#test/support/temp-folder.ts'

const home = await prepareKafka()
const PARTITIONS = 3
const STOP_MS_MAX = 10_000
/** So long that no take-over here can be by silence. */
const TAKEOVER_MS = 120_000
/** What brokers take in one record by default, less what stands around it. */
const LARGEST_BYTES = 1_048_588 - 200
const UNKNOWN_SCHEMA = 987_654

describe('the service on a Kafka broker', { skip: skipWithout(home) }, () => {
  const folder = newTempFolder()
  const codec = createCodec(createFileSchemas(assetPath('schemas/kafka')))
  let kafka: RunningKafka
  let client: KafkaClient
  let log: KafkaLog
  let settings: string[]
  let service: RunningService
  let standby: RunningService['process'] | null = null
  const expected = new Set<string>()

  before(async () => {
    assert.ok(existsSync(WEIR), 'build first: npm run build')
    kafka = await startKafka(home.tool!)
    settings = [
      'log.home=kafka',
      `kafka.brokers=${kafka.brokers.join(',')}`,
      `kafka.topicPartitions=${PARTITIONS}`,
      `kafka.takeoverAfterMs=${TAKEOVER_MS}`,
      `tokenKeyFile=${join(folder.path, 'token.key')}`,
      'path.spec=lean',
      'recorder.intervalMs=200',
    ]
    client = await kafkaClientOf(kafka.brokers)
    log = await openLog(client, { mode: 'at-least-once', topics: ['transactions', 'decisions'] })
  })

  after(async () => {
    await standby?.kill('SIGKILL')
    await service?.process.kill('SIGKILL')
    await log?.close()
    await kafka?.close()
    folder.remove()
  })

  const flags = (): string[] => settings.flatMap((set) => ['--set', set])

  function transactionOf(id: string): Transaction {
    return {
      ...TRANSACTION_DEFAULTS,
      transaction_id: id,
      event_time: Date.now(),
      card_id: `card-${id}`,
      merchant_id: 'merchant-1',
      amount: 12_50,
      currency: 'EUR',
    }
  }

  const avro = (id: string): Buffer => codec.transaction.encode(transactionOf(id))
  const json = (id: string): Buffer => Buffer.from(JSON.stringify(transactionOf(id)))

  /** Appends records that are to be decided, and remembers them. */
  async function send(partition: number, ids: readonly string[]): Promise<void> {
    for (const id of ids) expected.add(id)
    await log.append(ids.map((id) => ({ topic: 'transactions', partition, key: null, value: avro(id) })))
  }

  /** Reads what was committed to a topic until there is enough of it. */
  async function readUntil<T>(
    topic: string,
    read: (value: Buffer) => T,
    isEnough: (all: T[]) => boolean,
  ): Promise<T[]> {
    const reader = log.reader({ topic, partition: 0, offset: 0 })
    const all: T[] = []
    for (let seen = -1; !isEnough(all); ) {
      const records = await reader.read(1_000)
      for (const { value } of records) all.push(read(value!))
      if (records.length === 0) seen = await log.changed(seen, new AbortController().signal)
    }
    reader.close()
    return all
  }

  /** Waits until each expected transaction is decided; each may be there once. */
  async function decided(): Promise<void> {
    const ids = await readUntil(
      'decisions',
      (value) => codec.decision.decode(value).transaction.transaction_id,
      (all) => all.length >= expected.size,
    )
    assert.deepEqual(ids.toSorted(), [...expected].toSorted())
  }

  test('says which topics it would make, then makes them', async () => {
    const create = async (more: string[]): Promise<{ created: { topic: string; partitions: number }[] }> => {
      const { exitCode, stdout, stderr } = await weir(['topics', 'create', '--json', ...more, ...flags()])
      assert.equal(exitCode, 0, stderr)
      return JSON.parse(stdout) as { created: { topic: string; partitions: number }[] }
    }
    const planned = await create(['--dry-run'])
    assert.deepEqual(await withTool(client, (tool) => tool.listTopics()), [])
    const made = await create([])
    assert.deepEqual(made.created, planned.created)
    assert.deepEqual(
      made.created.map(({ topic, partitions }) => [topic, partitions]),
      [
        ['transactions', PARTITIONS],
        ['labels', PARTITIONS],
        ['decisions', 1],
        ['alerts', 1],
        ['transactions.dead-letter', 1],
        ['journal', 1],
      ],
    )
    assert.deepEqual((await create([])).created, [])
  })

  test('decides Avro and JSON, and sets aside what cannot be read in the middle of a batch', async () => {
    service = await RunningService.start(join(folder.path, 'a'), settings)
    const foreign = Buffer.concat([Buffer.alloc(FRAME_BYTES), avro('foreign').subarray(FRAME_BYTES)])
    writeFrame(foreign, 0, UNKNOWN_SCHEMA)
    const large = transactionOf('large')
    const room = LARGEST_BYTES - codec.transaction.encode(large).length - 16
    // Good in itself, but its decision would be larger than brokers take.
    const largest = codec.transaction.encode({ ...large, attributes: { note: 'x'.repeat(room) } })
    const poison: (readonly [Buffer | null, string])[] = [
      [randomBytes(300).fill(7, 0, 1), 'NOT_DECODABLE'],
      [foreign, 'UNKNOWN_SCHEMA_ID'],
      [Buffer.alloc(0), 'EMPTY_RECORD'],
      [null, 'EMPTY_RECORD'],
      [largest, 'RECORD_TOO_LARGE'],
      [avro('cut').subarray(0, 30), 'NOT_DECODABLE'],
      [Buffer.concat([avro('long'), Buffer.from([1])]), 'TRAILING_BYTES'],
      [Buffer.from('{"transaction_id":"broken",'), 'NOT_DECODABLE'],
      [Buffer.from('{"transaction_id":"bare"}'), 'WRONG_TYPE'],
    ]
    const records = poison.flatMap(([value], i) => {
      const ids = [`avro-${i}`, `json-${i}`] as const
      for (const id of ids) expected.add(id)
      return [
        { topic: 'transactions', partition: 1, key: null, value: avro(ids[0]) },
        { topic: 'transactions', partition: 1, key: null, value },
        { topic: 'transactions', partition: 1, key: null, value: json(ids[1]) },
      ]
    })
    const offsets = await log.append(records)
    await decided()
    const letters = await readUntil(
      'transactions.dead-letter',
      (value) => codec.deadLetter.decode(value),
      (all) => all.length >= poison.length,
    )
    assert.deepEqual(
      letters.map(({ topic, partition, offset, reason }) => ({ topic, partition, offset, reason })),
      poison.map(([, reason], i) => ({ topic: 'transactions', partition: 1, offset: offsets[i * 3 + 1]!, reason })),
    )
    for (const [i, { size_bytes: size }] of letters.entries()) assert.equal(size, poison[i]![0]?.length ?? 0)
  })

  test('reads a partition that is added while it runs from its beginning', async () => {
    await withTool(client, (tool) =>
      tool.createPartitions({ topicPartitions: [{ topic: 'transactions', count: PARTITIONS + 1 }] }),
    )
    await send(
      PARTITIONS,
      Array.from({ length: 20 }, (_, i) => `new-${i}`),
    )
    await decided()
  })

  test('stops within ten seconds with everything committed, and goes on with what came meanwhile', async () => {
    await send(0, ['last-1', 'last-2'])
    const startedMs = performance.now()
    const { exitCode, stderr } = await service.stop()
    const ms = performance.now() - startedMs
    assert.equal(exitCode, 0, stderr)
    assert.ok(ms < STOP_MS_MAX, `it took ${ms} ms`)
    await send(2, ['meanwhile-1', 'meanwhile-2'])
    service = await RunningService.start(join(folder.path, 'a'), settings)
    await decided()
  })

  test('hands over to a standby at once when it is stopped, and back', async () => {
    for (const [round, name] of ['b', 'a'].entries()) {
      const data = join(folder.path, name)
      standby = RunningService.spawn(data, settings)
      assert.ok(await standby.said(/standing by/), standby.stderr)
      await send(0, [`before-${round}-1`, `before-${round}-2`])
      await decided()
      const stopping = service.stop()
      await send(1, [`during-${round}-1`, `during-${round}-2`])
      const { exitCode, stderr } = await stopping
      assert.equal(exitCode, 0, stderr)
      const next = await RunningService.listening(standby, data)
      assert.ok(next, standby.stderr)
      service = next
      standby = null
      await send(2, [`after-${round}-1`, `after-${round}-2`])
      await decided()
    }
  })

  test('a standby that is stopped leaves the active process alone', async () => {
    standby = RunningService.spawn(join(folder.path, 'b'), settings)
    assert.ok(await standby.said(/standing by/), standby.stderr)
    const startedMs = performance.now()
    const { exitCode, stderr } = await standby.kill('SIGTERM')
    assert.equal(exitCode, 0, stderr)
    assert.ok(performance.now() - startedMs < STOP_MS_MAX)
    standby = null
    await send(0, ['still-1'])
    await decided()
  })

  test('shows tools that watch lag how far it came', async () => {
    await withTool(client, async (tool) => {
      const ends = (await tool.fetchTopicOffsets('transactions')).map(
        ({ partition, high }) => [partition, high] as const,
      )
      const publishedNow = async () => {
        const [of] = await tool.fetchOffsets({ groupId: 'weir', topics: ['transactions'] })
        return of!.partitions.map(({ partition, offset }) => [partition, offset] as const)
      }
      while (!isDeepStrictEqual(byPartition(await publishedNow()), byPartition(ends))) {
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    })
  })

  test('holds one row for each decision, though it was another process that made some of them', async () => {
    const line = await readUntil(
      'decisions',
      (value) => codec.decision.decode(value).line,
      (all) => all.length >= expected.size,
    )
    const rowsOf = async (): Promise<[number, number]> => {
      const { json: answer } = await service.post('/v1/query', {
        sql: 'SELECT count() AS n, uniqExact(transaction_id) AS ids FROM weir.scored_transactions',
      })
      const [row] = (answer as { rows: { n: unknown; ids: unknown }[] }).rows
      return [Number(row?.n), Number(row?.ids)]
    }
    let rows = await rowsOf()
    while (rows[0] < line.length) {
      await new Promise((resolve) => setTimeout(resolve, 50))
      rows = await rowsOf()
    }
    assert.deepEqual(rows, [expected.size, expected.size])
  })
})

function byPartition(offsets: readonly (readonly [number, string])[]): readonly (readonly [number, string])[] {
  return offsets.toSorted(([a], [b]) => a - b)
}
