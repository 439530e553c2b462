import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { isMap, isScalar, LineCounter, type Node, parseDocument } from 'yaml'
import { closest } from './closest.ts'
import { messageOf, WeirError } from './errors.ts'
import type { Setting } from './setting.ts'
import { SETTINGS } from './settings.ts'

type Values<Tree> = {
  readonly [Key in keyof Tree]: Tree[Key] extends Setting<infer T> ? T : Values<Tree[Key]>
}

/** Everything that can be set, checked once at start and handed down. Paths are absolute. */
export type Config = Values<typeof SETTINGS>

export const DEFAULT_CONFIG_FILE = 'weir.yaml'

/** Variables that are no settings: where the file is, and what tests and build read. */
const OTHER_VARIABLES = ['WEIR_CONFIG', 'WEIR_CHROMIUM', 'WEIR_NODE24']

/** A value and where it came from: `default`, `weir.yaml:12`, `environment WEIR_API_PORT`, `flag --data`. */
export interface ConfigEntry {
  readonly key: string
  /** As people may see it: a secret is masked. */
  readonly shown: string
  readonly source: string
  readonly about: string
  readonly allowed: string
}

export interface LoadedConfig {
  readonly config: Config
  /** In the order of the tree. */
  readonly entries: readonly ConfigEntry[]
  /** The file that was read, or null. */
  readonly file: string | null
  /** Things to tell, that stop nothing. */
  readonly warnings: readonly string[]
}

export interface ConfigSources {
  /** Working folder: of the default file, and of paths in environment and flags. */
  readonly folder: string
  /** A file asked for by name, which must exist; null: weir.yaml in the folder, if there is one. */
  readonly file: string | null
  readonly env: Readonly<Record<string, string | undefined>>
  /** By key of the setting, with the flag that gave it. Later ones win. */
  readonly flags: readonly { readonly key: string; readonly value: string; readonly flag: string }[]
}

interface Given {
  readonly value: unknown
  readonly source: string
  readonly baseFolder: string
}

/**
 * Defaults, then the file, then the environment, then flags; each setting from the last that names it.
 *
 * @throws WeirError CONFIG_INVALID with every problem found: key, value, source, what is allowed, what to do
 */
export function loadConfig(sources: ConfigSources): LoadedConfig {
  const settings = settingsByKey()
  const problems: string[] = []
  const given = new Map<string, Given>()
  const file = fileOf(sources)
  if (file !== null) readFile(file, settings, given, problems)
  const warnings = readEnvironment(sources, settings, given)
  readFlags(sources, settings, given, problems)

  const values = new Map<string, unknown>()
  const entries: ConfigEntry[] = []
  for (const [key, setting] of settings) {
    const from = given.get(key)
    const value = from === undefined ? fallbackOf(setting, sources.folder) : checked(key, setting, from, problems)
    values.set(key, value)
    const { about, allowed } = setting
    entries.push({ key, shown: shown(setting, value), source: from?.source ?? 'default', about, allowed })
  }
  checkTogether(values, problems)
  if (problems.length > 0) {
    throw new WeirError('CONFIG_INVALID', problems.join('\n'), {
      where: file ?? '',
      fix: '`weir doctor` shows every setting, its value and where it came from.',
    })
  }
  return { config: treeOf(SETTINGS, '', values) as Config, entries, file, warnings }
}

/** The defaults alone, for tests and tools that read no files. */
export function defaultConfig(folder: string): Config {
  return loadConfig({ folder, file: null, env: {}, flags: [] }).config
}

/** WEIR_PATH_SLICE_ROWS_MAX for path.sliceRowsMax. */
export function environmentName(key: string): string {
  return `WEIR_${key
    .split('.')
    .map((part) => part.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase())
    .join('_')}`
}

/** Every key of the tree, in order. */
export function settingsByKey(): ReadonlyMap<string, Setting<unknown>> {
  const found = new Map<string, Setting<unknown>>()
  const walk = (tree: object, prefix: string): void => {
    for (const [part, value] of Object.entries(tree) as [string, object][]) {
      if (isSetting(value)) found.set(prefix + part, value)
      else walk(value, `${prefix}${part}.`)
    }
  }
  walk(SETTINGS, '')
  return found
}

function fileOf(sources: ConfigSources): string | null {
  if (sources.file !== null) return resolve(sources.folder, sources.file)
  const named = sources.env['WEIR_CONFIG']
  if (named !== undefined && named !== '') return resolve(sources.folder, named)
  const usual = join(sources.folder, DEFAULT_CONFIG_FILE)
  return existsSync(usual) ? usual : null
}

function readFile(
  file: string,
  settings: ReadonlyMap<string, Setting<unknown>>,
  given: Map<string, Given>,
  problems: string[],
): void {
  const lines = new LineCounter()
  let root: Node | null
  try {
    const document = parseDocument(readFileSync(file, 'utf8'), { lineCounter: lines, prettyErrors: false })
    const [error] = document.errors
    if (error !== undefined) {
      const { line, col } = lines.linePos(error.pos[0])
      throw new Error(`line ${line}, column ${col}: ${error.message}`)
    }
    root = document.contents
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT'
    throw new WeirError(
      'CONFIG_INVALID',
      missing ? 'the config file does not exist' : `the config file cannot be read: ${messageOf(cause)}`,
      { where: file, fix: 'Name an existing YAML file with --config, or leave the flag out.' },
    )
  }
  const baseFolder = dirname(file)
  const at = (node: unknown): string => {
    const start = (node as Node | undefined)?.range?.[0]
    return start === undefined ? file : `${file}:${lines.linePos(start).line}`
  }
  const walk = (node: Node | null, prefix: string): void => {
    if (node === null || (isScalar(node) && node.value === null)) return
    if (!isMap(node)) {
      const what = prefix === '' ? 'the file' : prefix.slice(0, -1)
      problems.push(`${what} in ${at(node)} must hold keys with values, such as "logLevel: info"`)
      return
    }
    for (const pair of node.items) {
      const key = prefix + String(isScalar(pair.key) ? pair.key.value : pair.key)
      const value = pair.value as Node | null
      if (settings.has(key)) {
        if (value === null || (isScalar(value) && value.value === null)) continue
        given.set(key, { value: value.toJSON() as unknown, source: at(pair.key), baseFolder })
      } else if ([...settings.keys()].some((known) => known.startsWith(`${key}.`))) walk(value, `${key}.`)
      else problems.push(`${unknownKey(key, settings)} (${at(pair.key)})`)
    }
  }
  walk(root, '')
}

/**
 * A variable that is set but empty counts as not set. An unknown WEIR_ variable is only told: container platforms set
 * such names by themselves (WEIR_SERVICE_HOST for a service called weir).
 */
function readEnvironment(
  sources: ConfigSources,
  settings: ReadonlyMap<string, Setting<unknown>>,
  given: Map<string, Given>,
): string[] {
  const byVariable = new Map([...settings.keys()].map((key) => [environmentName(key), key]))
  const warnings: string[] = []
  for (const [variable, value] of Object.entries(sources.env)) {
    if (!variable.startsWith('WEIR_') || value === undefined || value === '') continue
    const key = byVariable.get(variable)
    if (key !== undefined) given.set(key, { value, source: `environment ${variable}`, baseFolder: sources.folder })
    else if (!OTHER_VARIABLES.includes(variable)) {
      const close = closest(variable, [...byVariable.keys()])
      warnings.push(
        `the environment has ${variable}, which is no setting${close === null ? '' : `; did you mean ${close}?`}`,
      )
    }
  }
  return warnings
}

function readFlags(
  sources: ConfigSources,
  settings: ReadonlyMap<string, Setting<unknown>>,
  given: Map<string, Given>,
  problems: string[],
): void {
  for (const { key, value, flag } of sources.flags) {
    if (settings.has(key)) given.set(key, { value, source: `flag ${flag}`, baseFolder: sources.folder })
    else problems.push(`${unknownKey(key, settings)} (flag ${flag})`)
  }
}

function checked(key: string, setting: Setting<unknown>, from: Given, problems: string[]): unknown {
  const parsed = setting.shape.safeParse(from.value)
  if (!parsed.success) {
    const value = setting.isSecret ? '(secret)' : clipped(from.value)
    problems.push(`${key} is ${value} (${from.source}); allowed: ${setting.allowed}. Correct it or remove it`)
    return setting.fallback
  }
  return isPath(setting, parsed.data) ? absolute(parsed.data, from.baseFolder) : parsed.data
}

/** Settings that only make sense together. */
function checkTogether(values: ReadonlyMap<string, unknown>, problems: string[]): void {
  const review = values.get('threshold.fixed.review') as number
  const decline = values.get('threshold.fixed.decline') as number
  if (review > decline) {
    problems.push(
      `threshold.fixed.review is ${review} and lies above threshold.fixed.decline (${decline}); put it at or below`,
    )
  }
  const share = values.get('exploration.declinedShare') as number
  if (share > 0 && values.get('exploration.lossMaxPerDay') === 0) {
    problems.push(
      `exploration.declinedShare is ${share}, but exploration.lossMaxPerDay is 0; say how much may be lost in a day`,
    )
  }
  const topics = [...values].filter(([key]) => key.startsWith('topics.'))
  for (const [i, [key, value]] of topics.entries()) {
    const other = topics.slice(0, i).find(([, earlier]) => earlier === value)
    if (other !== undefined) problems.push(`${key} and ${other[0]} are both ${String(value)}; give each its own name`)
  }
}

function unknownKey(key: string, settings: ReadonlyMap<string, Setting<unknown>>): string {
  const close = closest(key, [...settings.keys()])
  return `${clipped(key)} is no setting${close === null ? '' : `; did you mean ${close}?`}`
}

function fallbackOf(setting: Setting<unknown>, folder: string): unknown {
  return isPath(setting, setting.fallback) ? absolute(setting.fallback, folder) : setting.fallback
}

function isPath(setting: Setting<unknown>, value: unknown): value is string {
  return setting.pathEnding !== null && typeof value === 'string' && value.endsWith(setting.pathEnding)
}

function absolute(value: string, folder: string): string {
  return value === '' ? '' : resolve(folder, value)
}

function shown(setting: Setting<unknown>, value: unknown): string {
  if (setting.isSecret) return value === '' ? '(not set)' : '********'
  if (value === '') return setting.pathEnding === '' ? '(usual place)' : '(empty)'
  return Array.isArray(value) ? value.join(', ') || '(none)' : String(value)
}

function clipped(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value)
  return text.length > 80 ? `${text.slice(0, 77)}...` : text
}

function treeOf(tree: object, prefix: string, values: ReadonlyMap<string, unknown>): unknown {
  const result: Record<string, unknown> = {}
  for (const [part, value] of Object.entries(tree) as [string, object][]) {
    const key = prefix + part
    result[part] = isSetting(value) ? values.get(key) : treeOf(value, `${key}.`, values)
  }
  return Object.freeze(result)
}

function isSetting(value: object): value is Setting<unknown> {
  return 'kind' in value && value.kind === 'setting'
}
