import { type Verdict, VERDICTS } from '#schemas/decision.ts'
import type { RuleHead, RuleSet } from './rules/rule-set.ts'

/**
 * `live`: the rule is asked, in shadow too; `warming`: one of its counters has not seen a whole window yet; `expired`: its
 * day has come; `skipped`: the feature spec lacks what it needs.
 */
export const RULE_STATES = ['live', 'warming', 'expired', 'skipped'] as const
export type RuleState = (typeof RULE_STATES)[number]

/** A rule of the file in force, and what came of it since the process started. */
export interface RuleFigures {
  readonly name: string
  readonly mode: 'live' | 'shadow'
  readonly action: Verdict
  readonly reason: string
  readonly owner: string
  /** ISO date from which it is no longer asked; null: never. */
  readonly expires: string | null
  readonly state: RuleState
  /** Events on which it matched. */
  readonly hits: number
  /** Events on which it could not be told, since a number it needs was missing. */
  readonly unknown: number
  /** Events on which it was not asked, since it was warming. */
  readonly warming: number
}

/** Counts of one rule, kept while the rule is in the file in force. */
export interface RuleCounts {
  hits: number
  unknown: number
  warming: number
  isWarming: boolean
}

/** What came of each rule. Nothing of it decides anything, so nothing of it is kept over a restart. */
export class RuleTally {
  /** In the order of the rules in force. */
  counts: readonly RuleCounts[] = []
  private rules: RuleSet | null = null

  /** Follows the rules in force; those that stay, by name, go on counting. */
  use(rules: RuleSet): void {
    if (rules === this.rules) return
    const before = new Map((this.rules?.rules ?? []).map(({ id }, i) => [id, this.counts[i]!]))
    this.counts = rules.rules.map(({ id, counters }) => {
      const known = before.get(id)
      // Whether it is warm shows with the first event.
      if (known !== undefined) known.isWarming = counters.length > 0
      return known ?? { hits: 0, unknown: 0, warming: 0, isWarming: counters.length > 0 }
    })
    this.rules = rules
  }

  /** @param clock the journal's, epoch milliseconds */
  figures(clock: number): RuleFigures[] {
    const { rules = [], skipped = [] } = this.rules ?? {}
    return [
      ...rules.map((rule, i) => {
        const counts = this.counts[i]!
        const state = clock >= rule.expiresMs ? 'expired' : counts.isWarming ? 'warming' : 'live'
        return figuresOf(rule, state, counts)
      }),
      ...skipped.map((rule) => figuresOf(rule, 'skipped', NO_COUNTS)),
    ]
  }
}

const NO_COUNTS: Readonly<RuleCounts> = { hits: 0, unknown: 0, warming: 0, isWarming: false }

function figuresOf(rule: RuleHead, state: RuleState, { hits, unknown, warming }: Readonly<RuleCounts>): RuleFigures {
  const { id, action, reason, owner, isLive, expiresMs } = rule
  return {
    name: id,
    mode: isLive ? 'live' : 'shadow',
    action: VERDICTS[action]!,
    reason,
    owner,
    expires: Number.isFinite(expiresMs) ? new Date(expiresMs).toISOString().slice(0, 10) : null,
    state,
    hits,
    unknown,
    warming,
  }
}
