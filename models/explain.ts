import type { Reason } from '#schemas/decision.ts'
import type { ModelManifest } from '#schemas/model-manifest.ts'

import { createFeatureBuffers, FEATURE_GROUPS, type FeatureGroup, type FeatureLayout } from './feature-buffers.ts'
import type { LogitScorer } from './onnx-scorer.ts'

/**
 * Why a score is what it is. Exact Shapley values in log odds over the feature groups (Shapley 1953; as a measure of
 * features: Lundberg and Lee 2017): a group is removed by putting the training medians in its place, the past events by
 * an empty history. Groups that equal their medians anyway are nobody's reason and are left out of the 2^n inputs, which
 * changes no value. A pure function of the frozen input and the model file.
 */
export interface Explainer {
  /** Group values by FEATURE_GROUPS; they sum to `full - none`. */
  attribute(history: Float32Array, length: number, current: Float32Array): Promise<Attribution>
  /**
   * The few reasons that speak for fraud, strongest first: groups in words (source `model`), then the past events that
   * mattered most (source `event`, code `past_event_1` for the newest).
   *
   * @param history `[K * H]`, left-padded as it was scored
   * @param current `[F]`
   */
  explain(history: Float32Array, length: number, current: Float32Array): Promise<Reason[]>
}

export interface Attribution {
  readonly values: Float64Array
  /** Log odds of the event as it is. */
  readonly full: number
  /** Log odds with every group removed. */
  readonly none: number
}

export interface ExplainerDeps {
  readonly scorer: LogitScorer
  readonly manifest: ModelManifest
  /** A current feature in words, as 'amount 9.3 times this card's median'; empty where there is nothing to say. */
  readonly describe: (layout: FeatureLayout, index: number, value: number) => string
  /** A past event in words; `back` is 1 for the newest, `values` its H numbers. */
  readonly describeEvent?: (layout: FeatureLayout, back: number, values: Float32Array) => string
  readonly reasonsMax?: number
  readonly eventsMax?: number
  /** Reasons that weigh less, in log odds, are not worth a reader's time. */
  readonly weightMin?: number
}

export function createExplainer(deps: ExplainerDeps): Explainer {
  const { scorer, manifest, describe } = deps
  const describeEvent = deps.describeEvent ?? describeEventPlainly
  const reasonsMax = deps.reasonsMax ?? 4
  const eventsMax = deps.eventsMax ?? 2
  const weightMin = deps.weightMin ?? 0.05
  const layout = scorer.layout
  const probes = new Probes(scorer, Float32Array.from(manifest.medians))
  let tail: Promise<unknown> = Promise.resolve()

  /** One explanation at a time: they share the probe rows. */
  const inTurn = async <T>(work: () => Promise<T>): Promise<T> => {
    const turn = tail.then(work)
    tail = turn.catch(() => undefined)
    return await turn
  }

  const groupReasons = async (event: FrozenInput, attribution: Attribution): Promise<Reason[]> => {
    const strongest = FEATURE_GROUPS.map((group, i) => ({ group, weight: attribution.values[i]! }))
      .filter(({ weight }) => weight >= weightMin)
      .sort((a, b) => b.weight - a.weight)
      .slice(0, reasonsMax)
    const columns = columnsOf(layout, new Set(strongest.map(({ group }) => group)))
    const withoutColumn = await probes.withoutColumns(event, columns)
    return strongest.map(({ group, weight }) => {
      const telling = columns
        .map((column, i) => ({ column, drop: attribution.full - withoutColumn[i]! }))
        .filter(({ column, drop }) => layout.currentColumns[column]!.group === group && drop > 0)
        .sort((a, b) => b.drop - a.drop)
      const words: string[] = []
      for (const { column } of telling) {
        const text = describe(layout, column, event.current[column]!)
        if (text !== '' && !words.includes(text)) words.push(text)
        if (words.length === WORDS_MAX) break
      }
      return { source: 'model', code: group, text: words.length > 0 ? words.join('; ') : GROUP_WORDS[group], weight }
    })
  }

  const eventReasons = async (event: FrozenInput, full: number): Promise<Reason[]> => {
    const withoutEvent = await probes.withoutEvents(event)
    const width = layout.historyWidth
    return withoutEvent
      .map((logit, i) => ({ back: i + 1, weight: full - logit }))
      .filter(({ weight }) => weight >= weightMin)
      .sort((a, b) => b.weight - a.weight)
      .slice(0, eventsMax)
      .map(({ back, weight }) => {
        const from = (layout.historyLength - back) * width
        const text = describeEvent(layout, back, event.history.subarray(from, from + width))
        return { source: 'event', code: `past_event_${back}`, text, weight }
      })
  }

  return {
    attribute: async (history, length, current) =>
      await inTurn(async () => await probes.shapley({ history, length, current })),
    explain: async (history, length, current) =>
      await inTurn(async () => {
        const event: FrozenInput = { history, length, current }
        const attribution = await probes.shapley(event)
        const groups = await groupReasons(event, attribution)
        const events = eventsMax > 0 && length > 0 ? await eventReasons(event, attribution.full) : []
        return [...groups, ...events]
      }),
  }
}

interface FrozenInput {
  readonly history: Float32Array
  readonly length: number
  readonly current: Float32Array
}

/** Changed copies of one event, scored together. */
class Probes {
  readonly #scorer: LogitScorer
  readonly #medians: Float32Array
  readonly #rows: Int32Array
  readonly #logits: Float32Array
  /** Index in FEATURE_GROUPS of each current column. */
  readonly #groupOf: Uint8Array
  readonly #input

  constructor(scorer: LogitScorer, medians: Float32Array) {
    this.#scorer = scorer
    this.#medians = medians
    this.#input = createFeatureBuffers(scorer.layout, PROBES_MAX)
    this.#rows = Int32Array.from({ length: PROBES_MAX }, (_, i) => i)
    this.#logits = new Float32Array(PROBES_MAX)
    this.#groupOf = Uint8Array.from(scorer.layout.currentColumns, (column) => FEATURE_GROUPS.indexOf(column.group))
  }

  async shapley(event: FrozenInput): Promise<Attribution> {
    const players = this.#playersOf(event)
    const n = players.length
    const size = 1 << n
    for (let present = 0; present < size; present++) {
      let absent = 0
      for (let p = 0; p < n; p++) if ((present & (1 << p)) === 0) absent |= 1 << players[p]!
      this.#writeWithout(event, present, absent)
    }
    const logits = await this.#score(size)
    const values = new Float64Array(FEATURE_GROUPS.length)
    for (let p = 0; p < n; p++) {
      const bit = 1 << p
      let value = 0
      for (let present = 0; present < size; present++) {
        if ((present & bit) !== 0) continue
        value += orderShare(bitCount(present), n) * (logits[present | bit]! - logits[present]!)
      }
      values[players[p]!] = value
    }
    return { values, full: logits[size - 1]!, none: logits[0]! }
  }

  /** Log odds with one column at a time at its median; `columns` at most the width of the current vector. */
  async withoutColumns(event: FrozenInput, columns: readonly number[]): Promise<Float32Array> {
    const found = new Float32Array(columns.length)
    const width = this.#scorer.layout.currentWidth
    for (let done = 0; done < columns.length; done += PROBES_MAX) {
      const taken = Math.min(PROBES_MAX, columns.length - done)
      for (let i = 0; i < taken; i++) {
        const column = columns[done + i]!
        this.#writeWithout(event, i, 0)
        this.#input.current[i * width + column] = this.#medians[column]!
      }
      found.set((await this.#score(taken)).subarray(0, taken), done)
    }
    return found
  }

  /** Log odds with one past event at a time left out, the newest first. */
  async withoutEvents(event: FrozenInput): Promise<number[]> {
    const { historyLength: k, historyWidth: h } = this.#scorer.layout
    const { history } = this.#input
    const count = Math.min(event.length, PROBES_MAX)
    for (let i = 0; i < count; i++) {
      this.#writeWithout(event, i, 0)
      // What is older moves up by one; the oldest place becomes padding.
      const row = i * k * h
      const gone = row + (k - 1 - i) * h
      const oldest = row + (k - event.length) * h
      history.copyWithin(oldest + h, oldest, gone)
      history.fill(0, oldest, oldest + h)
      this.#input.historyLength[i] = event.length - 1
    }
    return Array.from((await this.#score(count)).subarray(0, count))
  }

  /** Groups whose removal changes the input. */
  #playersOf(event: FrozenInput): number[] {
    const players = new Set<number>()
    for (let i = 0; i < this.#groupOf.length; i++) {
      if (event.current[i] !== this.#medians[i]) players.add(this.#groupOf[i]!)
    }
    if (event.length > 0) players.add(PAST_EVENTS)
    return [...players].sort((a, b) => a - b)
  }

  /** Writes the event into a row with the groups of the bit set `absent` removed. */
  #writeWithout(event: FrozenInput, row: number, absent: number): void {
    const { historyLength: k, historyWidth: h, currentWidth: f } = this.#scorer.layout
    const input = this.#input
    const keepsPast = (absent & (1 << PAST_EVENTS)) === 0
    if (keepsPast) input.history.set(event.history, row * k * h)
    else input.history.fill(0, row * k * h, (row + 1) * k * h)
    input.historyLength[row] = keepsPast ? event.length : 0
    for (let i = 0; i < f; i++) {
      const isAbsent = (absent & (1 << this.#groupOf[i]!)) !== 0
      input.current[row * f + i] = isAbsent ? this.#medians[i]! : event.current[i]!
    }
  }

  async #score(count: number): Promise<Float32Array> {
    await this.#scorer.scoreLogits(this.#input, this.#rows, count, this.#logits)
    return this.#logits
  }
}

/** Share of all orders of `n` players in which exactly these `before` come first: before! (n - 1 - before)! / n!. */
function orderShare(before: number, n: number): number {
  let share = 1 / n
  for (let i = 1; i <= before; i++) share *= i / (n - i)
  return share
}

function bitCount(bits: number): number {
  let count = 0
  for (let rest = bits; rest !== 0; rest &= rest - 1) count++
  return count
}

function columnsOf(layout: FeatureLayout, groups: ReadonlySet<FeatureGroup>): number[] {
  return layout.currentColumns.flatMap((column, i) => (groups.has(column.group) ? [i] : []))
}

function describeEventPlainly(_: FeatureLayout, back: number): string {
  return back === 1 ? "the card's event just before this one" : `the card's event ${back} before this one`
}

const PAST_EVENTS = FEATURE_GROUPS.indexOf('past_events')
const PROBES_MAX = 1 << FEATURE_GROUPS.length
/** Features named for one group. */
const WORDS_MAX = 2

const GROUP_WORDS: Readonly<Record<FeatureGroup, string>> = {
  amount_habit: "the amount against this card's habit",
  card_velocity: 'how fast this card is being used',
  merchant: 'what is going on at this merchant',
  device_address: 'the device or address',
  place_channel: 'the place and the way of paying',
  time: 'the time of the event',
  known_fraud: 'fraud already known around this event',
  past_events: "the pattern of this card's past events",
}
