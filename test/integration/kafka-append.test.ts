import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { KafkaAdmin } from '#infra/kafka/admin.ts'
import type { KafkaClient } from '#infra/kafka/client.ts'
import type { KafkaLog } from '#infra/log/kafka-log.ts'
import type { Log, RecordToAppend } from '#infra/log/log.ts'
import { type RunningKafka, startKafka } from '#test/support/kafka-broker.ts'
import { Cable, type Fate, REQUEST } from '#test/support/kafka-cable.ts'
import { adminOf, kafkaClientOf, openLog, planOf } from '#test/support/kafka-client.ts'
import { prepareKafka } from '#test/support/kafka-home.ts'
import { commitOnlyIn } from '#test/support/kafka-markers.ts'
import { skipWithout } from '#test/support/optional-tool.ts'

const home = await prepareKafka()

describe('appending to Kafka', { skip: skipWithout(home) }, () => {
  let kafka: RunningKafka
  let client: KafkaClient
  let admin: KafkaAdmin
  let topics = 0

  before(async () => {
    kafka = await startKafka(home.tool!)
    client = await kafkaClientOf(kafka.brokers)
    admin = adminOf(client)
  })
  after(async () => {
    await admin.close()
    await kafka.close()
  })

  async function makeTopic(partitions = 1, settings: Record<string, string> = {}): Promise<string> {
    const topic = `append-${++topics}`
    await admin.createTopics([planOf(topic, partitions, { settings })])
    return topic
  }

  for (const mode of ['exact', 'at-least-once'] as const) {
    test(`who has been replaced writes no more, and can take over again (${mode})`, async () => {
      const topic = await makeTopic()
      const transactionalId = `role-${mode}`
      let isFirstOwner = true
      const first = await openLog(client, { mode, transactionalId, stillOwner: async () => isFirstOwner })
      const second = await openLog(client, { mode, transactionalId })
      await first.append([record(topic, 'first 1')])
      isFirstOwner = false
      await second.take()
      await second.append([record(topic, 'second 1')])
      await assert.rejects(first.append([record(topic, 'first 2')]), { code: 'LOG_FENCED' })
      await assert.rejects(first.append([record(topic, 'first 3')]), { code: 'LOG_FENCED' })
      await second.append([record(topic, 'second 2')])
      isFirstOwner = true
      await first.take()
      await first.append([record(topic, 'first 4')])
      assert.deepEqual(await valuesOf(second, topic), ['first 1', 'second 1', 'second 2', 'first 4'])
      await Promise.all([first.close(), second.close()])
    })
  }

  test('a process that was frozen before its commit wakes up and does no harm', async () => {
    const topic = await makeTopic()
    const cable = new Cable()
    const transactionalId = 'role-frozen'
    let isOwner = true
    const frozen = await openLog(await kafkaClientOf(kafka.brokers, {}, cable.connect), {
      transactionalId,
      stillOwner: async () => isOwner,
    })
    await frozen.append([record(topic, 'before')])
    const atCommit = cable.once(REQUEST.endTxn, 'hold')
    const lost = assert.rejects(frozen.append([record(topic, 'never seen')]), { code: 'LOG_FENCED' })
    await atCommit
    const next = await openLog(client, { transactionalId })
    await next.take()
    isOwner = false
    await next.append([record(topic, 'after')])
    cable.release()
    await lost
    assert.deepEqual(await valuesOf(next, topic), ['before', 'after'])
    await Promise.all([frozen.close(), next.close()])
  })

  describe('a commit that was confirmed and then forgotten in one of its partitions', () => {
    const openMarked = async (transactionalId: string, topics: readonly string[], of = client): Promise<KafkaLog> =>
      openLog(of, { transactionalId, marked: topics.map((topic) => ({ topic, partition: 0 })) })

    async function forget(which: 'journal' | 'decisions') {
      const topics = { journal: await makeTopic(), decisions: await makeTopic() }
      const { journal, decisions } = topics
      const cable = new Cable()
      const transactionalId = `role-${journal}`
      const connected = await kafkaClientOf(kafka.brokers, {}, cable.connect)
      const log = await openMarked(transactionalId, [journal, decisions], connected)
      await log.append([record(decisions, 'd1'), record(journal, 'j1')])
      const feigned = cable.once(REQUEST.endTxn, 'feign')
      await log.append([record(decisions, 'd2'), record(journal, 'j2')])
      await feigned
      const kept = which === 'journal' ? decisions : journal
      await commitOnlyIn(client, cable.feigned!, { topic: kept, partition: 0 })
      cable.hangUp()
      return { log, cable, journal, decisions, takenBy: () => openMarked(transactionalId, [journal, decisions]) }
    }

    for (const which of ['journal', 'decisions'] as const) {
      for (const fate of ['pass', 'lose'] as const) {
        const when = fate === 'lose' ? ', once, though the connection breaks meanwhile' : ''
        test(`is completed by the writer before it goes on${when}: ${which}`, async () => {
          const { log, cable, journal, decisions, takenBy } = await forget(which)
          // The end of what marks the partitions, then that of what is written again.
          let ends = 0
          cable.fate = (apiKey) => (apiKey === REQUEST.endTxn && ++ends === 2 ? fate : 'pass')
          await log.append([record(journal, 'j3')])
          assert.ok(ends > 2)
          const next = await takenBy()
          await next.take()
          assert.deepEqual(await valuesOf(next, decisions), ['d1', 'd2'])
          assert.deepEqual(await valuesOf(next, journal), ['j1', 'j2', 'j3'])
          await Promise.all([log.close(), next.close()])
        })
      }
    }

    test('is known to who takes the log over', async () => {
      const { log, journal, decisions, takenBy } = await forget('journal')
      const next = await takenBy()
      await next.take()
      assert.deepEqual(await valuesOf(next, decisions), ['d1', 'd2'])
      assert.deepEqual(await valuesOf(next, journal), ['j1'])
      const taken = async (topic: string): Promise<string[]> =>
        (await next.takenBack({ topic, partition: 0, offset: 0 })).map(({ value }) => String(value))
      assert.deepEqual(await taken(decisions), [])
      assert.deepEqual(await taken(journal), ['j2'])
      await Promise.all([log.close(), next.close()])
    })
  })

  const fates: readonly (readonly [Fate, string])[] = [
    ['cut', 'does not leave'],
    ['lose', 'arrives, and its answer is lost'],
    ['tear', 'arrives, and half of its answer is lost'],
  ]
  const steps = {
    initProducerId: 'the take-over',
    addPartitions: 'the begin',
    produce: 'the records',
    endTxn: 'the commit',
  }
  for (const [step, name] of Object.entries(steps) as [keyof typeof steps, string][]) {
    for (const [fate, what] of fates) {
      test(`a unit is there exactly once when ${name} ${what}`, async () => {
        const topic = await makeTopic(2)
        const cable = new Cable()
        const log = await openLog(await kafkaClientOf(kafka.brokers, {}, cable.connect))
        if (step !== 'initProducerId') await log.append([record(topic, 'before')])
        const done = cable.once(REQUEST[step], fate)
        const offsets = await log.append([record(topic, 'a'), record(topic, 'b', 1)])
        await done
        await log.append([record(topic, 'after')])
        const before = step === 'initProducerId' ? [] : ['before']
        assert.deepEqual(await valuesOf(log, topic), [...before, 'a', 'after'])
        assert.deepEqual(await valuesOf(log, topic, 1), ['b'])
        const reader = log.reader({ topic, partition: 0, offset: offsets[0]! })
        assert.deepEqual(
          (await reader.read(1)).map((r) => [r.offset, String(r.value)]),
          [[offsets[0], 'a']],
        )
        await log.close()
      })
    }
  }

  test('units under way together keep their order, and no two requests of a writer overlap', async () => {
    const topic = await makeTopic()
    const cable = new Cable()
    const log = await openLog(await kafkaClientOf(kafka.brokers, {}, cable.connect))
    const appends: Promise<readonly number[]>[] = []
    const expected: string[] = []
    let produces = 0
    cable.fate = (apiKey) => (apiKey === REQUEST.produce && ++produces % 5 === 0 ? 'lose' : 'pass')
    for (let i = 0; i < 60; i++) {
      appends.push(log.append([record(topic, `${i}a`), record(topic, `${i}b`)]))
      expected.push(`${i}a`, `${i}b`)
      if (i % 4 === 0) await appends.at(-1)
    }
    const offsets = (await Promise.all(appends)).flat()
    cable.fate = () => 'pass'
    assert.ok(produces > 5)
    assert.equal(cable.producesAtOnce, 1)
    assert.deepEqual(
      offsets,
      offsets.toSorted((a, b) => a - b),
    )
    assert.deepEqual(await valuesOf(log, topic), expected)
    await log.close()
  })

  test('a unit larger than a batch is cut into several and still seen whole', async () => {
    const topic = await makeTopic(2)
    const log = await openLog(client)
    const unit = Array.from({ length: 30 }, (_, i) => record(topic, `${i}:${'x'.repeat(150_000)}`, i % 2))
    const offsets = await log.append(unit)
    const even = await readAll(log, topic, 0)
    assert.deepEqual(
      even.map((r) => [r.offset, Number(String(r.value).split(':')[0])]),
      offsets.flatMap((offset, i) => (i % 2 === 0 ? [[offset, i]] : [])),
    )
    await log.close()
  })

  test('every compression that Weir writes is taken by the broker and read back', async () => {
    const topic = await makeTopic()
    for (const compression of ['none', 'gzip', 'snappy', 'lz4'] as const) {
      const log = await openLog(client, { compression })
      await log.append(Array.from({ length: 500 }, (_, i) => record(topic, `${compression} ${i}`)))
      await log.close()
    }
    const log = await openLog(client)
    const values = await valuesOf(log, topic)
    assert.equal(values.length, 2_000)
    assert.deepEqual([values[0], values[999], values[1_500]], ['none 0', 'gzip 499', 'lz4 0'])
    await log.close()
  })

  test('what a topic does not take is an error that says so, and nothing after it is written', async () => {
    const topic = await makeTopic(1, { 'max.message.bytes': '1000' })
    const log = await openLog(client)
    await log.append([record(topic, 'small')])
    await assert.rejects(log.append([record(topic, 'x'.repeat(5_000))]), {
      code: 'LOG_REFUSED',
      fix: /max.message.bytes/,
    })
    await assert.rejects(log.append([record(topic, 'small')]), { code: 'LOG_REFUSED' })
    // Nobody has to wait for the transaction that it was part of.
    assert.deepEqual(await valuesOf(log, topic), ['small'])
    await log.close()
  })

  test('a topic or a partition that is not there is named', async () => {
    const topic = await makeTopic()
    for (const [name, partition] of [
      ['no-such-topic', 0],
      [topic, 7],
    ] as const) {
      const log = await openLog(client, { tuning: { missingAfterMs: 200 } })
      const where = partition === 0 ? name : `${name}/${partition}`
      await assert.rejects(log.append([record(name, 'x', partition)]), { code: 'LOG_TOPIC_MISSING', where })
      await log.close()
    }
  })

  test('closing gives up what no broker answers to, with a code', async () => {
    const topic = await makeTopic()
    const cable = new Cable()
    const slow = await kafkaClientOf(kafka.brokers, {}, cable.connect)
    const log = await openLog(slow, { tuning: { closeWithinMs: 50 } })
    await log.append([record(topic, 'a')])
    const frozen = cable.once(REQUEST.produce, 'freeze')
    const stuck = log.append([record(topic, 'b')])
    await frozen
    const refused = assert.rejects(stuck, { code: 'LOG_CLOSED' })
    await log.close()
    await refused
  })
})

const record = (topic: string, value: string, partition = 0): RecordToAppend => ({
  topic,
  partition,
  key: null,
  value: Buffer.from(value),
})

async function readAll(log: Log, topic: string, partition: number) {
  const reader = log.reader({ topic, partition, offset: 0 })
  const all = []
  for (let batch = await reader.read(1_000); batch.length > 0; batch = await reader.read(1_000)) all.push(...batch)
  reader.close()
  return all
}

async function valuesOf(log: KafkaLog, topic: string, partition = 0): Promise<string[]> {
  return (await readAll(log, topic, partition)).map(({ value }) => String(value))
}
