import type { SharedLog } from '#cli/open-log.ts'
import { Follower } from '#cli/recover.ts'
import { standBy } from '#cli/standby.ts'
import { takeOver } from '#cli/take-over.ts'
import { dataPaths } from '#infra/data-folder.ts'
import { createLogger } from '#infra/logger.ts'
import { SliceBuffers } from '#pipeline/slice.ts'
import { DEFAULT_TOPICS as TOPICS } from '#pipeline/topics.ts'
import { defaultConfig } from '#schemas/config.ts'
import { createMemoryPath, NOW_MS } from './memory-path.ts'
import type { SharedMemory } from './shared-memory-log.ts'
import { testCodec, transactionOf } from './transactions.ts'

const codec = testCodec()
const logger = createLogger({ level: 'silent', isForPeople: false, write: () => {} })

/** One process of the role: it stands by until it may take over, then decides. */
export class RoleMember {
  readonly path
  readonly follower: Follower
  readonly log: SharedLog
  readonly owner: string
  private readonly stop = new AbortController()
  /** As the standby reads it; tests move it on. */
  nowMs = 0
  /** How often it made ready to take over while it stood by. */
  prepared = 0

  constructor(memory: SharedMemory, owner: string, mode: 'exact' | 'at-least-once' = 'exact') {
    this.log = memory.connect()
    this.owner = owner
    this.path = createMemoryPath({
      log: this.log,
      isWatched: true,
      heartbeatMs: 5,
      isAtomic: mode === 'exact',
    })
    const { runtime, positions } = this.path
    const plain = defaultConfig('/nowhere')
    const config = { ...plain, log: { ...plain.log, home: 'kafka' as const }, kafka: { ...plain.kafka, mode } }
    const slice = new SliceBuffers(64, runtime.layout)
    this.follower = new Follower({ config, paths: dataPaths(config), log: this.log, runtime, positions, slice })
  }

  /** Stands by, then takes over. */
  async standBy(takeoverAfterMs = 1_000): Promise<boolean> {
    const { log, follower, owner, stop } = this
    const { runtime, positions } = this.path
    const random = () => 0
    const now = () => this.nowMs
    const prepare = async (): Promise<void> => {
      this.prepared++
      await runtime.settle()
    }
    const betweenLines = (): void => {}
    const standing = { log, follower, logger, owner, takeoverAfterMs, random, now, prepare, betweenLines }
    if (!(await standBy(standing, stop.signal))) return false
    const aheadMs = 86_400_000
    await takeOver({ log, topics: TOPICS, follower, runtime, positions, logger, aheadMs, betweenLines }, stop.signal)
    return !stop.signal.aborted
  }

  async decide(): Promise<{ stop(): Promise<void> }> {
    const { runtime, engine } = this.path
    await runtime.settle()
    engine.startFrom(this.follower.standing)
    const ended = engine.run(this.stop.signal, this.owner)
    ended.catch(() => {})
    return {
      stop: () => {
        this.stop.abort()
        return ended
      },
    }
  }

  giveUp(): void {
    this.stop.abort()
  }

  /** Resolves when so many decisions can be read. */
  async decisions(count: number): Promise<string[]> {
    const records = await this.path.records(TOPICS.decisions, count)
    return records.map(({ value }) => codec.decision.decode(value!).transaction.transaction_id)
  }
}

/** Transactions on partitions 0 and 2. */
export const input = (...ids: string[]) =>
  ids.map((id, i) => ({
    topic: TOPICS.transactions,
    partition: (i % 2) * 2,
    key: null,
    value: codec.transaction.encode(
      transactionOf({ transaction_id: id, card_id: `card-${i % 3}`, event_time: NOW_MS - 60_000 }),
    ),
  }))
