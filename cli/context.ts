import { createLogger, type Logger } from '#infra/logger.ts'
import { type Config, environmentName, type LoadedConfig, loadConfig } from '#schemas/config.ts'
import type { Io } from './io.ts'
import { createProgress, type Progress } from './progress.ts'

/** Options every command takes. */
export interface GlobalOptions {
  readonly config?: string
  readonly data?: string
  readonly logLevel?: string
  readonly set?: Readonly<Record<string, string>>
  readonly json?: boolean
  readonly quiet?: boolean
}

/** What every command is given: checked settings, a logger, and one way to tell results and progress. */
export interface CommandContext {
  readonly io: Io
  readonly config: Config
  readonly loaded: LoadedConfig
  /** What was set by flags, as the environment of another process of this program. */
  readonly asEnvironment: Readonly<Record<string, string>>
  readonly logger: Logger
  readonly isJson: boolean
  /** The result: `document` with `--json`, as the only thing on stdout; else the text. To be called once. */
  report(document: unknown, text: string): void
  progress(title: string, total: number, unit: string): Promise<Progress>
  /** Aborted by the first SIGINT or SIGTERM; a second one ends the process at once. */
  stopSignal(): AbortSignal
}

export function createContext(
  io: Io,
  options: GlobalOptions,
  flags: readonly { readonly key: string; readonly value: string; readonly flag: string }[],
): CommandContext {
  const set = [...globalFlags(options), ...flags]
  const loaded = loadConfig({ folder: io.folder, file: options.config ?? null, env: io.env, flags: set })
  const isJson = options.json === true
  const isQuiet = options.quiet === true
  const logger = createLogger({
    level: isQuiet && options.logLevel === undefined ? 'warn' : loaded.config.logLevel,
    isForPeople: io.isErrTerminal,
    write: io.err,
  })
  for (const warning of loaded.warnings) logger.warn(warning)
  let signal: AbortSignal | null = null
  return {
    io,
    config: loaded.config,
    loaded,
    asEnvironment: Object.fromEntries(set.map(({ key, value }) => [environmentName(key), value])),
    logger,
    isJson,
    report(document, text) {
      io.out(isJson ? `${JSON.stringify(document)}\n` : text)
    },
    progress: (title, total, unit) => createProgress(io, { title, total, unit, isSilent: isJson || isQuiet }),
    stopSignal() {
      signal ??= listenForStop(io)
      return signal
    },
  }
}

function globalFlags(options: GlobalOptions): { key: string; value: string; flag: string }[] {
  const flags = Object.entries(options.set ?? {}).map(([key, value]) => ({ key, value, flag: '--set' }))
  if (options.data !== undefined) flags.push({ key: 'dataFolder', value: options.data, flag: '--data' })
  if (options.logLevel !== undefined) flags.push({ key: 'logLevel', value: options.logLevel, flag: '--log-level' })
  return flags
}

const EXIT_INTERRUPTED = 130

function listenForStop(io: Io): AbortSignal {
  const stop = new AbortController()
  const onSignal = (): void => {
    if (stop.signal.aborted) process.exit(EXIT_INTERRUPTED)
    stop.abort()
    if (io.isErrTerminal) io.err('\nstopping; once more to stop at once\n')
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  return stop.signal
}
