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

/** Undefined: missing, or not to be told because of something missing. */
type Value = number | boolean | string | undefined
/** What the names in generated expressions stand for. */
type Names = Readonly<Record<string, Value>>

/** An expression's value by walking its tree, one case after the other: slow and plain. */
function interpret(node: Node, names: Names): Value {
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
      return names[name]
    }
    case 'unary': {
      const value = interpret(node.operand, names)
      if (value === undefined) return undefined
      return node.op === 'not' ? value === false : 0 - (value as number)
    }
    case 'binary': {
      const [a, b] = [interpret(node.left, names), interpret(node.right, names)]
      // All that the missing sides could be, and one answer only if all agree.
      if (node.op === 'and') return agreed(a, b, (x, y) => x && y)
      if (node.op === 'or') return agreed(a, b, (x, y) => x || y)
      if (a === undefined || b === undefined) return undefined
      if (node.op === '==') return a === b
      if (node.op === '!=') return !(a === b)
      const [x, y] = [a as number, b as number]
      if (node.op === '<') return x < y
      if (node.op === '<=') return !(y < x)
      if (node.op === '>') return y < x
      if (node.op === '>=') return !(x < y)
      if (node.op === '+') return known(x + y)
      if (node.op === '-') return known(x - y)
      if (node.op === '*') return known(x * y)
      if (y === 0) return undefined
      return known(node.op === '/' ? x / y : x % y)
    }
    case 'in': {
      const value = interpret(node.operand, names)
      if (value === undefined) return undefined
      return node.items.some((item) => interpret(item, names) === value) !== node.negated
    }
    case 'call': {
      const args = node.args.map((arg) => interpret(arg, names))
      if (args.includes(undefined)) return undefined
      if (node.name === 'starts_with') return (args[0] as string).indexOf(args[1] as string) === 0
      const [x, y] = args as [number, number]
      if (node.name === 'abs') return x < 0 ? 0 - x : x
      return node.name === 'min' ? (x < y ? x : y) : x > y ? x : y
    }
    case 'in_list':
    case 'counter':
      throw new Error(`${node.kind} is not generated`)
  }
}

function agreed(a: Value, b: Value, of: (x: boolean, y: boolean) => boolean): boolean | undefined {
  const choices = (value: Value): boolean[] => (value === undefined ? [false, true] : [value as boolean])
  const answers = new Set(choices(a).flatMap((x) => choices(b).map((y) => of(x, y))))
  return answers.size === 1 ? [...answers][0] : undefined
}

function known(value: number): number | undefined {
  return Number.isNaN(value) ? undefined : value
}

const { condition } = fc.letrec<{ number: string; duration: string; text: string; condition: string }>((tie) => ({
  number: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom('amount', 'score', 'card_count_1h', 'signals.risk', 'signals.none', '0', '1', '2.5', '1_000'),
    fc
      .tuple(tie('number'), fc.constantFrom('+', '-', '*', '/', '%'), tie('number'))
      .map(([a, op, b]) => `(${a} ${op} ${b})`),
    fc.tuple(tie('duration'), tie('duration')).map(([a, b]) => `(${a} / ${b})`),
    fc.tuple(tie('number'), tie('number')).map(([a, b]) => `min(${a}, ${b})`),
    fc.tuple(tie('number'), tie('number')).map(([a, b]) => `max(${a}, ${b})`),
    tie('number').map((a) => `abs(${a})`),
    tie('number').map((a) => `(-${a})`),
  ),
  duration: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom('0s', '2s', '10m', '1h'),
    fc.tuple(tie('duration'), fc.constantFrom('+', '-', '%'), tie('duration')).map(([a, op, b]) => `(${a} ${op} ${b})`),
    fc.tuple(tie('duration'), fc.constantFrom('*', '/'), tie('number')).map(([a, op, b]) => `(${a} ${op} ${b})`),
    fc.tuple(tie('number'), tie('duration')).map(([a, b]) => `(${a} * ${b})`),
    fc.tuple(tie('duration'), tie('duration')).map(([a, b]) => `max(${a}, abs(-${b}))`),
  ),
  text: fc.constantFrom('country', 'attributes.segment', 'attributes.none', '"DE"', "'gold'", '""'),
  condition: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom('recurring', 'true', 'false'),
    fc
      .oneof(fc.tuple(tie('number'), tie('number')), fc.tuple(tie('duration'), tie('duration')))
      .chain(([a, b]) => fc.constantFrom('<', '<=', '>', '>=', '==', '!=').map((op) => `(${a} ${op} ${b})`)),
    fc
      .oneof(fc.tuple(tie('text'), tie('text')), fc.tuple(tie('condition'), tie('condition')))
      .chain(([a, b]) => fc.constantFrom('==', '!=').map((op) => `(${a} ${op} ${b})`)),
    fc.tuple(tie('text'), fc.constantFrom('in', 'not in')).map(([a, op]) => `(${a} ${op} ["DE", "gold"])`),
    fc.tuple(tie('number'), fc.constantFrom('in', 'not in')).map(([a, op]) => `(${a} ${op} [0, 2.5])`),
    fc.tuple(tie('duration'), fc.constantFrom('in', 'not in')).map(([a, op]) => `(${a} ${op} [0s, 60m])`),
    fc.tuple(tie('text'), tie('text')).map(([a, b]) => `starts_with(${a}, ${b})`),
    fc.tuple(tie('condition'), fc.constantFrom('and', 'or'), tie('condition')).map(([a, op, b]) => `(${a} ${op} ${b})`),
    tie('condition').map((a) => `(not ${a})`),
  ),
}))

interface Row {
  readonly amount: number
  readonly score: number
  readonly count: number
  readonly risk: number
  readonly country: string
  readonly segment: string
  readonly recurring: boolean
}

const rows: fc.Arbitrary<Row> = fc.record({
  amount: fc.integer({ min: 1, max: 400_000 }),
  score: fc.constantFrom(0, 0.5, 1, Number.NaN),
  count: fc.constantFrom(0, 1, 2.5, Number.NaN),
  risk: fc.constantFrom(-1, 0, 2.5),
  country: fc.constantFrom('DE', 'FR', ''),
  segment: fc.constantFrom('gold', 'golden', ''),
  recurring: fc.boolean(),
})

function sliceOf({ amount, score, count, risk, country, segment, recurring }: Row, none?: number): SliceBuffers {
  const slice = new SliceBuffers(1, TINY_LAYOUT)
  const signals = none === undefined ? { risk } : { risk, none }
  const fields = { amount, country, recurring, attributes: { segment }, signals }
  writeTransaction(slice.events, 0, transactionOf(fields), amount)
  slice.score[0] = score
  slice.features.current[1] = count
  return slice
}

/** Null where a well-formed expression is refused for its size, for which alone it may be. */
function parsed(expression: string): Node | null {
  try {
    return parseExpression(expression)
  } catch (error) {
    assert.match(String(error), /characters long|nested more than|more than \d+ parts/)
    return null
  }
}

function scopeOf() {
  return { layout: TINY_LAYOUT, counters: [], lists: () => NO_LISTS }
}

test('a compiled expression gives what walking its tree gives, what cannot be told included', () => {
  let told = 0
  let untold = 0
  fc.assert(
    fc.property(condition, rows, (expression, row) => {
      const { amount, score, count, risk, country, segment, recurring } = row
      const names: Names = {
        amount: amount / 100,
        score: known(score),
        card_count_1h: known(count),
        'signals.risk': risk,
        'signals.none': undefined,
        country,
        'attributes.segment': segment,
        'attributes.none': '',
        recurring,
      }
      const node = parsed(expression)
      if (node === null) return
      const found = compileCondition(node, scopeOf())(sliceOf(row), 0)
      assert.equal(found, interpret(node, names) ?? null, expression)
      if (found === null) untold++
      else told++
    }),
    { numRuns: 1_000 },
  )
  assert.ok(told > 100 && untold > 100, `${told} ${untold}`)
})

test('what is told in spite of something missing stays so, whatever that turns out to be', () => {
  const fills = fc.record({
    score: fc.constantFrom(0, 0.5, 1),
    count: fc.constantFrom(0, 1, 2.5, 1_000),
    none: fc.constantFrom(-1, 0, 1, 2.5, 4_000),
  })
  fc.assert(
    fc.property(condition, rows, fills, (expression, row, fill) => {
      const node = parsed(expression)
      if (node === null) return
      const read = compileCondition(node, scopeOf())
      const before = read(sliceOf(row), 0)
      if (before === null) return
      const score = Number.isNaN(row.score) ? fill.score : row.score
      const count = Number.isNaN(row.count) ? fill.count : row.count
      assert.equal(read(sliceOf({ ...row, score, count }, fill.none), 0), before, expression)
    }),
    { numRuns: 1_000 },
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
