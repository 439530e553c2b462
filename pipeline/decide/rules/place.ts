import type { Scalar } from 'yaml'

/** Characters after `\` in double quotes that stand for something in hexadecimal, and the digits that follow. */
const HEX_DIGITS: Readonly<Record<string, number>> = { x: 2, u: 4, U: 8 }
const BLANK_ESCAPES = 'ntr \t'

/**
 * Where a character of a scalar's value stands in the file. Folding, indentation and line ends only change blanks, so the
 * characters that are not blank are counted in both; in quotes an escape counts as what it stands for.
 *
 * @param offset into the value
 * @returns offset into the file's text
 */
export function placeInScalar(file: string, node: Scalar, offset: number): number {
  const range = node.range
  if (range === undefined || range === null) return 0
  const [start, end] = range
  if (typeof node.value !== 'string') return start
  const { value } = node
  const isInside = offset < value.length && !isBlank(value[offset]!)
  let left = countSolid(value.slice(0, offset))
  let at = start + leadOf(file, node, start)
  let afterLast = at
  while (at < end) {
    const { length, solid } = unitAt(file, at, node.type)
    if (solid > 0) {
      if (isInside ? left < solid : left === 0) break
      left -= solid
      afterLast = at + length
    }
    at += length
  }
  return isInside ? at : afterLast
}

/** Characters before the content: a quote, or the line that a block begins with. */
function leadOf(file: string, { type }: Scalar, start: number): number {
  if (type === 'QUOTE_DOUBLE' || type === 'QUOTE_SINGLE') return 1
  if (type !== 'BLOCK_FOLDED' && type !== 'BLOCK_LITERAL') return 0
  const lineEnd = file.indexOf('\n', start)
  return lineEnd < 0 ? 0 : lineEnd + 1 - start
}

/** Length in the file of what stands for the next characters of the value, and how many of these are not blank. */
function unitAt(file: string, at: number, type: Scalar['type']): { readonly length: number; readonly solid: number } {
  const char = file[at]!
  const next = file[at + 1] ?? ''
  if (type === 'QUOTE_SINGLE' && char === "'" && next === "'") return { length: 2, solid: 1 }
  if (type !== 'QUOTE_DOUBLE' || char !== '\\') return { length: 1, solid: isBlank(char) ? 0 : 1 }
  const digits = Object.hasOwn(HEX_DIGITS, next) ? HEX_DIGITS[next]! : 0
  if (digits > 0) {
    const code = Number.parseInt(file.slice(at + 2, at + 2 + digits), 16)
    return { length: 2 + digits, solid: countSolid(String.fromCodePoint(code)) }
  }
  return { length: 2, solid: BLANK_ESCAPES.includes(next) || isBlank(next) ? 0 : 1 }
}

function countSolid(text: string): number {
  let count = 0
  for (let i = 0; i < text.length; i++) if (!isBlank(text[i]!)) count++
  return count
}

function isBlank(char: string): boolean {
  return char === ' ' || char === '\n' || char === '\t' || char === '\r'
}
