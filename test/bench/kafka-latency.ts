import { setTimeout as sleep } from 'node:timers/promises'
import type { Config } from '#schemas/config.ts'
import { DecisionWatch } from './decision-watch.ts'
import {
  ALERT_SETTINGS,
  type KafkaBenchOptions,
  loadAverage,
  onKafkaStage,
  READY_MS_MAX,
  startLoad,
  until,
  WARM_UP_SECONDS,
} from './kafka-bench.ts'
import { percentilesOf } from './percentiles.ts'
import { cpuSecondsOf } from './processes.ts'
import { histogramMs, parseMetrics } from './prometheus-text.ts'

export interface KafkaLatencyOptions extends KafkaBenchOptions {
  /** At each rate. */
  readonly seconds: number
  /** Events a second; null: the usual ones. */
  readonly rate: number | null
}

export interface LatencyFigures {
  readonly mode: Config['kafka']['mode']
  readonly eventsPerSecondWanted: number
  readonly eventsPerSecond: number
  readonly events: number
  /** Milliseconds from an event being made to its committed decision being read in another process. */
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
  /** Of it, from a slice being taken to its commit being confirmed. */
  readonly sliceP50Ms: number
  readonly commitP50Ms: number
  /** Cores that broker and `weir run` used. */
  readonly brokerCores: number
  readonly pathCores: number
  readonly loadAverage: number
}

const MODES: readonly Config['kafka']['mode'][] = ['exact', 'at-least-once']
const RATES = [1_000, 5_000]
const WARM_RATE = 2_000
const DRAIN_MS_MAX = 60_000

/** Time from a transaction to its decision, over Kafka, in both modes. */
export async function benchLatency(options: KafkaLatencyOptions): Promise<readonly LatencyFigures[]> {
  const figures: LatencyFigures[] = []
  for (const mode of MODES) {
    figures.push(...(await inMode(options, mode)))
  }
  return figures
}

async function inMode(options: KafkaLatencyOptions, mode: Config['kafka']['mode']): Promise<LatencyFigures[]> {
  return await onKafkaStage(
    { ...options, isMeasured: true },
    [...ALERT_SETTINGS, `kafka.mode=${mode}`],
    async (stage) => {
      const { topics } = stage.config
      const run = stage.run('service')
      const log = await stage.reading([topics.decisions])
      const watch = new DecisionWatch(log, topics.decisions)
      const load = await startLoad(stage, { lingerMs: 1 })
      try {
        await run.becomes('active', READY_MS_MAX)
        const drained = async (): Promise<void> => {
          load.send(0)
          await until(
            'everything is decided',
            DRAIN_MS_MAX,
            () => load.made === load.acked && watch.count >= load.acked,
          )
        }
        load.send(WARM_RATE)
        await sleep(WARM_UP_SECONDS * 1_000)
        await drained()
        const figures: LatencyFigures[] = []
        for (const rate of options.rate === null ? RATES : [options.rate]) {
          load.send(rate)
          await sleep(1_000)
          const from = { ms: performance.now(), at: watch.latencyMs.count, metrics: parseMetrics(await run.metrics()) }
          const cpu = [cpuSecondsOf(stage.kafka.pidOf(0)), cpuSecondsOf(run.pid)] as const
          watch.time(true)
          await sleep(options.seconds * 1_000)
          watch.time(false)
          const seconds = (performance.now() - from.ms) / 1_000
          const used = [cpuSecondsOf(stage.kafka.pidOf(0)), cpuSecondsOf(run.pid)] as const
          const metrics = parseMetrics(await run.metrics())
          const latencies = watch.latencyMs.all().subarray(from.at)
          const { p50, p99, max } = percentilesOf(latencies)
          figures.push({
            mode,
            eventsPerSecondWanted: rate,
            eventsPerSecond: Math.round(latencies.length / seconds),
            events: latencies.length,
            p50Ms: p50,
            p99Ms: p99,
            maxMs: max,
            sliceP50Ms: histogramMs(from.metrics, metrics, 'weir_slice_seconds').p50,
            commitP50Ms: histogramMs(from.metrics, metrics, 'weir_commit_seconds').p50,
            brokerCores: Number(((used[0] - cpu[0]) / seconds).toFixed(3)),
            pathCores: Number(((used[1] - cpu[1]) / seconds).toFixed(3)),
            loadAverage: loadAverage(),
          })
          await drained()
        }
        await load.stop()
        await run.kill('SIGTERM')
        return figures
      } finally {
        load.kill()
        await watch.close()
        await log.close()
      }
    },
  )
}
