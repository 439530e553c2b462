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
import type { SliceBuffers } from '../../slice.ts'
import type { Lists } from '../lists.ts'
import { type CompareOp, ExpressionError, type Node } from './ast.ts'

/** A compiled expression: reads a row, allocates nothing. */
export type Read<T> = (slice: SliceBuffers, row: number) => T

export type Compiled =
  | { readonly type: 'number'; readonly read: Read<number> }
  | { readonly type: 'boolean'; readonly read: Read<boolean> }
  | { readonly type: 'text'; readonly read: Read<string> }

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
 * Checks the types of an expression and turns it into closures over the slice's columns.
 *
 * @throws ExpressionError naming what was found and what is expected
 */
export function compile(node: Node, scope: Scope): Compiled {
  switch (node.kind) {
    case 'number':
      return numberOf(() => node.value)
    case 'duration':
      return numberOf(() => node.ms)
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
export function compileCondition(node: Node, scope: Scope): Read<boolean> {
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
  if (textField !== null) return { type: 'text', read: (slice, row) => slice.events.text[textField][row]! }
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
    return booleanOf((slice, row) => !operand(slice, row))
  }
  const operand = asNumber(node.operand, scope)
  return numberOf((slice, row) => -operand(slice, row))
}

function compileBinary(node: Extract<Node, { kind: 'binary' }>, scope: Scope): Compiled {
  const { op } = node
  switch (op) {
    case 'and': {
      const [left, right] = [asBoolean(node.left, scope), asBoolean(node.right, scope)]
      return booleanOf((slice, row) => left(slice, row) && right(slice, row))
    }
    case 'or': {
      const [left, right] = [asBoolean(node.left, scope), asBoolean(node.right, scope)]
      return booleanOf((slice, row) => left(slice, row) || right(slice, row))
    }
    case '<':
    case '<=':
    case '>':
    case '>=':
    case '==':
    case '!=':
      return compileComparison(op, node.left, node.right, scope)
    case '+':
    case '-':
    case '*':
    case '/':
    case '%':
      return numberOf(ARITHMETIC[op](asNumber(node.left, scope), asNumber(node.right, scope)))
  }
}

const ARITHMETIC = {
  '+':
    (a: Read<number>, b: Read<number>): Read<number> =>
    (slice, row) =>
      a(slice, row) + b(slice, row),
  '-':
    (a: Read<number>, b: Read<number>): Read<number> =>
    (slice, row) =>
      a(slice, row) - b(slice, row),
  '*':
    (a: Read<number>, b: Read<number>): Read<number> =>
    (slice, row) =>
      a(slice, row) * b(slice, row),
  '/':
    (a: Read<number>, b: Read<number>): Read<number> =>
    (slice, row) =>
      a(slice, row) / b(slice, row),
  '%':
    (a: Read<number>, b: Read<number>): Read<number> =>
    (slice, row) =>
      a(slice, row) % b(slice, row),
} as const

function compileComparison(op: CompareOp, leftNode: Node, rightNode: Node, scope: Scope): Compiled {
  const left = compile(leftNode, scope)
  const right = compile(rightNode, scope)
  if (left.type === 'number' && right.type === 'number') return booleanOf(COMPARE[op](left.read, right.read))
  if (left.type === right.type && (op === '==' || op === '!=')) {
    const [a, b] = [left.read as Read<unknown>, right.read as Read<unknown>]
    return booleanOf(op === '==' ? (s, r) => a(s, r) === b(s, r) : (s, r) => a(s, r) !== b(s, r))
  }
  const fix = left.type === right.type ? 'Only numbers have an order.' : 'Both sides must be of one type.'
  throw new ExpressionError(rightNode.at, `cannot compare ${left.type} ${op} ${right.type}`, fix)
}

const COMPARE = {
  '<':
    (a: Read<number>, b: Read<number>): Read<boolean> =>
    (slice, row) =>
      a(slice, row) < b(slice, row),
  '<=':
    (a: Read<number>, b: Read<number>): Read<boolean> =>
    (slice, row) =>
      a(slice, row) <= b(slice, row),
  '>':
    (a: Read<number>, b: Read<number>): Read<boolean> =>
    (slice, row) =>
      a(slice, row) > b(slice, row),
  '>=':
    (a: Read<number>, b: Read<number>): Read<boolean> =>
    (slice, row) =>
      a(slice, row) >= b(slice, row),
  '==':
    (a: Read<number>, b: Read<number>): Read<boolean> =>
    (slice, row) =>
      a(slice, row) === b(slice, row),
  '!=':
    (a: Read<number>, b: Read<number>): Read<boolean> =>
    (slice, row) =>
      a(slice, row) !== b(slice, row),
} as const

function compileIn(node: Extract<Node, { kind: 'in' }>, scope: Scope): Compiled {
  const operand = compile(node.operand, scope)
  const items = node.items.map((item) => {
    if (item.kind === 'text' && operand.type === 'text') return item.value
    if (item.kind === 'number' && operand.type === 'number') return item.value
    throw new ExpressionError(
      item.at,
      `expected a ${operand.type} constant`,
      'All items must be of the type on the left.',
    )
  })
  const set = new Set<string | number>(items)
  const read = operand.read as Read<string | number>
  return booleanOf((slice, row) => set.has(read(slice, row)) !== node.negated)
}

function compileCall(node: Extract<Node, { kind: 'call' }>, scope: Scope): Compiled {
  const { name, args } = node
  const take = (count: number): readonly Node[] => {
    if (args.length === count) return args
    throw new ExpressionError(node.at, `${name}() takes ${count} values, found ${args.length}`)
  }
  switch (name) {
    case 'abs': {
      const value = asNumber(take(1)[0]!, scope)
      return numberOf((slice, row) => Math.abs(value(slice, row)))
    }
    case 'min':
    case 'max': {
      const [a, b] = take(2).map((arg) => asNumber(arg, scope)) as [Read<number>, Read<number>]
      const pick = name === 'min' ? Math.min : Math.max
      return numberOf((slice, row) => pick(a(slice, row), b(slice, row)))
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

function asNumber(node: Node, scope: Scope): Read<number> {
  const compiled = compile(node, scope)
  if (compiled.type === 'number') return compiled.read
  throw new ExpressionError(node.at, `expected a number, found ${compiled.type}`)
}

function asText(node: Node, scope: Scope): Read<string> {
  const compiled = compile(node, scope)
  if (compiled.type === 'text') return compiled.read
  throw new ExpressionError(node.at, `expected text, found ${compiled.type}`)
}

function asBoolean(node: Node, scope: Scope): Read<boolean> {
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

function booleanOf(read: Read<boolean>): Compiled {
  return { type: 'boolean', read }
}
