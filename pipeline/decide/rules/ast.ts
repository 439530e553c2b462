import { WeirError } from '#schemas/errors.ts'

/** What an expression was read as, before names are looked up. `at` and `end` are offsets into the expression's text. */
export type Node =
  | (Span & { readonly kind: 'number'; readonly value: number })
  | (Span & { readonly kind: 'duration'; readonly ms: number })
  | (Span & { readonly kind: 'text'; readonly value: string })
  | (Span & { readonly kind: 'boolean'; readonly value: boolean })
  /** `name`, or `name.key` as in `attributes.segment`. */
  | (Span & { readonly kind: 'name'; readonly name: string; readonly key: string | null })
  | (Span & { readonly kind: 'unary'; readonly op: UnaryOp; readonly operand: Node })
  | (Span & { readonly kind: 'binary'; readonly op: BinaryOp; readonly left: Node; readonly right: Node })
  | (Span & { readonly kind: 'in'; readonly negated: boolean; readonly operand: Node; readonly items: readonly Node[] })
  | (Span & { readonly kind: 'in_list'; readonly negated: boolean; readonly operand: Node; readonly list: string })
  | (Span & { readonly kind: 'call'; readonly name: string; readonly args: readonly Node[] })
  /** `count(bin x merchant_id, 10m, declined)`. */
  | (Span & {
      readonly kind: 'counter'
      readonly aggregate: string
      readonly fields: readonly Word[]
      readonly windowMs: number
      readonly windowAt: number
      readonly filter: Word | null
    })

export interface Span {
  readonly at: number
  readonly end: number
}

export interface Word extends Span {
  readonly word: string
}

export type UnaryOp = '-' | 'not'
export type CompareOp = '<' | '<=' | '>' | '>=' | '==' | '!='
export type ArithmeticOp = '+' | '-' | '*' | '/' | '%'
export type BinaryOp = 'and' | 'or' | CompareOp | ArithmeticOp

/** Bounds on one expression: reading, checking and one evaluation take time in proportion to them. */
export const EXPRESSION_CHARS_MAX = 2_000
export const EXPRESSION_NODES_MAX = 400
export const EXPRESSION_DEPTH_MAX = 40

/** A fault in an expression, with its place in the expression's text. */
export class ExpressionError extends WeirError {
  readonly at: number

  constructor(at: number, message: string, fix = '') {
    super('RULES_INVALID', message, { where: `character ${at + 1}`, fix })
    this.at = at
  }
}
