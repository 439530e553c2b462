import { setTimeout as sleep } from 'node:timers/promises'
import { type CheckpointMeta, readNewestCheckpoint } from '#infra/checkpoint.ts'
import type { DataPaths } from '#infra/data-folder.ts'
import type { Log } from '#infra/log/log.ts'
import { BookRebuilder } from '#pipeline/decide/rebuild-book.ts'
import { ExplorationRebuilder } from '#pipeline/decide/rebuild-exploration.ts'
import { follow, type Followed, type HeldSlice } from '#pipeline/follow.ts'
import type { Positions } from '#pipeline/journal.ts'
import { readKnown } from '#pipeline/read-known.ts'
import { SliceBuffers } from '#pipeline/slice.ts'
import type { Config } from '#schemas/config.ts'
import { WeirError } from '#schemas/errors.ts'
import type { Control } from '#schemas/journal.ts'
import type { PathRuntime } from './path-runtime.ts'

/** Where the state stands in the journal. */
export interface Standing {
  readonly nextLine: number
  readonly term: number
  /** Clock of the last line, epoch milliseconds. */
  readonly clock: number
}

export interface FollowerDeps {
  readonly config: Config
  readonly paths: DataPaths
  readonly log: Log
  readonly runtime: PathRuntime
  readonly positions: Positions
  readonly slice: SliceBuffers
}

/** What a checkpoint holds beside the state. */
export interface CheckpointExtra {
  readonly controls: readonly Control[]
  readonly alerts: unknown
  /** Absent in checkpoints of before. */
  readonly exploration?: unknown
}

export interface FollowOptions {
  readonly signal: AbortSignal
  /** Asked at the journal's end: true to look for more. Absent: the end is the end. */
  readonly atEnd?: () => Promise<boolean>
  /** Sees every term that was taken or given up (null). */
  readonly onTerm?: (term: number, owner: string | null) => void
  readonly onLine?: () => void
  readonly betweenLines?: (so: Standing) => Promise<void> | void
  /** The outputs of the last line are known to be there. */
  readonly isComplete?: boolean
}

/**
 * Keeps the state that the journal describes: at start from the newest checkpoint on, and in a standby for as long as
 * another process is active.
 */
export class Follower {
  standing: Standing = { nextLine: 0, term: 0, clock: 0 }
  /** Where several processes share the log: the last slice, whose outputs may be missing. */
  held: HeldSlice | null = null
  private readonly deps: FollowerDeps

  constructor(deps: FollowerDeps) {
    this.deps = deps
  }

  /** Who took the newest term; null when nobody holds it. */
  get owner(): string | null {
    const term = this.deps.runtime.inForce.get('term')
    return term === undefined ? null : (JSON.parse(term.value) as { owner: string | null }).owner
  }

  /** Offset in the journal's topic at which the next line is looked for. */
  get nextOffset(): number {
    return this.deps.positions.of(this.deps.config.topics.journal, 0)
  }

  /**
   * The newest checkpoint that the journal still reaches, if there is one.
   *
   * @throws WeirError LOG_POSITION_GONE when there are some, and the journal reaches none of them: it is another one, and
   *   to begin with it would decide everything once more
   */
  async restore(): Promise<void> {
    const { config, paths, log, runtime, positions } = this.deps
    const { journal } = config.topics
    let end = await endOf(log, journal)
    let ahead = Number.POSITIVE_INFINITY
    const accept = ({ specHash, positions: at }: CheckpointMeta): boolean => {
      const next = at.find(({ topic }) => topic === journal)
      if (specHash !== runtime.layout.specHash || next === undefined) return false
      if (next.offset > end) ahead = Math.min(ahead, next.offset)
      return next.offset <= end
    }
    let found = readNewestCheckpoint(paths.checkpoints, accept)
    if (found === null && ahead !== Number.POSITIVE_INFINITY) {
      end = await waitForEnd(log, journal, ahead)
      found = readNewestCheckpoint(paths.checkpoints, accept)
      if (found === null) throw otherJournal(journal, ahead, end)
    }
    if (found === null) return
    const { meta } = found
    const extra = meta.extra as CheckpointExtra
    for (const control of extra.controls) runtime.applyWhileFollowing(control)
    found.restoreInto(runtime.memory)
    runtime.book.restore(extra.alerts)
    if (extra.exploration !== undefined) runtime.path.decide.exploration.restore(extra.exploration)
    for (const { topic, partition, offset } of meta.positions) positions.set(topic, partition, offset)
    this.standing = { nextLine: meta.line, term: meta.term, clock: meta.clock }
  }

  /** Follows the journal: to its end, or on from there while `atEnd` says so. */
  async follow(options: FollowOptions): Promise<Followed> {
    const { config, log, runtime, positions, slice } = this.deps
    const { topics } = config
    const before = this.standing
    // The alert book is not part of the folded state, since scores are not.
    const alerts = log.reader({ topic: topics.alerts, partition: 0, offset: positions.of(topics.alerts, 0) })
    const rebuilder = new BookRebuilder(runtime.book, async (isKnown) => {
      const records = isKnown ? await readKnown(log, alerts) : await alerts.read(ALERTS_READ)
      return records.map(({ offset, value }) => ({ offset, alert: runtime.codec.alert.decode(value!) }))
    })
    // Nor is what exploration let through; where it lets nothing through, decisions need not be read.
    const decisions = runtime.path.decide.exploresDeclined()
      ? log.reader({ topic: topics.decisions, partition: 0, offset: positions.of(topics.decisions, 0) })
      : null
    const exploration =
      decisions === null
        ? null
        : new ExplorationRebuilder(runtime.path.decide.exploration, async () =>
            (await readKnown(log, decisions)).map(({ offset, value }) => ({
              offset,
              decision: runtime.codec.decision.decode(value!),
            })),
          )
    const standingAt = (so: Followed): Standing => ({
      nextLine: so.nextLine,
      term: Math.max(before.term, so.term),
      clock: Math.max(before.clock, so.clock),
    })
    try {
      const followed = await follow({
        log,
        codec: runtime.codec,
        topics,
        fold: runtime.path.fold,
        positions,
        sliceOf: (rows) => (rows <= slice.capacity ? slice : new SliceBuffers(rows, runtime.layout)),
        fromLine: before.nextLine,
        fromOffset: positions.of(topics.journal, 0),
        onControl: (control) => {
          runtime.applyWhileFollowing(control)
          if (control.type !== 'term') return
          const { term, owner } = JSON.parse(control.value) as { term: number; owner: string | null }
          options.onTerm?.(term, owner)
        },
        onSlice: async (folded, line) => {
          await rebuilder.onSlice(folded, line.alerts)
          positions.set(topics.alerts, 0, rebuilder.nextOffset ?? positions.of(topics.alerts, 0))
          if (exploration === null) return
          await exploration.onSlice(folded)
          positions.set(topics.decisions, 0, exploration.nextOffset ?? positions.of(topics.decisions, 0))
        },
        isLastHeld: config.log.home === 'kafka' && options.isComplete !== true,
        held: this.held,
        onLine: (so) => {
          this.standing = standingAt(so)
          options.onLine?.()
        },
        ...(options.betweenLines === undefined ? {} : { betweenLines: () => options.betweenLines!(this.standing) }),
        ...(options.atEnd === undefined ? {} : { atEnd: options.atEnd }),
        signal: options.signal,
      })
      this.standing = standingAt(followed)
      this.held = followed.held
      return followed
    } finally {
      alerts.close()
      decisions?.close()
    }
  }
}

const ALERTS_READ = 1_024
const LOOK_MS = 250

async function endOf(log: Log, journal: string): Promise<number> {
  return (await log.ranges()).find(({ topic }) => topic === journal)?.end ?? 0
}

/** What was committed may become visible a moment later, so an end that lies too low is waited for as long as that takes. */
async function waitForEnd(log: Log, journal: string, offset: number): Promise<number> {
  for (let waitedMs = 0; ; waitedMs += LOOK_MS) {
    const end = await endOf(log, journal)
    if (end >= offset || waitedMs >= log.settleMs) return end
    await sleep(LOOK_MS)
  }
}

function otherJournal(journal: string, offset: number, end: number): WeirError {
  return new WeirError(
    'LOG_POSITION_GONE',
    `the checkpoints go on at offset ${offset}, but the journal ends at ${end}`,
    {
      where: `${journal}/0`,
      fix: 'The journal was made anew, or records that had been confirmed are lost: restore it, or begin with new topics and a new data folder.',
    },
  )
}

/** Whether outputs are sent after their journal line rather than together with it. */
export function isSentAfterLine({ log, kafka }: Config): boolean {
  return log.home === 'kafka' && kafka.mode === 'at-least-once'
}

/** The newest checkpoint, then the journal to its end: the state is then the one that wrote it. */
export async function recover(deps: FollowerDeps): Promise<Standing> {
  const follower = new Follower(deps)
  await follower.restore()
  await follower.follow({ signal: new AbortController().signal })
  await deps.runtime.settle()
  return follower.standing
}
