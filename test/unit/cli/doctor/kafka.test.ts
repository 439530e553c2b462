import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  checkBrokers,
  checkPositions,
  checkRole,
  checkSharedClock,
  checkTopics,
  type PositionsSeen,
} from '#cli/doctor/kafka.ts'
import { ok, warn } from '#cli/doctor/finding.ts'
import type { JournalTail } from '#cli/doctor/journal-tail.ts'
import { rowOf } from '#cli/topics.ts'
import type { CheckpointMeta } from '#infra/checkpoint.ts'
import type { TopicFacts } from '#infra/kafka/admin.ts'
import { type Config, defaultConfig } from '#schemas/config.ts'

const config = defaultConfig('/nowhere')
const NOW_MS = Date.UTC(2026, 5, 1)
const HOUR_MS = 3_600_000

function withKafka(over: Partial<Config['kafka']>): Config {
  return { ...config, kafka: { ...config.kafka, ...over } }
}

describe('doctor: brokers', () => {
  const one = { nodeId: 1, address: 'kafka-1:9092', release: '4.1 or later' }

  test('tells where they are, which release they have and how they are spoken to', () => {
    const { status, detail } = checkBrokers([one], config)
    assert.equal(status, 'ok')
    assert.match(detail, /^1 broker \(kafka-1:9092\), Kafka 4\.1 or later; plain text, no login$/)
  })

  test('refuses a release without the records that Weir reads', () => {
    assert.equal(checkBrokers([{ ...one, release: 'older than 2.1' }], config).status, 'fail')
  })

  test('warns of a password in the clear, and not of one within TLS', () => {
    const sasl = { ...config.kafka.sasl, mechanism: 'plain' as const }
    assert.equal(checkBrokers([one], withKafka({ sasl })).status, 'warn')
    assert.equal(checkBrokers([one], withKafka({ sasl, tls: { ...config.kafka.tls, enabled: true } })).status, 'ok')
  })
})

describe('doctor: topics', () => {
  const settings = { 'retention.ms': String(14 * 24 * HOUR_MS), 'cleanup.policy': 'delete' }
  const facts = (topic: string, over: Partial<TopicFacts> = {}): TopicFacts => ({
    topic,
    partitions: 1,
    replicas: 3,
    leaderless: 0,
    settings: { ...settings, 'min.insync.replicas': '2' },
    ...over,
  })
  const found = (over: Partial<TopicFacts> | null): ReturnType<typeof checkTopics> => {
    const rows = Object.values(config.topics).map((topic) => rowOf(topic, facts(topic), config))
    const { journal } = config.topics
    return checkTopics([...rows, rowOf(journal, over === null ? null : facts(journal, over), config)])
  }

  test('finds nothing where everything is as `weir topics create` makes it', () => {
    assert.deepEqual(found({}), ok('7 topics, as they should be'))
  })

  test('fails for what keeps the service from running', () => {
    assert.match(found(null).fix, /weir topics create/)
    for (const over of [
      { partitions: 2 },
      { leaderless: 1 },
      { settings: { ...settings, 'min.insync.replicas': '2', 'cleanup.policy': 'compact,delete' } },
    ]) {
      assert.equal(found(over).status, 'fail', JSON.stringify(over))
    }
  })

  test('warns of settings under which confirmed records can be lost', () => {
    const safe = { ...settings, 'min.insync.replicas': '2' }
    for (const over of [
      { ...safe, 'unclean.leader.election.enable': 'true' },
      { ...safe, 'min.insync.replicas': '1' },
      { ...safe, 'retention.ms': String(HOUR_MS) },
    ]) {
      assert.equal(found({ settings: over }).status, 'warn', JSON.stringify(over))
    }
  })
})

describe('doctor: positions', () => {
  const checkpoint = (line: number, ageMs: number): CheckpointMeta => ({
    line,
    term: 1,
    clock: NOW_MS - ageMs,
    specHash: 'h',
    positions: [
      { topic: 'journal', partition: 0, offset: line },
      { topic: 'transactions', partition: 1, offset: 10 * line },
    ],
    extra: null,
  })
  const seen = (over: Partial<PositionsSeen> & { readonly journalStart?: number; readonly inputEnd?: number }) =>
    checkPositions({
      checkpoints: [checkpoint(200, 60_000), checkpoint(100, 120_000)],
      ranges: [
        { topic: 'journal', partition: 0, start: over.journalStart ?? 0, end: 500 },
        { topic: 'transactions', partition: 1, start: 0, end: over.inputEnd ?? 5_000 },
      ],
      journal: 'journal',
      inputs: ['transactions'],
      retentionMs: 24 * HOUR_MS,
      nowMs: NOW_MS,
      ...over,
    })

  test('are in order while the log reaches behind every checkpoint', () => {
    assert.equal(seen({}).detail, 'the log reaches behind all 2 checkpoints; the oldest is 2 min old')
    assert.equal(seen({}).status, 'ok')
  })

  test('warn when only the newest checkpoint is still of use', () => {
    assert.equal(seen({ journalStart: 150 }).status, 'warn')
  })

  test('fail when retention has passed the newest one, and say where', () => {
    const { status, detail } = seen({ journalStart: 201 })
    assert.equal(status, 'fail')
    assert.match(detail, /line 200 .* offset 200 of journal\/0, which begins at 201/)
  })

  test('fail when a topic was made anew or a partition is gone', () => {
    assert.match(seen({ inputEnd: 3 }).detail, /ends at 3: the topic was made anew/)
    assert.match(
      seen({ ranges: [{ topic: 'journal', partition: 0, start: 0, end: 500 }] }).detail,
      /not there any more/,
    )
  })

  test('warn when a checkpoint is older than half of what is kept', () => {
    assert.equal(seen({ checkpoints: [checkpoint(200, 13 * HOUR_MS)] }).status, 'warn')
  })

  test('without a checkpoint need the log from its beginning', () => {
    assert.equal(seen({ checkpoints: [] }).status, 'ok')
    assert.equal(seen({ checkpoints: [], ranges: [] }).detail, 'nothing was decided yet')
    assert.equal(seen({ checkpoints: [], journalStart: 1 }).status, 'fail')
  })
})

describe('doctor: role and clocks', () => {
  const tail: JournalTail = {
    line: 7,
    term: 3,
    clockMs: NOW_MS - 2 * HOUR_MS,
    owner: 'a:/data',
    isAlive: false,
    clockAheadMs: null,
  }

  test('tell who is active, who fell silent and when nobody is', () => {
    assert.equal(checkRole({ ...tail, isAlive: true }, config, NOW_MS).status, 'ok')
    assert.match(checkRole(tail, config, NOW_MS).detail, /a:\/data took term 3 and is silent; .* 2 h old/)
    assert.match(
      checkRole({ ...tail, owner: null }, config, NOW_MS).detail,
      /nobody is active since term 3 was given up/,
    )
    assert.equal(checkRole(null, config, NOW_MS).status, 'ok')
  })

  test('warn of signs of life that are too rare for the patience of a standby', () => {
    const { status, fix } = checkRole(tail, withKafka({ heartbeatMs: 1_000, takeoverAfterMs: 3_000 }), NOW_MS)
    assert.equal(status, 'warn')
    assert.match(fix, /kafka\.heartbeatMs to 600 or less/)
  })

  test('compare the clock with that of the active process', () => {
    const own = ok('now')
    const alive = (clockAheadMs: number) => checkSharedClock({ ...tail, isAlive: true, clockAheadMs }, own).status
    assert.deepEqual([alive(50), alive(-500), alive(1_500)], ['ok', 'ok', 'ok'])
    assert.deepEqual([alive(-5_000), alive(10_000)], ['warn', 'warn'])
    assert.equal(checkSharedClock(null, own), own)
    const worse = warn('odd', '')
    assert.equal(checkSharedClock({ ...tail, clockAheadMs: 0 }, worse), worse)
  })
})
