import { existsSync } from 'node:fs'
import { assetPath } from '#infra/assets.ts'
import { dataPaths } from '#infra/data-folder.ts'
import { findService } from '#infra/service-client.ts'
import { createRegistry, type ListedModel, type RegisteredModel, type Registry } from '#models/registry.ts'
import type { ModelManifest } from '#schemas/model-manifest.ts'
import type { CommandContext } from './context.ts'
import { featureSpecOf } from './feature-spec.ts'
import { formatTable } from './table.ts'

/** The registry of the data folder, with the models that came with Weir behind it. */
export function openRegistry(context: CommandContext): Registry {
  return createRegistry({
    folder: dataPaths(context.config).models,
    shippedFolder: shippedFolder(),
    clock: { now: context.io.now },
  })
}

export async function listModels(context: CommandContext): Promise<void> {
  const models = await openRegistry(context).list()
  context.report({ models: models.map(summaryOf) }, models.length === 0 ? NO_MODELS : tableOf(models))
}

export async function showModel(context: CommandContext, version: string): Promise<void> {
  const model = await openRegistry(context).show(version)
  context.report(model, textOf(model))
}

export async function promoteModel(context: CommandContext, version: string, reason: string): Promise<void> {
  tellChange(context, version, await putInCharge(context, version, reason))
}

/**
 * Through the running service, so that the change stands in the journal; else in the registry, for the next start. True
 * when it is in force.
 */
export async function putInCharge(context: CommandContext, version: string, reason: string): Promise<boolean> {
  const service = await findService(context.config.dataFolder, { timeoutMs: SERVICE_TIMEOUT_MS })
  if (service !== null) await service.post('/v1/models/promote', { version, reason })
  else await openRegistry(context).promote(version, reason)
  return service !== null
}

export async function rollbackModel(context: CommandContext, reason: string): Promise<void> {
  const service = await findService(context.config.dataFolder, { timeoutMs: SERVICE_TIMEOUT_MS })
  if (service !== null) {
    const { champion } = (await service.post('/v1/models/rollback', { reason })) as { readonly champion: string }
    tellChange(context, champion, true)
    return
  }
  const registry = openRegistry(context)
  const { version, specName } = await registry.rollback(featureSpecOf(context.config).name, reason)
  tellChange(context, version ?? (await registry.champion(specName))?.version ?? '', false)
}

/** A new version is checked against its golden batch when it is loaded, which can take a moment. */
const SERVICE_TIMEOUT_MS = 60_000

const NO_MODELS = 'There are no models: rules alone decide. `weir train` makes one.\n'

function shippedFolder(): string | null {
  const folder = assetPath('models')
  return existsSync(`${folder}/shipped`) ? `${folder}/shipped` : null
}

function tellChange(context: CommandContext, champion: string, isLive: boolean): void {
  const when = isLive ? 'from now on' : 'from the next start on; no service runs on this data folder'
  context.report({ champion, live: isLive }, `${champion} is in charge ${when}.\n`)
}

function summaryOf(model: ListedModel): Record<string, unknown> {
  const { version, folder, shipped, champion, manifest, problem } = model
  return {
    version,
    champion,
    shipped,
    folder,
    problem,
    kind: manifest?.kind ?? null,
    spec: manifest?.spec.name ?? null,
    createdAt: manifest?.createdAt ?? null,
    metrics: manifest?.evaluation?.metrics ?? null,
  }
}

function tableOf(models: readonly ListedModel[]): string {
  const rows = models.map(({ version, champion, shipped, manifest, problem }) => [
    champion ? '*' : '',
    version,
    manifest?.kind ?? '',
    manifest?.spec.name ?? '',
    manifest === null ? '' : dayOf(manifest.createdAt),
    manifest?.training.rows ?? null,
    averagePrecision(manifest),
    problem === '' ? (shipped ? 'shipped' : '') : problem,
  ])
  return formatTable(['', 'version', 'kind', 'spec', 'made', 'rows', 'AP', ''], rows)
}

function averagePrecision(manifest: ModelManifest | null): string {
  const metric = manifest?.evaluation?.metrics['averagePrecision']
  return metric === undefined
    ? ''
    : `${metric.value.toFixed(3)} (${metric.low.toFixed(3)} to ${metric.high.toFixed(3)})`
}

function textOf({ version, folder, shipped, manifest }: RegisteredModel): string {
  const { training, evaluation, spec } = manifest
  const lines = [
    `${version}${shipped ? ', shipped with Weir' : ''}`,
    `  kind        ${manifest.kind}, features ${spec.name} (${spec.hash.slice(0, 12)})`,
    `  made        ${dayOf(manifest.createdAt)} by \`${manifest.command}\``,
    `  trained on  ${dayOf(training.from)} to ${dayOf(training.to)}: ${training.rows.toLocaleString('en')} rows, ${training.fraud.toLocaleString('en')} frauds, ${training.unknown.toLocaleString('en')} unknown`,
    `  with        ${training.backend}, seed ${training.seed}`,
    `  threshold   ${manifest.thresholds.review.toPrecision(3)} for ${manifest.thresholds.alertsPerDay} alerts a day`,
    `  parent      ${manifest.parent ?? 'none'}`,
    `  folder      ${folder}`,
  ]
  if (evaluation !== null) {
    const others = Object.keys(evaluation.comparedWith)
    const rows = Object.entries(evaluation.metrics).map(([name, { value, low, high }]) => [
      name,
      `${digits(value)} (${digits(low)} to ${digits(high)})`,
      ...others.map((other) => digits(evaluation.comparedWith[other]?.[name]?.value)),
    ])
    lines.push(
      `  tested on   ${dayOf(evaluation.from)} to ${dayOf(evaluation.to)}: ${evaluation.rows.toLocaleString('en')} rows, ${evaluation.fraud.toLocaleString('en')} frauds`,
      '',
      formatTable(['figure', 'this model', ...others], rows).trimEnd(),
    )
  }
  return `${lines.join('\n')}\n`
}

function digits(value: number | undefined): string {
  return value === undefined ? '' : value.toPrecision(4)
}

function dayOf(epochMs: number): string {
  return new Date(epochMs).toISOString().slice(0, 10)
}
