import { featureSpecOf } from '#cli/feature-spec.ts'
import { PathRuntime } from '#cli/path-runtime.ts'
import { dataPaths } from '#infra/data-folder.ts'
import { createMemoryLog } from '#infra/log/memory-log.ts'
import type { Log, LogRecord } from '#infra/log/log.ts'
import { noMetrics } from '#infra/metrics.ts'
import { createTokenizer } from '#infra/tokenizer.ts'
import type { Path } from '#pipeline/assemble.ts'
import { Consumer } from '#pipeline/consume.ts'
import { Engine, type EngineDeps } from '#pipeline/engine.ts'
import { Intake } from '#pipeline/intake.ts'
import { Positions } from '#pipeline/journal.ts'
import { createPeekTime } from '#pipeline/peek-time.ts'
import { SliceBuffers } from '#pipeline/slice.ts'
import { DEFAULT_TOPICS } from '#pipeline/topics.ts'
import { defaultConfig } from '#schemas/config.ts'

/** The wall clock of these tests, epoch milliseconds. */
export const NOW_MS = Date.UTC(2026, 0, 15, 12)
export const INTAKE = 1

export interface MemoryPath {
  readonly runtime: PathRuntime
  readonly log: Log
  readonly intake: Intake
  readonly consumer: Consumer
  readonly positions: Positions
  readonly engine: Engine
  /** Lets the engine work; `stop` resolves when it has ended, or throws what ended it. */
  run(): { stop(): Promise<void>; readonly ended: Promise<void> }
  /** The first `count` records of a partition, as soon as they are there. */
  records(topic: string, count: number, partition?: number): Promise<readonly LogRecord[]>
}

export interface MemoryPathOptions
  extends Partial<
    Pick<
      EngineDeps,
      | 'deadLettersInARowMax'
      | 'heartbeatMs'
      | 'isWatched'
      | 'onTerm'
      | 'isAtomic'
      | 'applyControl'
      | 'onSlice'
      | 'onDiskFull'
    >
  > {
  readonly rowsMax?: number
  readonly log?: Log
  readonly path?: (path: Path) => Path
}

/** The whole path on a log in memory, with a clock that stands still; no rules and no model. */
export function createMemoryPath(options: MemoryPathOptions = {}): MemoryPath {
  const plain = defaultConfig('/nowhere')
  const config = { ...plain, path: { ...plain.path, spec: 'lean', deduplicateIds: 4_096 } }
  const clock = { now: () => NOW_MS }
  const runtime = new PathRuntime({
    config,
    paths: dataPaths(config),
    spec: featureSpecOf(config),
    tokenizer: createTokenizer(Buffer.alloc(32, 1)),
    metrics: noMetrics,
    clock,
    alertsPerDay: 100,
  })
  const log = options.log ?? createMemoryLog()
  const intake = new Intake(1_000)
  const positions = new Positions()
  const rowsMax = options.rowsMax ?? 1_024
  const consumer = new Consumer({
    log,
    intake,
    positions,
    inputTopics: [DEFAULT_TOPICS.transactions, DEFAULT_TOPICS.labels],
    intakePartition: INTAKE,
    partitionsEveryMs: 0,
    clock,
    peekTime: createPeekTime(runtime.codec, DEFAULT_TOPICS.labels),
    rowsMax,
  })
  const engine = new Engine(
    {
      path: options.path === undefined ? runtime.path : options.path(runtime.path),
      log,
      codec: runtime.codec,
      topics: DEFAULT_TOPICS,
      consumer,
      positions,
      slice: new SliceBuffers(rowsMax, runtime.layout),
      metrics: noMetrics,
      clock,
      clockMode: 'wall',
      aheadMs: 86_400_000,
      deadLettersInARowMax: options.deadLettersInARowMax ?? 1_000,
      heartbeatMs: options.heartbeatMs ?? 60_000,
      isWatched: options.isWatched ?? false,
      isAtomic: options.isAtomic ?? true,
      onTerm: options.onTerm ?? (async () => {}),
      applyControl: options.applyControl ?? ((control) => runtime.apply(control)),
      onSlice: options.onSlice ?? (() => {}),
      onDiskFull: options.onDiskFull ?? (() => {}),
      onDurable: () => {},
      betweenSlices: () => {},
    },
    { nextLine: 0, term: 0, clock: 0 },
  )
  return {
    runtime,
    log,
    intake,
    consumer,
    positions,
    engine,
    run() {
      const stop = new AbortController()
      const ended = engine.run(stop.signal, 'test')
      ended.catch(() => {})
      return {
        ended,
        stop() {
          stop.abort()
          return ended
        },
      }
    },
    async records(topic, count, partition = 0) {
      let seen = 0
      for (;;) {
        const found = await log.reader({ topic, partition, offset: 0 }).read(10_000)
        if (found.length >= count) return found
        seen = await log.changed(seen, AbortSignal.timeout(10_000))
      }
    },
  }
}
