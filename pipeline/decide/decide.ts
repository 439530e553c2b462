import { isFlagged, VERDICTS } from '#schemas/decision.ts'
import { isScoredKind, LABEL } from '#schemas/event-columns.ts'
import { CHANNELS } from '#schemas/transaction.ts'
import { ACCEPTED, type Decided, NO_HITS, reached, type Scored, type SliceBuffers, type Stage } from '../slice.ts'
import type { AlertBook } from './alert-book.ts'
import { alertOf } from './alerts.ts'
import { type Exploration, ExplorationBook, explorationDraw } from './exploration.ts'
import type { Lists } from './lists.ts'
import { isJudgement } from './rebuild-book.ts'
import { type RuleCounts, type RuleFigures, RuleTally } from './rule-tally.ts'
import type { RuleSet } from './rules/rule-set.ts'
import { type Threshold, verdictOfScore } from './threshold.ts'

/** What decides, swapped whole between two slices. */
export interface Policy {
  readonly rules: RuleSet
  readonly lists: Lists
  readonly threshold: Threshold
  /** Null: off. */
  readonly exploration: Exploration | null
}

export interface Decide extends Stage<Scored, Decided> {
  setPolicy(policy: Policy): void
  policy(): Policy
  /** Every rule of the file in force and what came of it; by the journal's clock. */
  rules(clock: number): readonly RuleFigures[]
  /** What was let through today; rebuilt after a restart from what was committed. */
  readonly exploration: ExplorationBook
  /** Whether anything is ever let through, so that there is something to rebuild. */
  exploresDeclined(): boolean
}

const NONE = VERDICTS.indexOf('none')
const APPROVE = VERDICTS.indexOf('approve')
const REVIEW = VERDICTS.indexOf('review')
const DECLINE = VERDICTS.indexOf('decline')
const ECOM = CHANNELS.indexOf('ECOM')

/**
 * From scores, rules and lists to a verdict. A block entry declines, whatever else is said; an allow entry approves,
 * unless blocked; otherwise the hardest of what live rules, the watch list and the score ask for. Where the model did not
 * answer, rules and lists decide alone. Labels that carry an analyst's verdict close the card's open alert.
 */
export function createDecide(first: Policy, book: AlertBook, specHash: string): Decide {
  let policy = first
  const tally = new RuleTally()
  const exploration = new ExplorationBook()
  tally.use(first.rules)

  function decide(slice: Scored): Decided {
    slice.rulesVersion = policy.rules.version
    slice.alerts.length = 0
    const { kind, text } = slice.events
    for (let row = 0; row < slice.count; row++) {
      slice.ruleHits[row] = NO_HITS
      slice.shadowHits[row] = NO_HITS
      slice.listHits[row] = NO_HITS
      slice.threshold[row] = Number.NaN
      slice.explored[row] = Number.NaN
      slice.verdict[row] = NONE
      if (slice.outcome[row] !== ACCEPTED) continue
      if (kind[row] === LABEL) {
        if (isJudgement(slice, row)) book.close(text.card_id.at(row))
      } else if (isScoredKind(kind[row]!)) {
        slice.verdict[row] = verdictOf(slice, row)
        if (isFlagged(VERDICTS[slice.verdict[row]!]!)) slice.alerts.push(alertOf(slice, row, policy, book, specHash))
      }
    }
    return reached(slice)
  }

  function verdictOf(slice: SliceBuffers, row: number): number {
    const byRules = applyRules(policy.rules, slice, row, tally.counts)
    const byLists = policy.lists.isEmpty ? null : applyLists(policy.lists, slice, row)
    const byScore = applyScore(slice, row)
    const hardest = withLists(Math.max(byRules, byScore), byLists)
    // Where a list has spoken or no model has, the verdict is not the score's to try out.
    const isFixed = byLists !== null || Number.isNaN(slice.score[row]!)
    if (policy.exploration === null || isFixed) return hardest
    return explore(policy.exploration, exploration, slice, row, hardest, byScore)
  }

  function applyScore(slice: SliceBuffers, row: number): number {
    const score = slice.score[row]!
    const { threshold } = policy
    if (threshold.mode !== 'cost') slice.threshold[row] = threshold.review
    if (Number.isNaN(score)) return APPROVE
    const { text, channel, amount_base } = slice.events
    return verdictOfScore(threshold, score, amount_base[row]!, text.three_ds.at(row) === 'Y', channel[row] === ECOM)
  }

  return Object.assign(decide, {
    setPolicy(next: Policy): void {
      policy = next
      tally.use(next.rules)
    },
    policy: (): Policy => policy,
    rules: (clock: number): readonly RuleFigures[] => tally.figures(clock),
    exploration,
    exploresDeclined: (): boolean => (policy.exploration?.approveShare ?? 0) > 0,
  })
}

/** A block or allow entry has the last word, whatever else is asked for; a watch entry is one voice among the others. */
export function withLists(verdict: number, byLists: number | null): number {
  if (byLists === DECLINE || byLists === APPROVE) return byLists
  return Math.max(verdict, byLists ?? APPROVE)
}

/** The hardest action of the live rules that match; hits of live and shadow rules are noted, and counted where asked. */
export function applyRules(
  { rules }: RuleSet,
  slice: SliceBuffers,
  row: number,
  counts: readonly RuleCounts[] | null,
): number {
  let hardest = APPROVE
  for (let i = 0; i < rules.length; i++) {
    const rule = rules[i]!
    if (slice.clock >= rule.expiresMs) continue
    if (rule.counters.length > 0 && isAsleep(rule.counters, slice, row, counts === null ? null : counts[i]!)) continue
    const matches = rule.when(slice, row)
    if (matches === false) continue
    if (counts !== null) {
      if (matches === null) counts[i]!.unknown++
      else counts[i]!.hits++
    }
    if (matches === null) continue
    if (!rule.isLive) {
      slice.shadowHits[row] = slice.shadowHits[row] === NO_HITS ? rule.hit : [...slice.shadowHits[row]!, rule.id]
      continue
    }
    slice.ruleHits[row] = slice.ruleHits[row] === NO_HITS ? rule.hit : [...slice.ruleHits[row]!, rule.id]
    if (rule.action > hardest) hardest = rule.action
  }
  return hardest
}

/** Whether a rule is warming, which is counted where asked. */
function isAsleep(counters: readonly number[], slice: SliceBuffers, row: number, counts: RuleCounts | null): boolean {
  const warming = isWarming(counters, slice, row)
  if (counts === null) return warming
  if (counts.isWarming !== warming) counts.isWarming = warming
  if (warming) counts.warming++
  return warming
}

/** A rule does not match before each of its counters has seen one whole window. */
function isWarming(counters: readonly number[], slice: SliceBuffers, row: number): boolean {
  for (let i = 0; i < counters.length; i++) {
    const value = slice.features.counters[row * slice.features.counterCount + counters[i]!]!
    if (value !== value) return true
  }
  return false
}

/** Decline for a block, approve for an allow, review for a watch entry; null where no list speaks. */
export function applyLists(lists: Lists, slice: SliceBuffers, row: number): number | null {
  const blocked = lists.hits('block', slice, row)
  const allowed = lists.hits('allow', slice, row)
  const watched = lists.hits('watch', slice, row)
  if (blocked === NO_HITS && allowed === NO_HITS && watched === NO_HITS) return null
  slice.listHits[row] = [...blocked, ...allowed, ...watched]
  return blocked !== NO_HITS ? DECLINE : allowed !== NO_HITS ? APPROVE : REVIEW
}

function explore(
  { reviewShare, approveShare, lossMaxPerDay, seed }: Exploration,
  book: ExplorationBook,
  slice: SliceBuffers,
  row: number,
  verdict: number,
  byScore: number,
): number {
  const isDeclinedByScore = verdict === DECLINE && byScore === DECLINE && slice.ruleHits[row] === NO_HITS
  const share = verdict === APPROVE ? reviewShare : isDeclinedByScore ? approveShare : 0
  if (share === 0 || explorationDraw(seed, slice.events.text.transaction_id.at(row)) >= share) return verdict
  if (isDeclinedByScore && !book.take(slice.clock, slice.events.amount_base[row]!, lossMaxPerDay)) return verdict
  slice.explored[row] = share
  return verdict === APPROVE ? REVIEW : APPROVE
}
