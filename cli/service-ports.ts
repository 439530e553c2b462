import { assetPath } from '#infra/assets.ts'
import { wallClock } from '#infra/clock.ts'
import type { LiveFigures } from '#console/server/live.ts'
import { readNamedQueries, runNamedQuery } from '#console/server/named-queries.ts'
import type { ServicePorts } from '#console/server/ports.ts'
import { RuleMetrics } from '#pipeline/decide/rule-metrics.ts'
import type { RuleFigures } from '#pipeline/decide/rule-tally.ts'
import { WeirError } from '#schemas/errors.ts'
import type { Operations } from './operations.ts'
import { BASE_CURRENCY } from './path-runtime.ts'
import type { Service } from './service.ts'
import { WEIR_VERSION } from './version.ts'

/** What the running service offers to its API. */
export function createServicePorts(service: Service, isDemo: boolean, operations: Operations): ServicePorts {
  const ruleMetrics = new RuleMetrics()
  const queries = readNamedQueries(assetPath('console/server/queries'))
  return {
    version: WEIR_VERSION,
    demo: isDemo,
    now: () => (isDemo ? service.engine.clockMs : wallClock.now()),
    score: async (transaction, timeoutMs) => await decider(service).gateway.score(transaction, timeoutMs),
    submit: async (events) => await decider(service).gateway.submit(events),
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
    async promote(version, reason) {
      await decider(service).causes.promote(version, reason)
      operations.changed()
    },
    async rollback(reason) {
      const version = await decider(service).causes.rollback(reason)
      operations.changed()
      return version
    },
    rules: () => ({ version: service.runtime.rules.version, rules: rulesOf(service) }),
    reloadRules: async () => await decider(service).causes.reloadRules(),
    audit: (entry) => operations.audit(entry),
    live: () => liveFigures(service, isDemo),
    health: () => {
      const problems = [
        ...(service.failed.aborted ? ['the path has stopped'] : []),
        ...(service.state === 'standby' ? [standingBy(service)] : []),
        ...(service.recorderFailure === '' ? [] : [`nothing is recorded: ${service.recorderFailure}`]),
        ...(service.recorder.problem === '' ? [] : [`ClickHouse: ${service.recorder.problem}`]),
      ]
      return { ok: !service.failed.aborted && service.state === 'active', problems }
    },
    metrics() {
      ruleMetrics.report(service.metrics, rulesOf(service))
      return service.metricsText()
    },
  }
}

/** @throws WeirError STANDING_BY while another process decides */
function decider(service: Service): Service {
  if (service.state !== 'standby') return service
  throw new WeirError('STANDING_BY', standingBy(service), {
    fix: 'Ask the process that is active; this one takes over when it falls silent.',
  })
}

function standingBy({ follower }: Service): string {
  return `this process stands by, ${follower.owner ?? 'nobody yet'} is active`
}

function rulesOf({ runtime, engine }: Service): readonly RuleFigures[] {
  return runtime.path.decide.rules(engine.clockMs)
}

function liveFigures(service: Service, isDemo: boolean): LiveFigures {
  const { stats, runtime, recorder, engine } = service
  const { threshold, rules, champion } = runtime
  const states = rulesOf(service)
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
      warming: states.filter(({ state }) => state === 'warming').length,
      expired: states.filter(({ state }) => state === 'expired').length,
    },
    note: isDemo ? 'DEMO: a simulated world with more fraud than life' : '',
    alerts: stats.alerts,
  }
}
