import { mkdir, mkdtemp, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'

import type { Clock } from '#infra/clock.ts'
import { messageOf, WeirError } from '#schemas/errors.ts'
import { type ModelManifest, parseModelManifest, VERSION_PATTERN } from '#schemas/model-manifest.ts'

import { appendPromotion, championStack, inCharge, type Promotion, readPromotions } from './champions.ts'
import { entriesOf, isFile, makeFolder, syncFolder, writeDurably } from './durable-files.ts'
import { MANIFEST_FILE, MODEL_FILE, readModelFolder, REPORT_FILE, sha256Of } from './model-folder.ts'

/**
 * Model versions on disk: one folder each, and for each feature spec a champion.
 *
 *     <folder>/<version>/{model.onnx, manifest.json, report.html}
 *     <folder>/champions/<spec>/000001.json ...
 *
 * The champion pointer and its history are one thing: numbered files, of which the highest counts. A number is taken by
 * linking a finished, fsynced file to its name, which fails where another process took it first. So there is no moment
 * at which pointer and history differ, no lock to be left behind, and nothing half-written under a real name.
 *
 * Shipped models are a second, read-only folder that stands in where the first has none.
 */
export interface Registry {
  /** Every version, newest first, damaged ones with their problem. */
  list(): Promise<ListedModel[]>
  /** @throws WeirError MODEL_NOT_FOUND, MODEL_INVALID */
  show(version: string): Promise<RegisteredModel>
  /** The version in charge for a feature spec, or null. A damaged champion throws rather than give way to another. */
  champion(specName: string): Promise<RegisteredModel | null>
  /** Adds a version; all of it or nothing. @throws WeirError MODEL_INVALID */
  publish(parts: ModelParts): Promise<RegisteredModel>
  /** Puts a version in charge of its spec. @throws WeirError MODEL_NOT_FOUND, MODEL_INVALID */
  promote(version: string, reason: string): Promise<Promotion>
  /** Puts the one before the present champion back in charge. @throws WeirError MODEL_NOT_FOUND */
  rollback(specName: string, reason: string): Promise<Promotion>
  /** Oldest first. */
  history(specName: string): Promise<Promotion[]>
}

export interface RegisteredModel {
  readonly version: string
  readonly folder: string
  readonly shipped: boolean
  readonly manifest: ModelManifest
}

export interface ListedModel {
  readonly version: string
  readonly folder: string
  readonly shipped: boolean
  readonly champion: boolean
  readonly manifest: ModelManifest | null
  /** Why it cannot be used; empty when it can. */
  readonly problem: string
}

export interface ModelParts {
  readonly manifest: ModelManifest
  readonly model: Uint8Array
  /** Self-contained HTML, or null. */
  readonly report: string | null
}

export interface RegistryOptions {
  /** Made on the first change. */
  readonly folder: string
  /** Models that came with Weir; null for none. */
  readonly shippedFolder: string | null
  readonly clock: Clock
}

export function createRegistry({ folder, shippedFolder, clock }: RegistryOptions): Registry {
  const find = async (version: string): Promise<RegisteredModel> => {
    checkVersion(version)
    for (const home of homes()) {
      if (!(await isFile(join(home.folder, version, MANIFEST_FILE)))) continue
      const { manifest } = await readModelFolder(join(home.folder, version))
      return { version, folder: join(home.folder, version), shipped: home.shipped, manifest }
    }
    throw new WeirError('MODEL_NOT_FOUND', `There is no model version ${version}`, {
      where: folder,
      fix: '`weir models list` shows what there is.',
    })
  }

  const homes = () => [
    { folder, shipped: false },
    ...(shippedFolder === null ? [] : [{ folder: shippedFolder, shipped: true }]),
  ]

  const champion = async (specName: string): Promise<RegisteredModel | null> => {
    const version = inCharge(await history(specName))
    if (version !== null) return await find(version)
    if (shippedFolder === null) return null
    const shipped = await listHome(shippedFolder, true)
    // A damaged one may be the one that is meant: finding it throws, and says what is wrong with it.
    const newest =
      shipped.find((model) => model.manifest?.spec.name === specName) ??
      shipped.find((model) => model.manifest === null)
    return newest === undefined ? null : await find(newest.version)
  }

  const history = async (specName: string): Promise<Promotion[]> => await readPromotions(championsOf(folder, specName))

  const change = async (
    specName: string,
    decide: (past: readonly Promotion[]) => Promise<Pick<Promotion, 'kind' | 'version' | 'reason'>>,
  ): Promise<Promotion> =>
    await appendPromotion(championsOf(folder, specName), async (past) => ({
      ...(await decide(past)),
      specName,
      previous: (await championOrNull(specName))?.version ?? null,
      at: clock.now(),
    }))

  /** For the record only: a damaged champion is being replaced and must not stand in the way. */
  const championOrNull = async (specName: string): Promise<{ version: string } | null> => {
    const version = inCharge(await history(specName))
    if (version !== null) return { version }
    return await champion(specName).catch(() => null)
  }

  return {
    async list() {
      const found = new Map<string, ListedModel>()
      for (const home of homes()) {
        for (const model of await listHome(home.folder, home.shipped)) {
          if (!found.has(model.version)) found.set(model.version, model)
        }
      }
      const specs = new Set([...found.values()].flatMap((model) => model.manifest?.spec.name ?? []))
      const champions = new Set<string>()
      for (const spec of specs) {
        const version = (await championOrNull(spec))?.version
        if (version !== undefined) champions.add(version)
      }
      return [...found.values()]
        .map((model) => ({ ...model, champion: champions.has(model.version) }))
        .sort(newestFirst)
    },
    show: find,
    champion,
    history,
    async publish(parts) {
      const { version } = parts.manifest
      for (const home of homes()) {
        if (await isFile(join(home.folder, version, MANIFEST_FILE))) throw alreadyThere(version, home.folder)
      }
      await publishFolder(folder, parts, clock.now())
      return await find(version)
    },
    async promote(version, reason) {
      const model = await find(version)
      return await change(model.manifest.spec.name, async () => ({ kind: 'promote', version, reason }))
    },
    async rollback(specName, reason) {
      return await change(specName, async (past) => {
        const stack = championStack(past)
        const present = stack.pop()
        if (present === undefined) throw nothingBefore(specName, folder)
        const version = stack.at(-1) ?? null
        if (version !== null) await find(version)
        else if (!(await hasShipped(specName))) throw nothingBefore(specName, folder)
        return { kind: 'rollback', version, reason }
      })
    },
  }

  async function hasShipped(specName: string): Promise<boolean> {
    if (shippedFolder === null) return false
    return (await listHome(shippedFolder, true)).some((model) => model.manifest?.spec.name === specName)
  }
}

async function listHome(home: string, shipped: boolean): Promise<ListedModel[]> {
  const models: ListedModel[] = []
  for (const entry of await entriesOf(home)) {
    if (!entry.isDirectory() || !VERSION_PATTERN.test(entry.name) || entry.name === CHAMPIONS) continue
    const folder = join(home, entry.name)
    try {
      const { manifest } = await readModelFolder(folder)
      models.push({ version: entry.name, folder, shipped, champion: false, manifest, problem: '' })
    } catch (error) {
      if (!(error instanceof WeirError)) throw error
      const problem = `${error.message} (${error.where})`
      models.push({ version: entry.name, folder, shipped, champion: false, manifest: null, problem })
    }
  }
  return models.sort(newestFirst)
}

function newestFirst(a: ListedModel, b: ListedModel): number {
  const age = (b.manifest?.createdAt ?? 0) - (a.manifest?.createdAt ?? 0)
  return age !== 0 ? age : a.version < b.version ? 1 : -1
}

/** A folder appears under its name only when all of it is on disk; what a crash leaves behind starts with a dot. */
async function publishFolder(home: string, parts: ModelParts, nowMs: number): Promise<void> {
  const { version } = parts.manifest
  checkVersion(version)
  const text = `${JSON.stringify(parts.manifest, null, 2)}\n`
  parseModelManifest(text, join(home, version, MANIFEST_FILE))
  if (sha256Of(parts.model) !== parts.manifest.sha256) {
    throw new WeirError('MODEL_INVALID', 'The manifest is of another model file', {
      where: `${join(home, version, MANIFEST_FILE)}, sha256`,
      fix: 'Write the manifest after the model.',
    })
  }
  await makeFolder(home)
  await sweepLeftovers(home, nowMs)
  const workshop = await mkdtemp(join(home, PUBLISHING))
  const temporary = join(workshop, version)
  try {
    await mkdir(temporary)
    await writeDurably(join(temporary, MODEL_FILE), parts.model)
    if (parts.report !== null) await writeDurably(join(temporary, REPORT_FILE), parts.report)
    await writeDurably(join(temporary, MANIFEST_FILE), text)
    await syncFolder(temporary)
    await rename(temporary, join(home, version))
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code
    if (code === 'ENOTEMPTY' || code === 'EEXIST') throw alreadyThere(version, home)
    throw new WeirError('STORE_FAILED', `The model could not be written: ${messageOf(cause)}`, { where: home, cause })
  } finally {
    await rm(workshop, { recursive: true, force: true })
  }
  await syncFolder(home)
}

/** Removes what crashed publications left behind, once it is surely nobody's any more. */
async function sweepLeftovers(home: string, nowMs: number): Promise<void> {
  for (const entry of await entriesOf(home)) {
    if (!entry.name.startsWith(PUBLISHING)) continue
    const leftover = join(home, entry.name)
    const { mtimeMs } = await stat(leftover)
    if (nowMs - mtimeMs > LEFTOVER_AGE_MS) await rm(leftover, { recursive: true, force: true })
  }
}

function championsOf(folder: string, specName: string): string {
  checkVersion(specName)
  return join(folder, CHAMPIONS, specName)
}

function checkVersion(version: string): void {
  if (VERSION_PATTERN.test(version) && version !== CHAMPIONS) return
  throw new WeirError('MODEL_INVALID', 'A model version is letters, digits, dot, dash and underscore, at most 100', {
    fix: 'Choose another name.',
  })
}

function alreadyThere(version: string, home: string): WeirError {
  return new WeirError('MODEL_INVALID', `Model version ${version} is there already; versions are never overwritten`, {
    where: home,
    fix: 'Publish under another version.',
  })
}

function nothingBefore(specName: string, folder: string): WeirError {
  return new WeirError('MODEL_NOT_FOUND', `There is no champion before the present one for spec ${specName}`, {
    where: join(folder, CHAMPIONS),
    fix: '`weir models promote VERSION` puts a version in charge by name.',
  })
}

const PUBLISHING = '.publish-'
const LEFTOVER_AGE_MS = 86_400_000
const CHAMPIONS = 'champions'
