import type { FeatureLayout } from '#models/feature-buffers.ts'
import type { Featurized } from '#pipeline/slice.ts'
import { ACCEPTED } from '#pipeline/slice.ts'
import { AUTHORIZATION, OUTCOME, REVERSAL } from '#schemas/event-columns.ts'
import { Hash64 } from '#schemas/hash64.ts'
import { isDeclined } from '#schemas/transaction.ts'
import type { KnownLabels } from './labels.ts'

/**
 * Labelled vectors, gathered while the stream is folded by the live feature code. One row for each authorization that is
 * kept; shapes as in FeatureBuffers.
 */
export interface Dataset {
  readonly layout: FeatureLayout
  readonly count: number
  /** `[N, K, H]` */
  readonly history: Float32Array
  /** `[N]` */
  readonly historyLength: Int32Array
  /** `[N, F]` */
  readonly current: Float32Array
  /** `[N]`, 1 fraud. */
  readonly label: Uint8Array
  /** `[N]`, one over the share of such rows that was kept. */
  readonly weight: Float32Array
  readonly eventTimeMs: Float64Array
  /** What followed the history, that is the event itself: log(1 + minor units), and log(1 + ms) since the event before. */
  readonly nextLogAmount: Float32Array
  readonly nextLogGapMs: Float32Array
  /** Minor units of the base currency. */
  readonly amountBase: Float64Array
  /** For resampling by card. */
  readonly cardHash: Uint32Array
  readonly channel: Uint8Array
  /** Live rules that matched. */
  readonly ruleHits: Uint8Array
  readonly transactionId: readonly string[]
  readonly merchantCategory: readonly string[]
}

export interface CollectOptions {
  readonly layout: FeatureLayout
  /** Only events of this time span are kept, epoch milliseconds. */
  readonly fromMs: number
  readonly untilMs: number
  /** What is known of fraud at the cut-off that frauds and genuine events share. */
  readonly labels: KnownLabels
  /** The first days seen are left out: their windows are not filled yet. */
  readonly warmUpMs: number
  /** Before this time genuine events are thinned; from then on all are kept, since models are judged on them. */
  readonly sampleUntilMs: number
  /** Share of genuine events kept before, chosen by the hash of their id; frauds are all kept. */
  readonly genuineShare: number
  readonly seed: number
}

const FIRST_ROWS = 16_384

/**
 * Watches slices go by and keeps labelled rows. An event that was declined or reversed never matures to genuine: it is
 * dropped unless it is known to be fraud.
 */
export class DatasetCollector {
  private readonly options: CollectOptions
  private readonly hash = new Hash64()
  private readonly rowOfId = new Map<string, number>()
  private readonly gapColumn: number
  private columns: Columns
  private count = 0
  private firstMs = -1

  constructor(options: CollectOptions) {
    this.options = options
    this.columns = new Columns(options.layout, FIRST_ROWS)
    this.gapColumn = options.layout.currentColumns.findIndex(({ name }) => name === 'log_gap')
  }

  add(slice: Featurized): void {
    const { kind, text } = slice.events
    for (let row = 0; row < slice.count; row++) {
      if (slice.outcome[row] !== ACCEPTED) continue
      if (kind[row] === AUTHORIZATION) this.addAuthorization(slice, row)
      else if (kind[row] === REVERSAL || (kind[row] === OUTCOME && isDeclined(text.response_code.at(row)))) {
        this.censor(text.original_id.at(row))
      }
    }
  }

  /** The rows gathered, in order of arrival. */
  finish(): Dataset {
    return this.columns.toDataset(this.options.layout, this.count)
  }

  private addAuthorization(slice: Featurized, row: number): void {
    const { fromMs, untilMs, labels, seed, warmUpMs, sampleUntilMs } = this.options
    const { event_time, amount_base, text, channel } = slice.events
    const timeMs = event_time[row]!
    if (this.firstMs < 0) this.firstMs = timeMs
    if (timeMs < fromMs || timeMs < this.firstMs + warmUpMs || timeMs >= untilMs) return
    const genuineShare = timeMs < sampleUntilMs ? this.options.genuineShare : 1
    const id = text.transaction_id.at(row)
    const known = labels.of(id)
    if (known === 'ignored') return
    const isFraud = known === 'fraud'
    this.hash.ofText(id, seed)
    if (!isFraud && this.hash.lo / 2 ** 32 >= genuineShare) return
    if (!isFraud && known !== 'genuine' && isDeclined(text.response_code.at(row))) return
    const at = this.count++
    if (at === this.columns.capacity) this.columns = this.columns.grown()
    this.columns.put(at, slice, row)
    this.columns.label[at] = isFraud ? 1 : 0
    this.columns.weight[at] = isFraud ? 1 : 1 / genuineShare
    this.columns.channel[at] = channel[row]!
    this.columns.ruleHits[at] = slice.ruleHits[row]!.length
    this.columns.nextLogAmount[at] = Math.log1p(amount_base[row]!)
    if (this.gapColumn >= 0 && slice.features.historyLength[row]! > 0) {
      const { currentWidth } = this.options.layout
      this.columns.nextLogGapMs[at] = slice.features.current[row * currentWidth + this.gapColumn]!
    }
    this.rowOfId.set(id, at)
  }

  private censor(originalId: string): void {
    const row = this.rowOfId.get(originalId)
    if (row === undefined || this.columns.label[row] === 1) return
    if (this.options.labels.of(originalId) !== 'genuine') this.columns.weight[row] = 0
  }
}

/** The growing arrays behind a dataset. */
class Columns {
  readonly layout: FeatureLayout
  readonly capacity: number
  readonly history: Float32Array
  readonly historyLength: Int32Array
  readonly current: Float32Array
  readonly label: Uint8Array
  readonly weight: Float32Array
  readonly eventTimeMs: Float64Array
  readonly nextLogAmount: Float32Array
  readonly nextLogGapMs: Float32Array
  readonly amountBase: Float64Array
  readonly cardHash: Uint32Array
  readonly channel: Uint8Array
  readonly ruleHits: Uint8Array
  transactionId: string[] = []
  merchantCategory: string[] = []

  constructor(layout: FeatureLayout, capacity: number) {
    this.layout = layout
    this.capacity = capacity
    this.history = new Float32Array(capacity * layout.historyLength * layout.historyWidth)
    this.historyLength = new Int32Array(capacity)
    this.current = new Float32Array(capacity * layout.currentWidth)
    this.label = new Uint8Array(capacity)
    this.weight = new Float32Array(capacity)
    this.eventTimeMs = new Float64Array(capacity)
    this.nextLogAmount = new Float32Array(capacity).fill(Number.NaN)
    this.nextLogGapMs = new Float32Array(capacity).fill(Number.NaN)
    this.amountBase = new Float64Array(capacity)
    this.cardHash = new Uint32Array(capacity)
    this.channel = new Uint8Array(capacity)
    this.ruleHits = new Uint8Array(capacity)
  }

  grown(): Columns {
    const next = new Columns(this.layout, this.capacity * 2)
    for (const name of NUMBER_COLUMNS) next[name].set(this[name])
    next.transactionId = this.transactionId
    next.merchantCategory = this.merchantCategory
    return next
  }

  put(at: number, slice: Featurized, row: number): void {
    const { historyLength, historyWidth, currentWidth } = this.layout
    const historySize = historyLength * historyWidth
    const { features, events } = slice
    this.history.set(features.history.subarray(row * historySize, (row + 1) * historySize), at * historySize)
    this.historyLength[at] = features.historyLength[row]!
    this.current.set(features.current.subarray(row * currentWidth, (row + 1) * currentWidth), at * currentWidth)
    this.eventTimeMs[at] = events.event_time[row]!
    this.amountBase[at] = events.amount_base[row]!
    this.cardHash[at] = events.hashLo.card_id[row]!
    this.transactionId.push(events.text.transaction_id.at(row))
    this.merchantCategory.push(events.text.merchant_category.at(row))
  }

  /** Rows that were censored after they had been taken are left out. */
  toDataset(layout: FeatureLayout, count: number): Dataset {
    const rows: number[] = []
    for (let row = 0; row < count; row++) if (this.weight[row]! > 0) rows.push(row)
    return selectRows({ ...this.view(), layout, count }, rows)
  }

  private view(): Omit<Dataset, 'layout' | 'count'> {
    return this
  }
}

const NUMBER_COLUMNS = [
  'history',
  'historyLength',
  'current',
  'label',
  'weight',
  'eventTimeMs',
  'nextLogAmount',
  'nextLogGapMs',
  'amountBase',
  'cardHash',
  'channel',
  'ruleHits',
] as const

/** The named rows of a dataset, in the order given. */
export function selectRows(from: Dataset, rows: readonly number[]): Dataset {
  const { layout } = from
  const historySize = layout.historyLength * layout.historyWidth
  return {
    layout,
    count: rows.length,
    history: gather(from.history, rows, historySize),
    historyLength: gather(from.historyLength, rows, 1),
    current: gather(from.current, rows, layout.currentWidth),
    label: gather(from.label, rows, 1),
    weight: gather(from.weight, rows, 1),
    eventTimeMs: gather(from.eventTimeMs, rows, 1),
    nextLogAmount: gather(from.nextLogAmount, rows, 1),
    nextLogGapMs: gather(from.nextLogGapMs, rows, 1),
    amountBase: gather(from.amountBase, rows, 1),
    cardHash: gather(from.cardHash, rows, 1),
    channel: gather(from.channel, rows, 1),
    ruleHits: gather(from.ruleHits, rows, 1),
    transactionId: rows.map((row) => from.transactionId[row]!),
    merchantCategory: rows.map((row) => from.merchantCategory[row]!),
  }
}

/** Rows whose event time lies in [fromMs, untilMs). */
export function selectTime(from: Dataset, fromMs: number, untilMs: number): Dataset {
  const rows: number[] = []
  for (let row = 0; row < from.count; row++) {
    const time = from.eventTimeMs[row]!
    if (time >= fromMs && time < untilMs) rows.push(row)
  }
  return selectRows(from, rows)
}

type NumberArray = Float32Array | Float64Array | Int32Array | Uint32Array | Uint8Array

function gather<T extends NumberArray>(from: T, rows: readonly number[], width: number): T {
  const into = new (from.constructor as new (length: number) => T)(rows.length * width)
  for (const [at, row] of rows.entries()) {
    into.set(from.subarray(row * width, (row + 1) * width), at * width)
  }
  return into
}
