import type { StateMemory } from '#infra/state-memory.ts'
import { type EntitySpec, type FeatureSpec, WINDOWS_MS } from '#schemas/feature-spec.ts'
import { Hash64 } from '#schemas/hash64.ts'
import type { EpochSet } from './distinct.ts'
import { EntityFigures, FLAGGED, type StoreNeeds } from './entity-figures.ts'
import { type CardColumns, type Habit, MERCHANT_WORDS } from './habit.ts'
import { HISTORY_HEADER_WORDS } from './history.ts'
import type { KeyBatches } from './key-batch.ts'
import { KnownLabels, knownFraudColumns } from './known-labels.ts'

/** One kind of entity of the spec with its figures and its labels; of the current event, its key and what is known of it. */
export interface Entity {
  readonly figures: EntityFigures
  readonly known: KnownLabels | null
  readonly hash: Hash64
  hasKey: boolean
  /** It has a past, and is open. */
  isThere: boolean
}

export interface SpecEntities {
  readonly all: readonly Entity[]
  readonly card: Entity
  readonly merchant: Entity | null
  readonly device: Entity | null
  readonly cardColumns: CardColumns
  /** The column behind the last of theirs. */
  readonly endColumn: number
}

/** The entities of a spec, their columns in order from `firstColumn` on. */
export function createEntities(
  memory: StateMemory,
  spec: FeatureSpec,
  needs: CardNeeds,
  habit: Habit,
  set: EpochSet,
  batches: KeyBatches,
  firstColumn: number,
): SpecEntities {
  let column = firstColumn
  const all = spec.entities.map((entity): Entity => {
    const figures = new EntityFigures(
      memory,
      entity,
      spec,
      entity.name === 'card' ? cardNeeds(spec, needs, habit) : otherNeeds(entity, habit),
      column,
      set,
      batches,
    )
    column += entity.figures.reduce((sum, { windows }) => sum + windows.length, 0)
    const known = knownFraudColumns(entity) === 0 ? null : new KnownLabels(memory, entity, spec, column)
    column += knownFraudColumns(entity)
    return { figures, known, hash: new Hash64(), hasKey: false, isThere: false }
  })
  const named = (name: string): Entity | null => all.find(({ figures }) => figures.spec.name === name) ?? null
  return {
    all,
    card: named('card')!,
    merchant: named('merchant'),
    device: named('device'),
    cardColumns: needs.columns,
    endColumn: column,
  }
}

export interface CardNeeds {
  readonly columns: CardColumns
  readonly count: 0 | 1 | 2
}

/** Keys of other entities that the card's rows must hold, for distinct merchants and for what is new. */
export function neededCardColumns(spec: FeatureSpec): CardNeeds {
  const card = spec.entities.find(({ name }) => name === 'card')!
  const wantsMerchant =
    spec.habit.includes('new_merchant') ||
    spec.historyFeatures.includes('new_merchant') ||
    card.figures.some(({ aggregate }) => aggregate === 'distinct')
  const wantsDevice =
    spec.habit.includes('new_device') ||
    spec.historyFeatures.includes('new_device') ||
    spec.entities.some(({ name, knownFraudWindows }) => name === 'device' && knownFraudWindows.length > 0)
  const count = ((wantsMerchant ? 1 : 0) + (wantsDevice ? 1 : 0)) as 0 | 1 | 2
  return { columns: { merchant: wantsMerchant ? 0 : -1, device: wantsDevice ? count - 1 : -1 }, count }
}

function cardNeeds(spec: FeatureSpec, { columns, count }: CardNeeds, { cardWords }: Habit): StoreNeeds {
  return {
    amounts: true,
    others: columns.merchant === 0 ? 'merchants' : null,
    // The card keeps the answer where others do, so that an event is found again by it.
    flags: spec.entities.some(hasFlags),
    tags: true,
    otherColumns: count,
    extraWords: HISTORY_HEADER_WORDS + cardWords,
    windowMsMin: WINDOWS_MS['30d'],
  }
}

function otherNeeds({ name }: EntitySpec, { needsMerchant }: Habit): StoreNeeds {
  return {
    amounts: false,
    others: null,
    flags: false,
    tags: false,
    otherColumns: 0,
    extraWords: name === 'merchant' && needsMerchant ? MERCHANT_WORDS : 0,
    windowMsMin: 0,
  }
}

function hasFlags({ figures }: EntitySpec): boolean {
  return figures.some(({ aggregate }) => FLAGGED.has(aggregate))
}
