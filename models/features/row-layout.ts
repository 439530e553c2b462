/** What the rows of a store hold. */
export interface RowColumns {
  readonly hasAmounts: boolean
  readonly hasTags: boolean
  readonly hasFlags: boolean
  /** Tiled rows then keep the largest amount of their minute. */
  readonly hasMax: boolean
  /** 32-bit columns for keys of other entities. */
  readonly otherColumns: 0 | 1 | 2
}

/**
 * How the rows of a block are kept. Narrow ones hold the running totals of amounts in 32 bits, which is exact as long as
 * all amounts of the entity together stay below 2^32; wide ones in doubles. Tiled ones are wide and may stand for all
 * events of a minute.
 */
export const NARROW = 0
export const WIDE = 1
export const TILED = 2
export type RowKind = typeof NARROW | typeof WIDE | typeof TILED

/** Bits of a row's flags. */
export const FLAG_LOW = 1
export const FLAG_HIGH = 0x1_0000

/** Doubles of a header, behind the two words of its hash. */
export const NEWEST = 1
export const BASE = 2
export const SUM_BEFORE = 3
export const FIRST_SEEN = 4
/** Words of a header. */
export const HASH_HI = 0
export const HASH_LO = 1
export const CLASS = 10
export const BLOCK = 11
export const HEAD = 12
export const COUNT = 13
export const LOW_BEFORE = 14
export const HIGH_BEFORE = 15
export const EVENTS_BEFORE = 16
export const IN_USE = 17
/** Words that the store's owner uses as it likes, `extraWords` of them. */
export const EXTRA_WORDS = 18

/** Words of a row, running totals of flags of an exact one being 16-bit halves of one word. */
export function rowWords(columns: RowColumns, kind: RowKind): number {
  const { hasAmounts, hasTags, hasFlags, hasMax, otherColumns } = columns
  const sums = hasAmounts ? (kind === NARROW ? 1 : 2) : 0
  const exact = sums + 1 + (hasTags ? 1 : 0) + (hasFlags ? 1 : 0) + otherColumns
  return kind === TILED ? exact + 1 + (hasFlags ? 1 : 0) + (hasMax ? 2 : 0) : exact
}

/** Where the columns of a block are: a ring of `capacity` rows, the oldest at `head`. */
export interface RowsPlace {
  readonly kind: RowKind
  readonly capacity: number
  readonly head: number
  readonly u32: Uint32Array
  readonly f64: Float64Array
  /** In words of narrow rows, in doubles of others; the others below in words, but for `maxAt`. */
  readonly sumAt: number
  readonly maxAt: number
  readonly timeAt: number
  readonly tagAt: number
  readonly flagsAt: number
  readonly highAt: number
  readonly otherAt: number
  readonly eventsAt: number
}
