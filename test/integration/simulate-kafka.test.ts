import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { failureOf } from '#cli/fail.ts'
import { createProgram } from '#cli/program.ts'
import type { Log } from '#infra/log/log.ts'
import { fakeIo } from '#test/support/fake-io.ts'
import { type RunningKafka, startKafka } from '#test/support/kafka-broker.ts'
import { kafkaClientOf, openLog } from '#test/support/kafka-client.ts'
import { prepareKafka } from '#test/support/kafka-home.ts'
import { skipWithout } from '#test/support/optional-tool.ts'
import { newTempFolder } from '#test/support/temp-folder.ts'
import { testCodec } from '#test/support/transactions.ts'

const home = await prepareKafka()
const codec = testCodec()

describe('weir simulate into Kafka', { skip: skipWithout(home) }, () => {
  let kafka: RunningKafka
  let log: Log
  let folder: ReturnType<typeof newTempFolder>

  before(async () => {
    kafka = await startKafka(home.tool!)
    log = await openLog(await kafkaClientOf(kafka.brokers), { topics: ['transactions', 'labels'] })
    folder = newTempFolder()
  })
  after(async () => {
    await log.close()
    await kafka.close()
    folder.remove()
  })

  async function weir(...argv: string[]): Promise<Record<string, unknown>> {
    const io = fakeIo({ folder: folder.path, now: () => Date.now() })
    const program = createProgram(io, () => {})
    const flags = ['--json', '--quiet', '--data', folder.path, '--set', `kafka.brokers=${kafka.brokers.join(',')}`]
    await program.parseAsync([...argv, ...flags], { from: 'user' })
    return JSON.parse(io.stdout()) as Record<string, unknown>
  }

  /** Cards of a topic's transactions, by partition. */
  async function cardsByPartition(): Promise<Map<number, string[]>> {
    const cards = new Map<number, string[]>()
    for (const { topic, partition } of await log.ranges()) {
      if (topic !== 'transactions') continue
      const reader = log.reader({ topic, partition, offset: 0 })
      const own: string[] = []
      for (let records = await reader.read(10_000); records.length > 0; records = await reader.read(10_000)) {
        for (const { value } of records) own.push(codec.transaction.decode(value!).card_id)
      }
      reader.close()
      cards.set(partition, own)
    }
    return cards
  }

  test('says what to do where the topics are missing', async () => {
    const failure = failureOf(await weir('simulate', '--to', 'kafka', '--events', '5').catch((error: unknown) => error))
    assert.equal(failure.code, 'LOG_TOPIC_MISSING')
    assert.match(failure.fix, /weir topics create/)
  })

  test('writes every event once, and all of a card to one partition', async () => {
    await weir('topics', 'create', '--set', 'kafka.topicPartitions=3')
    const told = await weir('simulate', '--to', 'kafka', '--events', '4500')
    assert.equal(told['transactions'], 4_500)
    assert.equal(told['appended'], 4_500 + Number(told['labels']))
    const cards = await cardsByPartition()
    assert.equal(cards.size, 3)
    assert.equal(
      [...cards.values()].reduce((sum, own) => sum + own.length, 0),
      4_500,
    )
    const seen = new Map<string, number>()
    for (const [partition, own] of cards) {
      for (const card of own) assert.equal(seen.get(card) ?? partition, partition, card)
      for (const card of own) seen.set(card, partition)
    }
  })

  test('is where --to log goes when the log lies in Kafka, and leaves no log in the data folder', async () => {
    const told = await weir('simulate', '--to', 'log', '--events', '10', '--set', 'log.home=kafka')
    assert.equal(told['appended'], 10 + Number(told['labels']))
    assert.ok(!existsSync(join(folder.path, 'log')))
  })
})
