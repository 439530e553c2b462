import type { FeatureLayout } from '#models/feature-buffers.ts'
import { isScoredKind } from '#schemas/event-columns.ts'
import { type Verdict, VERDICTS } from '#schemas/decision.ts'
import { ACCEPTED, type Decoded, NO_HITS, type Received, reached, SliceBuffers, type Stage } from '../slice.ts'
import { applyLists, applyRules, type Policy, withLists } from './decide.ts'

/** What is answered while the decision is still on its way; it is neither kept nor recorded. */
export interface ProvisionalDecision {
  readonly transaction_id: string
  /** Minor units of the base currency. */
  readonly amount_base: number
  readonly verdict: Verdict
  readonly rule_hits: readonly string[]
  readonly shadow_hits: readonly string[]
  readonly list_hits: readonly string[]
  readonly rules_version: string
}

export type Provisional = (value: Buffer) => ProvisionalDecision | null

export interface ProvisionalDeps {
  /** Of the path: the same guard, rates and tokens. */
  readonly decode: Stage<Received, Decoded>
  readonly policy: () => Policy
  readonly layout: FeatureLayout
  /** Topic of transactions. */
  readonly topic: string
  /** The journal's, epoch milliseconds. */
  readonly clock: () => number
  /** The wall's, epoch milliseconds. */
  readonly now: () => number
  /** How far ahead of the clock an event may lie. */
  readonly aheadMs: number
}

/**
 * Decides by rules and lists alone, from the event's own fields: features, counters and score are missing, so what needs
 * them does not match. Reads no state and changes none. Null for what is not decided at all: kinds without a verdict, and
 * what the path will reject.
 */
export function createProvisional(deps: ProvisionalDeps): Provisional {
  const slice = new SliceBuffers(1, deps.layout)
  slice.features.current.fill(Number.NaN)
  slice.features.history.fill(Number.NaN)
  slice.score[0] = Number.NaN

  return function provisional(value) {
    const policy = deps.policy()
    slice.count = 1
    slice.topic[0] = deps.topic
    slice.value[0] = value
    slice.outcome[0] = ACCEPTED
    slice.clock = deps.clock()
    slice.notAfterMs = Math.max(slice.clock, deps.now()) + deps.aheadMs
    const { outcome, events } = deps.decode(reached<Received>(slice))
    if (outcome[0] !== ACCEPTED || !isScoredKind(events.kind[0]!)) return null
    slice.features.counterCount = policy.rules.counters.length
    slice.features.counters = new Float64Array(policy.rules.counters.length).fill(Number.NaN)
    slice.ruleHits[0] = NO_HITS
    slice.shadowHits[0] = NO_HITS
    slice.listHits[0] = NO_HITS
    const byRules = applyRules(policy.rules, slice, 0, null)
    const byLists = applyLists(policy.lists, slice, 0)
    return {
      transaction_id: events.text.transaction_id.at(0),
      amount_base: events.amount_base[0]!,
      verdict: VERDICTS[withLists(byRules, byLists)]!,
      rule_hits: slice.ruleHits[0],
      shadow_hits: slice.shadowHits[0],
      list_hits: slice.listHits[0],
      rules_version: policy.rules.version,
    }
  }
}
