/** p50, p99 and the like of measured values, which need not be sorted. NaN where there are none. */
export function percentilesOf(values: Float64Array): {
  readonly p50: number
  readonly p99: number
  readonly max: number
} {
  const sorted = values.slice().sort()
  const at = (share: number): number => {
    const value = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]
    return value === undefined ? Number.NaN : Number(value.toFixed(2))
  }
  return { p50: at(0.5), p99: at(0.99), max: at(1) }
}

/** Numbers one after the other, however many. */
export class Samples {
  private values = new Float64Array(1_024)
  count = 0

  add(value: number): void {
    if (this.count === this.values.length) {
      const larger = new Float64Array(this.values.length * 2)
      larger.set(this.values)
      this.values = larger
    }
    this.values[this.count++] = value
  }

  at(index: number): number {
    return this.values[index]!
  }

  all(): Float64Array {
    return this.values.subarray(0, this.count)
  }
}

/** Slope of the straight line through points by least squares, units of y a unit of x. */
export function slopeOf(points: readonly { readonly x: number; readonly y: number }[]): number {
  const n = points.length
  if (n < 2) return 0
  const meanX = points.reduce((sum, { x }) => sum + x, 0) / n
  const meanY = points.reduce((sum, { y }) => sum + y, 0) / n
  let over = 0
  let under = 0
  for (const { x, y } of points) {
    over += (x - meanX) * (y - meanY)
    under += (x - meanX) ** 2
  }
  return under === 0 ? 0 : over / under
}
