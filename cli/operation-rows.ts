import type { AuditEntry } from '#infra/audit-trail.ts'
import { text } from '#infra/clickhouse/tab-separated.ts'
import type { TrainingRun } from '#learning/training-runs.ts'
import type { Promotion } from '#models/champions.ts'
import type { ListedModel } from '#models/registry.ts'

/** Columns of each table, in the order in which the rows below write them. */
export const OPERATION_COLUMNS = {
  'weir.audit': ['id', 'at', 'who', 'what', 'detail'],
  'weir.model_versions': [
    'id', 'at', 'event', 'version', 'previous', 'reason', 'spec_name', 'spec_hash', 'manifest',
  ],
  'weir.training_runs': ['id', 'at', 'version', 'outcome', 'reason', 'figures'],
} as const satisfies Record<string, readonly string[]> // biome-ignore format: tables
export type OperationTable = keyof typeof OPERATION_COLUMNS

/** A row by what tells it apart from every other of its table. */
export interface OperationRow {
  readonly id: string
  readonly tsv: string
}

export function auditRow({ number, at, who, what, detail }: AuditEntry): OperationRow {
  const id = `${at}-${number}`
  return { id, tsv: `${id}\t${time(at)}\t${text(who)}\t${text(what)}\t${text(detail)}\n` }
}

export function trainingRow({ at, version, outcome, reason, figures }: TrainingRun): OperationRow {
  const id = `${at}-${version}`
  const tsv = `${text(id)}\t${time(at)}\t${text(version)}\t${outcome}\t${text(reason)}\t${text(JSON.stringify(figures))}\n`
  return { id, tsv }
}

/** `registered` for every version, `promoted` and `rolled_back` for every change of who is in charge. */
export function modelVersionRows(models: readonly ListedModel[], promotions: readonly Promotion[]): OperationRow[] {
  const registered = models.flatMap(({ version, shipped, manifest }) =>
    manifest === null
      ? []
      : [
          rowOf({
            at: manifest.createdAt,
            event: 'registered',
            version,
            previous: manifest.parent ?? '',
            reason: shipped ? 'came with Weir' : manifest.command,
            specName: manifest.spec.name,
            specHash: manifest.spec.hash,
            // The golden batch is as large as all the rest, and says nothing to a reader.
            manifest: JSON.stringify({ ...manifest, golden: undefined }),
          }),
        ],
  )
  const hashes = new Map(models.map(({ version, manifest }) => [version, manifest?.spec.hash ?? '']))
  const changes = promotions.map(({ number, kind, version, previous, reason, specName, at }) =>
    rowOf({
      at,
      event: kind === 'promote' ? 'promoted' : 'rolled_back',
      version: version ?? '',
      previous: previous ?? '',
      reason,
      specName,
      specHash: hashes.get(version ?? '') ?? '',
      manifest: '',
      number,
    }),
  )
  return [...registered, ...changes]
}

/** DateTime64(3) takes seconds with a fraction, ten digits before the point. */
function time(epochMs: number): string {
  return (epochMs / 1_000).toFixed(3).padStart(14, '0')
}

interface ModelEvent {
  readonly at: number
  readonly event: 'registered' | 'promoted' | 'rolled_back'
  readonly version: string
  readonly previous: string
  readonly reason: string
  readonly specName: string
  readonly specHash: string
  readonly manifest: string
  /** Of a change of who is in charge. */
  readonly number?: number
}

function rowOf(of: ModelEvent): OperationRow {
  const { at, event, version, previous, reason, specName, specHash, manifest, number } = of
  const id = `${at}-${specName}-${event}-${number ?? version}`
  const fields = [id, time(at), event, version, previous, reason, specName, specHash, manifest]
  return { id, tsv: `${fields.map((field) => text(field)).join('\t')}\n` }
}
