import { wallClock } from '#infra/clock.ts'
import type { Tokenizer } from '#infra/tokenizer.ts'
import type { Service } from './service.ts'
import { WEIR_VERSION } from './version.ts'

export interface ServiceMetrics {
  /** Figures that are read rather than counted, brought up to date; Prometheus text. */
  text(service: Service): Promise<string>
}

export function createServiceMetrics(tokenizer: Tokenizer): ServiceMetrics {
  const replacedBefore = new Map<string, number>()
  return {
    async text(service) {
      const { metrics, runtime, engine } = service
      const { entities, stateBytes, tiledEntities } = runtime.path.fold.featurizer.stats
      const { threshold, champion } = runtime
      metrics.gauge('weir_build_info', 1, {
        version: WEIR_VERSION,
        node: process.versions.node,
        spec: runtime.layout.specName,
      })
      metrics.gauge('weir_active', service.state === 'active' ? 1 : 0)
      metrics.gauge('weir_intake_rows', service.intake.length)
      metrics.gauge('weir_journal_line', Math.max(engine.nextLine, service.follower.standing.nextLine) - 1)
      metrics.gauge('weir_journal_term', Math.max(engine.term, service.follower.standing.term))
      metrics.gauge('weir_stream_time_seconds', engine.clockMs / 1_000)
      metrics.gauge('weir_state_bytes', stateBytes)
      metrics.gauge('weir_state_entities', entities)
      metrics.gauge('weir_state_tiled_entities', tiledEntities)
      metrics.gauge('weir_checkpoint_age_seconds', (wallClock.now() - service.checkpointedAtMs) / 1_000)
      if (threshold.mode !== 'cost') metrics.gauge('weir_threshold', threshold.review)
      if (champion !== null) {
        metrics.gauge('weir_model_info', 1, { version: champion.modelVersion, provider: champion.provider })
      }
      metrics.gauge('weir_rules_info', 1, { version: runtime.rules.version })
      for (const [field, count] of tokenizer.replaced) {
        metrics.count('weir_card_numbers_replaced_total', count - (replacedBefore.get(field) ?? 0), { field })
        replacedBefore.set(field, count)
      }
      return metrics.text()
    },
  }
}
