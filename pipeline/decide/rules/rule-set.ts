import { createHash } from 'node:crypto'
import { isMap, isScalar, isSeq, LineCounter, type Node as YamlNode, parseDocument, type Document } from 'yaml'
import { z } from 'zod'
import type { FeatureLayout } from '#models/feature-buffers.ts'
import { type CounterSpec } from '#schemas/counter.ts'
import { VERDICTS } from '#schemas/decision.ts'
import { messageOf, WeirError } from '#schemas/errors.ts'
import type { SliceBuffers } from '../../slice.ts'
import type { Lists } from '../lists.ts'
import { ExpressionError, type Node } from './ast.ts'
import { type Compiled, compile, compileCondition } from './compile.ts'
import type { Read, Truth } from './operators.ts'
import { parseExpression } from './parse.ts'
import { placeInScalar } from './place.ts'

const RULES_MAX = 500

const ruleShape = z.strictObject({
  id: z.string().regex(/^[a-z][a-z0-9-]{0,59}$/, 'use lower-case letters, digits and -'),
  when: z.string().min(1),
  action: z.enum(['review', 'challenge', 'hold', 'decline']),
  /** Reason code, as CARD_TESTING. */
  reason: z.string().regex(/^[A-Z][A-Z0-9_]{0,59}$/, 'use upper-case letters, digits and _'),
  /** For people; `{expression}` puts a value in. */
  text: z.string().min(1).max(300),
  owner: z.string().min(1).max(100),
  /** ISO date; the rule is skipped from then on. */
  expires: z.iso.date().optional(),
  mode: z.enum(['live', 'shadow']).default('live'),
  /** Feature specs that have what the rule needs; with others it is left out, and said to be. */
  specs: z.array(z.string()).optional(),
})
const fileShape = z.strictObject({ version: z.literal(1), rules: z.array(ruleShape).max(RULES_MAX) })

/** What a rule says of itself. */
export interface RuleHead {
  readonly id: string
  /** Index in VERDICTS. */
  readonly action: number
  readonly reason: string
  readonly owner: string
  readonly isLive: boolean
  /** Epoch milliseconds; Infinity: never. */
  readonly expiresMs: number
}

export interface Rule extends RuleHead {
  /** Null where it cannot be told: then the rule does not match. */
  readonly when: Read<Truth>
  /** Counters that must have warmed up before the rule may match. */
  readonly counters: readonly number[]
  /** The text with the row's values. */
  readonly say: (slice: SliceBuffers, row: number) => string
  /** `[id]`, shared by every hit. */
  readonly hit: readonly string[]
}

/** Rules as they are in force together: compiled once, swapped whole. */
export interface RuleSet {
  /** First 12 hex digits of the SHA-256 of the file's text. */
  readonly version: string
  readonly text: string
  readonly rules: readonly Rule[]
  readonly counters: readonly CounterSpec[]
  /** Rules left out because the feature spec lacks what they need. */
  readonly skipped: readonly RuleHead[]
}

export interface RulesContext {
  readonly layout: FeatureLayout
  readonly lists: () => Lists
}

/**
 * Reads, checks and compiles a rules file.
 *
 * @throws WeirError RULES_INVALID naming file, line, column, rule, what was found and what is expected
 */
export function compileRules(text: string, file: string, context: RulesContext): RuleSet {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines })
  const placed = (node: YamlNode | null | undefined, offset = 0): string => {
    const start = node?.range?.[0]
    if (start === undefined) return file
    const { line, col } = lines.linePos(isScalar(node) ? placeInScalar(text, node, offset) : start)
    return `${file} line ${line}, column ${col}`
  }
  const problem = document.errors[0]
  if (problem !== undefined) {
    const { line, col } = problem.linePos?.[0] ?? { line: 1, col: 1 }
    throw new WeirError('RULES_INVALID', `not valid YAML: ${problem.message.split('\n')[0]}`, {
      where: `${file} line ${line}, column ${col}`,
    })
  }
  const parsed = fileShape.safeParse(plainOf(document, file))
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!
    const node = document.getIn(issue.path, true) as YamlNode | undefined
    throw new WeirError('RULES_INVALID', `${issue.path.join('.') || '(file)'}: ${issue.message}`, {
      where: placed(node ?? document.contents),
      fix: 'A rule has id, when, action, reason, text and owner; mode, expires and specs if wanted.',
    })
  }
  const counters: CounterSpec[] = []
  const skipped: RuleHead[] = []
  const rules: Rule[] = []
  for (const [i, rule] of parsed.data.rules.entries()) {
    const place = (field: string) => (offset: number) =>
      placed(document.getIn(['rules', i, field], true) as YamlNode, offset)
    if ([...rules, ...skipped].some(({ id }) => id === rule.id)) {
      throw new WeirError('RULES_INVALID', `two rules have the id ${rule.id}`, { where: place('id')(0) })
    }
    if (rule.specs !== undefined && !rule.specs.includes(context.layout.specName)) {
      skipped.push(headOf(rule))
      continue
    }
    rules.push(compileRule(rule, counters, context, place('when'), place('text')))
  }
  if (!isMap(document.contents) || !isSeq(document.get('rules'))) {
    throw new WeirError('RULES_INVALID', 'a rules file has version and rules', { where: file })
  }
  return { version: createHash('sha256').update(text).digest('hex').slice(0, 12), text, rules, counters, skipped }
}

/** @throws WeirError RULES_INVALID for aliases of nothing, and for those that would unfold without end */
function plainOf(document: Document, file: string): unknown {
  try {
    return document.toJS()
  } catch (error) {
    throw new WeirError('RULES_INVALID', `not valid YAML: ${messageOf(error).split('\n')[0]}`, { where: file })
  }
}

function compileRule(
  rule: z.infer<typeof ruleShape>,
  counters: CounterSpec[],
  context: RulesContext,
  placeWhen: (offset: number) => string,
  placeText: (offset: number) => string,
): Rule {
  const scope = { ...context, counters }
  const when = located(rule.id, placeWhen, () => {
    const node = parseExpression(rule.when)
    return { read: compileCondition(node, scope), counters: countersIn(node, counters, scope) }
  })
  return {
    ...headOf(rule),
    when: when.read,
    counters: when.counters,
    say: located(rule.id, placeText, () => compileText(rule.text, scope)),
    hit: [rule.id],
  }
}

function headOf({ id, action, reason, owner, mode, expires }: z.infer<typeof ruleShape>): RuleHead {
  return {
    id,
    action: VERDICTS.indexOf(action),
    reason,
    owner,
    isLive: mode === 'live',
    expiresMs: expires === undefined ? Number.POSITIVE_INFINITY : Date.parse(expires),
  }
}

/** Gives an expression's fault its file, line and rule. */
function located<T>(id: string, place: (offset: number) => string, make: () => T): T {
  try {
    return make()
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error
    throw new WeirError('RULES_INVALID', `rule ${id}: ${error.message}`, { where: place(error.at), fix: error.fix })
  }
}

/** Columns of the counters that an expression uses. */
function countersIn(node: Node, counters: CounterSpec[], scope: Parameters<typeof compile>[1]): number[] {
  const found = new Set<number>()
  const visit = (inner: Node): void => {
    switch (inner.kind) {
      case 'counter': {
        const own: CounterSpec[] = []
        compile(inner, { ...scope, counters: own })
        found.add(counters.findIndex((counter) => JSON.stringify(counter) === JSON.stringify(own[0])))
        break
      }
      case 'unary':
        visit(inner.operand)
        break
      case 'binary':
        visit(inner.left)
        visit(inner.right)
        break
      case 'in':
      case 'in_list':
        visit(inner.operand)
        break
      case 'call':
        inner.args.forEach(visit)
        break
      default:
        break
    }
  }
  visit(node)
  return [...found]
}

/** `{expression}` in a text becomes its value: numbers with at most two decimals. */
function compileText(text: string, scope: Parameters<typeof compile>[1]): (slice: SliceBuffers, row: number) => string {
  const parts: (string | Compiled)[] = []
  let from = 0
  for (const match of text.matchAll(/\{([^{}]+)\}/g)) {
    parts.push(text.slice(from, match.index))
    try {
      parts.push(compile(parseExpression(match[1]!), scope))
    } catch (error) {
      if (error instanceof ExpressionError)
        throw new ExpressionError(match.index + 1 + error.at, error.message, error.fix)
      throw error
    }
    from = match.index + match[0].length
  }
  parts.push(text.slice(from))
  return (slice, row) => parts.map((part) => (typeof part === 'string' ? part : say(part, slice, row))).join('')
}

function say(part: Compiled, slice: SliceBuffers, row: number): string {
  const value = part.read(slice, row)
  if (value === null || Number.isNaN(value)) return 'unknown'
  if (typeof value !== 'number') return String(value)
  return part.type === 'duration' ? `${Number((value / 1_000).toFixed(2))} s` : String(Number(value.toFixed(2)))
}
