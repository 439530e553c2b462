import { messageOf, WeirError } from '#schemas/errors.ts'
import type { RunOptions } from './commands/run.ts'
import type { CommandContext } from './context.ts'
import { startOperations } from './operations.ts'
import { scheduleRetraining } from './retrain-schedule.ts'
import { serveApi } from './serve-api.ts'
import { Service } from './service.ts'
import { watchOverload } from './watch-overload.ts'

/** The recorder may catch up so long when the service stops. */
const STOP_GRACE_MS = 3_000

export async function runService(context: CommandContext, _options: RunOptions): Promise<number> {
  const stop = context.stopSignal()
  while (!(await runOnce(context, stop)) && !stop.aborted) {
    context.logger.warn('another process became active: this one gives its state up and stands by')
  }
  context.logger.info('stopped; everything is committed')
  return 0
}

/** One life of the service, from standing by to its end; false when another process has taken its place. */
async function runOnce(context: CommandContext, stop: AbortSignal): Promise<boolean> {
  const { config, logger } = context
  const service = await Service.open(context, {
    command: 'run',
    clockMode: 'wall',
    alertsPerDay: config.threshold.alertsPerDay,
    blockClockMs: config.recorder.intervalMs,
  })
  const ends: (() => Promise<void> | void)[] = []
  const serve = async (): Promise<void> => {
    const operations = await startOperations(service, logger)
    ends.push(() => operations.stop())
    if (!config.api.enabled) return
    const api = await serveApi(service, 'run', operations)
    ends.push(() => api.close())
    logger.info(`listening on ${api.url}`)
    if (!context.isJson) context.io.out(`Weir is running. Page: ${api.pageUrl}\n`)
  }
  const end = async (): Promise<void> => {
    for (const part of ends.splice(0).reverse()) await part()
  }
  try {
    // A standby tells over its API that it is one; alone, who can reach it may also use it.
    if (service.mayStandBy) await serve()
    await service.start(stop)
    if (!service.mayStandBy) await serve()
    if (service.state === 'active') ends.push(startOverload(context, service), scheduleRetraining(context))
    await untilAborted(stop, service.failed)
    await end()
    await service.close(STOP_GRACE_MS)
    return true
  } catch (error) {
    await end()
    await service.close(0).catch(() => {})
    if (error instanceof WeirError && error.code === 'LOG_FENCED') return false
    throw error
  }
}

function untilAborted(...signals: readonly AbortSignal[]): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of signals) {
      if (signal.aborted) resolve()
      else signal.addEventListener('abort', () => resolve(), { once: true })
    }
  })
}

/** Only here: a demo waits for room rather than for answers. Gives what ends it. */
function startOverload({ config, logger }: CommandContext, { gateway, engine, runtime }: Service): () => void {
  const inForce = runtime.inForce.get('overload')
  const isOn = inForce !== undefined && (JSON.parse(inForce.value) as { readonly on: boolean }).on
  if (!config.api.overload && !isOn) return () => {}
  if (!config.api.overload) {
    engine.control('overload', { on: false }).catch((error: unknown) => logger.warn(messageOf(error)))
    return () => {}
  }
  return watchOverload({
    waiting: (nowMs) => gateway.waiting(nowMs),
    now: () => performance.now(),
    isOn,
    timeoutMs: config.api.scoreTimeoutMs,
    control: (on) => engine.control('overload', { on }),
    warn: (text) => logger.warn(text),
  })
}
