import { EXPRESSION_CHARS_MAX, ExpressionError, type Span } from './ast.ts'

export type Token =
  | (Span & { readonly kind: 'number'; readonly value: number })
  | (Span & { readonly kind: 'duration'; readonly ms: number })
  | (Span & { readonly kind: 'text'; readonly value: string })
  | (Span & { readonly kind: 'word'; readonly value: string })
  | (Span & { readonly kind: 'sign'; readonly value: string })
  | (Span & { readonly kind: 'end' })

export const DURATION_UNITS_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}

/**
 * Cuts an expression into tokens, in one pass over its characters. The last token is always `end`.
 *
 * @throws ExpressionError for a character, number or text that cannot be read
 */
export function tokenize(source: string): readonly Token[] {
  if (source.length > EXPRESSION_CHARS_MAX) {
    throw new ExpressionError(
      EXPRESSION_CHARS_MAX,
      `the expression is ${source.length} characters long, the most is ${EXPRESSION_CHARS_MAX}`,
      'Split it into several rules.',
    )
  }
  const tokens: Token[] = []
  let at = 0
  while (at < source.length) {
    const char = source[at]!
    if (isBlank(char)) {
      at++
      continue
    }
    const token = isDigit(char)
      ? readNumber(source, at)
      : isWordStart(char)
        ? readWord(source, at)
        : char === '"' || char === "'"
          ? readText(source, at)
          : readSign(source, at)
    tokens.push(token)
    at = token.end
  }
  tokens.push({ kind: 'end', at: source.length, end: source.length })
  return tokens
}

/** `12`, `1_000`, `0.5`; with a unit at once behind it (`10m`) a duration. */
function readNumber(source: string, at: number): Token {
  let end = at
  let points = 0
  while (end < source.length) {
    const char = source[end]!
    if (char === '.' && isDigit(source[end + 1] ?? '')) points++
    else if (!isDigit(char) && !(char === '_' && isDigit(source[end + 1] ?? ''))) break
    end++
  }
  const digits = source.slice(at, end)
  const value = Number(digits.replaceAll('_', ''))
  if (points > 1) throw new ExpressionError(at, `${digits} is not a number`)
  const unitAt = end
  while (end < source.length && isWordPart(source[end]!)) end++
  if (end === unitAt) return { kind: 'number', value, at, end }
  const unit = source.slice(unitAt, end)
  const factor = Object.hasOwn(DURATION_UNITS_MS, unit) ? DURATION_UNITS_MS[unit] : undefined
  if (factor === undefined) {
    throw new ExpressionError(
      at,
      `${source.slice(at, end)} is neither a number nor a duration`,
      `Durations end in ${Object.keys(DURATION_UNITS_MS).join(', ')}, as 10m; names begin with a letter.`,
    )
  }
  return { kind: 'duration', ms: value * factor, at, end }
}

function readWord(source: string, at: number): Token {
  let end = at
  while (end < source.length && isWordPart(source[end]!)) end++
  return { kind: 'word', value: source.slice(at, end), at, end }
}

/** Text in single or double quotes; a backslash takes the next character as it is. */
function readText(source: string, at: number): Token {
  const quote = source[at]!
  let value = ''
  for (let end = at + 1; end < source.length; end++) {
    const char = source[end]!
    if (char === quote) return { kind: 'text', value, at, end: end + 1 }
    if (char === '\\' && end + 1 < source.length) value += source[++end]!
    else value += char
  }
  throw new ExpressionError(at, 'this text has no closing quote', `Close it with ${quote}.`)
}

const TWO_CHAR_SIGNS = ['<=', '>=', '==', '!=']
const ONE_CHAR_SIGNS = '<>+-*/%()[],.'
const FOREIGN_SIGNS: readonly (readonly [string, string])[] = [
  ['&&', 'and'],
  ['||', 'or'],
  ['=', '=='],
  ['!', 'not'],
  ['&', 'and'],
  ['|', 'or'],
]

function readSign(source: string, at: number): Token {
  const two = source.slice(at, at + 2)
  if (TWO_CHAR_SIGNS.includes(two)) return { kind: 'sign', value: two, at, end: at + 2 }
  const one = source[at]!
  if (ONE_CHAR_SIGNS.includes(one)) return { kind: 'sign', value: one, at, end: at + 1 }
  for (const [foreign, ours] of FOREIGN_SIGNS) {
    if (source.startsWith(foreign, at)) {
      throw new ExpressionError(at, `'${foreign}' is not an operator here`, `Write '${ours}'.`)
    }
  }
  throw new ExpressionError(at, `the character ${JSON.stringify(one)} has no meaning here`)
}

function isBlank(char: string): boolean {
  return char === ' ' || char === '\n' || char === '\t' || char === '\r'
}

function isDigit(char: string): boolean {
  return char >= '0' && char <= '9'
}

function isWordStart(char: string): boolean {
  return (char >= 'a' && char <= 'z') || (char >= 'A' && char <= 'Z') || char === '_'
}

function isWordPart(char: string): boolean {
  return isWordStart(char) || isDigit(char)
}
