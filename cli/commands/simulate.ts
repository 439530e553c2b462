import { type Command, Option } from 'commander'
import { moment, wholeNumber } from '../arguments.ts'
import type { Preset } from '#simulator/presets.ts'
import type { Start } from '../start.ts'

export const SIMULATE_TARGETS = ['jsonl', 'csv', 'avro', 'frames', 'log', 'kafka', 'path'] as const
export type SimulateTarget = (typeof SIMULATE_TARGETS)[number]

export interface SimulateOptions {
  readonly events?: number
  readonly days?: number
  readonly preset: Preset
  readonly view?: 'acquirer'
  readonly seed: number
  /** Epoch milliseconds of the first day. */
  readonly from?: number
  readonly to: SimulateTarget
  readonly out?: string
  readonly labels?: string
  readonly truth?: string
  readonly closedLoop?: boolean
}

export function addSimulate(program: Command, start: Start): void {
  program
    .command('simulate')
    .summary('a world of cards, merchants and fraudsters, as data')
    .description(
      'Writes simulated transactions and the labels that arrive later, in order of time. The same seed gives the same bytes. Into the log or Kafka, they are decided by the running service, or by the next one.',
    )
    .option('-n, --events <count>', 'transactions to write (default: 10000, if no --days)', wholeNumber(1, 1e10))
    .option('--days <count>', 'days to write', wholeNumber(1, 36_500))
    .addOption(
      new Option('--preset <name>', 'size and fraud rate of the world')
        .choices(['demo', 'default', 'eea'])
        .default('demo'),
    )
    .addOption(new Option('--view <name>', 'what one acquirer sees: 15 % of the merchants').choices(['acquirer']))
    .option('--seed <number>', 'another seed, another world', wholeNumber(0, 4_294_967_295), 1)
    .option('--from <day>', 'first day, UTC (default: 2025-01-01)', moment)
    .addOption(
      new Option(
        '--to <target>',
        'format of the file (frames: length-prefixed Avro records); log: append to the log; kafka: write to the input topics on kafka.brokers; path: decide them in memory and keep nothing',
      )
        .choices(SIMULATE_TARGETS)
        .default('jsonl'),
    )
    .option('-o, --out <file>', 'file for the transactions (default: stdout)')
    .option('--labels <file>', 'file for the labels, in the same format; without it they are left out')
    .option('--truth <file>', 'file for what really was fraud and which tactic, as CSV; no model may see it')
    .option('--closed-loop', 'fraudsters notice declines and change their ways (with --to path)')
    .addHelpText(
      'after',
      `
Examples:
  $ weir simulate --events 1000 | head -3
  $ weir simulate --days 365 --preset default --to avro --out year.avro --labels labels.avro
  $ weir simulate --events 50000 --to log         into the running service, or the log
  $ weir simulate --events 50000 --to kafka --set kafka.brokers=127.0.0.1:9092`,
    )
    .action(
      start(async (context, options: SimulateOptions) => {
        const { runSimulate } = await import('../simulate.ts')
        return await runSimulate(context, options)
      }),
    )
}
