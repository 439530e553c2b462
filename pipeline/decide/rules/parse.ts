import { COUNTER_AGGREGATES } from '#schemas/counter.ts'
import {
  type BinaryOp,
  EXPRESSION_DEPTH_MAX,
  EXPRESSION_NODES_MAX,
  ExpressionError,
  type Node,
  type Word,
} from './ast.ts'
import { type Token, tokenize } from './tokenize.ts'

/**
 * Reads an expression by operator precedence (Pratt's method): or < and < not < comparison, in < + - < * / % < unary -.
 * Comparisons do not chain. Takes time in proportion to the text; length, nodes and depth are bounded.
 *
 * @throws ExpressionError with the place of the fault
 */
export function parseExpression(source: string): Node {
  const parser = new Parser(tokenize(source))
  const node = parser.expression(0)
  parser.expectEnd()
  return node
}

const POWER: Readonly<Record<string, number>> = {
  or: 1, and: 2, in: 4, not: 4, '<': 4, '<=': 4, '>': 4, '>=': 4, '==': 4, '!=': 4, '+': 5, '-': 5, '*': 6, '/': 6, '%': 6,
} // biome-ignore format: a table
const NOT_POWER = 3
const COMPARE_POWER = 4
const MINUS_POWER = 7
const KEYWORDS: ReadonlySet<string> = new Set(['and', 'or', 'not', 'in', 'true', 'false'])

class Parser {
  private readonly tokens: readonly Token[]
  private next = 0
  private depth = 0
  private nodes = 0

  constructor(tokens: readonly Token[]) {
    this.tokens = tokens
  }

  /** An expression of operators that bind more tightly than `power`. */
  expression(power: number): Node {
    if (++this.depth > EXPRESSION_DEPTH_MAX) {
      throw new ExpressionError(this.peek().at, `the expression is nested more than ${EXPRESSION_DEPTH_MAX} deep`)
    }
    let left = this.prefix()
    for (;;) {
      const token = this.peek()
      const own = powerOf(token)
      if (own <= power) break
      left = own === COMPARE_POWER ? this.comparison(left) : this.binary(left, own)
      if (own === COMPARE_POWER && powerOf(this.peek()) === COMPARE_POWER) {
        throw new ExpressionError(this.peek().at, 'comparisons do not chain', "Join them: 'a < b and b < c'.")
      }
    }
    this.depth--
    return left
  }

  expectEnd(): void {
    const token = this.peek()
    if (token.kind !== 'end') throw new ExpressionError(token.at, `did not expect ${describe(token)} here`)
  }

  private prefix(): Node {
    const token = this.take()
    const { at, end } = token
    switch (token.kind) {
      case 'number':
        return this.made({ kind: 'number', value: token.value, at, end })
      case 'duration':
        return this.made({ kind: 'duration', ms: token.ms, at, end })
      case 'text':
        return this.made({ kind: 'text', value: token.value, at, end })
      case 'word':
        return this.word(token.value, at, end)
      case 'sign': {
        if (token.value === '-') {
          const operand = this.expression(MINUS_POWER)
          return this.made({ kind: 'unary', op: '-', operand, at, end: operand.end })
        }
        if (token.value === '(') {
          const inner = this.expression(0)
          this.expect(')')
          return inner
        }
        throw new ExpressionError(at, `expected a value, found ${describe(token)}`)
      }
      case 'end':
        throw new ExpressionError(at, 'the expression ends where a value is expected')
    }
  }

  private word(word: string, at: number, end: number): Node {
    if (word === 'true' || word === 'false') return this.made({ kind: 'boolean', value: word === 'true', at, end })
    if (word === 'not') {
      const operand = this.expression(NOT_POWER)
      return this.made({ kind: 'unary', op: 'not', operand, at, end: operand.end })
    }
    if (KEYWORDS.has(word)) throw new ExpressionError(at, `expected a value, found '${word}'`)
    if (this.accept('(')) return this.call(word, at)
    if (this.accept('.')) {
      const key = this.takeWord('a name after the point')
      return this.made({ kind: 'name', name: word, key: key.word, at, end: key.end })
    }
    if (this.accept('[')) {
      const key = this.take()
      if (key.kind !== 'text') throw new ExpressionError(key.at, `expected a name in quotes, found ${describe(key)}`)
      this.expect(']')
      return this.made({ kind: 'name', name: word, key: key.value, at, end: this.lastEnd() })
    }
    return this.made({ kind: 'name', name: word, key: null, at, end })
  }

  private call(name: string, at: number): Node {
    if ((COUNTER_AGGREGATES as readonly string[]).includes(name)) return this.counter(name, at)
    const args: Node[] = []
    if (!this.accept(')')) {
      do args.push(this.expression(0))
      while (this.accept(','))
      this.expect(')')
    }
    return this.made({ kind: 'call', name, args, at, end: this.lastEnd() })
  }

  private counter(aggregate: string, at: number): Node {
    const fields = [this.takeWord('the field to count by')]
    while (this.acceptWord('x')) fields.push(this.takeWord("a field after 'x'"))
    this.expect(',')
    const window = this.take()
    if (window.kind !== 'duration') {
      throw new ExpressionError(window.at, `expected the window as a duration (10m, 1h, 1d), found ${describe(window)}`)
    }
    const filter = this.accept(',') ? this.takeWord('which events to count') : null
    this.expect(')')
    const end = this.lastEnd()
    return this.made({ kind: 'counter', aggregate, fields, windowMs: window.ms, windowAt: window.at, filter, at, end })
  }

  private binary(left: Node, power: number): Node {
    const op = valueOf(this.take()) as BinaryOp
    const right = this.expression(power)
    return this.made({ kind: 'binary', op, left, right, at: left.at, end: right.end })
  }

  private comparison(left: Node): Node {
    const token = this.take()
    const op = valueOf(token)
    if (op !== 'in' && op !== 'not') {
      const right = this.expression(COMPARE_POWER)
      return this.made({ kind: 'binary', op: op as BinaryOp, left, right, at: left.at, end: right.end })
    }
    if (op === 'not' && !this.acceptWord('in')) {
      throw new ExpressionError(token.at, "expected an operator, found 'not'", "Write 'and not ...' or 'not in'.")
    }
    return this.membership(left, op === 'not')
  }

  private membership(operand: Node, negated: boolean): Node {
    if (this.accept('[')) {
      const items: Node[] = []
      do items.push(this.expression(COMPARE_POWER))
      while (this.accept(','))
      this.expect(']')
      return this.made({ kind: 'in', negated, operand, items, at: operand.at, end: this.lastEnd() })
    }
    const token = this.take()
    if (valueOf(token) !== 'list') {
      throw new ExpressionError(token.at, `expected [values] or list("name") after 'in', found ${describe(token)}`)
    }
    this.expect('(')
    const name = this.take()
    if (name.kind !== 'text') {
      throw new ExpressionError(name.at, `expected the list's name in quotes, found ${describe(name)}`)
    }
    this.expect(')')
    return this.made({ kind: 'in_list', negated, operand, list: name.value, at: operand.at, end: this.lastEnd() })
  }

  private made(node: Node): Node {
    if (++this.nodes > EXPRESSION_NODES_MAX) {
      throw new ExpressionError(node.at, `the expression has more than ${EXPRESSION_NODES_MAX} parts`)
    }
    return node
  }

  private peek(): Token {
    return this.tokens[this.next]!
  }

  /** The last token is never passed, so that every look ahead finds `end`. */
  private take(): Token {
    const token = this.tokens[this.next]!
    if (token.kind !== 'end') this.next++
    return token
  }

  private lastEnd(): number {
    return this.tokens[Math.max(0, this.next - 1)]!.end
  }

  private accept(sign: string): boolean {
    const token = this.peek()
    if (token.kind !== 'sign' || token.value !== sign) return false
    this.next++
    return true
  }

  private acceptWord(word: string): boolean {
    const token = this.peek()
    if (token.kind !== 'word' || token.value !== word) return false
    this.next++
    return true
  }

  private expect(sign: string): void {
    if (!this.accept(sign)) {
      throw new ExpressionError(this.peek().at, `expected '${sign}', found ${describe(this.peek())}`)
    }
  }

  private takeWord(what: string): Word {
    const token = this.take()
    if (token.kind !== 'word' || KEYWORDS.has(token.value)) {
      throw new ExpressionError(token.at, `expected ${what}, found ${describe(token)}`)
    }
    return { word: token.value, at: token.at, end: token.end }
  }
}

function powerOf(token: Token): number {
  const value = valueOf(token)
  return Object.hasOwn(POWER, value) ? POWER[value]! : 0
}

/** The word or sign of a token; empty for values. */
function valueOf(token: Token): string {
  return token.kind === 'word' || token.kind === 'sign' ? token.value : ''
}

function describe(token: Token): string {
  switch (token.kind) {
    case 'end':
      return 'the end of the expression'
    case 'number':
      return `the number ${token.value}`
    case 'duration':
      return 'a duration'
    case 'text':
      return `the text ${JSON.stringify(token.value)}`
    case 'word':
    case 'sign':
      return `'${token.value}'`
  }
}
