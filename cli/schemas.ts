import { readFileSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { assetPath } from '#infra/assets.ts'
import { checkIsSchema, compareBothWays, violationsOf } from '#infra/schema-registry/compatibility.ts'
import { openRegistry } from '#infra/schema-registry/open-schemas.ts'
import type { CompatibilityLevel, SchemaRegistry } from '#infra/schema-registry/registry.ts'
import { type OwnSubject, ownSubjects } from '#infra/schema-registry/subjects.ts'
import { messageOf, WeirError } from '#schemas/errors.ts'
import { createFileSchemas, WIRE_TYPES } from '#schemas/schema-source.ts'
import { selfContained } from '#schemas/self-contained.ts'
import { type Candidate, type CheckedSubject, checkSubject, describeChecked } from './check-schema.ts'
import type { SchemasOptions } from './commands/schemas.ts'
import type { CommandContext } from './context.ts'
import { formatTable } from './table.ts'

export async function listSchemas(context: CommandContext, options: SchemasOptions): Promise<void> {
  const own = ownOf(context)
  const registry = registryOf(context, options)
  const rows = registry === null ? builtInRows(own) : await registeredRows(registry, own)
  const place = registry?.place ?? 'built into Weir; no registry is used (setting registry.home)'
  context.report(
    { registry: registry?.place ?? null, schemas: rows },
    `${place}\n\n${
      rows.length === 0
        ? 'No subjects yet; `weir schemas register` makes those of Weir.\n'
        : formatTable(
            ['subject', 'version', 'id', 'level', ''],
            rows.map(({ subject, version, id, level, weir }) => [subject, version, id, level, weir]),
          )
    }`,
  )
}

/** Exit code 2 when something would not be taken, or could not be read. */
export async function checkSchemas(
  context: CommandContext,
  file: string | undefined,
  options: SchemasOptions,
): Promise<number> {
  const own = ownOf(context)
  const registry = registryOf(context, options)
  const candidates = candidatesOf(context, own, file, options)
  if (registry === null && (file === undefined || !candidates.every(({ weir }) => weir !== null))) throw noRegistry()
  const checked: CheckedSubject[] = []
  for (const candidate of candidates) checked.push(await checkSubject(registry, candidate))
  const isFine = checked.every(({ ok }) => ok)
  context.report(
    { registry: registry?.place ?? null, ok: isFine, subjects: checked },
    `${registry?.place ?? 'no registry; compared with what this version of Weir reads'}\n\n${checked.map(describeChecked).join('\n')}`,
  )
  return isFine ? 0 : EXIT_WRONG
}

/**
 * All that is missing, or nothing: what is refused is found before the first is registered.
 *
 * @throws WeirError SCHEMA_INCOMPATIBLE naming every subject and field in the way
 */
export async function registerSchemas(
  context: CommandContext,
  file: string | undefined,
  options: SchemasOptions,
): Promise<number> {
  const registry = registryOf(context, options)
  if (registry === null) throw noRegistry()
  const candidates = candidatesOf(context, ownOf(context), file, options)
  const steps: Step[] = []
  for (const { subject, json } of candidates) steps.push(await stepOf(registry, subject, json, options.level ?? null))
  const refused = steps.filter(({ action }) => action === 'refused')
  if (options.dryRun !== true) {
    if (refused.length > 0) throw notTaken(registry, refused)
    for (const [i, step] of steps.entries()) steps[i] = await take(registry, step, candidates[i]!.json)
  }
  context.report(
    {
      registry: registry.place,
      dryRun: options.dryRun === true,
      ok: refused.length === 0,
      subjects: steps,
    },
    `${registry.place}${options.dryRun === true ? ' (dry run: nothing is changed)' : ''}\n\n${tableOf(steps)}`,
  )
  return refused.length === 0 ? 0 : EXIT_WRONG
}

interface Row {
  readonly subject: string
  readonly version: number | null
  readonly id: number
  readonly level: CompatibilityLevel | null
  /** Which of Weir's own schemas this is; empty for others. */
  readonly weir: string
}

interface Step {
  readonly subject: string
  readonly action: 'kept' | 'first' | 'new version' | 'refused'
  readonly version: number | null
  readonly id: number | null
  readonly level: { readonly from: CompatibilityLevel; readonly to: CompatibilityLevel } | null
  readonly problems: readonly string[]
}

const EXIT_WRONG = 2
const FILE_BYTES_MAX = 1_048_576

function ownOf({ config }: CommandContext): OwnSubject[] {
  return ownSubjects(config.topics, createFileSchemas(assetPath('schemas/kafka')))
}

/** The registry of the settings, or the one that a flag names; null for none. */
function registryOf(context: CommandContext, { url, folder }: SchemasOptions): SchemaRegistry | null {
  if (url !== undefined && folder !== undefined) {
    throw new WeirError('USAGE', '--url and --folder name two registries', { fix: 'Give one of them.' })
  }
  const { config, logger } = context
  const home = url !== undefined ? 'server' : folder !== undefined ? 'folder' : config.registry.home
  return openRegistry({
    config: { ...config, registry: { ...config.registry, home } },
    clock: context.io,
    logger,
  })
}

function candidatesOf(
  context: CommandContext,
  own: readonly OwnSubject[],
  file: string | undefined,
  { subject }: SchemasOptions,
): Candidate[] {
  if (file === undefined) {
    if (subject === undefined) return own.map((weir) => ({ subject: weir.subject, json: weir.json, weir, isOwn: true }))
    throw new WeirError('USAGE', '--subject goes with a file', { fix: 'Name the .avsc file, or leave --subject out.' })
  }
  if (subject === undefined || subject === '') {
    throw new WeirError('USAGE', 'a file needs the subject it is meant for', {
      where: file,
      fix: `Say --subject NAME; the subject of a topic is its name and "-value", as ${own[0]!.subject}.`,
    })
  }
  const weir = own.find((of) => of.subject === subject) ?? null
  return [{ subject, json: readSchema(resolve(context.io.folder, file), own), weir, isOwn: false }]
}

/** The file's schema; types of Weir's that it names but does not hold are put in. */
function readSchema(file: string, own: readonly OwnSubject[]): string {
  let text: string
  try {
    if (statSync(file).size > FILE_BYTES_MAX) throw new Error(`it is larger than ${FILE_BYTES_MAX} bytes`)
    text = readFileSync(file, 'utf8')
  } catch (error) {
    throw new WeirError('INPUT_NOT_FOUND', `the schema cannot be read: ${messageOf(error)}`, {
      where: file,
      fix: 'Name a file that holds one schema in Avro, as JSON.',
    })
  }
  let json = text
  try {
    json = selfContained(
      text,
      own.map((of) => of.json),
    )
  } catch {
    // Not JSON: said below, with the place in the text.
  }
  checkIsSchema(json, file)
  return json
}

async function registeredRows(registry: SchemaRegistry, own: readonly OwnSubject[]): Promise<Row[]> {
  const rows: Row[] = []
  for (const subject of await registry.subjects()) {
    const mine = own.find((of) => of.subject === subject)
    const current = mine === undefined ? null : await registry.lookUp(subject, mine.json)
    const level = await registry.compatibilityOf(subject)
    for (const version of (await registry.versions(subject)) ?? []) {
      const found = await registry.version(subject, version)
      if (found === null) continue
      const isMine = current !== null && current.version === version
      rows.push({ subject, version, id: found.id, level, weir: isMine ? `Weir's ${mine!.name}` : '' })
    }
  }
  return rows
}

function builtInRows(own: readonly OwnSubject[]): Row[] {
  return own.map(({ name, subject }) => ({
    subject,
    version: null,
    id: WIRE_TYPES[name],
    level: null,
    weir: `Weir's ${name}`,
  }))
}

async function stepOf(
  registry: SchemaRegistry,
  subject: string,
  json: string,
  level: CompatibilityLevel | null,
): Promise<Step> {
  const inForce = await registry.compatibilityOf(subject)
  const change = level === null || level === inForce ? null : { from: inForce, to: level }
  const found = await registry.lookUp(subject, json)
  if (found !== null) return { subject, action: 'kept', ...found, level: change, problems: [] }
  const latest = await registry.version(subject, 'latest')
  if (latest === null) return { subject, action: 'first', version: null, id: null, level: change, problems: [] }
  const { isCompatible, reasons } = await registry.checkCompatible(subject, json)
  if (isCompatible) return { subject, action: 'new version', version: null, id: null, level: change, problems: [] }
  const said = reasons.length > 0 ? reasons : violationsOf(inForce, compareBothWays(json, latest.json))
  const problems = said.length > 0 ? said : [`the registry says it breaks ${inForce}, and not why`]
  return { subject, action: 'refused', version: null, id: null, level: change, problems }
}

/** The level is set last: a registry without the subject knows none for it. */
async function take(registry: SchemaRegistry, step: Step, json: string): Promise<Step> {
  let done = step
  if (step.action !== 'kept') {
    const id = await registry.register(step.subject, json)
    const found = await registry.lookUp(step.subject, json)
    done = { ...step, version: found?.version ?? null, id }
  }
  if (step.level !== null) await registry.setCompatibility(step.subject, step.level.to)
  return done
}

function tableOf(steps: readonly Step[]): string {
  const table = formatTable(
    ['subject', 'schema', 'version', 'id', 'level'],
    steps.map(({ subject, action, version, id, level }) => [
      subject,
      ACTIONS[action],
      version,
      id,
      level === null ? '' : `${level.from} -> ${level.to}`,
    ]),
  )
  const problems = steps.flatMap(({ subject, problems }) => problems.map((problem) => `  ${subject}: ${problem}\n`))
  return problems.length === 0 ? table : `${table}\nNot taken, because:\n${problems.join('')}`
}

const ACTIONS: Readonly<Record<Step['action'], string>> = {
  kept: 'is there',
  first: 'first of its subject',
  'new version': 'new version',
  refused: 'REFUSED',
}

function notTaken(registry: SchemaRegistry, refused: readonly Step[]): WeirError {
  const lines = refused.flatMap(({ subject, problems }) => problems.map((problem) => `${subject}: ${problem}`))
  return new WeirError(
    'SCHEMA_INCOMPATIBLE',
    `${refused.length === 1 ? 'a schema is' : `${refused.length} schemas are`} not taken, and nothing was registered\n${lines.join('\n')}`,
    {
      where: registry.place,
      fix: '`weir schemas check` compares every version; give fields defaults, or lower the level of the subject if no one reads it.',
    },
  )
}

function noRegistry(): WeirError {
  return new WeirError('NOT_AVAILABLE', 'no schema registry is used: the schemas are the built-in ones', {
    where: 'registry.home',
    fix: 'Name one with --url or --folder, or set registry.home to server or folder.',
  })
}
