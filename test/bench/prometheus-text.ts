/** What `/metrics` gave at one moment: values by name with labels, as they stand in the text. */
export type MetricsSnapshot = ReadonlyMap<string, number>

export function parseMetrics(text: string): MetricsSnapshot {
  const values = new Map<string, number>()
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue
    const cut = line.lastIndexOf(' ')
    values.set(line.slice(0, cut), Number(line.slice(cut + 1)))
  }
  return values
}

/** Sum over all labels of a counter. */
export function totalOf(snapshot: MetricsSnapshot, name: string): number {
  let sum = 0
  for (const [key, value] of snapshot) if (key === name || key.startsWith(`${name}{`)) sum += value
  return sum
}

/**
 * Share of a histogram's observations between two snapshots, as milliseconds: the place within a bucket is taken for
 * even.
 */
export function histogramMs(
  before: MetricsSnapshot,
  after: MetricsSnapshot,
  name: string,
): { readonly p50: number; readonly p99: number; readonly mean: number; readonly count: number } {
  const grown = (key: string): number => (after.get(key) ?? 0) - (before.get(key) ?? 0)
  const buckets = [...after.keys()]
    .map((key) => ({ key, bound: new RegExp(`^${name}_bucket\\{le="([^"]+)"`).exec(key)?.[1] }))
    .filter(({ bound }) => bound !== undefined)
    .map(({ key, bound }) => ({ bound: bound === '+Inf' ? Number.POSITIVE_INFINITY : Number(bound), upTo: grown(key) }))
    .toSorted((a, b) => a.bound - b.bound)
  const count = grown(`${name}_count`)
  const at = (share: number): number => {
    let low = 0
    let below = 0
    for (const { bound, upTo } of buckets) {
      if (upTo >= count * share) {
        const within = upTo === below ? 1 : (count * share - below) / (upTo - below)
        return Number(((Number.isFinite(bound) ? low + within * (bound - low) : low) * 1_000).toFixed(2))
      }
      low = bound
      below = upTo
    }
    return Number.NaN
  }
  return { p50: at(0.5), p99: at(0.99), mean: Number(((grown(`${name}_sum`) / count) * 1_000).toFixed(2)), count }
}
