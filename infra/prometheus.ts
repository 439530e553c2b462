import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import { WeirError } from '#schemas/errors.ts'
import type { Metrics } from './metrics.ts'
import { METRICS, type MetricEntry } from './metrics-catalogue.ts'

export interface PrometheusMetrics extends Metrics {
  /** What `/metrics` answers: Prometheus text format 0.0.4. */
  text(): Promise<string>
}

type Labels = Readonly<Record<string, string>>

/** Metrics in a registry of their own, so that two services in one process do not meet. */
export function createPrometheusMetrics(options: { readonly withProcess: boolean }): PrometheusMetrics {
  const registry = new Registry()
  const counters = new Map<string, Counter>()
  const gauges = new Map<string, Gauge>()
  const histograms = new Map<string, Histogram>()
  for (const [name, entry] of Object.entries<MetricEntry>(METRICS)) {
    const { kind, help, labels = [], buckets = [] } = entry
    const base = { name, help, labelNames: [...labels], registers: [registry] }
    if (kind === 'counter') counters.set(name, new Counter(base))
    else if (kind === 'gauge') gauges.set(name, new Gauge(base))
    else histograms.set(name, new Histogram({ ...base, buckets: [...buckets] }))
  }
  if (options.withProcess) collectDefaultMetrics({ register: registry })

  return {
    count(name, value = 1, labels = NO_LABELS) {
      known(counters, name).inc(labels, value)
    },
    gauge(name, value, labels = NO_LABELS) {
      known(gauges, name).set(labels, value)
    },
    observe(name, seconds, labels = NO_LABELS) {
      known(histograms, name).observe(labels, seconds)
    },
    text: async () => await registry.metrics(),
  }
}

const NO_LABELS: Labels = {}

function known<T>(metrics: ReadonlyMap<string, T>, name: string): T {
  const metric = metrics.get(name)
  if (metric !== undefined) return metric
  throw new WeirError('INVARIANT', `metric ${name} does not stand in the catalogue as what it is used as`, {
    where: 'infra/metrics-catalogue.ts',
    fix: 'Add it there, or use it as the kind it has.',
  })
}
