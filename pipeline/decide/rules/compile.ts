import type { FeatureLayout } from '#models/feature-buffers.ts'
import { closest } from '#schemas/closest.ts'
import {
  COUNTER_FILTERS,
  type CounterAggregate,
  type CounterFilter,
  type CounterSpec,
  counterName,
} from '#schemas/counter.ts'
import { CHANNELS, ENTRY_MODES, TEXT_FIELDS, TRANSACTION_KINDS, type TextField } from '#schemas/transaction.ts'
import type { Lists } from '../lists.ts'
import { type ArithmeticOp, type CompareOp, ExpressionError, type Node } from './ast.ts'
import {
  ARITHMETIC,
  bothOf,
  COMPARE,
  eitherOf,
  negationOf,
  type Read,
  type Truth,
  typeOfArithmetic,
} from './operators.ts'

/**
 * Numbers and durations are NaN where they are missing: a signal that was not sent, a score that no model gave, a ratio
 * to nothing. Texts and the flag of an event always have a value, an empty text being one.
 */
export type Compiled =
  | { readonly type: 'number'; readonly read: Read<number> }
  /** Milliseconds. */
  | { readonly type: 'duration'; readonly read: Read<number> }
  | { readonly type: 'boolean'; readonly read: Read<Truth> }
  | { readonly type: 'text'; readonly read: Read<string> }
type Quantity = Extract<Compiled, { type: 'number' | 'duration' }>

/** What names in an expression may refer to. */
export interface Scope {
  readonly layout: FeatureLayout
  /** Counters asked for so far, in the order of the featurizer's columns; new ones are added. */
  readonly counters: CounterSpec[]
  /** Lists at the time of the call, so that an entry takes effect at once. */
  readonly lists: () => Lists
}

/** Amounts in rules are in major units of the base currency, as people write them. */
export const MINOR_IN_MAJOR = 100

/**
 * Checks the types of an expression and turns it into closures over the slice's columns. What needs a missing number is
 * unknown, and a condition is known in spite of one only if no value could change it (Kleene's three-valued logic).
 *
 * @throws ExpressionError naming what was found and what is expected
 */
export function compile(node: Node, scope: Scope): Compiled {
  switch (node.kind) {
    case 'number':
      return numberOf(() => node.value)
    case 'duration':
      return { type: 'duration', read: () => node.ms }
    case 'text':
      return { type: 'text', read: () => node.value }
    case 'boolean':
      return booleanOf(() => node.value)
    case 'name':
      return compileName(node, scope)
    case 'counter':
      return compileCounter(node, scope)
    case 'unary':
      return compileUnary(node, scope)
    case 'binary':
      return compileBinary(node, scope)
    case 'in':
      return compileIn(node, scope)
    case 'in_list': {
      const operand = asText(node.operand, scope)
      const { list, negated } = node
      const field = textFieldOf(node.operand)
      return booleanOf((s, row) => scope.lists().contains(list, field, operand(s, row), s.clock) !== negated)
    }
    case 'call':
      return compileCall(node, scope)
  }
}

/** @throws ExpressionError unless the expression is a condition */
export function compileCondition(node: Node, scope: Scope): Read<Truth> {
  return asBoolean(node, scope)
}

function compileName(node: Extract<Node, { kind: 'name' }>, scope: Scope): Compiled {
  const { name, key } = node
  if (key !== null) {
    if (name === 'attributes')
      return { type: 'text', read: (slice, row) => ownOf(slice.events.attributes[row]!, key) ?? '' }
    if (name === 'signals') return numberOf((slice, row) => ownOf(slice.events.signals[row]!, key) ?? Number.NaN)
    throw new ExpressionError(node.at, `'${name}' has no parts`, "Only 'attributes' and 'signals' have named parts.")
  }
  const field = ownOf(FIELDS, name)
  if (field !== undefined) return field
  const textField = textFieldOf(node)
  if (textField !== null) return { type: 'text', read: (slice, row) => slice.events.text[textField].at(row) }
  const column = scope.layout.currentColumns.findIndex((candidate) => candidate.name === name)
  if (column < 0) throw unknownName(node, scope)
  const width = scope.layout.currentWidth
  if (scope.layout.currentColumns[column]!.unit !== 'minor units') {
    return numberOf((slice, row) => slice.features.current[row * width + column]!)
  }
  return numberOf((slice, row) => slice.features.current[row * width + column]! / MINOR_IN_MAJOR)
}

const FIELDS: Readonly<Record<string, Compiled>> = {
  amount: numberOf((slice, row) => slice.events.amount_base[row]! / MINOR_IN_MAJOR),
  score: numberOf((slice, row) => slice.score[row]!),
  latitude: numberOf((slice, row) => slice.events.latitude[row]!),
  longitude: numberOf((slice, row) => slice.events.longitude[row]!),
  recurring: booleanOf((slice, row) => slice.events.recurring[row] === 1),
  kind: { type: 'text', read: (slice, row) => TRANSACTION_KINDS[slice.events.kind[row]!] ?? '' },
  channel: { type: 'text', read: (slice, row) => CHANNELS[slice.events.channel[row]!]! },
  entry_mode: { type: 'text', read: (slice, row) => ENTRY_MODES[slice.events.entry_mode[row]!]! },
  hour: numberOf((slice, row) => Math.floor((slice.events.event_time[row]! % 86_400_000) / 3_600_000)),
}

/** The text field that an expression is, if it is one and nothing else. */
function textFieldOf(node: Node): TextField | null {
  if (node.kind !== 'name' || node.key !== null) return null
  return (TEXT_FIELDS as readonly string[]).includes(node.name) ? (node.name as TextField) : null
}

/** A named part, but nothing that every object has. */
function ownOf<T>(parts: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(parts, name) ? parts[name] : undefined
}

function unknownName(node: Extract<Node, { kind: 'name' }>, scope: Scope): ExpressionError {
  const known = [...Object.keys(FIELDS), ...TEXT_FIELDS, ...scope.layout.currentColumns.map(({ name }) => name)]
  const near = closest(node.name, known)
  return new ExpressionError(
    node.at,
    `there is no field or feature '${node.name}' with feature spec ${scope.layout.specName}`,
    near === null ? 'See the feature columns of the spec.' : `Did you mean '${near}'?`,
  )
}

function compileCounter(node: Extract<Node, { kind: 'counter' }>, scope: Scope): Compiled {
  const fields = node.fields.map(({ word, at }) => {
    if ((TEXT_FIELDS as readonly string[]).includes(word)) return word as TextField
    const near = closest(word, TEXT_FIELDS)
    throw new ExpressionError(
      at,
      `'${word}' is not a field to count by`,
      near === null ? '' : `Did you mean '${near}'?`,
    )
  })
  if (node.windowMs < 1_000 || node.windowMs > WINDOW_MS_MAX) {
    throw new ExpressionError(node.windowAt, 'the window of a counter lies between 1s and 30d')
  }
  const filter = node.filter?.word ?? 'all'
  if (!(COUNTER_FILTERS as readonly string[]).includes(filter)) {
    throw new ExpressionError(
      node.filter!.at,
      `'${filter}' is not what can be counted`,
      `Use one of ${COUNTER_FILTERS.join(', ')}.`,
    )
  }
  const spec: CounterSpec = {
    aggregate: node.aggregate as CounterAggregate,
    fields,
    windowMs: node.windowMs,
    filter: filter as CounterFilter,
  }
  const name = counterName(spec)
  let at = scope.counters.findIndex((counter) => counterName(counter) === name)
  if (at < 0) at = scope.counters.push(spec) - 1
  const scale = spec.aggregate === 'sum' ? MINOR_IN_MAJOR : 1
  return numberOf((slice, row) => slice.features.counters[row * slice.features.counterCount + at]! / scale)
}

const WINDOW_MS_MAX = 30 * 86_400_000

function compileUnary(node: Extract<Node, { kind: 'unary' }>, scope: Scope): Compiled {
  if (node.op === 'not') {
    const operand = asBoolean(node.operand, scope)
    return booleanOf(negationOf(operand))
  }
  const { type, read } = asQuantity(node.operand, scope)
  return { type, read: (slice, row) => -read(slice, row) }
}

function compileBinary(node: Extract<Node, { kind: 'binary' }>, scope: Scope): Compiled {
  const { op, left, right } = node
  switch (op) {
    case 'and':
      return booleanOf(bothOf(asBoolean(left, scope), asBoolean(right, scope)))
    case 'or':
      return booleanOf(eitherOf(asBoolean(left, scope), asBoolean(right, scope)))
    case '<':
    case '<=':
    case '>':
    case '>=':
    case '==':
    case '!=':
      return compileComparison(op, left, right, scope)
    case '+':
    case '-':
    case '*':
    case '/':
    case '%':
      return compileArithmetic(op, left, right, scope)
  }
}

function compileArithmetic(op: ArithmeticOp, leftNode: Node, rightNode: Node, scope: Scope): Compiled {
  const left = asQuantity(leftNode, scope)
  const right = asQuantity(rightNode, scope)
  const type = typeOfArithmetic(op, left.type, right.type)
  if (type !== null) return { type, read: ARITHMETIC[op](left.read, right.read) }
  throw new ExpressionError(
    rightNode.at,
    `cannot compute ${left.type} ${op} ${right.type}`,
    'A duration goes with durations, or is multiplied or divided by a number.',
  )
}

function compileComparison(op: CompareOp, leftNode: Node, rightNode: Node, scope: Scope): Compiled {
  const left = compile(leftNode, scope)
  const right = compile(rightNode, scope)
  if (isQuantity(left) && isQuantity(right) && left.type === right.type) {
    return booleanOf(COMPARE[op](left.read, right.read))
  }
  if (op === '==' || op === '!=') {
    const isEqual = op === '=='
    if (left.type === 'text' && right.type === 'text') {
      const [a, b] = [left.read, right.read]
      return booleanOf((slice, row) => (a(slice, row) === b(slice, row)) === isEqual)
    }
    if (left.type === 'boolean' && right.type === 'boolean') {
      const [a, b] = [left.read, right.read]
      return booleanOf((slice, row) => {
        const x = a(slice, row)
        const y = b(slice, row)
        return x === null || y === null ? null : (x === y) === isEqual
      })
    }
  }
  const fix = left.type === right.type ? 'Only numbers and durations have an order.' : 'Both sides must be of one type.'
  throw new ExpressionError(rightNode.at, `cannot compare ${left.type} ${op} ${right.type}`, fix)
}

function compileIn(node: Extract<Node, { kind: 'in' }>, scope: Scope): Compiled {
  const operand = compile(node.operand, scope)
  const { negated } = node
  const items = node.items.map((item) => constantOf(item, operand.type))
  const set = new Set<string | number>(items)
  switch (operand.type) {
    case 'text':
      return booleanOf((slice, row) => set.has(operand.read(slice, row)) !== negated)
    case 'number':
    case 'duration':
      return booleanOf((slice, row) => {
        const value = operand.read(slice, row)
        return value !== value ? null : set.has(value) !== negated
      })
    case 'boolean':
      throw new ExpressionError(
        node.operand.at,
        "a condition is not looked up with 'in'",
        "Write it as it is, or 'not' before it.",
      )
  }
}

function constantOf(item: Node, type: Compiled['type']): string | number {
  if (item.kind === 'text' && type === 'text') return item.value
  if (item.kind === 'number' && type === 'number') return item.value
  if (item.kind === 'duration' && type === 'duration') return item.ms
  throw new ExpressionError(item.at, `expected a ${type} constant`, 'All items must be of the type on the left.')
}

function compileCall(node: Extract<Node, { kind: 'call' }>, scope: Scope): Compiled {
  const { name, args } = node
  const take = (count: number): readonly Node[] => {
    if (args.length === count) return args
    throw new ExpressionError(node.at, `${name}() takes ${count} values, found ${args.length}`)
  }
  switch (name) {
    case 'abs': {
      const { type, read } = asQuantity(take(1)[0]!, scope)
      return { type, read: (slice, row) => Math.abs(read(slice, row)) }
    }
    case 'min':
    case 'max': {
      const [a, b] = take(2).map((arg) => asQuantity(arg, scope)) as [Quantity, Quantity]
      if (a.type !== b.type) {
        throw new ExpressionError(args[1]!.at, `${name}() of ${a.type} and ${b.type}`, 'Both must be of one type.')
      }
      const pick = name === 'min' ? Math.min : Math.max
      return { type: a.type, read: (slice, row) => pick(a.read(slice, row), b.read(slice, row)) }
    }
    case 'starts_with': {
      const [text, start] = take(2).map((arg) => asText(arg, scope)) as [Read<string>, Read<string>]
      return booleanOf((slice, row) => text(slice, row).startsWith(start(slice, row)))
    }
    default: {
      const near = closest(name, FUNCTIONS)
      throw new ExpressionError(
        node.at,
        `there is no function '${name}'`,
        near === null ? `There are ${FUNCTIONS.join(', ')}.` : `Did you mean '${near}'?`,
      )
    }
  }
}

const FUNCTIONS = ['abs', 'min', 'max', 'starts_with', 'count', 'sum', 'distinct_cards', 'distinct_merchants'] as const

function asQuantity(node: Node, scope: Scope): Quantity {
  const compiled = compile(node, scope)
  if (isQuantity(compiled)) return compiled
  throw new ExpressionError(node.at, `expected a number, found ${compiled.type}`)
}

function isQuantity(compiled: Compiled): compiled is Quantity {
  return compiled.type === 'number' || compiled.type === 'duration'
}

function asText(node: Node, scope: Scope): Read<string> {
  const compiled = compile(node, scope)
  if (compiled.type === 'text') return compiled.read
  throw new ExpressionError(node.at, `expected text, found ${compiled.type}`)
}

function asBoolean(node: Node, scope: Scope): Read<Truth> {
  const compiled = compile(node, scope)
  if (compiled.type === 'boolean') return compiled.read
  throw new ExpressionError(
    node.at,
    `expected a condition, found ${compiled.type}`,
    "Compare it, as in 'amount > 100'.",
  )
}

function numberOf(read: Read<number>): Compiled {
  return { type: 'number', read }
}

function booleanOf(read: Read<Truth>): Compiled {
  return { type: 'boolean', read }
}
