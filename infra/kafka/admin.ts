import kafkajs, { type Admin } from 'kafkajs'
import type { PartitionRange } from '#infra/log/log.ts'
import type { Logger } from '#infra/logger.ts'
import { WeirError } from '#schemas/errors.ts'
import type { KafkaClient } from './client.ts'
import type { KafkaConnection } from './connection.ts'
import { lastingError, reasonOf, refusedConnection } from './kafka-errors.ts'
import { API, type RawBroker } from './kafkajs-internals.ts'
import { listRanges } from './ranges.ts'

export interface TopicPlan {
  readonly topic: string
  readonly partitions: number
  /** Copies of every partition; -1: as many as the brokers' default says. */
  readonly replicas: number
  /** Topic settings that differ from the brokers' defaults, such as `retention.ms`. */
  readonly settings: Readonly<Record<string, string>>
}

export interface TopicFacts {
  readonly topic: string
  readonly partitions: number
  /** Fewest copies that a partition has. */
  readonly replicas: number
  /** Partitions that nobody leads now. */
  readonly leaderless: number
  /** All settings in force: `retention.ms`, `min.insync.replicas`, `unclean.leader.election.enable`, `cleanup.policy` ... */
  readonly settings: Readonly<Record<string, string>>
}

export interface BrokerFacts {
  readonly nodeId: number
  readonly address: string
  /** What the versions of its requests tell: `4.1 or later`. */
  readonly release: string
}

export interface KafkaAdminDeps {
  readonly client: KafkaClient
  readonly logger: Logger
  readonly nowMs: () => number
}

/** A new topic's partitions have leaders within a second or two; a busy cluster may take longer. */
const READY_MS_MAX = 60_000

/**
 * Asks and changes what is not records: topics, their settings, brokers. It asks once and tells what went wrong; nothing
 * here is on the path of a transaction.
 */
export class KafkaAdmin {
  private readonly deps: KafkaAdminDeps
  private readonly admin: Admin
  private readonly connection: KafkaConnection
  private readonly stop = new AbortController()
  private connected: Promise<void> | null = null

  constructor(deps: KafkaAdminDeps) {
    this.deps = deps
    this.admin = deps.client.createAdmin()
    this.connection = deps.client.createConnection([])
  }

  /**
   * Makes those topics that are missing, and waits until they can be written to and read. Gives their names. With
   * `isDryRun` the brokers only check whether they could.
   */
  async createTopics(plans: readonly TopicPlan[], isDryRun = false): Promise<readonly string[]> {
    const there = await this.describeTopics(plans.map(({ topic }) => topic))
    const missing = plans.filter((_, i) => there[i] === null)
    if (missing.length === 0) return []
    const names = missing.map(({ topic }) => topic)
    await this.ask(names.join(', '), async () => {
      await this.admin.createTopics({
        validateOnly: isDryRun,
        waitForLeaders: false,
        topics: missing.map(({ topic, partitions, replicas, settings }) => ({
          topic,
          numPartitions: partitions,
          replicationFactor: replicas,
          configEntries: Object.entries(settings).map(([name, value]) => ({ name, value })),
        })),
      })
    })
    // An answer is not readiness: leaders are chosen afterwards.
    if (!isDryRun) await this.ranges(names, AbortSignal.timeout(READY_MS_MAX))
    return names
  }

  /** Facts in the order asked for; null for a topic that is not there. */
  async describeTopics(topics: readonly string[]): Promise<readonly (TopicFacts | null)[]> {
    return this.ask(topics.join(', '), async () => {
      this.connection.addTopics(topics)
      await this.connection.refresh()
      const there = topics.filter((topic) => this.connection.partitionCount(topic) > 0)
      const settings = await this.settingsOf(there)
      return topics.map((topic) => {
        const partitions = this.connection.partitionsOf(topic)
        if (partitions.length === 0) return null
        return {
          topic,
          partitions: partitions.length,
          replicas: Math.min(...partitions.map(({ replicas }) => replicas.length)),
          leaderless: partitions.filter(({ leader }) => leader < 0).length,
          settings: settings.get(topic) ?? {},
        }
      })
    })
  }

  async describeBrokers(): Promise<readonly BrokerFacts[]> {
    return this.ask('', async () => {
      await this.connection.refresh()
      return Promise.all(
        this.connection.brokers().map(async ({ nodeId, host, port }) => ({
          nodeId,
          address: `${host}:${port}`,
          release: releaseOf(await this.connection.node(nodeId)),
        })),
      )
    })
  }

  /** First and stable end offset of every partition; waits for leaders until the signal comes. */
  async ranges(topics: readonly string[], signal: AbortSignal): Promise<readonly PartitionRange[]> {
    const { logger, nowMs } = this.deps
    return this.ask(topics.join(', '), () =>
      listRanges({
        connection: this.connection,
        topics,
        missingAfterMs: READY_MS_MAX,
        logger,
        nowMs,
        signal: AbortSignal.any([signal, this.stop.signal]),
      }),
    )
  }

  async close(): Promise<void> {
    this.stop.abort(new WeirError('LOG_CLOSED', 'the administration was closed'))
    await Promise.all([this.connection.close(), this.admin.disconnect()])
  }

  private async settingsOf(topics: readonly string[]): Promise<Map<string, Record<string, string>>> {
    const found = new Map<string, Record<string, string>>()
    if (topics.length === 0) return found
    const { resources } = await this.admin.describeConfigs({
      includeSynonyms: false,
      resources: topics.map((name) => ({ type: kafkajs.ConfigResourceTypes.TOPIC, name })),
    })
    for (const { resourceName, configEntries } of resources) {
      found.set(
        resourceName,
        Object.fromEntries(configEntries.map(({ configName, configValue }) => [configName, configValue])),
      )
    }
    return found
  }

  /** @throws WeirError that says whether the cluster refuses or does not answer */
  private async ask<T>(where: string, question: () => Promise<T>): Promise<T> {
    const brokers = this.deps.client.config.brokers.join(', ')
    try {
      this.connected ??= this.connect()
      await this.connected
      return await question()
    } catch (error) {
      const place = where === '' ? brokers : where
      const known = lastingError(error, place) ?? refusedConnection(error, brokers)
      if (known !== null) throw known
      throw new WeirError('SERVICE_UNREACHABLE', `the Kafka cluster did not do what was asked: ${reasonOf(error)}`, {
        where: place,
        fix: `Check that the brokers (${brokers}) can be reached and are well, then try again.`,
      })
    }
  }

  private async connect(): Promise<void> {
    try {
      await this.connection.refresh()
      await this.admin.connect()
    } catch (error) {
      this.connected = null
      throw error
    }
  }
}

/** The first release with a version of the fetch request, and the one that left its oldest versions out. */
const RELEASES: readonly (readonly [fetchVersion: number, release: string])[] = [
  [18, '4.1'],
  [17, '3.9'],
  [16, '3.7'],
  [15, '3.5'],
  [13, '3.1'],
  [12, '2.7'],
  [11, '2.3'],
  [10, '2.1'],
]
const FETCH_MIN_OF_4 = 4

function releaseOf(broker: RawBroker): string {
  const { minVersion = 0, maxVersion = 0 } = broker.versions?.[API.fetch] ?? {}
  const release = RELEASES.find(([version]) => maxVersion >= version)?.[1]
  if (release === undefined) return 'older than 2.1'
  return `${minVersion >= FETCH_MIN_OF_4 && release.startsWith('3') ? '4.0' : release} or later`
}
