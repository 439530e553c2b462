import { Argument, type Command } from 'commander'
import { wholeNumber } from '../arguments.ts'
import type { Start } from '../start.ts'

export const BENCH_NAMES = [
  'path',
  'log',
  'features',
  'decide',
  'simulator',
  'memory',
  'restart',
  'record',
  'api',
  'training',
] as const
export type BenchName = (typeof BENCH_NAMES)[number]

export interface BenchOptions {
  readonly input?: string
  readonly spec?: string
  readonly model?: string
  readonly events?: number
  readonly cards?: number
  readonly seconds?: number
}

export function addBench(program: Command, start: Start): void {
  program
    .command('bench')
    .addArgument(new Argument('<name>', 'what is measured').choices(BENCH_NAMES))
    .summary('measure: path, memory, restart, record, api, training ...')
    .description(
      'Measures one thing on this machine and says what it ran on. Figures and their commands stand in BENCHMARKS.md; machines are noisy, so compare what one run gives.',
    )
    .option('-i, --input <file>', 'path: length-prefixed Avro records, rather than simulated ones')
    .option('--spec <name>', 'path, features, memory, restart, api: default or lean (setting path.spec)')
    .option('-m, --model <model>', 'path: a version or a model folder, rather than the champion')
    .option('-n, --events <count>', 'events that are measured, or rows or requests', wholeNumber(1, 1e10))
    .option('--cards <count>', 'memory, restart: cards that the events are spread over', wholeNumber(1, 1e8))
    .option('--seconds <count>', 'api, simulator: how long', wholeNumber(1, 86_400))
    .addHelpText(
      'after',
      `
Examples:
  $ weir bench path --spec lean --json
  $ weir bench path --input events.avro --model models/shipped/lean
  $ weir bench memory --spec lean --cards 1000000 --events 6000000
  $ weir bench api --seconds 30`,
    )
    .action(
      start(
        async (context, name: BenchName, options: BenchOptions) => {
          const { runBench } = await import('../bench.ts')
          return await runBench(context, name, options)
        },
        { spec: 'path.spec' },
      ),
    )
}
