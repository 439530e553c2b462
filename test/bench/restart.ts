import { statSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { recover } from '#cli/recover.ts'
import { CheckpointWriter } from '#infra/checkpoint.ts'
import { wallClock } from '#infra/clock.ts'
import type { DataPaths } from '#infra/data-folder.ts'
import { openFileLog } from '#infra/log/file-log.ts'
import type { Log } from '#infra/log/log.ts'
import { Positions } from '#pipeline/journal.ts'
import { SliceBuffers } from '#pipeline/slice.ts'
import type { Config } from '#schemas/config.ts'
import { WeirError } from '#schemas/errors.ts'
import type { FeatureSpec } from '#schemas/feature-spec.ts'
import { applyCause, fillSlice, foldAll, openRuntime, publishRandomModel, withDataFolder } from './bench-runtime.ts'
import { eventMaker } from './features.ts'
import { CARD_DAYS } from './ordinary-load.ts'

export interface RestartOptions {
  readonly config: Config
  readonly spec: FeatureSpec
  readonly cards: number
  /** Events that the checkpoint stands for, spread evenly over the cards. */
  readonly events: number
}

export interface RestartFigures {
  readonly spec: string
  readonly cards: number
  readonly eventsPerCard: number
  /** Journaled after the checkpoint, a minute at 5,000 a second. */
  readonly tailEvents: number
  readonly checkpointBytes: number
  /** Opening the log, reading the checkpoint, following the journal, opening the model. */
  readonly seconds: number
  readonly openLogSeconds: number
  readonly recoverSeconds: number
  readonly cpuSeconds: number
  readonly buildSeconds: number
  readonly rssBytes: number
}

const TAIL_EVENTS = 300_000
const CARDS_PER_MERCHANT = 200
const FOLDED_AT_ONCE = 10_240

/** How long a service takes from its files to where it was, the page cache warm. */
export async function benchRestart({ config: given, spec, cards, events }: RestartOptions): Promise<RestartFigures> {
  return await withDataFolder(given, async (config, paths) => {
    const begun = process.hrtime.bigint()
    const stateHash = await build(config, paths, spec, cards, events)
    const buildSeconds = secondsSince(begun)
    collectGarbage()
    const checkpointBytes = readdirSync(paths.checkpoints).reduce(
      (sum, name) => sum + statSync(join(paths.checkpoints, name)).size,
      0,
    )
    const cpuBefore = process.cpuUsage()
    const started = process.hrtime.bigint()
    const runtime = await openRuntime(config, paths, spec)
    const log = await openLog(config, paths)
    const openLogSeconds = secondsSince(started)
    const slice = new SliceBuffers(config.path.sliceRowsMax, runtime.layout)
    await recover({ config, paths, log, runtime, positions: new Positions(), slice })
    const seconds = secondsSince(started)
    const used = process.cpuUsage(cpuBefore)
    const rssBytes = process.memoryUsage().rss
    const isSame = runtime.memory.hash() === stateHash
    await runtime.close()
    await log.close()
    if (!isSame) throw new WeirError('INVARIANT', 'the restarted state is not the one that was left')
    return {
      spec: spec.name,
      cards,
      eventsPerCard: Number((events / cards).toFixed(2)),
      tailEvents: TAIL_EVENTS,
      checkpointBytes,
      seconds,
      openLogSeconds,
      recoverSeconds: Number((seconds - openLogSeconds).toFixed(3)),
      cpuSeconds: (used.user + used.system) / 1e6,
      buildSeconds,
      rssBytes,
    }
  })
}

/** Leaves a checkpoint and a journaled tail; gives the hash of the state at its end. */
async function build(
  config: Config,
  paths: DataPaths,
  spec: FeatureSpec,
  cards: number,
  events: number,
): Promise<string> {
  const runtime = await openRuntime(config, paths, spec)
  const slice = new SliceBuffers(config.path.sliceRowsMax, runtime.layout)
  const merchants = Math.max(1, Math.round(cards / CARDS_PER_MERCHANT))
  const next = eventMaker({ cards, merchants, events: events + TAIL_EVENTS, days: CARD_DAYS })
  let made = 0
  const take = (count: number): Buffer[] =>
    Array.from({ length: count }, () => runtime.codec.transaction.encode(next(made++)))
  for (let left = events; left > 0; left -= FOLDED_AT_ONCE) {
    foldAll(runtime, slice, take(Math.min(FOLDED_AT_ONCE, left)))
  }
  await applyCause(runtime, 'model', { version: await publishRandomModel(runtime, slice) })
  await writeCheckpoint(runtime, paths, slice)
  const log = await openLog(config, paths)
  try {
    slice.line = -1
    for (let done = 0; done < TAIL_EVENTS; done += slice.count) {
      await appendSlice(runtime, log, slice, take(Math.min(slice.capacity, TAIL_EVENTS - done)), done)
    }
  } finally {
    await log.close()
    await runtime.close()
  }
  return runtime.memory.hash()
}

type Runtime = Awaited<ReturnType<typeof openRuntime>>

async function writeCheckpoint(runtime: Runtime, paths: DataPaths, slice: SliceBuffers): Promise<void> {
  const writer = new CheckpointWriter({ folder: paths.checkpoints, keep: 1 })
  writer.begin(
    {
      line: 0,
      term: 1,
      clock: slice.clock,
      specHash: runtime.layout.specHash,
      positions: [{ topic: runtime.topics.journal, partition: 0, offset: 0 }],
      extra: { controls: [...runtime.inForce.values()], alerts: runtime.book.snapshot() },
    },
    runtime.memory.beginSnapshot(),
  )
  await writer.finishNow()
}

/** Input and what the path makes of it, as the service leaves them in the log; rules decide alone. */
async function appendSlice(
  runtime: Runtime,
  log: Log,
  slice: SliceBuffers,
  values: readonly Buffer[],
  offset: number,
): Promise<void> {
  const { fold, decide, explain, commit } = runtime.path
  const received = fillSlice(runtime, slice, values, 0, offset)
  const inputs = values.map((value, row) => ({ topic: slice.topic[row]!, partition: 0, key: null, value }))
  runtime.path.score.setScorer(null)
  const scored = await runtime.path.score(fold.run(received))
  const unit = commit(await explain(decide(scored)), 1)
  await log.append([...inputs, ...unit.records])
}

async function openLog(config: Config, paths: DataPaths): Promise<Log> {
  return await openFileLog({
    folder: paths.log,
    segmentBytesMax: config.log.segmentBytesMax,
    retentionMs: Number.MAX_SAFE_INTEGER,
    clock: wallClock,
  })
}

function secondsSince(started: bigint): number {
  return Number((Number(process.hrtime.bigint() - started) / 1e9).toFixed(3))
}

/** The state that was built must not stand beside the one that is restored. */
function collectGarbage(): void {
  setFlagsFromString('--expose-gc')
  const collect: unknown = runInNewContext('gc')
  if (typeof collect === 'function') collect()
}
