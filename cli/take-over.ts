import type { LogRecord, RecordToAppend } from '#infra/log/log.ts'
import type { Logger } from '#infra/logger.ts'
import type { HeldSlice } from '#pipeline/follow.ts'
import type { Positions } from '#pipeline/journal.ts'
import { ACCEPTED } from '#pipeline/slice.ts'
import type { Topics } from '#pipeline/topics.ts'
import type { Codec } from '#schemas/codec.ts'
import { WeirError } from '#schemas/errors.ts'
import { LABEL } from '#schemas/event-columns.ts'
import type { SharedLog } from './open-log.ts'
import type { PathRuntime } from './path-runtime.ts'
import type { Follower } from './recover.ts'

export interface TakeOverDeps {
  readonly log: SharedLog
  readonly topics: Topics
  readonly follower: Follower
  readonly runtime: PathRuntime
  readonly positions: Positions
  readonly logger: Logger
  /** How far ahead of the clock an event may lie. */
  readonly aheadMs: number
  readonly betweenLines: () => Promise<void> | void
}

/**
 * Makes this process the writer: fences the owner before, reads what it had committed until then, and completes its last
 * unit where a crash left only a part of it. That happens at least once, where a journal line goes before its outputs;
 * and in exact mode when the brokers crash together with the owner, since a broker was seen (4.x, a single one) to confirm
 * a commit and to forget it in some of its partitions. The owner before, had it lived, would have mended that itself.
 *
 * @throws WeirError LOG_DAMAGED when outputs are there whose journal line cannot be found
 */
export async function takeOver(deps: TakeOverDeps, signal: AbortSignal): Promise<void> {
  const { log, follower, logger, betweenLines } = deps
  await log.take()
  await follower.follow({ signal, betweenLines })
  if (signal.aborted) return
  const there = await readTails(deps)
  if (reachBeyond(there, deps)) {
    logger.warn(
      { line: follower.standing.nextLine },
      'a journal line was forgotten whose outputs are there; it is written again',
    )
    await log.append([await forgottenLine(deps)])
    await follower.follow({ signal, betweenLines })
  }
  if (signal.aborted || follower.held === null) return
  if (isComplete(there, follower.held)) await follower.follow({ signal, isComplete: true })
  else await complete(deps, there, follower.held)
}

/** Outputs at the end of their topics, as places: of the last line and those behind it all, of earlier ones some. */
interface Tails {
  /** `line/index`. */
  readonly decisions: ReadonlySet<string>
  readonly alerts: ReadonlySet<string>
  /** `topic/partition/offset` of what was refused. */
  readonly deadLetters: ReadonlySet<string>
}

async function readTails({ log, topics, runtime, follower }: TakeOverDeps): Promise<Tails> {
  const { codec } = runtime
  const { held, standing } = follower
  const line = held?.line.line ?? standing.nextLine
  const clock = held?.line.clock ?? standing.clock
  const [decisions, alerts, deadLetters] = await Promise.all([
    tailOf(log, topics.decisions, (value) => codec.decision.decode(value).line < line),
    tailOf(log, topics.alerts, (value) => codec.alert.decode(value).line < line),
    tailOf(log, topics.deadLetters, (value) => codec.deadLetter.decode(value).refused_at < clock),
  ])
  const placesOf = (records: readonly LogRecord[]): ReadonlySet<string> =>
    new Set(records.map(({ topic, value }) => placeOf(codec, topics, topic, value!)))
  return { decisions: placesOf(decisions), alerts: placesOf(alerts), deadLetters: placesOf(deadLetters) }
}

/** The newest records of a topic, back to one that is older than what is looked for. */
async function tailOf(log: SharedLog, topic: string, isOlder: (value: Buffer) => boolean): Promise<LogRecord[]> {
  const range = (await log.ranges()).find((found) => found.topic === topic && found.partition === 0)
  if (range === undefined) return []
  for (let window = TAIL_OFFSETS; ; window *= 4) {
    const from = Math.max(range.start, range.end - window)
    const reader = log.reader({ topic, partition: 0, offset: from })
    const records: LogRecord[] = []
    try {
      for (let read = await reader.read(READ_ROWS); read.length > 0; read = await reader.read(READ_ROWS)) {
        records.push(...read)
      }
    } finally {
      reader.close()
    }
    if (from === range.start || (records.length > 0 && isOlder(records[0]!.value!))) return records
  }
}

const TAIL_OFFSETS = 1_024
const READ_ROWS = 2_048

function placeOf({ decision, alert, deadLetter }: Codec, topics: Topics, topic: string, value: Buffer): string {
  if (topic === topics.deadLetters) {
    const { topic: input, partition, offset } = deadLetter.decode(value)
    return `${input}/${partition}/${offset}`
  }
  const { line, index } = topic === topics.alerts ? alert.decode(value) : decision.decode(value)
  return `${line}/${index}`
}

/** Whether there are outputs of a line that the journal does not have. */
function reachBeyond({ decisions, alerts, deadLetters }: Tails, { follower, positions }: TakeOverDeps): boolean {
  const { nextLine } = follower.standing
  for (const places of [decisions, alerts]) {
    for (const place of places) if (Number(place.split('/')[0]) >= nextLine) return true
  }
  for (const place of deadLetters) {
    const [, topic, partition, offset] = /^(.*)\/(\d+)\/(\d+)$/.exec(place)!
    if (Number(offset) >= positions.of(topic!, Number(partition))) return true
  }
  return false
}

/**
 * The line behind the journal's end, as its owner wrote it. There is at most one: a term begins with a line of its own,
 * within a term a line is made once, and no other one is begun before it is confirmed.
 */
async function forgottenLine({ log, topics, runtime, follower }: TakeOverDeps): Promise<RecordToAppend> {
  const { nextLine, term } = follower.standing
  const at = { topic: topics.journal, partition: 0 }
  const written = await log.takenBack({ ...at, offset: follower.nextOffset })
  const found = written.findLast(({ value }) => {
    const line = runtime.codec.journalLine.decode(value!)
    return line.line === nextLine && line.term === term && line.control === null
  })
  if (found !== undefined) return { ...at, key: null, value: found.value }
  throw new WeirError('LOG_DAMAGED', `outputs of journal line ${nextLine} are there, the line is not`, {
    where: `${topics.journal}/0 offset ${follower.nextOffset}`,
    fix: 'Confirmed records of the journal are lost: restore the topic, or begin with new topics and a new data folder.',
  })
}

function isComplete({ decisions, alerts, deadLetters }: Tails, { slice, line }: HeldSlice): boolean {
  for (let row = 0; row < slice.count; row++) {
    const isDecided = slice.outcome[row] === ACCEPTED && slice.events.kind[row] !== LABEL
    if (isDecided && !decisions.has(`${line.line}/${row}`)) return false
  }
  for (const { topic, partition, rejected } of line.pieces) {
    if (rejected.some((offset) => !deadLetters.has(`${topic}/${partition}/${offset}`))) return false
  }
  return countOf(alerts, line.line) >= (line.alerts ?? 0)
}

function countOf(places: ReadonlySet<string>, line: number): number {
  let count = 0
  for (const place of places) if (place.startsWith(`${line}/`)) count++
  return count
}

/**
 * Writes what is missing of the last line's decisions, alerts and dead letters: from the same input, model and rules, so
 * the same bytes. The state has folded the line already.
 */
async function complete(deps: TakeOverDeps, there: Tails, { slice, line }: HeldSlice): Promise<void> {
  const { log, topics, runtime, positions, follower, logger, aheadMs } = deps
  const { path, codec } = runtime
  await runtime.settle()
  path.fold.decode.findReasons(slice, line.clock + aheadMs)
  const explained = await path.explain(path.decide(await path.score(slice)))
  const isThere = ({ topic, value }: RecordToAppend): boolean => {
    const places =
      topic === topics.decisions ? there.decisions : topic === topics.alerts ? there.alerts : there.deadLetters
    return places.has(placeOf(codec, topics, topic, Buffer.from(value!)))
  }
  // The line stands last in its unit.
  const missing = path
    .commit(explained, line.term)
    .records.slice(0, -1)
    .filter((record) => !isThere(record))
  follower.held = null
  if (missing.length === 0) return
  logger.warn(
    { line: line.line, records: missing.length },
    'outputs of the last journal line are missing; they are written again',
  )
  positions.advanceOver(topics, missing, await log.append(missing))
}
