import { wallClock } from '#infra/clock.ts'
import { dataPaths } from '#infra/data-folder.ts'
import { findService } from '#infra/service-client.ts'
import type { Registry } from '#models/registry.ts'
import { WeirError } from '#schemas/errors.ts'
import type { RetrainOptions } from './commands/retrain.ts'
import type { CommandContext } from './context.ts'
import { describe, runtimeMaker, stamp, text, train, withLog } from './train.ts'

const HOUR_MS = 3_600_000
const EPOCHS_MAX = 12
const UNITS = 64
const BATCH_ROWS = 512
const PROMOTE_TIMEOUT_MS = 60_000

/**
 * Replays the log, trains, compares with the champion and with the rules alone on the newest mature days, and puts the
 * new version in charge only if it is better.
 */
export async function runRetrain(context: CommandContext, options: RetrainOptions): Promise<number> {
  const { config } = context
  const version = `${config.path.spec}-${stamp(wallClock.now())}`
  await refuseTooSoon(context, options)
  const { trained, runtime } = await withLog(context, async (source) =>
    train(context, {
      source,
      version,
      epochs: EPOCHS_MAX,
      units: UNITS,
      batch: BATCH_ROWS,
      alertsPerDay: config.threshold.alertsPerDay,
      command: 'weir retrain',
    }),
  )
  const champion = await runtime.registry.champion(runtime.layout.specName)
  const isDry = options.dryRun === true
  const folder = isDry ? null : (await runtime.registry.publish(trained.made)).folder
  const promoted = !isDry && trained.gate.passed
  if (promoted)
    await takeCharge(context, runtime.registry, version, `retrained; better than ${champion?.version ?? 'rules alone'}`)
  const outcome = isDry
    ? 'dry run: nothing was changed'
    : promoted
      ? `${version} is in charge`
      : `${champion?.version ?? 'no model'} stays in charge`
  context.report({ ...describe(trained, folder), promoted, outcome }, `${text(trained, folder)}\n${outcome}\n`)
  return 0
}

/** Through the running service, so that the change stands in its journal; else in the registry alone. */
async function takeCharge(context: CommandContext, registry: Registry, version: string, reason: string): Promise<void> {
  const service = await findService(context.config.dataFolder, { timeoutMs: PROMOTE_TIMEOUT_MS })
  if (service === null) await registry.promote(version, reason)
  else await service.post('/v1/models/promote', { version })
}

async function refuseTooSoon(context: CommandContext, options: RetrainOptions): Promise<void> {
  const { registry, layout } = await runtimeMaker(context)()
  const lastMs = (await registry.history(layout.specName)).at(-1)?.at ?? 0
  const waitMs = lastMs + context.config.retrain.cooldownHours * HOUR_MS - wallClock.now()
  if (options.force === true || waitMs <= 0) return
  throw new WeirError('USAGE', `the model was changed less than ${context.config.retrain.cooldownHours} hours ago`, {
    where: dataPaths(context.config).models,
    fix: 'Wait, lower retrain.cooldownHours, or give --force.',
  })
}
