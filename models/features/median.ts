/** Most numbers of which a median is taken. */
export const MEDIAN_MAX = 32

const LOWER = MEDIAN_MAX / 2 - 1
const UPPER = MEDIAN_MAX / 2
const INT_MAX = 0x3fff_ffff
/** Fewer are selected faster than sorted. */
const NETWORK_MIN = 10

/**
 * Medians of small sets, again and again. Whole numbers go through a sorting network (Batcher's odd-even merge sort, of
 * which only what decides the two middle places is kept) without a branch that a processor could guess wrong, in a third of
 * the time of a selection; others through a selection.
 */
export class Median {
  private readonly network: Uint8Array = middleNetwork()
  private readonly wires = new Int32Array(MEDIAN_MAX)

  /** Middle value, or the mean of the two, of the first `n` numbers, 1 to MEDIAN_MAX of them; may reorder them. */
  of(values: Float64Array, n: number): number {
    if (n < NETWORK_MIN) return selectMedian(values, n)
    const { wires, network } = this
    // As many below as above, so that the middle is where the network leaves it.
    const below = UPPER - (n >> 1)
    for (let i = 0; i < below; i++) wires[i] = -1
    for (let i = below + n; i < MEDIAN_MAX; i++) wires[i] = INT_MAX
    let bits = 0
    for (let i = 0; i < n; i++) {
      const value = values[i]!
      wires[below + i] = value
      if (wires[below + i] !== value) return selectMedian(values, n)
      bits |= value
    }
    if (bits < 0 || bits > INT_MAX) return selectMedian(values, n)
    for (let i = 0; i < network.length; i += 2) {
      const a = network[i]!
      const b = network[i + 1]!
      const x = wires[a]!
      const y = wires[b]!
      const less = (y - x) & ((y - x) >> 31)
      wires[a] = x + less
      wires[b] = y - less
    }
    return n % 2 === 1 ? wires[UPPER]! : (wires[LOWER]! + wires[UPPER]!) / 2
  }
}

/** The median by Hoare's selection. */
export function selectMedian(values: Float64Array, n: number): number {
  const upper = select(values, n, n >> 1)
  if (n % 2 === 1) return upper
  let lower = values[0]!
  for (let i = 1; i < n >> 1; i++) if (values[i]! > lower) lower = values[i]!
  return (lower + upper) / 2
}

function select(values: Float64Array, n: number, k: number): number {
  let left = 0
  let right = n - 1
  while (left < right) {
    const pivot = values[(left + right) >> 1]!
    let i = left
    let j = right
    while (i <= j) {
      while (values[i]! < pivot) i++
      while (values[j]! > pivot) j--
      if (i <= j) {
        const swap = values[i]!
        values[i] = values[j]!
        values[j] = swap
        i++
        j--
      }
    }
    if (k <= j) right = j
    else if (k >= i) left = i
    else break
  }
  return values[k]!
}

/** Pairs of wires of Batcher's network (Knuth, TAOCP 3, 5.2.2, algorithm M), walked back from the two middle ones. */
function middleNetwork(): Uint8Array {
  const all: [number, number][] = []
  for (let p = 1; p < MEDIAN_MAX; p *= 2) {
    for (let k = p; k >= 1; k /= 2) {
      for (let j = k % p; j <= MEDIAN_MAX - 1 - k; j += 2 * k) {
        for (let i = j; i < Math.min(j + k, MEDIAN_MAX - k); i++) {
          if (Math.floor(i / (p * 2)) === Math.floor((i + k) / (p * 2))) all.push([i, i + k])
        }
      }
    }
  }
  const needed = new Set([LOWER, UPPER])
  const kept: [number, number][] = []
  for (const [a, b] of all.reverse()) {
    if (!needed.has(a) && !needed.has(b)) continue
    needed.add(a).add(b)
    kept.unshift([a, b])
  }
  return Uint8Array.from(kept.flat())
}
