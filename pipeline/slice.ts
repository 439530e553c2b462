import { createFeatureBuffers, type FeatureBuffers, type FeatureLayout } from '#models/feature-buffers.ts'
import type { DeadLetterReason } from '#schemas/dead-letter.ts'
import type { Alert } from '#schemas/decision.ts'
import { EventColumns } from '#schemas/event-columns.ts'

/** The ways a record leaves the path. */
export const ACCEPTED = 0
export const REPEATED = 1
export const REJECTED = 2

export interface Rejection {
  readonly reason: DeadLetterReason
  /** The field at fault, or empty. */
  readonly field: string
  /** One sentence, without the value. */
  readonly detail: string
}

const NO_BODY = new Uint8Array(0)

/** Nothing matched: shared, so that a row without hits costs nothing. */
export const NO_HITS: readonly string[] = []

/**
 * A micro-batch in columns, reused for ever: each stage fills it further. Rows stand in the order in which they are
 * folded. `outcome` says of every row whether later stages look at it; a stage skips rows that are not ACCEPTED.
 */
export class SliceBuffers {
  readonly capacity: number
  count = 0

  // consume: where each row came from
  /** The journal line this slice becomes, and its clock: the only time the path reads, epoch milliseconds. */
  line = 0
  clock = 0
  /** True: the clock is the largest event time or known_at seen, and the decode stage moves it. */
  clockFollowsEvents = false
  /** Latest time the guard lets through, epoch milliseconds. */
  notAfterMs = 0
  readonly topic: string[]
  readonly partition: Int32Array
  readonly offset: Float64Array
  readonly value: (Buffer | null)[]

  // decode
  readonly outcome: Uint8Array
  readonly rejection: (Rejection | null)[]
  readonly events: EventColumns
  /** Ends with the tokenised transaction's Avro body in the current schema, which begins at `bodyAt`. */
  readonly body: Uint8Array[]
  readonly bodyAt: Uint8Array

  // featurize
  readonly features: FeatureBuffers

  // score
  /** Rows that are scored, in order; the first `scoredCount` count. */
  readonly scoredRows: Int32Array
  scoredCount = 0
  /** By row; NaN where not scored. */
  readonly score: Float32Array
  modelVersion = ''
  /** Why the model did not answer for this slice; empty when it did. */
  degraded = ''

  // decide, by row
  /** Index in VERDICTS. */
  readonly verdict: Uint8Array
  /** Review threshold in force, NaN where there is none. */
  readonly threshold: Float32Array
  readonly ruleHits: (readonly string[])[]
  readonly shadowHits: (readonly string[])[]
  readonly listHits: (readonly string[])[]
  /** Probability with which exploration picked the row; NaN where it did not. */
  readonly explored: Float32Array
  rulesVersion = ''
  /** Of the flagged rows, in order. */
  readonly alerts: Alert[] = []

  constructor(capacity: number, layout: FeatureLayout) {
    this.capacity = capacity
    this.topic = new Array<string>(capacity).fill('')
    this.partition = new Int32Array(capacity)
    this.offset = new Float64Array(capacity)
    this.value = new Array<Buffer | null>(capacity).fill(null)
    this.outcome = new Uint8Array(capacity)
    this.rejection = new Array<Rejection | null>(capacity).fill(null)
    this.events = new EventColumns(capacity)
    this.body = new Array<Uint8Array>(capacity).fill(NO_BODY)
    this.bodyAt = new Uint8Array(capacity)
    this.features = createFeatureBuffers(layout, capacity)
    this.scoredRows = new Int32Array(capacity)
    this.score = new Float32Array(capacity)
    this.verdict = new Uint8Array(capacity)
    this.threshold = new Float32Array(capacity)
    this.ruleHits = new Array<readonly string[]>(capacity).fill(NO_HITS)
    this.shadowHits = new Array<readonly string[]>(capacity).fill(NO_HITS)
    this.listHits = new Array<readonly string[]>(capacity).fill(NO_HITS)
    this.explored = new Float32Array(capacity)
  }
}

declare const state: unique symbol

/** How far a slice has come. A stage takes one state and gives the next, so a wrong order does not compile. */
export type Slice<State extends string> = SliceBuffers & { readonly [state]: State }
export type Received = Slice<'received'>
export type Decoded = Slice<'decoded'>
export type Deduplicated = Slice<'deduplicated'>
export type Featurized = Slice<'featurized'>
export type Scored = Slice<'scored'>
export type Decided = Slice<'decided'>
export type Explained = Slice<'explained'>

/** A stage fills the slice further; nothing is allocated or awaited per event. */
export type Stage<From, To> = (slice: From) => To
export type AsyncStage<From, To> = (slice: From) => Promise<To>

/** The one place where a slice changes its state in the types; the object stays the same. */
export function reached<To extends Slice<string>>(slice: SliceBuffers): To {
  return slice as To
}
