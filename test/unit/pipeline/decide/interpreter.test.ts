import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { NO_LISTS } from '#pipeline/decide/lists.ts'
import {
  EXPRESSION_CHARS_MAX,
  EXPRESSION_DEPTH_MAX,
  EXPRESSION_NODES_MAX,
  type Node,
} from '#pipeline/decide/rules/ast.ts'
import { compileCondition } from '#pipeline/decide/rules/compile.ts'
import { parseExpression } from '#pipeline/decide/rules/parse.ts'
import { SliceBuffers } from '#pipeline/slice.ts'
import { WeirError } from '#schemas/errors.ts'
import { writeTransaction } from '#schemas/event-columns.ts'
import { TINY_LAYOUT } from '#test/support/layouts.ts'
import { transactionOf } from '#test/support/transactions.ts'

type Value = number | boolean | string
/** What the names in generated expressions stand for. */
type Names = Readonly<Record<string, Value>>

/** An expression's value by walking its tree, one case after the other: slow and plain. */
function interpret(node: Node, names: Names): Value {
  const number = (inner: Node): number => interpret(inner, names) as number
  switch (node.kind) {
    case 'number':
    case 'text':
    case 'boolean':
      return node.value
    case 'duration':
      return node.ms
    case 'name': {
      const name = node.key === null ? node.name : `${node.name}.${node.key}`
      assert.ok(name in names, name)
      return names[name]!
    }
    case 'unary':
      return node.op === 'not' ? !(interpret(node.operand, names) as boolean) : -number(node.operand)
    case 'binary': {
      const [a, b] = [interpret(node.left, names), interpret(node.right, names)]
      if (node.op === 'and') return a === true && b === true
      if (node.op === 'or') return a === true || b === true
      if (node.op === '==') return a === b
      if (node.op === '!=') return !(a === b)
      const [x, y] = [a as number, b as number]
      if (node.op === '<') return x < y
      if (node.op === '<=') return !(y < x) && x === x && y === y
      if (node.op === '>') return y < x
      if (node.op === '>=') return !(x < y) && x === x && y === y
      if (node.op === '+') return x + y
      if (node.op === '-') return x - y
      if (node.op === '*') return x * y
      return node.op === '/' ? x / y : x % y
    }
    case 'in': {
      const value = interpret(node.operand, names)
      return node.items.some((item) => interpret(item, names) === value) !== node.negated
    }
    case 'call': {
      const args = node.args.map((arg) => interpret(arg, names))
      if (node.name === 'starts_with') return (args[0] as string).indexOf(args[1] as string) === 0
      const [x, y] = args as [number, number]
      if (node.name === 'abs') return x < 0 ? -x : x
      if (Number.isNaN(x) || Number.isNaN(y)) return Number.NaN
      return node.name === 'min' ? (x < y ? x : y) : x > y ? x : y
    }
    case 'in_list':
    case 'counter':
      throw new Error(`${node.kind} is not generated`)
  }
}

const { condition } = fc.letrec<{ number: string; text: string; condition: string }>((tie) => ({
  number: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom('amount', 'score', 'card_count_1h', 'signals.risk', 'signals.none', '0', '1', '2.5', '1_000', '2s'),
    fc
      .tuple(tie('number'), fc.constantFrom('+', '-', '*', '/', '%'), tie('number'))
      .map(([a, op, b]) => `(${a} ${op} ${b})`),
    fc.tuple(tie('number'), tie('number')).map(([a, b]) => `min(${a}, ${b})`),
    fc.tuple(tie('number'), tie('number')).map(([a, b]) => `max(${a}, ${b})`),
    tie('number').map((a) => `abs(${a})`),
    tie('number').map((a) => `(-${a})`),
  ),
  text: fc.constantFrom('country', 'attributes.segment', 'attributes.none', '"DE"', "'gold'", '""'),
  condition: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom('recurring', 'true', 'false'),
    fc
      .tuple(tie('number'), fc.constantFrom('<', '<=', '>', '>=', '==', '!='), tie('number'))
      .map(([a, op, b]) => `(${a} ${op} ${b})`),
    fc.tuple(tie('text'), fc.constantFrom('==', '!='), tie('text')).map(([a, op, b]) => `(${a} ${op} ${b})`),
    fc.tuple(tie('text'), fc.constantFrom('in', 'not in')).map(([a, op]) => `(${a} ${op} ["DE", "gold"])`),
    fc.tuple(tie('number'), fc.constantFrom('in', 'not in')).map(([a, op]) => `(${a} ${op} [0, 2.5])`),
    fc.tuple(tie('text'), tie('text')).map(([a, b]) => `starts_with(${a}, ${b})`),
    fc.tuple(tie('condition'), fc.constantFrom('and', 'or'), tie('condition')).map(([a, op, b]) => `(${a} ${op} ${b})`),
    tie('condition').map((a) => `(not ${a})`),
  ),
}))

function scopeOf() {
  return { layout: TINY_LAYOUT, counters: [], lists: () => NO_LISTS }
}

test('a compiled expression gives what walking its tree gives', () => {
  const amounts = fc.record({
    amount: fc.integer({ min: 1, max: 400_000 }),
    score: fc.constantFrom(0, 0.5, 1, Number.NaN),
    count: fc.constantFrom(0, 1, 2.5, Number.NaN),
    risk: fc.constantFrom(-1, 0, 2.5),
    country: fc.constantFrom('DE', 'FR', ''),
    segment: fc.constantFrom('gold', 'golden', ''),
    recurring: fc.boolean(),
  })
  fc.assert(
    fc.property(condition, amounts, (expression, row) => {
      const slice = new SliceBuffers(1, TINY_LAYOUT)
      const { amount, country, recurring } = row
      const parts = { attributes: { segment: row.segment }, signals: { risk: row.risk } }
      writeTransaction(slice.events, 0, transactionOf({ amount, country, recurring, ...parts }), amount)
      slice.score[0] = row.score
      slice.features.current[1] = row.count
      const names: Names = {
        amount: amount / 100,
        score: row.score,
        card_count_1h: row.count,
        'signals.risk': row.risk,
        'signals.none': Number.NaN,
        country,
        'attributes.segment': row.segment,
        'attributes.none': '',
        recurring,
      }
      let node: Node
      try {
        node = parseExpression(expression)
      } catch (error) {
        // Only for its size may a well-formed expression be refused.
        assert.match(String(error), /characters long|nested more than|more than \d+ parts/)
        return
      }
      assert.equal(compileCondition(node, scopeOf())(slice, 0), interpret(node, names), expression)
    }),
    { numRuns: 500 },
  )
})

test('what is too long, too deep or has too many parts is refused before anything is compiled', () => {
  const hostile: readonly [string, RegExp][] = [
    ['1'.repeat(EXPRESSION_CHARS_MAX + 1), /characters long/],
    [`${'('.repeat(EXPRESSION_DEPTH_MAX + 1)}1`, /nested more than/],
    ['-'.repeat(EXPRESSION_DEPTH_MAX + 1), /nested more than/],
    [`${'not '.repeat(EXPRESSION_DEPTH_MAX + 1)}true`, /nested more than/],
    [`${'abs('.repeat(EXPRESSION_DEPTH_MAX + 1)}1`, /nested more than/],
    [`1${'+1'.repeat(EXPRESSION_NODES_MAX)}`, /more than \d+ parts/],
    [`amount in [${'1,'.repeat(EXPRESSION_NODES_MAX)}1]`, /more than \d+ parts/],
    [`min(${'1,'.repeat(EXPRESSION_NODES_MAX)}1)`, /more than \d+ parts/],
    [`count(card_id${' x card_id'.repeat(EXPRESSION_CHARS_MAX / 10)}, 1h) > 1`, /characters long/],
  ]
  for (const [expression, message] of hostile) {
    assert.throws(
      () => parseExpression(expression),
      (error: unknown) => error instanceof WeirError && error.code === 'RULES_INVALID' && message.test(error.message),
      expression.slice(0, 40),
    )
  }
})

test('the largest expression that is allowed compiles and runs without running out of stack', () => {
  const sum = `1${'+1'.repeat(EXPRESSION_NODES_MAX / 2 - 2)}`
  const slice = new SliceBuffers(1, TINY_LAYOUT)
  assert.equal(compileCondition(parseExpression(`${sum} > 5`), scopeOf())(slice, 0), true)
  const deep = `${'('.repeat(EXPRESSION_DEPTH_MAX - 1)}true${')'.repeat(EXPRESSION_DEPTH_MAX - 1)}`
  assert.equal(compileCondition(parseExpression(deep), scopeOf())(slice, 0), true)
})
