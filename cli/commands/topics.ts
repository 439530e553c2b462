import type { Command } from 'commander'
import type { Start } from '../start.ts'

export interface TopicsOptions {
  readonly dryRun?: boolean
}

export function addTopics(program: Command, start: Start): void {
  const topics = program
    .command('topics')
    .summary("Kafka's topics: list, create")
    .description('The topics that Weir reads and writes, on the brokers that kafka.brokers names.')
    .addHelpText(
      'after',
      `
Examples:
  $ weir topics list --set kafka.brokers=127.0.0.1:9092
  $ weir topics create --dry-run
  $ weir topics create --set kafka.topicPartitions=24`,
    )
  topics
    .command('list')
    .summary('what is there, and what loses data')
    .description('Every topic of Weir: partitions, copies, retention, and settings under which data can be lost.')
    .addHelpText('after', '\nExamples:\n  $ weir topics list\n  $ weir topics list --json')
    .action(
      start(async (context) => {
        const { listTopics } = await import('../topics.ts')
        await listTopics(context)
      }),
    )
  topics
    .command('create')
    .option('--dry-run', 'say what would be made; the brokers check it, nothing is changed')
    .summary('make those that are missing')
    .description('Makes the topics that are missing and leaves those that are there as they are.')
    .addHelpText('after', '\nExamples:\n  $ weir topics create --dry-run\n  $ weir topics create')
    .action(
      start(async (context, options: TopicsOptions) => {
        const { createTopics } = await import('../topics.ts')
        await createTopics(context, options)
      }),
    )
}
