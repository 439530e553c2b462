import { runUnitTests } from '#test/support/unit-tests.ts'

await runUnitTests((path) => !path.startsWith('unit/models/') && !path.startsWith('unit/simulator/'))
