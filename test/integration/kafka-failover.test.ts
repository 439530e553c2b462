import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { after, before, describe, test } from 'node:test'
import type { KafkaClient } from '#infra/kafka/client.ts'
import type { Log, RecordToAppend } from '#infra/log/log.ts'
import { type RunningKafka, startKafka } from '#test/support/kafka-broker.ts'
import { adminOf, kafkaClientOf, openLog, planOf } from '#test/support/kafka-client.ts'
import { prepareKafka } from '#test/support/kafka-home.ts'
import { skipWithout } from '#test/support/optional-tool.ts'

const home = await prepareKafka()
const PARTITIONS = 3
const UNITS_BETWEEN = 60

describe('three Kafka brokers', { skip: skipWithout(home) }, () => {
  let kafka: RunningKafka
  let client: KafkaClient

  before(async () => {
    kafka = await startKafka(home.tool!, { nodes: 3 })
    client = await kafkaClientOf(kafka.brokers, { connectTimeoutMs: 1_000 })
    const admin = adminOf(client)
    await admin.createTopics([planOf('journal', 1), planOf('decisions', PARTITIONS)])
    await admin.close()
  })
  after(() => kafka.close())

  test('the journal’s leader is killed, then all brokers at once: nothing is lost, nothing is there twice', async () => {
    const log = await openLog(client, { topics: ['journal', 'decisions'] })
    const load = new Load(log)
    const following = follow(log, load.isOver)
    await load.passes(UNITS_BETWEEN)

    const leader = await leaderOf(client, 'journal')
    await kafka.kill(leader)
    await load.passes(UNITS_BETWEEN)
    assert.notEqual(await leaderOf(client, 'journal'), leader)
    await kafka.restart(leader)
    await load.passes(UNITS_BETWEEN)

    await Promise.all([0, 1, 2].map((node) => kafka.kill(node)))
    await Promise.all([0, 1, 2].map((node) => kafka.restart(node)))
    await load.passes(UNITS_BETWEEN)

    const units = await load.stop()
    const expected = Array.from({ length: units }, (_, i) => i)
    assert.deepEqual(await following, expected, 'what a reader saw that was there all the time')
    assert.deepEqual(await numbersOf(log, 'journal', 0), expected)
    const decisions: number[] = []
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const numbers = await numbersOf(log, 'decisions', partition)
      assert.deepEqual(
        numbers,
        numbers.toSorted((a, b) => a - b),
      )
      decisions.push(...numbers)
    }
    assert.deepEqual(
      decisions.toSorted((a, b) => a - b),
      expected,
    )
    await log.close()
  })
})

/** Appends numbered units without a pause, up to four under way. */
class Load {
  /** Aborted when the last unit was appended. */
  readonly isOver: AbortSignal
  private readonly over = new AbortController()
  private readonly log: Log
  private readonly passed = new EventEmitter()
  private readonly lanes: Promise<void>[]
  private next = 0
  private done = 0
  private isStopping = false

  constructor(log: Log) {
    this.log = log
    this.isOver = this.over.signal
    this.lanes = Array.from({ length: 4 }, () => this.run())
  }

  /** Resolves when so many more units were appended. */
  async passes(units: number): Promise<void> {
    const until = this.done + units
    while (this.done < until) await once(this.passed, 'unit')
  }

  async stop(): Promise<number> {
    this.isStopping = true
    await Promise.all(this.lanes)
    this.over.abort()
    return this.next
  }

  private async run(): Promise<void> {
    while (!this.isStopping) {
      const number = this.next++
      const value = Buffer.from(String(number))
      const unit: RecordToAppend[] = [
        { topic: 'decisions', partition: number % PARTITIONS, key: null, value },
        { topic: 'journal', partition: 0, key: null, value },
      ]
      await this.log.append(unit)
      this.done++
      this.passed.emit('unit')
    }
  }
}

/** Number of the node, counted from 0, that leads the topic's first partition. */
async function leaderOf(client: KafkaClient, topic: string): Promise<number> {
  const connection = client.createConnection([topic])
  await connection.refresh()
  const nodeId = connection.leaderOf({ topic, partition: 0 })!
  await connection.close()
  return nodeId - 1
}

/** Numbers in the journal as they come, until the load is over and all was read. */
async function follow(log: Log, isOver: AbortSignal): Promise<number[]> {
  const reader = log.reader({ topic: 'journal', partition: 0, offset: 0 })
  const numbers: number[] = []
  for (let seen = -1; ; ) {
    const wasOver = isOver.aborted
    const records = await reader.read(100)
    for (const { value } of records) numbers.push(Number(String(value)))
    if (records.length > 0) continue
    if (wasOver) break
    seen = await log.changed(seen, isOver)
  }
  reader.close()
  return numbers
}

async function numbersOf(log: Log, topic: string, partition: number): Promise<number[]> {
  const reader = log.reader({ topic, partition, offset: 0 })
  const numbers: number[] = []
  for (let batch = await reader.read(1_000); batch.length > 0; batch = await reader.read(1_000)) {
    for (const { value } of batch) numbers.push(Number(String(value)))
  }
  reader.close()
  return numbers
}
