import { execFile } from 'node:child_process'
import { accessSync, constants, existsSync, readdirSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { assetPath } from '#infra/assets.ts'
import { dataPaths } from '#infra/data-folder.ts'
import { dataLockHolder } from '#infra/folder-lock.ts'
import { findService } from '#infra/service-client.ts'
import { chooseExecutionProvider } from '#models/execution-provider.ts'
import { chooseTrainingBackend } from '#models/lstm/backend.ts'
import { layoutOf } from '#models/features/layout.ts'
import { createOnnxScorer } from '#models/onnx-scorer.ts'
import type { CommandContext } from '../context.ts'
import { failureOf } from '../fail.ts'
import { featureSpecOf } from '../feature-spec.ts'
import { openRegistry } from '../models.ts'
import { openStore } from '../store.ts'
import { checkServerTables, describeStoreFailure } from './clickhouse.ts'
import { bad, type Finding, ok, warn } from './finding.ts'

/** Checks of Weir's own parts, as the settings in force would use them. */
export async function checkService(context: CommandContext): Promise<Finding> {
  const holder = dataLockHolder(context.config.dataFolder)
  const service = await findService(context.config.dataFolder, { timeoutMs: SERVICE_TIMEOUT_MS })
  if (service !== null)
    return ok(`weir ${service.address.command} runs, process ${service.address.pid}, at ${service.address.url}`)
  if (holder === null) return ok('none runs on this data folder')
  return warn(
    `process ${holder.pid} (weir ${holder.command}) holds the data folder, but serves no API yet`,
    'It may be starting or stopping; look at its log.',
  )
}

/** That its files can be read and written; they are checked byte by byte at every start. */
export async function checkLog(context: CommandContext): Promise<Finding> {
  const folder = dataPaths(context.config).log
  if (!existsSync(folder)) return ok('no log yet')
  const files = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isFile())
  let bytes = 0
  for (const { name } of files) {
    const file = join(folder, name)
    accessSync(file, constants.R_OK | constants.W_OK)
    bytes += statSync(file).size
  }
  return ok(
    `${files.length} file${files.length === 1 ? '' : 's'}, ${(bytes / 1024 ** 2).toFixed(1)} MiB, can be read and written`,
  )
}

/** The champion is loaded as the service would load it: made for these features, golden batch as its manifest says. */
export async function checkModel(context: CommandContext): Promise<Finding> {
  const spec = featureSpecOf(context.config)
  const champion = await openRegistry(context).champion(spec.name)
  if (champion === null) {
    return warn(
      `no model for features ${spec.name}: rules alone decide`,
      'Make one with `weir train`, then promote it.',
    )
  }
  const { version, folder, manifest } = champion
  const scorer = await createOnnxScorer({ folder, layout: layoutOf(spec), provider: context.config.model.provider })
  await scorer.close()
  return ok(`${version}, ${manifest.golden.rows} golden rows as they should be`)
}

export async function checkProvider(context: CommandContext): Promise<Finding> {
  const { explanation } = await chooseExecutionProvider(context.config.model.provider)
  return ok(explanation)
}

export async function checkTraining(context: CommandContext): Promise<Finding> {
  const { trainingBackend } = context.config.model
  const { explanation } = await chooseTrainingBackend(trainingBackend === 'wasm' ? { only: 'wasm' } : {})
  return ok(explanation)
}

/** Embedded in a process of its own: a library that does not fit the machine may take its process with it. */
export async function checkClickHouse(context: CommandContext): Promise<Finding> {
  const { home, url } = context.config.clickhouse
  if (home === 'server') return await checkServer(context, url)
  const module = pathToFileURL(createRequire(import.meta.url).resolve('chdb')).href
  const script = `const chdb = await import(${JSON.stringify(module)}); process.stdout.write((chdb.query ?? chdb.default.query)('SELECT version()', 'TabSeparated'))`
  try {
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], {
      timeout: CHDB_TIMEOUT_MS,
    })
    return ok(`embedded, version ${stdout.trim()}`)
  } catch (error) {
    const { code, signal } = error as { readonly code?: number; readonly signal?: string }
    return bad(
      `the embedded library does not run (${signal ?? `exit code ${code}`})`,
      'It needs Linux with glibc or Apple silicon. Run `npm ci` again, or use a server: clickhouse.home.',
    )
  }
}

async function checkServer({ config }: CommandContext, url: string): Promise<Finding> {
  try {
    const store = await openStore(config)
    try {
      return await checkServerTables(store, url, assetPath('schemas/clickhouse'))
    } finally {
      await store.close()
    }
  } catch (error) {
    const { code, message, fix } = failureOf(error)
    return describeStoreFailure(code, `${url}: ${message}`, fix)
  }
}

const SERVICE_TIMEOUT_MS = 3_000
const CHDB_TIMEOUT_MS = 30_000
