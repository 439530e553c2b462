import type { ConfigEntry } from '#schemas/config.ts'
import { environmentName } from '#schemas/config.ts'
import type { DoctorOptions } from './commands/doctor.ts'
import type { CommandContext } from './context.ts'
import type { Finding } from './doctor/finding.ts'
import {
  checkBrowser,
  checkClock,
  checkDataFolder,
  checkNativeBuild,
  checkNode,
  checkPlatform,
  glibcVersion,
} from './doctor/machine.ts'
import { failureOf } from './fail.ts'
import { formatTable } from './table.ts'
import { WEIR_VERSION } from './version.ts'

interface NamedFinding extends Finding {
  readonly name: string
}

/** Runs every check, whatever the others found. Exit code 1 when one failed. */
export async function runDoctor(context: CommandContext, options: DoctorOptions): Promise<number> {
  if (options.settings === true) {
    context.report({ settings: context.loaded.entries }, describeSettings(context.loaded.entries))
    return 0
  }
  const findings: NamedFinding[] = []
  for (const [name, check] of await checksFor(context)) findings.push({ name, ...(await safely(check)) })
  const failed = findings.filter(({ status }) => status === 'fail')
  const { entries, file, warnings } = context.loaded
  context.report(
    {
      ok: failed.length === 0,
      version: WEIR_VERSION,
      checks: findings,
      configFile: file,
      warnings,
      settings: entries.map(settingOf),
    },
    `${describeFindings(findings)}\n${describeSources(entries, file)}\n${
      failed.length === 0
        ? 'Everything that is needed is in order.'
        : `Not in order: ${failed.map(({ name }) => name).join(', ')}.`
    }\n`,
  )
  return failed.length === 0 ? 0 : 1
}

type Check = () => Finding | Promise<Finding>

async function checksFor(context: CommandContext): Promise<readonly (readonly [string, Check])[]> {
  const parts = await import('./doctor/parts.ts')
  const { programRoot } = await import('#infra/assets.ts')
  return [
    ['node', () => checkNode()],
    ['machine', () => checkPlatform(process.platform, process.arch, glibcVersion())],
    ['clock', () => checkClock(context.io.now())],
    ['data folder', () => checkDataFolder(context.config.dataFolder)],
    ['service', () => parts.checkService(context)],
    ['log', () => parts.checkLog(context)],
    ['model', () => parts.checkModel(context)],
    ['models run on', () => parts.checkProvider(context)],
    ['training runs on', () => parts.checkTraining(context)],
    ['native build', () => checkNativeBuild(programRoot())],
    ['ClickHouse', () => parts.checkClickHouse(context)],
    ['browser', () => checkBrowser(context.io.env)],
  ]
}

async function safely(check: Check): Promise<Finding> {
  try {
    return await check()
  } catch (error) {
    const { message, where, fix } = failureOf(error)
    return { status: 'fail', detail: where === '' ? message : `${message} (${where})`, fix }
  }
}

const MARKS = { ok: 'ok  ', warn: 'warn', fail: 'FAIL' } as const

function describeFindings(findings: readonly NamedFinding[]): string {
  return findings
    .map(({ name, status, detail, fix }) => {
      const line = `${MARKS[status]}  ${name.padEnd(NAME_WIDTH)}${detail.replaceAll('\n', `\n${' '.repeat(NAME_WIDTH + 6)}`)}\n`
      return fix === '' ? line : `${line}${' '.repeat(NAME_WIDTH + 6)}-> ${fix}\n`
    })
    .join('')
}

const NAME_WIDTH = 18

function describeSources(entries: readonly ConfigEntry[], file: string | null): string {
  const rows = entries.map(({ key, shown, source }) => [key, shown, source])
  return `Settings (${file ?? 'no config file'}):\n${formatTable(['key', 'value', 'from'], rows)}`
}

function describeSettings(entries: readonly ConfigEntry[]): string {
  return entries
    .map(
      ({ key, shown, source, about, allowed }) =>
        `${key}\n    ${about}\n    now ${shown} (${source}); allowed: ${allowed}; in the environment ${environmentName(key)}\n`,
    )
    .join('')
}

function settingOf({ key, shown, source }: ConfigEntry): Record<string, string> {
  return { key, value: shown, source }
}
