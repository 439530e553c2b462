import type { Metrics } from '../ports.ts'
import { RULE_STATES, type RuleFigures } from './rule-tally.ts'

/** Brings the metrics of the rules up to date from their figures, which are read rather than counted. */
export class RuleMetrics {
  private before = new Map<string, RuleFigures>()

  report(metrics: Metrics, rules: readonly RuleFigures[]): void {
    const now = new Map(rules.map((rule) => [rule.name, rule]))
    for (const rule of rules) {
      const { name, mode, state } = rule
      const before = this.before.get(name)
      const labels = { rule: name, mode }
      metrics.count('weir_rule_hits_total', rule.hits - baseOf(before, rule, 'hits'), labels)
      metrics.count('weir_rule_unknown_total', rule.unknown - baseOf(before, rule, 'unknown'), labels)
      for (const each of RULE_STATES)
        metrics.gauge('weir_rule_state', each === state ? 1 : 0, { rule: name, state: each })
    }
    for (const name of this.before.keys()) {
      if (now.has(name)) continue
      for (const each of RULE_STATES) metrics.gauge('weir_rule_state', 0, { rule: name, state: each })
    }
    this.before = now
  }
}

/** What was counted of this rule before; nothing where it has left the file and come back since. */
function baseOf(before: RuleFigures | undefined, now: RuleFigures, figure: 'hits' | 'unknown'): number {
  return before === undefined || before[figure] > now[figure] ? 0 : before[figure]
}
