import { assetPath } from '#infra/assets.ts'
import { loadFeatureSpec } from '#models/features/shipped-specs.ts'
import type { Config } from '#schemas/config.ts'
import type { FeatureSpec } from '#schemas/feature-spec.ts'

/**
 * The feature spec that the settings name.
 *
 * @throws WeirError SPEC_INVALID
 */
export function featureSpecOf(config: Config): FeatureSpec {
  return loadFeatureSpec(config.path.spec, assetPath('models/features/specs'))
}
