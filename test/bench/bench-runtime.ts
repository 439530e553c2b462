import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { wallClock } from '#infra/clock.ts'
import { type DataPaths, dataPaths } from '#infra/data-folder.ts'
import { noMetrics } from '#infra/metrics.ts'
import { createTokenizer } from '#infra/tokenizer.ts'
import { PathRuntime, readRates, readRules } from '#cli/path-runtime.ts'
import { ACCEPTED, type Received, reached, type SliceBuffers } from '#pipeline/slice.ts'
import type { Config } from '#schemas/config.ts'
import type { FeatureSpec } from '#schemas/feature-spec.ts'
import type { ControlType } from '#schemas/journal.ts'
import { makeRandomModel } from './random-model.ts'

const KEY_BYTES = 32
export const DAY_MS = 86_400_000

/** The path as the service assembles it, with rates and rules in force; no model yet. */
export async function openRuntime(config: Config, paths: DataPaths, spec: FeatureSpec): Promise<PathRuntime> {
  const runtime = new PathRuntime({
    config,
    paths,
    spec,
    tokenizer: createTokenizer(Buffer.alloc(KEY_BYTES, 1)),
    metrics: noMetrics,
    clock: wallClock,
    alertsPerDay: config.threshold.alertsPerDay,
  })
  await applyCause(runtime, 'rates', readRates(config))
  await applyCause(runtime, 'lists', { entries: [] })
  await applyCause(runtime, 'rules', readRules(config))
  return runtime
}

export async function applyCause(runtime: PathRuntime, type: ControlType, value: unknown): Promise<void> {
  await runtime.apply({ type, value: JSON.stringify(value), sha256: '' })
}

/** Publishes a network with random weights, fitted to what stands in the slice, and puts it in charge of the spec. */
export async function publishRandomModel(runtime: PathRuntime, slice: SliceBuffers): Promise<string> {
  const parts = await makeRandomModel(runtime.layout, slice.features, slice.count)
  const { version } = await runtime.registry.publish(parts)
  await runtime.registry.promote(version, 'bench')
  return version
}

/** Encoded events as the next slice of partition 0; labels go by their schema id. */
export function fillSlice(
  runtime: PathRuntime,
  slice: SliceBuffers,
  values: readonly Buffer[],
  from: number,
  firstOffset = 0,
): Received {
  const { codec, topics } = runtime
  slice.count = Math.min(slice.capacity, values.length - from)
  slice.line++
  slice.clockFollowsEvents = true
  slice.notAfterMs = Number.POSITIVE_INFINITY
  for (let row = 0; row < slice.count; row++) {
    const value = values[from + row]!
    slice.topic[row] = codec.label.isCurrent(value) ? topics.labels : topics.transactions
    slice.partition[row] = 0
    slice.offset[row] = firstOffset + from + row
    slice.value[row] = value
    slice.outcome[row] = ACCEPTED
    slice.rejection[row] = null
  }
  return reached(slice)
}

/** Brings the state forward, without scores and decisions. */
export function foldAll(runtime: PathRuntime, slice: SliceBuffers, values: readonly Buffer[]): void {
  for (let done = 0; done < values.length; done += slice.count) {
    runtime.path.fold.run(fillSlice(runtime, slice, values, done))
  }
}

/** Runs the work with a data folder of its own, which is gone afterwards, also when the measurement is stopped. */
export async function withDataFolder<T>(
  config: Config,
  work: (config: Config, paths: DataPaths) => Promise<T>,
): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'weir-bench-'))
  const remove = (): void => rmSync(folder, { recursive: true, force: true })
  const stop = (): never => process.exit(EXIT_INTERRUPTED)
  process.once('exit', remove).once('SIGINT', stop).once('SIGTERM', stop)
  try {
    const own = { ...config, dataFolder: folder }
    return await work(own, dataPaths(own))
  } finally {
    remove()
    process.off('exit', remove).off('SIGINT', stop).off('SIGTERM', stop)
  }
}

const EXIT_INTERRUPTED = 130
