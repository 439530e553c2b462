/** What the path needs from the world, in one place. Everything else it is given as values. */
export type { Clock } from '#infra/clock.ts'
export type { Log, LogReader, LogRecord, RecordToAppend } from '#infra/log/log.ts'
export type { Metrics } from '#infra/metrics.ts'
export type { Scorer } from '#models/scorer.ts'
