import { assetPath } from '#infra/assets.ts'
import { wallClock } from '#infra/clock.ts'
import type { LiveFigures } from '#console/server/live.ts'
import { readNamedQueries, runNamedQuery } from '#console/server/named-queries.ts'
import type { ServicePorts } from '#console/server/ports.ts'
import { BASE_CURRENCY } from './path-runtime.ts'
import type { Service } from './service.ts'
import { WEIR_VERSION } from './version.ts'

/** What the running service offers to its API. */
export function createServicePorts(service: Service, isDemo: boolean): ServicePorts {
  const queries = readNamedQueries(assetPath('console/server/queries'))
  return {
    version: WEIR_VERSION,
    demo: isDemo,
    now: () => (isDemo ? service.engine.clockMs : wallClock.now()),
    score: (transaction, timeoutMs) => service.gateway.score(transaction, timeoutMs),
    submit: (events) => service.gateway.submit(events),
    query: (request) =>
      'sql' in request
        ? service.store.analystQuery(request.sql)
        : runNamedQuery(service.store, queries, request.name, request.params),
    listQueries: () =>
      queries.map(({ name, title, describe, params }) => ({
        name,
        title,
        describe,
        params: params.map(({ preset, ...param }) => ({
          ...param,
          ...(preset === undefined ? {} : { default: preset }),
        })),
      })),
    models: () => service.runtime.registry.list(),
    promote: (version) => service.promote(version, 'over the API'),
    rollback: () => service.rollback('over the API'),
    reloadRules: () => service.reloadRules(),
    live: () => liveFigures(service, isDemo),
    health: () => {
      const problems = [
        ...(service.failed.aborted ? ['the path has stopped'] : []),
        ...(service.recorder.problem === '' ? [] : [`ClickHouse: ${service.recorder.problem}`]),
      ]
      return { ok: !service.failed.aborted, problems }
    },
    metrics: () => service.metricsText(),
  }
}

function liveFigures(service: Service, isDemo: boolean): LiveFigures {
  const { stats, runtime, recorder, engine } = service
  const { threshold, rules, champion } = runtime
  return {
    streamTimeMs: stats.streamTimeMs,
    currency: BASE_CURRENCY,
    eventsTotal: stats.eventsTotal,
    eventsPerSecond: stats.eventsPerSecond(wallClock.now()),
    latencyP50Ms: stats.latency(0.5),
    latencyP99Ms: stats.latency(0.99),
    alertsTotal: stats.alertsTotal,
    amountTotal: stats.amountTotal,
    amountFlagged: stats.amountFlagged,
    amountDeclined: stats.amountDeclined,
    labelsTotal: stats.labelsTotal,
    deadLettersTotal: stats.deadLettersTotal,
    repeatedTotal: stats.repeatedTotal,
    rowsRecorded: recorder.rowsRecorded,
    recorderLagLines: Math.max(0, engine.nextLine - 1 - recorder.completeLine),
    model: {
      version: champion?.modelVersion ?? '',
      provider: champion?.provider ?? '',
      threshold: threshold.mode === 'cost' ? null : threshold.review,
    },
    rules: {
      version: rules.version,
      live: rules.rules.filter((rule) => rule.isLive).length,
      shadow: rules.rules.filter((rule) => !rule.isLive).length,
    },
    note: isDemo ? 'DEMO: a simulated world with more fraud than life' : '',
    alerts: stats.alerts,
  }
}
