import type { Tokenizer } from '#infra/tokenizer.ts'
import type { StateMemory } from '#infra/state-memory.ts'
import type { Featurizer } from '#models/features/featurizer.ts'
import type { Codec } from '#schemas/codec.ts'
import type { RateTable } from '#schemas/rates.ts'
import { type CommitUnit, createCommit } from './commit.ts'
import { type Decide } from './decide/decide.ts'
import { createDecode, type Decode } from './decode.ts'
import { createDeduplicate, SeenIds } from './deduplicate.ts'
import { createFeaturize } from './featurize.ts'
import type { GuardLimits } from './guard.ts'
import type { Metrics, Scorer } from './ports.ts'
import { createScore, type Score } from './score.ts'
import type { AsyncStage, Decided, Decoded, Deduplicated, Explained, Featurized, Received, Stage } from './slice.ts'
import type { Topics } from './topics.ts'

export interface PathDeps {
  readonly codec: Codec
  readonly tokenizer: Tokenizer
  readonly rates: RateTable
  readonly guard: GuardLimits
  readonly topics: Topics
  readonly recordBytesMax: number
  /** Holds all folded state: the ids seen and the features. */
  readonly memory: StateMemory
  readonly deduplicateIds: number
  readonly createFeaturizer: (memory: StateMemory) => Featurizer
  readonly scorer: Scorer | null
  readonly decide: Decide
  readonly explain: AsyncStage<Decided, Explained>
  readonly metrics: Metrics
  readonly intakePartition: number | null
}

/** The part of the path that changes state: all that a replay needs. */
export interface Fold {
  readonly decode: Decode
  readonly deduplicate: Stage<Decoded, Deduplicated>
  readonly featurize: Stage<Deduplicated, Featurized>
  readonly featurizer: Featurizer
  run(slice: Received): Featurized
}

export interface Path {
  readonly fold: Fold
  readonly score: Score
  readonly decide: Decide
  readonly explain: AsyncStage<Decided, Explained>
  /** Bytes in, decisions with reasons out. */
  run(slice: Received): Promise<Explained>
  /** What the slice leaves behind, to be appended as one unit. */
  readonly commit: (slice: Explained, term: number) => CommitUnit
}

/**
 * The path of a transaction. Read this first.
 *
 *     consume -> decode -> deduplicate -> featurize -> score -> decide -> explain -> commit
 *
 * A slice of up to a thousand events goes through all stages together. `fold` is the deterministic half: the same input
 * in the same slices gives the same state, live, in replay and in training.
 */
export function assemble(deps: PathDeps): Path {
  const decode = createDecode({ ...deps, limits: deps.guard })
  const deduplicate = createDeduplicate(new SeenIds(deps.memory, deps.deduplicateIds))
  const featurizer = deps.createFeaturizer(deps.memory)
  const featurize = createFeaturize(featurizer)
  const score = createScore(deps.scorer, deps.metrics)
  const { decide, explain } = deps
  const commit = createCommit({
    codec: deps.codec,
    topics: deps.topics,
    specHash: featurizer.layout.specHash,
    intakePartition: deps.intakePartition,
  })

  const fold = {
    decode,
    deduplicate,
    featurize,
    featurizer,
    run: (slice: Received): Featurized => featurize(deduplicate(decode(slice))),
  }
  return {
    fold,
    score,
    decide,
    explain,
    commit,
    run: async (slice) => explain(decide(await score(fold.run(slice)))),
  }
}
