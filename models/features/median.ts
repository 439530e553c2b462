/**
 * Middle value, or the mean of the two, of the first `n` numbers, at least one; reorders them. Selection by Hoare's
 * algorithm 65.
 */
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
