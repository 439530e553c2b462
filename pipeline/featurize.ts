import type { Featurizer } from '#models/features/featurizer.ts'
import { type Deduplicated, type Featurized, reached, type Stage } from './slice.ts'

/** Folds the slice into the state and writes each scored event's vectors, as of its own place in the order. */
export function createFeaturize(featurizer: Featurizer): Stage<Deduplicated, Featurized> {
  return function featurize(slice: Deduplicated): Featurized {
    featurizer.fold(slice.events, slice.outcome, slice.features)
    featurizer.endSlice()
    return reached(slice)
  }
}
