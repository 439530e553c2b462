import { CheckpointWriter } from '#infra/checkpoint.ts'
import type { DataPaths } from '#infra/data-folder.ts'
import type { Logger } from '#infra/logger.ts'
import type { Metrics } from '#infra/metrics.ts'
import { wallClock } from '#infra/clock.ts'
import type { Positions } from '#pipeline/journal.ts'
import type { Config } from '#schemas/config.ts'
import { messageOf } from '#schemas/errors.ts'
import type { PathRuntime } from './path-runtime.ts'
import type { CheckpointExtra, Standing } from './recover.ts'

export interface CheckpointingDeps {
  readonly config: Config
  readonly paths: DataPaths
  readonly runtime: PathRuntime
  readonly positions: Positions
  readonly metrics: Metrics
  readonly logger: Logger
  /** Resolves when everything that the state holds is durable in the journal. */
  readonly settled: () => Promise<void>
  /** After a checkpoint is whole and durable. */
  readonly onDone: () => Promise<void>
}

/** A state up to this size gets a checkpoint when the service stops; a larger one would take longer than it may. */
const STOP_CHECKPOINT_BYTES_MAX = 268_435_456
const PAGES_A_STEP = 32

/** Writes checkpoints, a few pages at a time between slices. */
export class Checkpointing {
  lastDoneMs = wallClock.now()
  private readonly deps: CheckpointingDeps
  private readonly writer: CheckpointWriter
  private lastBegunMs = wallClock.now()

  constructor(deps: CheckpointingDeps) {
    this.deps = deps
    this.writer = new CheckpointWriter({ folder: deps.paths.checkpoints, keep: deps.config.path.checkpointsKept })
  }

  /** Between two slices: begins one when it is time, or brings the one under way on. */
  async step(standing: () => Standing): Promise<void> {
    const { config, metrics, logger, onDone } = this.deps
    if (this.writer.active) {
      try {
        if (!(await this.writer.step(PAGES_A_STEP))) return
        this.lastDoneMs = wallClock.now()
        await onDone()
      } catch (error) {
        // The journal still rebuilds the state; only a restart would take longer.
        metrics.count('weir_checkpoint_failures_total')
        logger.warn(`a checkpoint could not be written: ${messageOf(error)}`)
      }
      return
    }
    if (wallClock.now() - this.lastBegunMs < config.path.checkpointIntervalMs) return
    this.lastBegunMs = wallClock.now()
    await this.begin(standing)
  }

  /** At the end of a process, where it can be done in time. */
  async last(standing: () => Standing): Promise<void> {
    if (this.deps.runtime.memory.byteLength > STOP_CHECKPOINT_BYTES_MAX) return
    await this.writer.abort()
    await this.begin(standing)
    await this.writer.finishNow()
  }

  async abort(): Promise<void> {
    await this.writer.abort()
  }

  private async begin(standing: () => Standing): Promise<void> {
    const { runtime, positions, settled } = this.deps
    await settled()
    const { nextLine, term, clock } = standing()
    this.writer.begin(
      {
        line: nextLine,
        term,
        clock,
        specHash: runtime.layout.specHash,
        positions: positions.list(),
        extra: {
          controls: [...runtime.inForce.values()],
          alerts: runtime.book.snapshot(),
          exploration: runtime.path.decide.exploration.snapshot(),
        } satisfies CheckpointExtra,
      },
      runtime.memory.beginSnapshot(),
    )
  }
}
