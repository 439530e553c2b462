import { readFileSync } from 'node:fs'
import { assetPath } from '#infra/assets.ts'
import type { DataPaths } from '#infra/data-folder.ts'
import type { Metrics } from '#infra/metrics.ts'
import { StateMemory } from '#infra/state-memory.ts'
import type { Tokenizer } from '#infra/tokenizer.ts'
import { createExplainer } from '#models/explain.ts'
import { describeFeature, describePastEvent } from '#models/features/describe.ts'
import { Featurizer } from '#models/features/featurizer.ts'
import { layoutOf } from '#models/features/layout.ts'
import type { FeatureLayout } from '#models/feature-buffers.ts'
import { createOnnxScorer, type OnnxScorer } from '#models/onnx-scorer.ts'
import { createRegistry, type Registry } from '#models/registry.ts'
import { assemble, type Path } from '#pipeline/assemble.ts'
import { AlertBook } from '#pipeline/decide/alert-book.ts'
import { createDecide } from '#pipeline/decide/decide.ts'
import { createExplain, type Explain } from '#pipeline/decide/explain.ts'
import { type Exploration, explorationSeed } from '#pipeline/decide/exploration.ts'
import { type Lists, NO_LISTS, parseLists } from '#pipeline/decide/lists.ts'
import { compileRules, type RuleSet } from '#pipeline/decide/rules/rule-set.ts'
import { parseThreshold, type Threshold } from '#pipeline/decide/threshold.ts'
import { DEFAULT_GUARD } from '#pipeline/guard.ts'
import { type Codec, createCodec } from '#schemas/codec.ts'
import type { Config } from '#schemas/config.ts'
import { WeirError } from '#schemas/errors.ts'
import type { FeatureSpec } from '#schemas/feature-spec.ts'
import type { Control, ControlType } from '#schemas/journal.ts'
import { loadRateTable, type RateTable } from '#schemas/rates.ts'
import { createFileSchemas, type SchemaSource } from '#schemas/schema-source.ts'
import type { Clock } from '#infra/clock.ts'

export interface PathRuntimeOptions {
  readonly config: Config
  readonly paths: DataPaths
  readonly spec: FeatureSpec
  readonly tokenizer: Tokenizer
  readonly metrics: Metrics
  readonly clock: Clock
  /** Where schemas come from; absent: the ones that Weir ships with. */
  readonly schemas?: SchemaSource
  /** Alerts a day that the desk can look at. */
  readonly alertsPerDay: number
}

/** Value of a `model` control. A score means little under another model's threshold, so a model may bring its own. */
export interface ModelControl {
  readonly version: string | null
  readonly threshold?: Threshold
}

/** Records of the intake get this partition; others write to 0 and above 1. */
export const INTAKE_PARTITION = 1

/**
 * The path with everything it needs, and the causes in force: each changes only by a control, here and wherever the
 * journal is followed.
 */
export class PathRuntime {
  readonly path: Path
  readonly codec: Codec
  readonly layout: FeatureLayout
  readonly memory = new StateMemory()
  readonly book: AlertBook
  readonly registry: Registry
  readonly inForce = new Map<ControlType, Control>()
  /** Values of the causes that are effective, not only remembered. */
  private readonly effective = new Map<ControlType, string>()
  /** Where requests get their place in the log; null where they are appended to the input like anybody's. */
  readonly intakePartition: number | null
  private readonly options: PathRuntimeOptions
  private readonly explain: Explain
  private lists: Lists = NO_LISTS
  private scorer: OnnxScorer | null = null

  constructor(options: PathRuntimeOptions) {
    const { config, spec } = options
    this.options = options
    this.layout = layoutOf(spec)
    this.intakePartition = config.log.home === 'file' ? INTAKE_PARTITION : null
    this.codec = createCodec(options.schemas ?? createFileSchemas(assetPath('schemas/kafka')))
    this.registry = createRegistry({
      folder: options.paths.models,
      shippedFolder: shippedModels(),
      clock: options.clock,
    })
    this.book = new AlertBook(options.alertsPerDay, config.threshold.causeShareMax)
    this.explain = createExplain(null, config.path.explainedPerSliceMax)
    const decide = createDecide(
      {
        rules: this.compile('version: 1\nrules: []\n', 'no rules'),
        lists: NO_LISTS,
        threshold: { mode: 'fixed', review: 1, decline: null },
        exploration: explorationOf(config, options.tokenizer),
      },
      this.book,
      this.layout.specHash,
    )
    this.path = assemble({
      codec: this.codec,
      tokenizer: options.tokenizer,
      rates: { version: 'none', base: BASE_CURRENCY, rates: {} },
      guard: { ...DEFAULT_GUARD, ...config.path.guard },
      topics: config.topics,
      recordBytesMax: RECORD_BYTES_MAX,
      memory: this.memory,
      deduplicateIds: config.path.deduplicateIds,
      createFeaturizer: (memory) => new Featurizer({ spec, memory, baseCurrency: BASE_CURRENCY }),
      scorer: null,
      decide,
      explain: this.explain,
      metrics: options.metrics,
      intakePartition: this.intakePartition,
    })
  }

  get topics(): Config['topics'] {
    return this.options.config.topics
  }

  get threshold(): Threshold {
    return this.path.decide.policy().threshold
  }

  get champion(): OnnxScorer | null {
    return this.scorer
  }

  get rules(): RuleSet {
    return this.path.decide.policy().rules
  }

  /** Makes a cause effective from the next slice on. @throws WeirError and leaves everything as it is */
  async apply(control: Control): Promise<void> {
    const value: unknown = JSON.parse(control.value)
    switch (control.type) {
      case 'model':
        await this.applyModel(value as ModelControl)
        break
      default:
        this.applyNow(control.type, value)
    }
    for (const type of this.remember(control)) this.effective.set(type, this.inForce.get(type)!.value)
  }

  /** While a journal is followed: what changes state takes effect at once, the rest is only remembered. */
  applyWhileFollowing(control: Control): void {
    const isOfState = control.type === 'rules' || control.type === 'rates' || control.type === 'spec'
    if (isOfState) this.applyNow(control.type, JSON.parse(control.value))
    this.remember(control)
  }

  /** Makes effective what was only remembered; what was effective already stays as it is. */
  async settle(): Promise<void> {
    for (const type of ['lists', 'threshold', 'overload', 'model'] as const) {
      const control = this.inForce.get(type)
      if (control !== undefined && control.value !== this.effective.get(type)) await this.apply(control)
    }
  }

  /** Loads a model as if it were to be used. @throws WeirError MODEL_NOT_FOUND, MODEL_INVALID */
  async tryModel(version: string): Promise<void> {
    const scorer = await this.openModel(version)
    await scorer.close()
  }

  compile(text: string, file: string): RuleSet {
    return compileRules(text, file, { layout: this.layout, lists: () => this.lists })
  }

  async close(): Promise<void> {
    await this.scorer?.close()
  }

  /** A model that brought its threshold is two causes from then on: the threshold may change without it. */
  private remember(control: Control): readonly ControlType[] {
    this.inForce.set(control.type, control)
    if (control.type !== 'model') return [control.type]
    const { version, threshold } = JSON.parse(control.value) as ModelControl
    if (threshold === undefined) return ['model']
    this.inForce.set('model', { ...control, value: JSON.stringify({ version }) })
    this.inForce.set('threshold', { type: 'threshold', value: JSON.stringify(threshold), sha256: '' })
    return ['model', 'threshold']
  }

  private applyNow(type: ControlType, value: unknown): void {
    const { decide, fold, score } = this.path
    switch (type) {
      case 'rules': {
        const { text, file } = value as { readonly text: string; readonly file: string }
        const rules = this.compile(text, file)
        fold.featurizer.setCounters(rules.counters)
        decide.setPolicy({ ...decide.policy(), rules })
        break
      }
      case 'lists':
        this.lists = parseLists(value, 'lists')
        decide.setPolicy({ ...decide.policy(), lists: this.lists })
        break
      case 'threshold':
        decide.setPolicy({ ...decide.policy(), threshold: parseThreshold(value) })
        break
      case 'rates':
        fold.decode.setRates(value as RateTable)
        break
      case 'overload':
        score.setOverload((value as { readonly on: boolean }).on)
        break
      case 'spec':
        this.refuseOtherSpec(value as { readonly hash: string })
        break
      case 'term':
      case 'model':
        break
    }
  }

  /** The new one answers before the old one is let go. */
  private async applyModel({ version, threshold }: ModelControl): Promise<void> {
    const parsed = threshold === undefined ? null : parseThreshold(threshold)
    const before = this.scorer
    if (version === null) {
      this.scorer = null
      this.explain.setExplainer(null)
    } else {
      const scorer = await this.openModel(version)
      const explainer = createExplainer({
        scorer,
        manifest: scorer.manifest,
        describe: describeFeature,
        describeEvent: describePastEvent,
      })
      this.scorer = scorer
      this.explain.setExplainer((history, length, current) => explainer.explain(history, length, current))
    }
    this.path.score.setScorer(this.scorer)
    const { decide } = this.path
    if (parsed !== null) decide.setPolicy({ ...decide.policy(), threshold: parsed })
    await before?.close()
  }

  private async openModel(version: string): Promise<OnnxScorer> {
    const { folder } = await this.registry.show(version)
    return await createOnnxScorer({ folder, layout: this.layout, provider: this.options.config.model.provider })
  }

  private refuseOtherSpec({ hash }: { readonly hash: string }): void {
    if (hash === this.layout.specHash) return
    throw new WeirError('SPEC_INVALID', 'the data folder was begun with another feature spec', {
      where: this.options.paths.folder,
      fix: 'Name the spec it was begun with (path.spec), or begin with a new data folder.',
    })
  }
}

export const BASE_CURRENCY = 'EUR'
/** Brokers take records of 1 MiB unless told otherwise, and a decision is larger than its transaction: by its hits. */
const RECORD_BYTES_MAX = 917_504

/** Models that came with Weir; null where there are none. */
export function shippedModels(): string | null {
  try {
    return assetPath('models/shipped')
  } catch {
    return null
  }
}

/** @throws WeirError RULES_INVALID */
export function readRules(config: Config): { readonly text: string; readonly file: string } {
  const file = config.rules.file === '' ? assetPath('pipeline/decide/rules.default.yaml') : config.rules.file
  try {
    return { text: readFileSync(file, 'utf8'), file: config.rules.file === '' ? 'rules.default.yaml' : file }
  } catch {
    throw new WeirError('RULES_INVALID', 'the rules file cannot be read', { where: file })
  }
}

/** @throws WeirError CONFIG_INVALID */
export function readRates(config: Config): RateTable {
  const file = config.rates.file === '' ? assetPath('pipeline/rates.default.json') : config.rates.file
  return loadRateTable(file, BASE_CURRENCY)
}

function explorationOf({ exploration }: Config, tokenizer: Tokenizer): Exploration | null {
  if (exploration.share === 0 && exploration.declinedShare === 0) return null
  return {
    reviewShare: exploration.share,
    approveShare: exploration.declinedShare,
    lossMaxPerDay: exploration.lossMaxPerDay,
    seed: explorationSeed(exploration.seed, (purpose) => tokenizer.derive(purpose)),
  }
}
