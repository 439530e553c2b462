import { spawn } from 'node:child_process'
import { Cron } from 'croner'
import type { CommandContext } from './context.ts'

/**
 * Retrains on the schedule of the settings, in a process of its own, never two at once; what comes of it is told in the
 * log. Gives what stops the schedule and a training under way.
 */
export function scheduleRetraining(context: CommandContext): () => void {
  const { config, logger, loaded, asEnvironment } = context
  if (!config.retrain.enabled) return () => {}
  const stop = new AbortController()
  const args = ['retrain', '--json', '--data', config.dataFolder, '--spec', config.path.spec]
  if (loaded.file !== null) args.push('--config', loaded.file)
  const cron = new Cron(config.retrain.schedule, { timezone: 'UTC', protect: true }, async () => {
    logger.info('retraining begins')
    const { code, said } = await runSelf(args, asEnvironment, stop.signal)
    if (code === 0) logger.info(`retraining: ${outcomeOf(said)}`)
    else if (!stop.signal.aborted) logger.warn(`retraining failed: ${said.trim().split('\n').at(-1) ?? ''}`)
  })
  logger.info(`retraining on schedule ${config.retrain.schedule}, next at ${cron.nextRun()?.toISOString() ?? 'never'}`)
  return () => {
    cron.stop()
    stop.abort()
  }
}

/** This program again, with other arguments and what flags set for this one. */
function runSelf(
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<{ readonly code: number; readonly said: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [...process.execArgv, process.argv[1]!, ...args], {
      env: { ...process.env, ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
      signal,
    })
    let out = ''
    let err = ''
    child.stdout.on('data', (chunk: Buffer) => {
      out = (out + chunk.toString()).slice(-1_000_000)
    })
    child.stderr.on('data', (chunk: Buffer) => {
      err = (err + chunk.toString()).slice(-10_000)
    })
    child.on('error', (error) => resolve({ code: 1, said: error.message }))
    child.on('close', (code) => resolve({ code: code ?? 1, said: code === 0 ? out : err }))
  })
}

function outcomeOf(document: string): string {
  try {
    return String((JSON.parse(document) as { readonly outcome?: unknown }).outcome)
  } catch {
    return 'done'
  }
}
