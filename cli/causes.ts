import { existsSync } from 'node:fs'
import type { DataPaths } from '#infra/data-folder.ts'
import type { Tokenizer } from '#infra/tokenizer.ts'
import { cleanLists, type Lists, loadLists, NO_LISTS } from '#pipeline/decide/lists.ts'
import { DEFAULT_COSTS, type Threshold } from '#pipeline/decide/threshold.ts'
import type { Engine } from '#pipeline/engine.ts'
import type { Config } from '#schemas/config.ts'
import { WeirError } from '#schemas/errors.ts'
import type { ControlType } from '#schemas/journal.ts'
import type { RateTable } from '#schemas/rates.ts'
import { type ModelControl, type PathRuntime, readRates, readRules } from './path-runtime.ts'

export interface CausesDeps {
  readonly config: Config
  readonly paths: DataPaths
  readonly runtime: PathRuntime
  readonly engine: Engine
  readonly tokenizer: Tokenizer
  /** Rates other than the configured ones. */
  readonly rates?: RateTable
}

/** What decides besides the input: rules, lists, rates, model and threshold. Each takes effect by a line in the journal. */
export class Causes {
  private readonly deps: CausesDeps

  constructor(deps: CausesDeps) {
    this.deps = deps
  }

  /** What files and registry say now goes into the journal where it differs from what is in force. */
  async sync(): Promise<void> {
    const { config, runtime, engine } = this.deps
    const differs = (type: ControlType, value: unknown): boolean =>
      runtime.inForce.get(type)?.value !== JSON.stringify(value)
    const send = async (type: ControlType, given: unknown): Promise<void> => {
      const value = this.withoutCardNumbers(given)
      if (differs(type, value)) await engine.control(type, value)
    }
    await send('spec', { name: runtime.layout.specName, hash: runtime.layout.specHash })
    await send('rates', this.deps.rates ?? readRates(config))
    await send('lists', { entries: this.readLists().entries })
    await send('rules', readRules(config))
    const champion = await runtime.registry.champion(runtime.layout.specName)
    const model: ModelControl = { version: champion?.version ?? null }
    const threshold = firstThreshold(config, champion?.manifest.thresholds.review ?? 1)
    if (differs('model', model)) {
      if (model.version !== null) await runtime.tryModel(model.version)
      await engine.control('model', { ...model, threshold } satisfies ModelControl)
    } else if (config.threshold.mode !== 'budget') {
      await send('threshold', threshold)
    }
  }

  /** Checks the rules file and puts it in force. @throws WeirError RULES_INVALID and changes nothing */
  async reloadRules(): Promise<{ readonly version: string; readonly rules: number }> {
    const { config, runtime, engine } = this.deps
    const rules = this.withoutCardNumbers(readRules(config))
    const compiled = runtime.compile(rules.text, rules.file)
    await engine.control('rules', rules)
    return { version: compiled.version, rules: compiled.rules.length }
  }

  /** @throws WeirError MODEL_NOT_FOUND, MODEL_INVALID and changes nothing */
  async promote(version: string, reason: string): Promise<void> {
    const { runtime } = this.deps
    const { manifest } = await runtime.registry.show(version)
    // Before it is written down: a journal that names a model that cannot run could not be followed.
    await runtime.tryModel(version)
    await runtime.registry.promote(version, reason)
    await this.takeModel(version, manifest.thresholds.review)
  }

  /** Back to the champion before, which may be the one that came with Weir; gives its version. */
  async rollback(reason: string): Promise<string> {
    const { runtime } = this.deps
    const { registry, layout } = runtime
    await registry.rollback(layout.specName, reason)
    const champion = await registry.champion(layout.specName)
    if (champion === null) throw new WeirError('MODEL_NOT_FOUND', 'there is no model to go back to')
    const { version, manifest } = champion
    await runtime.tryModel(version)
    await this.takeModel(version, manifest.thresholds.review)
    return version
  }

  /** Model and threshold change together: a score means little under another model's threshold. */
  private async takeModel(version: string, review: number): Promise<void> {
    const isBudget = this.deps.config.threshold.mode === 'budget'
    const control: ModelControl = isBudget
      ? { version, threshold: { mode: 'budget', review, decline: null } }
      : { version }
    await this.deps.engine.control('model', control)
  }

  /** Entries of the lists file, with tokens in place of card numbers: as events have them, and fit for the journal. */
  private readLists(): Lists {
    const { paths, tokenizer } = this.deps
    if (!existsSync(paths.listsFile)) return NO_LISTS
    return cleanLists(loadLists(paths.listsFile), (text) => tokenizer.text(text), paths.listsFile)
  }

  /** What is written down holds tokens, which are also what a rule or list has to compare with. */
  private withoutCardNumbers<T>(value: T): T {
    const { tokenizer } = this.deps
    const clean = (_key: string, part: unknown): unknown => (typeof part === 'string' ? tokenizer.text(part) : part)
    return JSON.parse(JSON.stringify(value, clean)) as T
  }
}

/**
 * Before anything is opened: what is written into the journal and then found wrong could not be followed.
 *
 * @throws WeirError RULES_INVALID, LISTS_INVALID, CONFIG_INVALID for the rates
 */
export function checkCauses(config: Config, paths: DataPaths, runtime: PathRuntime): void {
  const { text, file } = readRules(config)
  runtime.compile(text, file)
  if (existsSync(paths.listsFile)) loadLists(paths.listsFile)
  readRates(config)
}

function firstThreshold({ threshold }: Config, review: number): Threshold {
  if (threshold.mode === 'fixed') return { mode: 'fixed', ...threshold.fixed }
  if (threshold.mode === 'cost') return { mode: 'cost', costs: { ...DEFAULT_COSTS, ...threshold.cost } }
  return { mode: 'budget', review, decline: null }
}
