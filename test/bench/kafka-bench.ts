import { mkdtempSync, rmSync } from 'node:fs'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { assetPath } from '#infra/assets.ts'
import { type Codec, createCodec } from '#schemas/codec.ts'
import type { Config } from '#schemas/config.ts'
import { WeirError } from '#schemas/errors.ts'
import { createFileSchemas } from '#schemas/schema-source.ts'
import { prepareKafka } from '#test/support/kafka-home.ts'
import { KafkaStage } from '#test/support/kafka-stage.ts'
import { kafkaConfigOf } from '#cli/open-log.ts'
import { KafkaLoad } from './kafka-load-handle.ts'
import type { LoadOrder } from './kafka-load-order.ts'

export interface KafkaBenchOptions {
  readonly config: Config
  /** Arguments of node that run this program's command line. */
  readonly program: readonly string[]
}

export const READY_MS_MAX = 90_000
/** A broker is compiled for about a minute, and until then takes what the path needs. */
export const WARM_UP_SECONDS = 75

/** Model and rules together flag a few in a thousand events of the load, as they would once a desk's budget has set in. */
export const ALERT_SETTINGS = ['threshold.mode=fixed', 'threshold.fixed.review=0.35', 'threshold.fixed.decline=1']

export interface StageBenchOptions extends KafkaBenchOptions {
  /** The broker is measured too, so it is compiled as in production. */
  readonly isMeasured?: boolean
}

/** A broker with Weir's topics in a folder of its own, gone afterwards, also when the measurement is stopped. */
export async function onKafkaStage<T>(
  { config, program, isMeasured = false }: StageBenchOptions,
  settings: readonly string[],
  work: (stage: KafkaStage) => Promise<T>,
): Promise<T> {
  const { tool, missing } = await prepareKafka()
  if (tool === null) {
    throw new WeirError('NOT_AVAILABLE', missing, { fix: 'Install a JDK from version 17 on, and Maven to fetch it.' })
  }
  const folder = mkdtempSync(join(tmpdir(), 'weir-bench-kafka-'))
  const remove = (): void => rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
  const stop = (): never => process.exit(EXIT_INTERRUPTED)
  process.once('exit', remove).once('SIGINT', stop).once('SIGTERM', stop)
  try {
    const stage = await KafkaStage.open({ config, home: tool, folder, program, settings, isMeasured })
    try {
      return await work(stage)
    } finally {
      await stage.close()
    }
  } finally {
    remove()
    process.off('exit', remove).off('SIGINT', stop).off('SIGTERM', stop)
  }
}

const EXIT_INTERRUPTED = 130

/** What every load has unless told otherwise: events that happen when they are made, on ordinary cards. */
export function startLoad(stage: KafkaStage, over: Partial<LoadOrder> = {}): Promise<KafkaLoad> {
  const { config } = stage
  return KafkaLoad.start({
    kafka: { ...kafkaConfigOf(config), clientId: 'weir-bench-load' },
    topic: config.topics.transactions,
    partitions: config.kafka.topicPartitions,
    accounts: 50_000,
    merchants: 8_000,
    pool: 100_000,
    prefix: 'load',
    lingerMs: 5,
    startMs: null,
    ...over,
  })
}

export function plainCodec(): Codec {
  return createCodec(createFileSchemas(assetPath('schemas/kafka')))
}

/** Asks again and again until it is so. @throws WeirError NOT_AVAILABLE when it takes too long */
export async function until(what: string, withinMs: number, isSo: () => boolean | Promise<boolean>): Promise<void> {
  const startedMs = performance.now()
  while (!(await isSo())) {
    if (performance.now() - startedMs > withinMs) {
      throw new WeirError('NOT_AVAILABLE', `not within ${withinMs / 1_000} s: ${what}`)
    }
    await sleep(LOOK_EVERY_MS)
  }
}

const LOOK_EVERY_MS = 20

/** How busy the machine was with everything, processes of others included: processes that wanted a core. */
export function loadAverage(): number {
  return Number(loadavg()[0]!.toFixed(2))
}
