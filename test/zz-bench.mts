import { benchFeatures } from '#test/bench/features.ts'
import { loadFeatureSpec } from '#models/features/shipped-specs.ts'
const which = process.argv[2]!,
  cards = Number(process.argv[3] ?? 50000),
  merchants = Number(process.argv[4] ?? 5000),
  events = Number(process.argv[5] ?? 3000000)
console.log(
  which,
  JSON.stringify(
    benchFeatures(loadFeatureSpec(which, 'models/features/specs'), { cards, merchants, events, days: 30 }),
  ),
)
