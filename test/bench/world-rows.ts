import { type FoldItem, foldItems } from '#learning/fold-items.ts'
import { SeededRandom } from '#models/lstm/seeded-random.ts'
import { type Featurized, SliceBuffers } from '#pipeline/slice.ts'
import { AUTHORIZATION } from '#schemas/event-columns.ts'
import { baseFactors } from '#schemas/rates.ts'
import { Simulator, type Truth } from '#simulator/simulator.ts'
import { SingleFields } from '#test/support/single-fields.ts'
import { applyCause, DAY_MS, openRuntime, withDataFolder } from './bench-runtime.ts'
import type { WorldOptions } from './world.ts'

/** Approved authorizations of one part of a run, features by the live code. */
export interface WorldRows {
  readonly count: number
  readonly width: number
  /** `[count, width]` */
  readonly current: Float32Array
  readonly fraud: Uint8Array
  /** `[count]`, one over the share of such rows that was kept. */
  readonly weight: Float32Array
  readonly tactics: readonly string[]
}

export interface World {
  readonly parts: readonly WorldRows[]
  readonly singleFields: readonly (readonly [name: string, area: number])[]
  readonly days: number
  readonly fraudByCount: number
  readonly fraudByValue: number
}

export interface Cut {
  /** Where each part begins, as a share of the run; the last ends with it. */
  readonly parts: readonly number[]
  /** So many of the first parts keep only a share of their genuine rows. */
  readonly thinnedParts: number
  readonly genuineShare: number
}

const START_MS = Date.UTC(2025, 0, 6)
const SLICE_ROWS = 1_024
const FIRST_ROWS = 16_384
/** Single fields learn from the first half of the run and are judged on the second. */
const HALF = 0.5
/** Of the genuine rows on which single fields are judged. */
const JUDGED_SHARE = 0.25

/** Lets the simulated world run once, through the live features, and keeps what was approved. */
export async function collectWorld({ config, spec, preset, seed, events }: WorldOptions, cut: Cut): Promise<World> {
  return await withDataFolder(config, async (own, paths) => {
    const runtime = await openRuntime(own, paths, spec)
    try {
      const simulator = new Simulator({ preset, seed, startMs: START_MS, totalEvents: events })
      await applyCause(runtime, 'rates', simulator.rates)
      const { codec, layout } = runtime
      const random = new SeededRandom(seed)
      const fields = new SingleFields()
      const pending = new Map<string, { readonly truth: Truth; readonly part: number }>()
      const parts = cut.parts.map(() => new PartRows(layout.currentWidth))
      const sums = { rows: 0, frauds: 0, value: 0, fraudValue: 0 }
      let firstMs = 0
      let lastMs = 0

      const take = (slice: Featurized): void => {
        const { events: columns, features } = slice
        for (let row = 0; row < slice.count; row++) {
          if (columns.kind[row] !== AUTHORIZATION) continue
          const id = columns.text.transaction_id.at(row)
          const known = pending.get(id)
          if (known === undefined) continue
          // an event that is sent twice counts once
          pending.delete(id)
          const { truth, part } = known
          const isKept = truth.fraud || part >= cut.thinnedParts || random.next() < cut.genuineShare
          if (!isKept) continue
          const isThinned = !truth.fraud && part < cut.thinnedParts
          parts[part]!.add(features.current, row, truth, isThinned ? 1 / cut.genuineShare : 1)
        }
      }

      async function* batches(): AsyncGenerator<readonly FoldItem[]> {
        for (let sent = 0; sent < events; ) {
          const batch: FoldItem[] = []
          const factors = baseFactors(simulator.rates)
          while (batch.length < SLICE_ROWS && sent < events) {
            const item = simulator.next()
            if (item.kind === 'label') {
              batch.push({ topic: 'labels', value: codec.label.encode(item.label) })
              continue
            }
            const { transaction, truth } = item
            batch.push({ topic: 'transactions', value: codec.transaction.encode(transaction) })
            const share = sent / events
            sent++
            if (truth === null || !truth.approved || transaction.kind !== 'authorization') continue
            const amountBase = transaction.amount * factors.get(transaction.currency)!
            firstMs ||= transaction.event_time
            lastMs = transaction.event_time
            sums.rows++
            sums.value += amountBase
            if (truth.fraud) {
              sums.frauds++
              sums.fraudValue += amountBase
            }
            if (share < HALF) fields.learn(transaction, truth.fraud)
            else if (truth.fraud || random.next() < JUDGED_SHARE) fields.judge(transaction, amountBase, truth.fraud)
            const part = cut.parts.findLastIndex((from) => share >= from)
            if (part >= 0) pending.set(transaction.transaction_id, { truth, part })
          }
          yield batch
        }
      }

      const slice = new SliceBuffers(SLICE_ROWS, layout)
      await foldItems(runtime.path.fold, slice, own.topics, batches(), take, new AbortController().signal)
      return {
        parts: parts.map((part) => part.finish()),
        singleFields: fields.areas(),
        days: (lastMs - firstMs) / DAY_MS,
        fraudByCount: sums.frauds / sums.rows,
        fraudByValue: sums.fraudValue / sums.value,
      }
    } finally {
      await runtime.close()
    }
  })
}

/** Rows while they are gathered. */
class PartRows {
  private readonly width: number
  private readonly tactics: string[] = []
  private current: Float32Array
  private fraud = new Uint8Array(FIRST_ROWS)
  private weight = new Float32Array(FIRST_ROWS)
  private count = 0

  constructor(width: number) {
    this.width = width
    this.current = new Float32Array(FIRST_ROWS * width)
  }

  add(features: Float32Array, row: number, truth: Truth, weight: number): void {
    if (this.count === this.fraud.length) this.grow()
    const at = this.count++
    this.current.set(features.subarray(row * this.width, (row + 1) * this.width), at * this.width)
    this.fraud[at] = truth.fraud ? 1 : 0
    this.weight[at] = weight
    this.tactics.push(truth.tactic)
  }

  finish(): WorldRows {
    const { count, width, tactics } = this
    return {
      count,
      width,
      current: this.current.subarray(0, count * width),
      fraud: this.fraud.subarray(0, count),
      weight: this.weight.subarray(0, count),
      tactics,
    }
  }

  private grow(): void {
    const capacity = this.fraud.length * 2
    const { current, fraud, weight } = this
    this.current = new Float32Array(capacity * this.width)
    this.current.set(current)
    this.fraud = new Uint8Array(capacity)
    this.fraud.set(fraud)
    this.weight = new Float32Array(capacity)
    this.weight.set(weight)
  }
}
