import type { RunOptions } from './commands/run.ts'
import type { CommandContext } from './context.ts'
import { scheduleRetraining } from './retrain-schedule.ts'
import { serveApi } from './serve-api.ts'
import { Service } from './service.ts'

/** The recorder may catch up so long when the service stops. */
const STOP_GRACE_MS = 3_000

export async function runService(context: CommandContext, _options: RunOptions): Promise<number> {
  const { config, logger } = context
  const stop = context.stopSignal()
  const service = await Service.open(context, {
    command: 'run',
    clockMode: 'wall',
    alertsPerDay: config.threshold.alertsPerDay,
    blockClockMs: config.recorder.intervalMs,
  })
  await service.start()
  const api = config.api.enabled
    ? await serveApi(service, 'run').catch((error: unknown) => service.giveUp(error))
    : null
  const stopRetraining = scheduleRetraining(context)
  if (api !== null) {
    logger.info(`listening on ${api.url}`)
    if (!context.isJson) context.io.out(`Weir is running. Page: ${api.pageUrl}\n`)
  }
  await new Promise<void>((resolve) => {
    for (const signal of [stop, service.failed]) {
      if (signal.aborted) resolve()
      else signal.addEventListener('abort', () => resolve(), { once: true })
    }
  })
  stopRetraining()
  await api?.close()
  await service.close(STOP_GRACE_MS)
  logger.info('stopped; everything is committed')
  return 0
}
