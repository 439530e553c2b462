import { KafkaAdmin, type TopicFacts, type TopicPlan } from '#infra/kafka/admin.ts'
import { createKafkaClient } from '#infra/kafka/client.ts'
import type { Config } from '#schemas/config.ts'
import type { TopicsOptions } from './commands/topics.ts'
import type { CommandContext } from './context.ts'
import { kafkaConfigOf } from './open-log.ts'
import { formatTable } from './table.ts'

const DAY_MS = 86_400_000

/** The topics of Weir as its settings want them. */
export function plannedTopics({ kafka, topics }: Config): TopicPlan[] {
  const { topicPartitions, topicReplicas, topicRetentionDays } = kafka
  const settings = {
    'cleanup.policy': 'delete',
    'retention.ms': String(topicRetentionDays * DAY_MS),
    ...(topicReplicas >= 3 ? { 'min.insync.replicas': '2' } : {}),
  }
  const inputs = new Set([topics.transactions, topics.labels])
  return Object.values(topics).map((topic) => ({
    topic,
    partitions: inputs.has(topic) ? topicPartitions : 1,
    replicas: topicReplicas === 0 ? -1 : topicReplicas,
    settings,
  }))
}

export async function createTopics(context: CommandContext, options: TopicsOptions): Promise<void> {
  const isDry = options.dryRun === true
  const plans = plannedTopics(context.config)
  const made = await withAdmin(context, (admin) => admin.createTopics(plans, isDry))
  const missing = plans.filter(({ topic }) => made.includes(topic))
  const lines = missing.map(
    ({ topic, partitions }) => `${topic}: ${partitions} ${partitions === 1 ? 'partition' : 'partitions'}\n`,
  )
  const head =
    missing.length === 0 ? 'every topic is there; nothing was changed\n' : isDry ? 'would be made:\n' : 'made:\n'
  context.report({ dryRun: isDry, created: missing }, head + lines.join(''))
}

export async function listTopics(context: CommandContext): Promise<void> {
  const names = Object.values(context.config.topics)
  const facts = await withAdmin(context, (admin) => admin.describeTopics(names))
  const rows = names.map((topic, i) => rowOf(topic, facts[i] ?? null, context.config))
  context.report(
    rows,
    formatTable(
      ['topic', 'partitions', 'copies', 'kept', 'look at'],
      rows.map(({ topic, partitions, replicas, keptDays, problems }) => [
        topic,
        partitions === null ? 'missing' : String(partitions),
        replicas === null ? '' : String(replicas),
        keptDays === null ? '' : keptDays === Number.POSITIVE_INFINITY ? 'for ever' : `${keptDays} days`,
        problems.join('; '),
      ]),
      PROBLEM_COLUMNS,
    ),
  )
}

const PROBLEM_COLUMNS = 200

export interface TopicRow {
  readonly topic: string
  readonly partitions: number | null
  readonly replicas: number | null
  readonly keptDays: number | null
  readonly problems: readonly string[]
  /** One of the problems keeps the service from running, or from starting again. */
  readonly isUnusable: boolean
}

/** A topic, and what about it can lose data or stop the service. */
export function rowOf(topic: string, facts: TopicFacts | null, { topics, kafka }: Config): TopicRow {
  if (facts === null) {
    const problems = ['is missing: `weir topics create` makes it']
    return { topic, partitions: null, replicas: null, keptDays: null, problems, isUnusable: true }
  }
  const { partitions, replicas, leaderless, settings } = facts
  const retentionMs = Number(settings['retention.ms'] ?? -1)
  const keptDays = retentionMs < 0 ? Number.POSITIVE_INFINITY : Math.round(retentionMs / DAY_MS)
  const problems: string[] = []
  const isInput = topic === topics.transactions || topic === topics.labels
  if (!isInput && partitions !== 1) problems.push(`has ${partitions} partitions, Weir needs exactly one`)
  if (leaderless > 0) problems.push(`${leaderless} partitions have no leader`)
  if (settings['cleanup.policy']?.includes('compact') === true) {
    problems.push('is compacted: records vanish that a replay needs (cleanup.policy=delete)')
  }
  const isUnusable = problems.length > 0
  if (settings['unclean.leader.election.enable'] === 'true') {
    problems.push('may lose confirmed records (unclean.leader.election.enable=false)')
  }
  if (replicas > 2 && Number(settings['min.insync.replicas'] ?? 1) < 2) {
    problems.push('confirms what one broker alone holds (min.insync.replicas=2)')
  }
  if (keptDays < Math.min(2, kafka.topicRetentionDays)) {
    problems.push(`is kept ${retentionMs} ms only: a restart needs what came since the oldest checkpoint`)
  }
  return { topic, partitions, replicas, keptDays, problems, isUnusable }
}

export async function withAdmin<T>(context: CommandContext, work: (admin: KafkaAdmin) => Promise<T>): Promise<T> {
  const { logger, config } = context
  const client = await createKafkaClient({ config: kafkaConfigOf(config), logger })
  const admin = new KafkaAdmin({ client, logger, nowMs: () => performance.now() })
  try {
    return await work(admin)
  } finally {
    await admin.close()
  }
}
