import { wallClock } from '#infra/clock.ts'
import { dataPaths } from '#infra/data-folder.ts'
import { noMetrics } from '#infra/metrics.ts'
import { createTokenizer } from '#infra/tokenizer.ts'
import { ACCEPTED, type Explained, type Received, reached, SliceBuffers } from '#pipeline/slice.ts'
import { DEFAULT_COSTS, type Threshold } from '#pipeline/decide/threshold.ts'
import type { Config } from '#schemas/config.ts'
import type { CommandContext } from './context.ts'
import { featureSpecOf } from './feature-spec.ts'
import { PathRuntime, readRates, readRules } from './path-runtime.ts'

/** A token here need not be the token of the service: nothing is kept. */
const KEY = Buffer.alloc(32)

/** The whole path with a fresh state and no log: what goes in is decided, and nothing is kept. */
export class FreshPath {
  readonly runtime: PathRuntime
  private readonly slice: SliceBuffers
  private readonly aheadMs: number
  private readonly onSlice: (slice: Explained) => void | Promise<void>
  private offset = 0

  private constructor(
    runtime: PathRuntime,
    rows: number,
    aheadMs: number,
    onSlice: (slice: Explained) => void | Promise<void>,
  ) {
    this.runtime = runtime
    this.slice = new SliceBuffers(rows, runtime.layout)
    this.aheadMs = aheadMs
    this.onSlice = onSlice
  }

  /**
   * @param model a version, `none` for rules alone; undefined: the champion
   * @throws WeirError MODEL_NOT_FOUND, RULES_INVALID and others of the parts
   */
  static async open(
    context: CommandContext,
    options: {
      readonly rows: number
      readonly model: string | undefined
      readonly onSlice: (slice: Explained) => void | Promise<void>
    },
  ): Promise<FreshPath> {
    const { config } = context
    const runtime = new PathRuntime({
      config,
      paths: dataPaths(config),
      spec: featureSpecOf(config),
      tokenizer: createTokenizer(KEY),
      metrics: noMetrics,
      clock: wallClock,
      alertsPerDay: config.threshold.alertsPerDay,
    })
    const apply = (type: 'rates' | 'rules' | 'model' | 'threshold', value: unknown): Promise<void> =>
      runtime.apply({ type, value: JSON.stringify(value), sha256: '' })
    await apply('rates', readRates(config))
    await apply('rules', readRules(config))
    const version =
      options.model === 'none'
        ? null
        : (options.model ?? (await runtime.registry.champion(runtime.layout.specName))?.version ?? null)
    await apply('model', { version })
    const review = runtime.champion?.manifest.thresholds.review ?? 1
    await apply('threshold', thresholdOf(config, review))
    return new FreshPath(runtime, options.rows, config.path.guard.aheadMs, options.onSlice)
  }

  async put(topic: string, value: Buffer): Promise<void> {
    const { slice } = this
    const row = slice.count++
    slice.topic[row] = topic
    slice.partition[row] = 0
    slice.offset[row] = this.offset++
    slice.value[row] = value
    slice.outcome[row] = ACCEPTED
    slice.rejection[row] = null
    if (slice.count === slice.capacity) await this.flush()
  }

  /** Decides what waits. */
  async flush(): Promise<void> {
    const { slice } = this
    if (slice.count === 0) return
    slice.clockFollowsEvents = true
    slice.notAfterMs = Math.max(slice.clock, wallClock.now()) + this.aheadMs
    await this.onSlice(await this.runtime.path.run(reached<Received>(slice)))
    slice.line++
    slice.count = 0
  }

  async close(): Promise<void> {
    await this.runtime.close()
  }
}

function thresholdOf({ threshold }: Config, review: number): Threshold {
  switch (threshold.mode) {
    case 'fixed':
      return { mode: 'fixed', ...threshold.fixed }
    case 'cost':
      return { mode: 'cost', costs: { ...DEFAULT_COSTS, ...threshold.cost } }
    case 'budget':
      return { mode: 'budget', review, decline: null }
  }
}
