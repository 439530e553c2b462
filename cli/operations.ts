import { join } from 'node:path'
import { type AuditEntry, openAuditTrail } from '#infra/audit-trail.ts'
import { wallClock } from '#infra/clock.ts'
import type { Logger } from '#infra/logger.ts'
import { OperationTables } from './operation-tables.ts'
import type { Service } from './service.ts'

/** What is noted of those who change things, beside the path. */
export interface Operations {
  /** Resolves when it is on disk. @throws WeirError STORE_FAILED */
  audit(entry: Pick<AuditEntry, 'who' | 'what' | 'detail'>): Promise<void>
  /** Something was changed that the tables should tell of soon. */
  changed(): void
  stop(): Promise<void>
}

/** What is under way may end; what does not is sent at the next start. */
const STOP_MS_MAX = 1_000

/** @throws WeirError STORE_FAILED when the audit trail cannot be read */
export async function startOperations(service: Service, logger: Logger): Promise<Operations> {
  const { paths, runtime, store } = service
  const trail = await openAuditTrail(paths.auditFile, wallClock)
  const { trainingRuns } = paths
  const tables = new OperationTables({
    store,
    trail,
    registry: runtime.registry,
    trainingRuns,
    watched: [paths.models, join(paths.models, 'champions', runtime.layout.specName), trainingRuns],
    warn: (text) => logger.warn(text),
  })
  const stop = new AbortController()
  const running = tables.run(stop.signal)
  return {
    async audit(entry) {
      await trail.append(entry)
      tables.nudge()
    },
    changed: () => tables.nudge(),
    async stop() {
      stop.abort()
      let timer: NodeJS.Timeout | undefined
      const timeout = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, STOP_MS_MAX)
      })
      await Promise.race([running, timeout])
      clearTimeout(timer)
      await trail.close()
    },
  }
}
