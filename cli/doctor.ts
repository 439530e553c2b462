import type { CheckpointMeta } from '#infra/checkpoint.ts'
import type { TopicFacts } from '#infra/kafka/admin.ts'
import type { Config, ConfigEntry } from '#schemas/config.ts'
import { environmentName } from '#schemas/config.ts'
import type { DoctorOptions } from './commands/doctor.ts'
import type { CommandContext } from './context.ts'
import { type Finding, warn } from './doctor/finding.ts'
import type { KafkaView } from './doctor/kafka-view.ts'
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
import type { TopicRow } from './topics.ts'
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
  const findings = await findAll(context)
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

/** By name, in the order in which they are told. */
type Checks = readonly (readonly [name: string, check: Check])[]

async function checksFor(context: CommandContext, kafka: KafkaView | null): Promise<Checks> {
  const { config, io } = context
  const parts = await import('./doctor/parts.ts')
  const { checkCheckpoints, readCheckpoints } = await import('./doctor/checkpoints.ts')
  const { checkSchemaRegistry } = await import('./doctor/schemas.ts')
  const { checkTokenKey } = await import('./doctor/token-key.ts')
  const { programRoot } = await import('#infra/assets.ts')
  const { dataPaths } = await import('#infra/data-folder.ts')
  const { layoutOf } = await import('#models/features/layout.ts')
  const { featureSpecOf } = await import('./feature-spec.ts')
  const paths = dataPaths(config)
  // Each check fails for itself, so nothing is read before one asks for it.
  const checkpoints = lazily(() => readCheckpoints(paths.checkpoints))
  const specHash = lazily(() => layoutOf(featureSpecOf(config)).specHash)
  const clock = (): Finding => checkClock(io.now(), paths.folder)
  const ofHome =
    kafka === null
      ? ([
          ['clock', clock],
          ['log', () => parts.checkLog(context)],
          ['token key', () => checkTokenKey({ file: paths.tokenKeyFile, isShared: false, isBegun: false })],
        ] satisfies Checks)
      : await kafkaChecks(context, kafka, {
          clock,
          tokenKeyFile: paths.tokenKeyFile,
          checkpoints: () => checkpoints().whole.filter((meta) => meta.specHash === specHash()),
        })
  return [
    ['node', () => checkNode()],
    ['machine', () => checkPlatform(process.platform, process.arch, glibcVersion())],
    ['data folder', () => checkDataFolder(paths.folder, checkpoints().newestBytes)],
    ['service', () => parts.checkService(context)],
    ...ofHome,
    ['checkpoints', () => checkCheckpoints(checkpoints(), specHash(), io.now())],
    ['schemas', () => checkSchemaRegistry(context)],
    ['model', () => parts.checkModel(context)],
    ['models run on', () => parts.checkProvider(context)],
    ['training runs on', () => parts.checkTraining(context)],
    ['native build', () => checkNativeBuild(programRoot())],
    ['ClickHouse', () => parts.checkClickHouse(context)],
    ['browser', () => checkBrowser(io.env)],
  ]
}

interface KafkaChecked {
  readonly clock: () => Finding
  readonly tokenKeyFile: string
  /** Of the feature spec in the settings, newest first. */
  readonly checkpoints: () => readonly CheckpointMeta[]
}

async function kafkaChecks(context: CommandContext, view: KafkaView, seen: KafkaChecked): Promise<Checks> {
  const { config, io } = context
  const { topics } = config
  const { checkBrokers, checkPositions, checkRole, checkSharedClock, checkTopics } = await import('./doctor/kafka.ts')
  const { checkTokenKey } = await import('./doctor/token-key.ts')
  const { rowOf } = await import('./topics.ts')
  /** One word of it is enough when the brokers do not answer. */
  const answered =
    (check: Check): Check =>
    async () =>
      (await isAnswered(view)) ? await check() : warn('not looked at, since the brokers do not answer', '')
  const rows = async (): Promise<TopicRow[]> =>
    [...(await view.topics())].map(([topic, facts]) => rowOf(topic, facts, config))
  return [
    [
      'clock',
      async () => ((await isAnswered(view)) ? checkSharedClock(await view.tail(), seen.clock()) : seen.clock()),
    ],
    ['brokers', async () => checkBrokers(await view.brokers(), config)],
    ['topics', answered(async () => checkTopics(await rows()))],
    [
      'positions',
      answered(async () =>
        checkPositions({
          checkpoints: seen.checkpoints(),
          ranges: await view.ranges(),
          journal: topics.journal,
          inputs: [topics.transactions, topics.labels],
          retentionMs: shortestRetentionMs(await view.topics(), config),
          nowMs: io.now(),
        }),
      ),
    ],
    ['role', answered(async () => checkRole(await view.tail(), config, io.now()))],
    [
      'token key',
      async () =>
        checkTokenKey({
          file: seen.tokenKeyFile,
          isShared: true,
          isBegun: (await isAnswered(view)) && (await view.tail()) !== null,
        }),
    ],
  ]
}

function lazily<T>(read: () => T): () => T {
  let found: { readonly value: T } | null = null
  return () => {
    found ??= { value: read() }
    return found.value
  }
}

async function isAnswered(view: KafkaView): Promise<boolean> {
  try {
    return (await view.brokers()).length > 0
  } catch {
    return false
  }
}

function shortestRetentionMs(facts: ReadonlyMap<string, TopicFacts | null>, { topics }: Config): number {
  const read = [topics.transactions, topics.labels, topics.alerts, topics.journal]
  const kept = read.map((topic) => Number(facts.get(topic)?.settings['retention.ms'] ?? -1))
  return Math.min(...kept.map((ms) => (ms < 0 ? Number.POSITIVE_INFINITY : ms)))
}

async function findAll(context: CommandContext): Promise<NamedFinding[]> {
  const findings: NamedFinding[] = []
  const view =
    context.config.log.home === 'kafka' ? (await import('./doctor/kafka-view.ts')).createKafkaView(context) : null
  try {
    for (const [name, check] of await checksFor(context, view)) findings.push({ name, ...(await safely(check)) })
  } finally {
    await view?.close()
  }
  return findings
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
