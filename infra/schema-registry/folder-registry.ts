import { randomUUID } from 'node:crypto'
import { mkdir, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { z } from 'zod'
import type { Clock } from '../clock.ts'
import { acquireDataLock, type DataLock } from '../folder-lock.ts'
import { WeirError } from '#schemas/errors.ts'
import { checkIsSchema, compareBothWays, isTransitive, violationsOf } from './compatibility.ts'
import { COMPATIBILITY_LEVELS, type SchemaRegistry } from './registry.ts'

export interface FolderRegistryOptions {
  readonly folder: string
  /** Ids that are given away from the start: what Weir wrote before there was a registry stays readable. */
  readonly builtIn: ReadonlyMap<number, string>
  readonly clock: Clock
}

/**
 * A folder that acts as a registry, for people without a server:
 *
 *     ids/7.avsc                      a schema, named by its id; ids are dense
 *     subjects/transactions-value.json  its versions with their ids, and its level
 *
 * Several processes may use it: changes are made under a lock, files appear whole or not at all. A schema is on disk
 * before a subject names it: a crash in between leaves an id that the next try takes again.
 */
export function createFolderRegistry({ folder, builtIn, clock }: FolderRegistryOptions): SchemaRegistry {
  const idsFolder = join(folder, 'ids')
  const subjectsFolder = join(folder, 'subjects')
  let lastChange: Promise<unknown> = Promise.resolve()

  /** One change at a time, in this process and among all. */
  function change<T>(work: () => Promise<T>): Promise<T> {
    const mine = lastChange.then(async () => {
      const lock = await takeLock(folder, clock)
      try {
        return await work()
      } finally {
        lock.release()
      }
    })
    lastChange = mine.catch(() => {})
    return mine
  }

  async function schemaById(id: number): Promise<string | null> {
    return (await readIfThere(join(idsFolder, `${id}.avsc`))) ?? builtIn.get(id) ?? null
  }

  async function idsOf(json: string): Promise<{ readonly own: number | null; readonly next: number }> {
    const wanted = canonical(json)
    const ids = new Set([...builtIn.keys(), ...(await namesIn(idsFolder, '.avsc')).map(Number)])
    for (const id of [...ids].sort((a, b) => a - b)) {
      const text = await schemaById(id)
      if (text !== null && canonical(text) === wanted) return { own: id, next: id }
    }
    return { own: null, next: Math.max(0, ...ids) + 1 }
  }

  async function subjectOf(subject: string): Promise<Subject | null> {
    const file = subjectFile(subject)
    const text = await readIfThere(file)
    if (text === null) return null
    try {
      return SUBJECT.parse(JSON.parse(text))
    } catch {
      throw new WeirError('INPUT_INVALID', `the file of subject ${subject} cannot be read`, {
        where: file,
        fix: 'Put it back from a copy; what it said cannot be guessed.',
      })
    }
  }

  function subjectFile(subject: string): string {
    // A name that begins with a dot is a temporary file's.
    return join(subjectsFolder, `${encodeURIComponent(subject).replace(/^\./, '%2E')}.json`)
  }

  async function whyNot(known: Subject, json: string): Promise<string[]> {
    const compared = isTransitive(known.compatibility) ? known.versions : known.versions.slice(-1)
    const reasons: string[] = []
    for (const { version, id } of compared) {
      const older = await schemaById(id)
      if (older === null) throw schemaGone(id, idsFolder)
      for (const reason of violationsOf(known.compatibility, compareBothWays(json, older))) {
        reasons.push(`version ${version}: ${reason}`)
      }
    }
    return reasons
  }

  async function register(subject: string, json: string): Promise<number> {
    checkIsSchema(json, subject)
    const known = (await subjectOf(subject)) ?? NEW_SUBJECT
    const { own, next } = await idsOf(json)
    if (own !== null && known.versions.some(({ id }) => id === own)) return own
    const reasons = await whyNot(known, json)
    if (reasons.length > 0) {
      throw new WeirError('SCHEMA_INCOMPATIBLE', `the schema breaks ${known.compatibility}: ${reasons.join('; ')}`, {
        where: subject,
        fix: 'Give the field a default, keep its type, or add an alias for its old name.',
      })
    }
    await makeFolders()
    const id = own ?? next
    const file = join(idsFolder, `${id}.avsc`)
    if ((await readIfThere(file)) === null) await writeWhole(idsFolder, file, `${json.trim()}\n`)
    const version = (known.versions.at(-1)?.version ?? 0) + 1
    await writeSubject(subject, { ...known, versions: [...known.versions, { version, id }] })
    return id
  }

  async function writeSubject(subject: string, value: Subject): Promise<void> {
    await writeWhole(subjectsFolder, subjectFile(subject), `${JSON.stringify(value, null, 2)}\n`)
  }

  async function makeFolders(): Promise<void> {
    for (const part of [idsFolder, subjectsFolder]) await mkdir(part, { recursive: true })
    await syncFolder(folder)
  }

  return {
    place: `the folder ${folder}`,
    schemaById,
    async subjects() {
      const names = (await namesIn(subjectsFolder, '.json')).map((name) => decodeURIComponent(name)).sort()
      const found = await Promise.all(names.map(async (name) => ({ name, known: await subjectOf(name) })))
      // A subject of which only the level was set has no schema yet.
      return found.flatMap(({ name, known }) => (known === null || known.versions.length === 0 ? [] : [name]))
    },
    async versions(subject) {
      const known = await subjectOf(subject)
      return known === null || known.versions.length === 0 ? null : known.versions.map(({ version }) => version)
    },
    async version(subject, version) {
      const known = await subjectOf(subject)
      const found = version === 'latest' ? known?.versions.at(-1) : known?.versions.find((of) => of.version === version)
      if (found === undefined) return null
      const json = await schemaById(found.id)
      if (json === null) throw schemaGone(found.id, idsFolder)
      return { subject, version: found.version, id: found.id, json }
    },
    async lookUp(subject, json) {
      checkIsSchema(json, subject)
      const known = await subjectOf(subject)
      const wanted = canonical(json)
      for (const { version, id } of known?.versions ?? []) {
        const text = await schemaById(id)
        if (text !== null && canonical(text) === wanted) return { version, id }
      }
      return null
    },
    register: (subject, json) => change(() => register(subject, json)),
    async checkCompatible(subject, json) {
      checkIsSchema(json, subject)
      const known = await subjectOf(subject)
      const reasons = known === null ? [] : await whyNot(known, json)
      return { isCompatible: reasons.length === 0, reasons }
    },
    async compatibilityOf(subject) {
      return ((await subjectOf(subject)) ?? NEW_SUBJECT).compatibility
    },
    setCompatibility: (subject, level) =>
      change(async () => {
        const known = (await subjectOf(subject)) ?? NEW_SUBJECT
        await makeFolders()
        await writeSubject(subject, { ...known, compatibility: level })
      }),
  }
}

/** What the file of a subject holds. */
const SUBJECT = z.object({
  compatibility: z.enum(COMPATIBILITY_LEVELS),
  /** Ascending. */
  versions: z.array(z.object({ version: z.number().int().min(1), id: z.number().int().min(0) })),
})
type Subject = z.infer<typeof SUBJECT>

/** The level that registries begin with. */
const NEW_SUBJECT: Subject = { compatibility: 'BACKWARD', versions: [] }

const LOCK_WAIT_MS = 20
const LOCK_ATTEMPTS_MAX = 500

async function takeLock(folder: string, clock: Clock): Promise<DataLock> {
  for (let attempt = 1; ; attempt++) {
    try {
      return acquireDataLock(folder, { pid: process.pid, command: 'schemas', since: clock.now() })
    } catch (error) {
      const isHeld = error instanceof WeirError && error.code === 'DATA_IN_USE'
      if (!isHeld || attempt >= LOCK_ATTEMPTS_MAX) throw error
      await pause(LOCK_WAIT_MS)
    }
  }
}

/** Two texts of one schema: spaces and the order of properties do not count, docs and defaults do. */
function canonical(json: string): string {
  try {
    return JSON.stringify(JSON.parse(json), (_, value: unknown) =>
      typeof value === 'object' && value !== null && !Array.isArray(value)
        ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
        : value,
    )
  } catch {
    return json
  }
}

/** Names of the files with that ending, without it; temporary files are none of them. */
async function namesIn(folder: string, ending: string): Promise<string[]> {
  const isId = ending === '.avsc'
  try {
    return (await readdir(folder))
      .filter((name) => name.endsWith(ending) && !name.startsWith('.'))
      .map((name) => name.slice(0, -ending.length))
      .filter((name) => !isId || /^\d{1,10}$/.test(name))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

async function readIfThere(file: string): Promise<string | null> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

/** The file is there with all of this, or as it was before, whatever happens in between. */
async function writeWhole(folder: string, file: string, text: string): Promise<void> {
  const temporary = join(folder, `.${randomUUID()}`)
  try {
    await writeFile(temporary, text, { flush: true })
    await rename(temporary, file)
  } finally {
    await rm(temporary, { force: true })
  }
  await syncFolder(folder)
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

function schemaGone(id: number, folder: string): WeirError {
  return new WeirError('INPUT_NOT_FOUND', `schema ${id} is named by a subject, but its file is gone`, {
    where: join(folder, `${id}.avsc`),
    fix: 'Put it back from a copy: records written with it cannot be read without it.',
  })
}
