import { existsSync } from 'node:fs'
import { wallClock } from '#infra/clock.ts'
import { dataPaths } from '#infra/data-folder.ts'
import type { Trained } from '#learning/train-from.ts'
import { type TrainingRun, writeTrainingRun } from '#learning/training-runs.ts'
import { messageOf, WeirError } from '#schemas/errors.ts'
import type { RetrainOptions } from './commands/retrain.ts'
import type { CommandContext } from './context.ts'
import { failureOf } from './fail.ts'
import { featureSpecOf } from './feature-spec.ts'
import { putInCharge } from './models.ts'
import { runtimeMaker, stamp, train, withLog } from './train.ts'
import { trainingDocument, trainingText } from './training-report.ts'

const HOUR_MS = 3_600_000
const EPOCHS_MAX = 12
const UNITS = 64
const BATCH_ROWS = 512

/**
 * Replays the log, trains, compares with the champion and with the rules alone on the newest mature days, and puts the
 * new version in charge only if it is better.
 */
export async function runRetrain(context: CommandContext, options: RetrainOptions): Promise<number> {
  const { config } = context
  const version = `${featureSpecOf(config).name}-${stamp(wallClock.now())}`
  await refuseTooSoon(context, options)
  try {
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
    const { registry, layout } = runtime
    const champion = (await registry.champion(layout.specName))?.version ?? null
    const isDry = options.dryRun === true
    const folder = isDry ? null : (await registry.publish(trained.made)).folder
    const reason = reasonOf(trained)
    const promoted = !isDry && trained.gate.passed
    if (promoted) await putInCharge(context, version, reason)
    const figures = trainingDocument(trained, folder)
    await note(context, { version, outcome: isDry ? 'dry_run' : promoted ? 'promoted' : 'kept', reason, figures })
    const outcome = isDry
      ? 'dry run: nothing was changed'
      : promoted
        ? `${version} is in charge`
        : `${champion ?? 'no model'} stays in charge`
    context.report(
      { ...figures, promoted, outcome, reason },
      `${trainingText(trained, folder)}\n${outcome}: ${reason}\n`,
    )
    return 0
  } catch (error) {
    await note(context, { version, outcome: 'failed', reason: failureText(error, context.stopSignal()), figures: null })
    throw error
  }
}

/** Why the new version takes charge, or why it does not; for the history and the tables. */
export function reasonOf({ gate, champion }: Pick<Trained, 'gate' | 'champion'>): string {
  const { passed, findings } = gate
  const beaten = champion?.isCompared === true ? `${champion.version} and the rules alone` : 'the rules alone'
  if (passed) return `retrained; better than ${beaten}`
  return findings
    .filter((finding) => finding.startsWith('no'))
    .map((finding) => `not so: ${finding.slice(4)}`)
    .join('; ')
}

/** Beside the models, where the service finds it; what cannot be noted is told and changes nothing. */
async function note(context: CommandContext, run: Omit<TrainingRun, 'at'>): Promise<void> {
  const { folder, trainingRuns } = dataPaths(context.config)
  // Asked of a folder that is not there: it is not made for that.
  if (!existsSync(folder)) return
  await writeTrainingRun(trainingRuns, { at: wallClock.now(), ...run }).catch((error: unknown) =>
    context.logger.warn(`what became of the training could not be noted: ${messageOf(error)}`),
  )
}

function failureText(error: unknown, signal: AbortSignal): string {
  if (signal.aborted) return 'stopped before its end'
  const { code, message } = failureOf(error)
  return `${code}: ${message}`
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
