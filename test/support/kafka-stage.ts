import { execFile } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { dataPaths } from '#infra/data-folder.ts'
import { KafkaAdmin } from '#infra/kafka/admin.ts'
import { createKafkaClient, type KafkaClient } from '#infra/kafka/client.ts'
import { wallClock } from '#infra/clock.ts'
import { type KafkaLog, openKafkaLog } from '#infra/log/kafka-log.ts'
import { createSilentLogger } from '#infra/logger.ts'
import { noMetrics } from '#infra/metrics.ts'
import { loadTokenKey } from '#infra/tokenizer.ts'
import { kafkaConfigOf } from '#cli/open-log.ts'
import { plannedTopics } from '#cli/topics.ts'
import { type Config, settingsByKey } from '#schemas/config.ts'
import { type RunningKafka, startKafka } from './kafka-broker.ts'
import type { KafkaHome } from './kafka-home.ts'
import { startTcpRelay, type TcpRelay } from './tcp-relay.ts'
import { StagedRun } from './staged-run.ts'

export interface StageOptions {
  readonly config: Config
  readonly home: KafkaHome
  /** An empty folder for everything; whoever made it removes it. */
  readonly folder: string
  /** Arguments of node that run the command line. */
  readonly program: readonly string[]
  /** For every process, as `--set` takes them. */
  readonly settings: readonly string[]
  /** See `KafkaOptions`. */
  readonly isMeasured: boolean
}

export interface RunOptions {
  readonly settings?: readonly string[]
  /** Arguments of node before the program. */
  readonly nodeArgs?: readonly string[]
  /** Through the relay rather than to the broker itself. */
  readonly isRelayed?: boolean
}

/**
 * A broker with Weir's topics, and processes of one role on data folders of their own: they share models and token key,
 * as they would on two machines that were set up alike.
 */
export class KafkaStage {
  /** As the processes have it, but for the data folder. */
  readonly config: Config
  readonly kafka: RunningKafka
  readonly relay: TcpRelay
  readonly client: KafkaClient
  private readonly options: StageOptions
  private readonly runs = new Set<StagedRun>()
  private readonly killWithUs = (): void => {
    for (const { pid } of this.runs) kill(pid)
  }

  private constructor(
    options: StageOptions,
    config: Config,
    kafka: RunningKafka,
    relay: TcpRelay,
    client: KafkaClient,
  ) {
    this.options = options
    this.config = config
    this.kafka = kafka
    this.relay = relay
    this.client = client
    process.once('exit', this.killWithUs)
  }

  /** Starts the broker and makes the topics. */
  static async open(options: StageOptions): Promise<KafkaStage> {
    const { folder } = options
    let kafka: RunningKafka | null = null
    const relay = await startTcpRelay(() => kafka!.relayTarget)
    try {
      kafka = await startKafka(options.home, {
        folder: join(folder, 'kafka'),
        relayPort: relay.port,
        isMeasured: options.isMeasured,
        properties: BROKER_PROPERTIES,
      })
      const base = withSettings(options.config, options.settings)
      const config: Config = {
        ...base,
        dataFolder: folder,
        tokenKeyFile: join(folder, 'token.key'),
        log: { ...base.log, home: 'kafka' },
        model: { ...base.model, registryFolder: join(folder, 'models') },
        kafka: { ...base.kafka, brokers: kafka.brokers },
      }
      mkdirSync(config.model.registryFolder, { recursive: true })
      loadTokenKey(config.tokenKeyFile)
      const client = await createKafkaClient({ config: kafkaConfigOf(config), logger: createSilentLogger() })
      const admin = new KafkaAdmin({ client, logger: createSilentLogger(), nowMs })
      try {
        await admin.createTopics(plannedTopics(config))
      } finally {
        await admin.close()
      }
      return new KafkaStage(options, config, kafka, relay, client)
    } catch (error) {
      await relay.close()
      await kafka?.close()
      throw error
    }
  }

  /** The configuration of the process on the data folder of this name. */
  configOf(name: string): Config {
    return { ...this.config, dataFolder: join(this.options.folder, name) }
  }

  /** `weir run` on the data folder of this name. */
  run(name: string, { settings = [], nodeArgs = [], isRelayed = false }: RunOptions = {}): StagedRun {
    const sets = this.settingsOf(isRelayed, settings)
    const { dataFolder } = this.configOf(name)
    const command = ['run', '--port', '0', '--data', dataFolder, '--log-level', 'info', ...sets]
    const run = new StagedRun(name, dataPaths({ ...this.config, dataFolder }), [
      ...nodeArgs,
      ...this.options.program,
      ...command,
    ])
    this.runs.add(run)
    void run.ended.then(() => this.runs.delete(run))
    return run
  }

  /**
   * Another command on the data folder of this name, with `--json`; what it gives.
   *
   * @throws Error when it fails
   */
  async command(name: string, args: readonly string[]): Promise<unknown> {
    const own = ['--json', '--data', this.configOf(name).dataFolder, ...this.settingsOf(false, [])]
    try {
      const { stdout } = await promisify(execFile)(process.execPath, [...this.options.program, ...args, ...own])
      return JSON.parse(stdout)
    } catch (error) {
      throw new Error(`weir ${args.join(' ')}: ${(error as { readonly stdout?: string }).stdout ?? ''}`, {
        cause: error,
      })
    }
  }

  /** A log that reads what was committed. */
  reading(topics: readonly string[]): Promise<KafkaLog> {
    return openKafkaLog({
      client: this.client,
      topics,
      transactionalId: `reader-${Math.random().toString(36).slice(2)}`,
      mode: 'at-least-once',
      compression: 'none',
      transactionTimeoutMs: 10_000,
      logger: createSilentLogger(),
      metrics: noMetrics,
      clock: wallClock,
      nowMs,
    })
  }

  private settingsOf(isRelayed: boolean, more: readonly string[]): string[] {
    const { tokenKeyFile, model, kafka, path } = this.config
    const brokers = isRelayed ? [`127.0.0.1:${this.relay.port}`] : kafka.brokers
    const own = [
      'log.home=kafka',
      `kafka.brokers=${brokers.join(',')}`,
      `tokenKeyFile=${tokenKeyFile}`,
      `model.registryFolder=${model.registryFolder}`,
      `path.spec=${path.spec}`,
    ]
    return [...own, ...this.options.settings, ...more].flatMap((set) => ['--set', set])
  }

  /** SIGKILL for whatever still runs. */
  async close(): Promise<void> {
    process.off('exit', this.killWithUs)
    await Promise.all([...this.runs].map((run) => run.kill('SIGKILL')))
    await this.relay.close()
    await this.kafka.close()
  }
}

/** The configuration with settings as `--set` takes them. */
function withSettings(config: Config, settings: readonly string[]): Config {
  const known = settingsByKey()
  const changed: Record<string, unknown> = structuredClone(config)
  for (const setting of settings) {
    const [key = '', value] = setting.split('=', 2)
    const parts = key.split('.')
    const last = parts.pop()!
    const group = parts.reduce((tree, part) => tree[part] as Record<string, unknown>, changed)
    group[last] = known.get(key)!.shape.parse(value)
  }
  return changed as unknown as Config
}

const nowMs = (): number => performance.now()

/** A broker as people run one, but that it notices its own restart sooner. */
const BROKER_PROPERTIES = { 'transaction.state.log.num.partitions': '4', 'log.segment.bytes': '268435456' }

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended by itself.
  }
}
