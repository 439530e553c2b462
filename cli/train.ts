import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { noMetrics } from '#infra/metrics.ts'
import { wallClock } from '#infra/clock.ts'
import { dataPaths } from '#infra/data-folder.ts'
import { openSchemas } from '#infra/schema-registry/open-schemas.ts'
import { createTokenizer } from '#infra/tokenizer.ts'
import { type Trained, trainFrom, type TrainingSource } from '#learning/train-from.ts'
import { chooseExecutionProvider } from '#models/execution-provider.ts'
import { chooseTrainingBackend, type TrainingBackend } from '#models/lstm/backend.ts'
import { MANIFEST_FILE, MODEL_FILE, REPORT_FILE } from '#models/model-folder.ts'
import type { Config } from '#schemas/config.ts'
import { WeirError } from '#schemas/errors.ts'
import type { Precision } from '#schemas/model-manifest.ts'
import type { SchemaSource } from '#schemas/schema-source.ts'
import type { TrainOptions } from './commands/train.ts'
import type { CommandContext } from './context.ts'
import { featureSpecOf } from './feature-spec.ts'
import { openLog } from './open-log.ts'
import { BASE_CURRENCY, PathRuntime, readRates, readRules } from './path-runtime.ts'
import { trainingDocument, trainingText } from './training-report.ts'
import { fileSource, logSource, type MakeRuntime, simulatedSource } from './training-source.ts'

const SIMULATED_START_MS = Date.UTC(2025, 0, 6)
/** A simulated world is trained on whatever the settings say of real ones. */
const SIMULATED_ALERTS_PER_DAY = 20
const GENUINE_SHARE = 0.3

export interface TrainingRun {
  readonly trained: Trained
  readonly runtime: PathRuntime
}

export interface TrainingPlan {
  readonly source: TrainingSource
  readonly version: string
  readonly epochs: number
  readonly units: number
  readonly batch: number
  readonly alertsPerDay: number
  readonly command: string
}

export async function runTrain(context: CommandContext, options: TrainOptions): Promise<number> {
  const { config } = context
  const makeRuntime = runtimeMaker(context)
  const version = options.name ?? `${featureSpecOf(config).name}-${stamp(wallClock.now())}`
  const plan = {
    version,
    epochs: options.epochs,
    units: options.units,
    batch: options.batch,
    alertsPerDay: options.simulate === undefined ? config.threshold.alertsPerDay : SIMULATED_ALERTS_PER_DAY,
    command: commandOf(options, config.path.spec, config.retrain.seed),
  }
  const { trained, runtime } =
    options.simulate !== undefined
      ? await train(context, { ...plan, source: simulated(options.simulate, config.retrain.seed, makeRuntime) })
      : options.input !== undefined
        ? await train(context, {
            ...plan,
            source: fileSource(options.input, options.labels ?? null, makeRuntime, makeRuntime),
          })
        : await withLog(context, (source) => train(context, { ...plan, source }))
  const folder = await keep(runtime, trained, options)
  if (options.promote === true && options.out === undefined)
    await runtime.registry.promote(version, 'weir train --promote')
  context.report(trainingDocument(trained, folder), trainingText(trained, folder))
  return 0
}

/** One training, from a source to a judged model that is not kept yet. */
export async function train(context: CommandContext, plan: TrainingPlan): Promise<TrainingRun> {
  const { config } = context
  const backend = await backendOf(context)
  context.logger.info(`training on ${backend.name}: ${backend.explanation}`)
  const runtime = await runtimeMaker(context)()
  const progress = await context.progress('training', plan.epochs, 'epochs')
  const trained = await trainFrom({
    source: plan.source,
    layout: runtime.layout,
    version: plan.version,
    seed: config.retrain.seed,
    epochsMax: plan.epochs,
    units: plan.units,
    batchSize: plan.batch,
    precision: await precisionOf(config),
    backend,
    champion: await runtime.registry.champion(runtime.layout.specName),
    alertsPerDay: plan.alertsPerDay,
    fraudsMin: config.retrain.frauds,
    maturityDays: config.retrain.maturityDays,
    testDays: config.retrain.testDays,
    trainingDays: config.retrain.trainingDays,
    genuineShare: GENUINE_SHARE,
    createdAtMs: wallClock.now(),
    command: plan.command,
    currency: BASE_CURRENCY,
    onPhase: (phase) => context.logger.info(phase),
    onProgress: ({ epoch, step, steps, loss, validationAp }) => {
      const note = `loss ${loss.toFixed(4)}${validationAp === undefined ? '' : `, validation AP ${validationAp.toFixed(3)}`}`
      progress.update(epoch - 1 + step / steps, note)
    },
    signal: context.stopSignal(),
  })
  progress.finish()
  return { trained, runtime }
}

/** What the machine that trains would serve best with, unless one is asked for by name. */
async function precisionOf({ model }: Config): Promise<Precision> {
  if (model.precision !== 'auto') return model.precision
  return (await chooseExecutionProvider(model.provider)).provider === 'cuda' ? 'float32' : 'int8'
}

/** Runs with the data folder's log as the source, read beside the service that may be writing it. */
export async function withLog<T>(context: CommandContext, work: (source: TrainingSource) => Promise<T>): Promise<T> {
  const { config, logger } = context
  const paths = dataPaths(config)
  if (config.log.home === 'file' && !existsSync(paths.log)) {
    throw new WeirError('TRAINING_FAILED', 'there is no log in this data folder yet', {
      where: paths.folder,
      fix: 'Let `weir run` or `weir demo` take in some events first, or train on --input or --simulate.',
    })
  }
  const stop = context.stopSignal()
  const schemas = await openSchemas({ config, clock: wallClock, logger, stop })
  const stillOwner = async (): Promise<boolean> => true
  const metrics = noMetrics
  const home = await openLog({ config, paths, logger, metrics, schemas, stop, isReadOnly: true, stillOwner })
  try {
    return await work(logSource(home.log, config.topics, runtimeMaker(context, schemas)))
  } finally {
    await home.close()
  }
}

/** Fresh paths with rates and rules in force, for passes that decide nothing. */
export function runtimeMaker(context: CommandContext, schemas?: SchemaSource): MakeRuntime {
  const { config } = context
  const paths = dataPaths(config)
  return async () => {
    const runtime = new PathRuntime({
      config,
      paths,
      spec: featureSpecOf(config),
      tokenizer: createTokenizer(Buffer.alloc(32)),
      metrics: noMetrics,
      clock: wallClock,
      alertsPerDay: config.threshold.alertsPerDay,
      ...(schemas === undefined ? {} : { schemas }),
    })
    await runtime.apply({ type: 'rates', value: JSON.stringify(readRates(config)), sha256: '' })
    await runtime.apply({ type: 'rules', value: JSON.stringify(readRules(config)), sha256: '' })
    return runtime
  }
}

function simulated(events: number, seed: number, makeRuntime: MakeRuntime): TrainingSource {
  const options = { preset: 'demo', seed: 1_000 + seed, startMs: SIMULATED_START_MS, totalEvents: events } as const
  return simulatedSource(options, events, makeRuntime)
}

async function backendOf({ config }: CommandContext): Promise<TrainingBackend> {
  switch (config.model.trainingBackend) {
    case 'auto':
      return chooseTrainingBackend()
    case 'wasm':
      return chooseTrainingBackend({ only: 'wasm' })
    case 'native': {
      const backend = await chooseTrainingBackend()
      if (backend.name !== 'wasm') return backend
      throw new WeirError('NOT_AVAILABLE', `native TensorFlow does not load: ${backend.explanation}`, {
        fix: 'Run `make native`, or train with --backend wasm.',
      })
    }
  }
}

async function keep(runtime: PathRuntime, { made }: Trained, options: TrainOptions): Promise<string> {
  if (options.out === undefined) return (await runtime.registry.publish(made)).folder
  const folder = join(options.out, made.manifest.version)
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, MODEL_FILE), made.model)
  await writeFile(join(folder, MANIFEST_FILE), `${JSON.stringify(made.manifest)}\n`)
  if (made.report !== null) await writeFile(join(folder, REPORT_FILE), made.report)
  return folder
}

function commandOf(options: TrainOptions, spec: string, seed: number): string {
  const parts = ['weir train']
  if (options.simulate !== undefined) parts.push(`--simulate ${options.simulate}`)
  if (options.input !== undefined) parts.push(`--input ${options.input}`)
  parts.push(`--spec ${spec}`, `--seed ${seed}`, `--epochs ${options.epochs}`)
  return parts.join(' ')
}

export function stamp(epochMs: number): string {
  return new Date(epochMs).toISOString().slice(0, 16).replace(/[-:]/g, '').replace('T', '-')
}
