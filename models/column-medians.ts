/**
 * Median of each column of `[count, width]`, the lower one of two: a value that was really seen. Stands for "not there"
 * when a score is explained.
 */
export function columnMedians(current: Float32Array, count: number, width: number): number[] {
  const column = new Float32Array(count)
  return Array.from({ length: width }, (_, j) => {
    for (let i = 0; i < count; i++) column[i] = current[i * width + j]!
    column.sort()
    return column[(count - 1) >> 1] ?? 0
  })
}
