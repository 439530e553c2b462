import { statSync } from 'node:fs'
import type { AuditTrail } from '#infra/audit-trail.ts'
import type { Store } from '#infra/clickhouse/store.ts'
import { readTrainingRuns } from '#learning/training-runs.ts'
import type { Registry } from '#models/registry.ts'
import { messageOf } from '#schemas/errors.ts'
import {
  auditRow,
  modelVersionRows,
  OPERATION_COLUMNS,
  type OperationRow,
  type OperationTable,
  trainingRow,
} from './operation-rows.ts'

export interface OperationTablesDeps {
  readonly store: Pick<Store, 'insert' | 'query'>
  readonly trail: Pick<AuditTrail, 'entries' | 'taken'>
  readonly registry: Pick<Registry, 'list' | 'history'>
  /** Where retrainings leave what became of them. */
  readonly trainingRuns: string
  /** Folders in which other processes leave models, promotions and training runs. */
  readonly watched: readonly string[]
  readonly warn: (text: string) => void
}

/** The watched folders are looked at this often; only when one of them has changed are all models read. */
const INTERVAL_MS = 10_000
const RETRY_MS = 5_000

/**
 * Brings what people and jobs around the path did into the tables: who changed what, which models were made and put in
 * charge, what became of retrainings. The truth lies in files; this sends what a table does not hold yet, so nothing is
 * lost while ClickHouse is away, and nothing is there twice after a crash.
 */
export class OperationTables {
  private readonly deps: OperationTablesDeps
  /** Ids that each table holds. */
  private known: Record<OperationTable, Set<string>> | null = null
  private wake: (() => void) | null = null
  private isNudged = false
  private problem = ''

  constructor(deps: OperationTablesDeps) {
    this.deps = deps
  }

  /** Sends until the signal is aborted; what ClickHouse does not take is sent again. */
  async run(signal: AbortSignal): Promise<void> {
    let done = ''
    while (!signal.aborted) {
      const found = this.deps.watched.map(changedAt).join()
      if (this.isNudged || found !== done) {
        this.isNudged = false
        done = (await this.trySync()) ? found : ''
      }
      await this.pause(done === '' ? RETRY_MS : INTERVAL_MS, signal)
    }
  }

  /** Something was changed: it should be in the tables soon. */
  nudge(): void {
    this.isNudged = true
    this.wake?.()
  }

  /** Sends what is missing, once. @throws WeirError STORE_FAILED, STORE_UNAVAILABLE and others of the sources */
  async sync(): Promise<void> {
    const { trail, registry, trainingRuns } = this.deps
    const entries = trail.entries()
    await this.send('weir.audit', entries.map(auditRow))
    if (entries.length > 0) trail.taken(entries.at(-1)!.number)
    const models = await registry.list()
    const specs = [...new Set(models.flatMap(({ manifest }) => manifest?.spec.name ?? []))]
    const histories = await Promise.all(specs.map((spec) => registry.history(spec)))
    await this.send('weir.model_versions', modelVersionRows(models, histories.flat()))
    await this.send('weir.training_runs', (await readTrainingRuns(trainingRuns)).map(trainingRow))
  }

  private async trySync(): Promise<boolean> {
    try {
      await this.sync()
      this.problem = ''
      return true
    } catch (error) {
      const problem = messageOf(error)
      // Whether it arrived is not known: the table is asked again.
      this.known = null
      if (problem !== this.problem) this.deps.warn(`what was done is not in the tables yet: ${problem}`)
      this.problem = problem
      return false
    }
  }

  private async send(table: OperationTable, rows: readonly OperationRow[]): Promise<void> {
    const known = (await this.ids())[table]
    for (const { id, tsv } of rows) {
      if (known.has(id)) continue
      // A block for each row, so that one that is sent again, whatever came since, has the same token.
      await this.deps.store.insert(table, OPERATION_COLUMNS[table], tsv, `${table}:${id}`)
      known.add(id)
    }
  }

  private async ids(): Promise<Record<OperationTable, Set<string>>> {
    if (this.known !== null) return this.known
    const held = async (table: OperationTable): Promise<Set<string>> => {
      const { rows } = await this.deps.store.query(`SELECT id FROM ${table}`)
      return new Set(rows.map(({ id }) => String(id)))
    }
    this.known = {
      'weir.audit': await held('weir.audit'),
      'weir.model_versions': await held('weir.model_versions'),
      'weir.training_runs': await held('weir.training_runs'),
    }
    return this.known
  }

  private async pause(ms: number, signal: AbortSignal): Promise<void> {
    if (this.isNudged || signal.aborted) return
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer)
        signal.removeEventListener('abort', done)
        this.wake = null
        resolve()
      }
      const timer = setTimeout(done, ms)
      signal.addEventListener('abort', done)
      this.wake = done
    })
  }
}

/** 0 where there is no such folder yet. */
function changedAt(folder: string): number {
  return statSync(folder, { throwIfNoEntry: false })?.mtimeMs ?? 0
}
