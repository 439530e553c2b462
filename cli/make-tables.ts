import { setTimeout as sleep } from 'node:timers/promises'
import { assetPath } from '#infra/assets.ts'
import { migrate } from '#infra/clickhouse/migrate.ts'
import type { Store } from '#infra/clickhouse/store.ts'
import type { Logger } from '#infra/logger.ts'
import { WeirError } from '#schemas/errors.ts'

/** ClickHouse that was away is asked again so often. */
const EVERY_MS = 5_000

/** The tables of a service: they may come late, since what is decided while ClickHouse is away is recorded when it is back. */
export class Tables {
  private readonly store: Store
  private readonly logger: Logger
  private areThere = false

  constructor(store: Store, logger: Logger) {
    this.store = store
    this.logger = logger
  }

  /** Makes what is missing, if ClickHouse can be reached now. @throws WeirError when it is there and will not have them */
  async make(): Promise<void> {
    try {
      await migrate(this.store, assetPath('schemas/clickhouse'))
      this.areThere = true
    } catch (error) {
      if (!(error instanceof WeirError) || !error.retryable) throw error
      this.logger.warn(`ClickHouse is away, decisions are recorded when it is back: ${error.message}`)
    }
  }

  /** Resolves when they are there, or on abort. */
  async waitFor(signal: AbortSignal): Promise<void> {
    while (!this.areThere && !signal.aborted) {
      await sleep(EVERY_MS, undefined, { signal }).catch(() => {})
      if (!signal.aborted) await this.make()
    }
  }
}
