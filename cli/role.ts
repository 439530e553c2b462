import type { Logger } from '#infra/logger.ts'
import type { Positions } from '#pipeline/journal.ts'
import type { Config } from '#schemas/config.ts'
import { messageOf } from '#schemas/errors.ts'
import type { SharedLog } from './open-log.ts'
import type { PathRuntime } from './path-runtime.ts'
import type { Follower } from './recover.ts'
import { expectOwnTerm, isStillOwner, standBy } from './standby.ts'
import { takeOver } from './take-over.ts'

export interface RoleDeps {
  readonly log: SharedLog
  readonly config: Config
  readonly follower: Follower
  readonly runtime: PathRuntime
  readonly positions: Positions
  /** Names this process in the journal. */
  readonly owner: string
  readonly logger: Logger
  readonly betweenLines: () => Promise<void> | void
}

/** A standby that could not load what it will need tries again so often. */
const PREPARE_EVERY_MS = 10_000

/** This process's part in a role that several share: one of them decides, the others stand by. */
export class RoleMembership {
  private readonly deps: RoleDeps
  /** Where in the journal's topic the own term is to be found. */
  private termFromOffset = 0
  /** When what stood in the way of taking over is tried again. */
  private prepareAgainMs = 0

  constructor(deps: RoleDeps) {
    this.deps = deps
  }

  /** Stands by until it is this process's turn, then takes over. False when the signal came first. */
  async becomeActive(signal: AbortSignal): Promise<boolean> {
    const { log, config, follower, runtime, positions, owner, logger, betweenLines } = this.deps
    const isTime = await standBy(
      {
        log,
        follower,
        logger,
        owner,
        takeoverAfterMs: config.kafka.takeoverAfterMs,
        random: Math.random,
        now: () => performance.now(),
        prepare: () => this.prepare(),
        betweenLines,
      },
      signal,
    )
    if (!isTime) return false
    logger.info('taking over')
    const { topics } = config
    const { aheadMs } = config.path.guard
    await takeOver({ log, topics, follower, runtime, positions, logger, aheadMs, betweenLines }, signal)
    this.termFromOffset = follower.nextOffset
    return !signal.aborted
  }

  /** Reads the term back that this process has just written. @throws WeirError LOG_FENCED when another one came in between */
  async confirmTerm(term: number): Promise<void> {
    const { log, runtime, config, follower, owner } = this.deps
    const journal = { topic: config.topics.journal, from: this.termFromOffset }
    await expectOwnTerm(log, runtime.codec, journal, { line: follower.standing.nextLine, term, owner })
  }

  /** Whether the journal still says that this process may write. */
  isOwner(term: number): Promise<boolean> {
    const { log, runtime, config, positions, owner } = this.deps
    const journal = { topic: config.topics.journal, from: positions.of(config.topics.journal, 0) }
    return isStillOwner(log, runtime.codec, journal, { term, owner })
  }

  /** Loading a model takes longer than the rest of a take-over. One that does not load yet may when its time has come. */
  private async prepare(): Promise<void> {
    if (performance.now() < this.prepareAgainMs) return
    await this.deps.runtime.settle().catch((error: unknown) => {
      this.prepareAgainMs = performance.now() + PREPARE_EVERY_MS
      this.deps.logger.warn(`could not take over now: ${messageOf(error)}`)
    })
  }
}
