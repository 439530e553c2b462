import { Argument, type Command, Option } from 'commander'
import { type Preset, PRESETS } from '#simulator/presets.ts'
import { wholeNumber } from '../arguments.ts'
import type { Start } from '../start.ts'

export const BENCH_NAMES = [
  'path',
  'log',
  'features',
  'decide',
  'simulator',
  'world',
  'memory',
  'restart',
  'record',
  'api',
  'kafka',
  'latency',
  'failover',
  'chaos',
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
  readonly preset?: Preset
  readonly seed?: number
  readonly rate?: number
  readonly kills?: number
  readonly kafka?: boolean
  readonly profile?: string
}

export function addBench(program: Command, start: Start): void {
  program
    .command('bench')
    .addArgument(new Argument('<name>', 'what is measured').choices(BENCH_NAMES))
    .summary('measure: path, memory, restart, record, api, kafka, training ...')
    .description(
      'Measures one thing on this machine and says what it ran on. Figures and their commands stand in BENCHMARKS.md; machines are noisy, so compare what one run gives.',
    )
    .option('-i, --input <file>', 'path: length-prefixed Avro records, rather than simulated ones')
    .option('--spec <name>', 'path, features, memory, restart, api, world: default or lean (setting path.spec)')
    .option('-m, --model <model>', 'path: a version or a model folder, rather than the champion')
    .addOption(new Option('--preset <name>', 'world: which world').choices(PRESETS))
    .option('--seed <number>', 'world: another seed, another world', wholeNumber(0, 4_294_967_295))
    .option('-n, --events <count>', 'events that are measured, or rows or requests', wholeNumber(1, 1e10))
    .option('--cards <count>', 'memory, restart: cards that the events are spread over', wholeNumber(1, 1e8))
    .option('--seconds <count>', 'api, simulator, kafka, latency: how long', wholeNumber(1, 86_400))
    .option('--rate <count>', 'kafka, latency, chaos: events a second', wholeNumber(1, 1e7))
    .option('--kafka', 'api: over a Kafka broker rather than the file log')
    .option('--kills <count>', 'chaos: processes that are killed', wholeNumber(1, 10_000))
    .option('--profile <folder>', 'kafka: write a processor profile of the service there')
    .addHelpText(
      'after',
      `
Examples:
  $ weir bench path --spec lean --json
  $ weir bench path --input events.avro --model models/shipped/lean
  $ weir bench memory --spec lean --cards 1000000 --events 6000000
  $ weir bench world --seed 2 --json
  $ weir bench api --seconds 30
  $ weir bench kafka --json
  $ weir bench kafka --events 20000000
  $ weir bench chaos --kills 50`,
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
