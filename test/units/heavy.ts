// The half of the unit tests that takes longest.
import { runUnitTests } from '#test/support/unit-tests.ts'

await runUnitTests((path) => path.startsWith('unit/models/') || path.startsWith('unit/simulator/'))
