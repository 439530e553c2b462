import { writerIdOf } from '#schemas/wire-type.ts'

/**
 * The writers' schema ids among the first `count` values that are not known yet, each once. Values without a frame (JSON,
 * tombstones, garbage) have none. Neighbours mostly share their id, so a slice of known ones costs a comparison a value
 * and allocates nothing.
 */
export function unknownWriterIds(
  values: ArrayLike<Uint8Array | null>,
  count: number,
  isKnown: (id: number) => boolean,
): readonly number[] {
  let unknown: Set<number> | null = null
  let last = NO_FRAME
  for (let i = 0; i < count; i++) {
    const value = values[i]
    if (value === null || value === undefined) continue
    const id = writerIdOf(value)
    if (id === last || id === NO_FRAME) continue
    last = id
    if (!isKnown(id)) (unknown ??= new Set()).add(id)
  }
  return unknown === null ? NONE : [...unknown]
}

const NO_FRAME = -1
const NONE: readonly number[] = []
