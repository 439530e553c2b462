import assert from 'node:assert/strict'
import { test } from 'node:test'
import { METRICS, type MetricEntry } from '#infra/metrics-catalogue.ts'
import { createPrometheusMetrics } from '#infra/prometheus.ts'

test('counters, gauges and histograms come out as Prometheus reads them, with their help', async () => {
  const metrics = createPrometheusMetrics({ withProcess: false })
  metrics.count('weir_events_total', 3)
  metrics.count('weir_events_total')
  metrics.count('weir_events_unscored_total', 2, { reason: 'overload' })
  metrics.gauge('weir_threshold', 0.25)
  metrics.observe('weir_slice_seconds', 0.003)
  const text = await metrics.text()
  for (const line of [
    '# TYPE weir_events_total counter',
    '# HELP weir_threshold Review threshold in force.',
    'weir_events_total 4',
    'weir_events_unscored_total{reason="overload"} 2',
    'weir_threshold 0.25',
    'weir_slice_seconds_bucket{le="0.005"} 1',
    'weir_slice_seconds_count 1',
  ]) {
    assert.ok(text.split('\n').includes(line), line)
  }
})

test('two of them do not share their figures', async () => {
  const [one, other] = [createPrometheusMetrics({ withProcess: false }), createPrometheusMetrics({ withProcess: true })]
  one.count('weir_events_total', 9)
  assert.match(await other.text(), /^weir_events_total 0$/m)
  assert.match(await other.text(), /^process_cpu_seconds_total/m)
})

test('a metric that does not stand in the catalogue, or is another kind there, cannot be counted', () => {
  const metrics = createPrometheusMetrics({ withProcess: false })
  assert.throws(() => metrics.count('weir_surprise_total'), { code: 'INVARIANT' })
  assert.throws(() => metrics.gauge('weir_events_total', 1), { code: 'INVARIANT' })
})

test('names follow the customs: counters end in _total, times in _seconds, help is a sentence', () => {
  for (const [name, { kind, help, buckets }] of Object.entries<MetricEntry>(METRICS)) {
    assert.match(name, /^weir_[a-z_]+$/)
    assert.equal(kind === 'counter', name.endsWith('_total'), name)
    assert.match(help, /^[A-Z].*\.$/, name)
    assert.equal(kind === 'histogram', buckets !== undefined, name)
    if (kind === 'histogram') assert.ok(name.endsWith('_seconds'), name)
  }
})
