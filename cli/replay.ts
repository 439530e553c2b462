import { createWriteStream } from 'node:fs'
import { once } from 'node:events'
import { wallClock } from '#infra/clock.ts'
import { dataPaths } from '#infra/data-folder.ts'
import { acquireDataLock } from '#infra/folder-lock.ts'
import type { Log } from '#infra/log/log.ts'
import { noMetrics } from '#infra/metrics.ts'
import { openSchemas } from '#infra/schema-registry/open-schemas.ts'
import { createTokenizer, loadTokenKey } from '#infra/tokenizer.ts'
import { inputHash } from '#pipeline/decision-writer.ts'
import { follow } from '#pipeline/follow.ts'
import type { InputSource } from '#pipeline/input-source.ts'
import { Positions } from '#pipeline/journal.ts'
import { type NotedDecision, RecordedInput } from '#pipeline/record/recorded-input.ts'
import { ACCEPTED, type Featurized, SliceBuffers } from '#pipeline/slice.ts'
import { LABEL } from '#schemas/event-columns.ts'
import { WeirError } from '#schemas/errors.ts'
import type { ReplayOptions } from './commands/replay.ts'
import type { CommandContext } from './context.ts'
import { decisionJson } from './decision-json.ts'
import { featureSpecOf } from './feature-spec.ts'
import { openLog } from './open-log.ts'
import { PathRuntime } from './path-runtime.ts'
import { recover } from './recover.ts'
import { openStore } from './store.ts'

/** Scores of one model on one input may differ by so much between builds of the runtime. */
const SCORE_TOLERANCE = 1e-6

/** Folds the log again as its journal says, and compares what comes out with what was decided. */
export async function runReplay(context: CommandContext, options: ReplayOptions): Promise<number> {
  const { config, logger } = context
  const paths = dataPaths(config)
  const lock = acquireDataLock(paths.folder, { pid: process.pid, command: 'replay', since: wallClock.now() })
  try {
    const stop = context.stopSignal()
    const schemas = await openSchemas({ config, clock: wallClock, logger, stop })
    const home = await openLog({
      config,
      paths,
      logger,
      metrics: noMetrics,
      schemas,
      stop,
      stillOwner: async () => true,
    })
    const { log } = home
    const runtime = new PathRuntime({
      config,
      paths,
      spec: featureSpecOf(config),
      tokenizer: createTokenizer(loadTokenKey(paths.tokenKeyFile)),
      metrics: noMetrics,
      clock: wallClock,
      alertsPerDay: config.threshold.alertsPerDay,
      schemas,
    })
    try {
      const figures =
        options.checkpoint === true
          ? await fromCheckpoint(context, log, runtime)
          : await compare(context, log, runtime, options)
      const document = { ...figures, ...(options.hash === true ? { stateHash: runtime.memory.hash() } : {}) }
      context.report(
        document,
        Object.entries(document)
          .map(([name, value]) => `${name.padEnd(18)} ${value}\n`)
          .join(''),
      )
      return 0
    } finally {
      await runtime.close()
      await home.close()
    }
  } finally {
    lock.release()
  }
}

async function fromCheckpoint(context: CommandContext, log: Log, runtime: PathRuntime): Promise<object> {
  const { config } = context
  const slice = new SliceBuffers(config.path.sliceRowsMax, runtime.layout)
  const recovered = await recover({ config, paths: dataPaths(config), log, runtime, positions: new Positions(), slice })
  return { lines: recovered.nextLine }
}

/** From line 0, scored by the models that were in charge; differences end the replay. */
async function compare(
  context: CommandContext,
  log: Log,
  runtime: PathRuntime,
  options: ReplayOptions,
): Promise<object> {
  const { config } = context
  const { topics } = config
  const store = options.from === 'clickhouse' ? await openStore(config) : null
  try {
    const recorded =
      store === null ? null : await RecordedInput.open({ store, codec: runtime.codec, log, labelsTopic: topics.labels })
    const decided = new DecidedReader(log, topics.decisions, Math.max(0, recorded?.decisionsOffset ?? 0), runtime)
    const next = async (line: number): Promise<NotedDecision> =>
      recorded === null || recorded.holdsAll(line) ? await decided.next() : recorded.nextNoted()!
    return await foldAll(context, log, runtime, options, recorded, next)
  } finally {
    await store?.close()
  }
}

async function foldAll(
  context: CommandContext,
  log: Log,
  runtime: PathRuntime,
  options: ReplayOptions,
  input: InputSource | null,
  next: (line: number) => Promise<NotedDecision>,
): Promise<object> {
  const { config } = context
  const out = options.decisions === undefined ? null : createWriteStream(options.decisions)
  const total = (await log.ranges()).find(({ topic }) => topic === config.topics.journal)?.end ?? 0
  const progress = await context.progress('replay', total, 'lines')
  let decisions = 0
  const followed = await follow({
    log,
    codec: runtime.codec,
    topics: config.topics,
    fold: runtime.path.fold,
    positions: new Positions(),
    ...(input === null ? {} : { input }),
    sliceOf: (rows) => new SliceBuffers(Math.max(rows, config.path.sliceRowsMax), runtime.layout),
    fromLine: 0,
    fromOffset: 0,
    ...(options.toLine === undefined ? {} : { toLine: options.toLine }),
    onControl: (control) => runtime.apply(control),
    onSlice: async (slice) => {
      decisions += await judge(slice, runtime, next, out)
    },
    onProgress: (line) => progress.update(line),
    signal: context.stopSignal(),
  })
  progress.finish()
  if (out !== null) {
    out.end()
    await once(out, 'finish')
  }
  return { lines: followed.nextLine, events: followed.events, decisions }
}

async function judge(
  folded: Featurized,
  runtime: PathRuntime,
  next: (line: number) => Promise<NotedDecision>,
  out: NodeJS.WritableStream | null,
): Promise<number> {
  const { score, decide } = runtime.path
  const slice = decide(await score(folded))
  let decisions = 0
  for (let row = 0; row < slice.count; row++) {
    if (slice.outcome[row] !== ACCEPTED || slice.events.kind[row] === LABEL) continue
    const before = await next(slice.line)
    const where = `journal line ${slice.line}, event ${row}`
    const refuse = (what: string): WeirError =>
      new WeirError('REPLAY_MISMATCH', `the replay gives another ${what} than was decided`, { where })
    if (before.line !== slice.line) throw refuse('event')
    if (before.input_hash !== '' && before.input_hash !== inputHash(slice, row)) throw refuse('input vector')
    if (before.score !== null && Math.abs(before.score - slice.score[row]!) > SCORE_TOLERANCE) throw refuse('score')
    decisions++
    out?.write(`${JSON.stringify(decisionJson(slice, row))}\n`)
  }
  return decisions
}

/** Decisions in the order in which they were committed. */
class DecidedReader {
  private readonly reader: ReturnType<Log['reader']>
  private readonly runtime: PathRuntime
  private records: Awaited<ReturnType<ReturnType<Log['reader']>['read']>> = []
  private at = 0

  constructor(log: Log, topic: string, offset: number, runtime: PathRuntime) {
    this.reader = log.reader({ topic, partition: 0, offset })
    this.runtime = runtime
  }

  async next(): Promise<ReturnType<PathRuntime['codec']['decision']['decode']>> {
    if (this.at >= this.records.length) {
      this.records = await this.reader.read(2_048)
      this.at = 0
    }
    const record = this.records[this.at++]
    if (record === undefined) throw new WeirError('REPLAY_MISMATCH', 'a decision that the journal names is missing')
    return this.runtime.codec.decision.decode(record.value!)
  }
}
