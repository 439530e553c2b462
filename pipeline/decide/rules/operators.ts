import type { SliceBuffers } from '../../slice.ts'
import type { ArithmeticOp } from './ast.ts'

/** A compiled expression: reads a row, allocates nothing. */
export type Read<T> = (slice: SliceBuffers, row: number) => T

/** A condition holds, does not, or cannot be told because a number it needs is missing (null). */
export type Truth = boolean | null

/** Unknown stays unknown. */
export function negationOf(operand: Read<Truth>): Read<Truth> {
  return (slice, row) => {
    const truth = operand(slice, row)
    return truth === null ? null : !truth
  }
}

/** False where one side is, whatever the other is. */
export function bothOf(left: Read<Truth>, right: Read<Truth>): Read<Truth> {
  return (slice, row) => {
    const a = left(slice, row)
    if (a === false) return false
    const b = right(slice, row)
    return a === null && b !== false ? null : b
  }
}

/** True where one side is, whatever the other is. */
export function eitherOf(left: Read<Truth>, right: Read<Truth>): Read<Truth> {
  return (slice, row) => {
    const a = left(slice, row)
    if (a === true) return true
    const b = right(slice, row)
    return a === null && b !== true ? null : b
  }
}

/**
 * A closure of its own for each, so that a call in it always meets the same code. A missing side leaves it unknown: where
 * a number is missing, no order holds and neither does its opposite.
 */
export const COMPARE = {
  '<':
    (a: Read<number>, b: Read<number>): Read<Truth> =>
    (slice, row) => {
      const x = a(slice, row)
      const y = b(slice, row)
      return x < y ? true : x >= y ? false : null
    },
  '<=':
    (a: Read<number>, b: Read<number>): Read<Truth> =>
    (slice, row) => {
      const x = a(slice, row)
      const y = b(slice, row)
      return x <= y ? true : x > y ? false : null
    },
  '>':
    (a: Read<number>, b: Read<number>): Read<Truth> =>
    (slice, row) => {
      const x = a(slice, row)
      const y = b(slice, row)
      return x > y ? true : x <= y ? false : null
    },
  '>=':
    (a: Read<number>, b: Read<number>): Read<Truth> =>
    (slice, row) => {
      const x = a(slice, row)
      const y = b(slice, row)
      return x >= y ? true : x < y ? false : null
    },
  '==':
    (a: Read<number>, b: Read<number>): Read<Truth> =>
    (slice, row) => {
      const x = a(slice, row)
      const y = b(slice, row)
      return x === y ? true : x !== x || y !== y ? null : false
    },
  '!=':
    (a: Read<number>, b: Read<number>): Read<Truth> =>
    (slice, row) => {
      const x = a(slice, row)
      const y = b(slice, row)
      return x === y ? false : x !== x || y !== y ? null : true
    },
} as const

/** Dividing by nothing gives nothing that could be compared: it is unknown, not endless. */
export const ARITHMETIC = {
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
    (slice, row) => {
      const divisor = b(slice, row)
      return divisor === 0 ? Number.NaN : a(slice, row) / divisor
    },
  '%':
    (a: Read<number>, b: Read<number>): Read<number> =>
    (slice, row) =>
      a(slice, row) % b(slice, row),
} as const

/** As with units of measurement; null where the operation makes no sense. */
export function typeOfArithmetic(op: ArithmeticOp, left: QuantityType, right: QuantityType): QuantityType | null {
  if (left === right) {
    if (left === 'number') return 'number'
    return op === '/' ? 'number' : op === '*' ? null : 'duration'
  }
  return op === '*' || (op === '/' && left === 'duration') ? 'duration' : null
}

type QuantityType = 'number' | 'duration'
