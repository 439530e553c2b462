import { availableParallelism, cpus, totalmem } from 'node:os'
import { dataPaths } from '#infra/data-folder.ts'
import { WeirError } from '#schemas/errors.ts'
import type { BenchName, BenchOptions } from './commands/bench.ts'
import type { CommandContext } from './context.ts'
import { featureSpecOf } from './feature-spec.ts'
import { WEIR_VERSION } from './version.ts'

/** Runs one measurement and says what it ran on. The figures are whatever the measurement gives. */
export async function runBench(context: CommandContext, name: BenchName, options: BenchOptions): Promise<void> {
  const bench = BENCHES[name]
  if (bench === undefined) throw new WeirError('NOT_AVAILABLE', `bench ${name} is not part of this build`)
  const figures = await bench(context, options)
  context.report({ bench: name, machine: machineOf(), figures }, `${name}\n${describe(figures, '  ')}`)
}

type Bench = (context: CommandContext, options: BenchOptions) => Promise<unknown>

/** Each is loaded when it is called; what they need of the program they import themselves. */
const BENCHES: Partial<Record<BenchName, Bench>> = {
  async features(context, options) {
    const { benchFeatures } = await import('#test/bench/features.ts')
    const load = { cards: 50_000, merchants: 5_000, events: options.events ?? 1_000_000, days: 30 }
    return benchFeatures(featureSpecOf(context.config), load)
  },
  async path(context, options) {
    const { benchPath } = await import('#test/bench/path.ts')
    return await benchPath({
      config: context.config,
      spec: featureSpecOf(context.config),
      paths: dataPaths(context.config),
      model: options.model ?? null,
      input: options.input ?? null,
      events: options.events ?? 400_000,
    })
  },
  async log() {
    const { benchLog } = await import('#test/bench/log.ts')
    return await benchLog()
  },
  async decide(context, options) {
    const { benchDecide } = await import('#test/bench/decide.ts')
    return benchDecide(featureSpecOf(context.config), options.events ?? 2_000_000)
  },
  async simulator(_context, options) {
    const { benchSimulator } = await import('#test/bench/simulator.ts')
    return benchSimulator(options.seconds ?? 10)
  },
  async world(context, options) {
    const { benchWorld } = await import('#test/bench/world.ts')
    return await benchWorld({
      config: context.config,
      spec: featureSpecOf(context.config),
      preset: options.preset ?? 'demo',
      seed: options.seed ?? 1,
      events: options.events ?? 1_200_000,
    })
  },
  async memory(context, options) {
    const { benchMemory } = await import('#test/bench/memory.ts')
    return benchMemory(featureSpecOf(context.config), options.cards ?? 1_000_000, options.events ?? 6_000_000)
  },
  async restart(context, options) {
    const { benchRestart } = await import('#test/bench/restart.ts')
    return await benchRestart({
      config: context.config,
      spec: featureSpecOf(context.config),
      cards: options.cards ?? 1_000_000,
      events: options.events ?? 4_000_000,
    })
  },
  async record(_context, options) {
    const { benchRecord } = await import('#test/bench/record.ts')
    return await benchRecord(options.events)
  },
  async api(context, options) {
    const { benchApi } = await import('#test/bench/api.ts')
    return await benchApi({
      config: context.config,
      spec: featureSpecOf(context.config),
      program: programOf(),
      seconds: options.seconds ?? 20,
      requests: options.events ?? null,
      isKafka: options.kafka === true,
    })
  },
  async kafka(context, options) {
    const { benchKafka } = await import('#test/bench/kafka.ts')
    return await benchKafka({
      ...kafkaOptions(context, options),
      seconds: options.seconds ?? 60,
      rate: options.rate ?? null,
      events: options.events ?? null,
      profileFolder: options.profile ?? null,
    })
  },
  async latency(context, options) {
    const { benchLatency } = await import('#test/bench/kafka-latency.ts')
    const kafka = kafkaOptions(context, options)
    return await benchLatency({ ...kafka, seconds: options.seconds ?? 30, rate: options.rate ?? null })
  },
  async failover(context, options) {
    const { benchFailover } = await import('#test/bench/kafka-failover.ts')
    return await benchFailover(kafkaOptions(context, options))
  },
  async chaos(context, options) {
    const { benchChaos } = await import('#test/bench/kafka-chaos.ts')
    return await benchChaos({
      ...kafkaOptions(context, options),
      kills: options.kills ?? 50,
      seed: options.seed ?? 1,
      rate: options.rate ?? 500,
    })
  },
  async training() {
    const { benchTraining } = await import('#test/bench/training.ts')
    return await benchTraining()
  },
}

/** The lean spec unless another one is asked for: what is measured is what Kafka and ClickHouse leave of its speed. */
function kafkaOptions({ config }: CommandContext, { spec }: BenchOptions) {
  const path = { ...config.path, spec: spec === undefined ? ('lean' as const) : config.path.spec }
  return { config: { ...config, path }, program: programOf() }
}

/** The same program as this one, built or through tsx, as the `weir` command starts it. */
function programOf(): readonly string[] {
  return ['--v8-pool-size=1', '--max-semi-space-size=4', ...process.execArgv, process.argv[1]!]
}

function machineOf(): Record<string, unknown> {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    platform: `${process.platform} ${process.arch}`,
    node: process.versions.node,
    weir: WEIR_VERSION,
  }
}

/** Nested figures, one a line, numbers grouped. */
function describe(value: unknown, indent: string): string {
  if (typeof value !== 'object' || value === null) return `${indent}${shown(value)}\n`
  return Object.entries(value)
    .map(([key, inner]) =>
      typeof inner === 'object' && inner !== null
        ? `${indent}${key}\n${describe(inner, `${indent}  `)}`
        : `${indent}${key.padEnd(24)} ${shown(inner)}\n`,
    )
    .join('')
}

function shown(value: unknown): string {
  return typeof value === 'number' ? value.toLocaleString('en', { maximumFractionDigits: 3 }) : String(value)
}
