import { type Dataset, selectTime } from './dataset.ts'

const DAY_MS = 86_400_000

export interface SplitDays {
  /** Newest mature days, on which models are compared. */
  readonly testDays: number
  /** Days before them, which stop the training and calibrate. */
  readonly validationDays: number
}

export interface Split {
  readonly training: Dataset
  readonly validation: Dataset
  readonly test: Dataset
}

/** By time and never by row: a model is judged on days after those it has seen. */
export function splitByTime(dataset: Dataset, untilMs: number, days: SplitDays): Split {
  const testFrom = untilMs - days.testDays * DAY_MS
  const validationFrom = testFrom - days.validationDays * DAY_MS
  return {
    training: selectTime(dataset, Number.NEGATIVE_INFINITY, validationFrom),
    validation: selectTime(dataset, validationFrom, testFrom),
    test: selectTime(dataset, testFrom, untilMs),
  }
}
