import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { describe, test } from 'node:test'
import { defaultConfig } from '#schemas/config.ts'
import { benchChaos, type ChaosFigures } from '#test/bench/kafka-chaos.ts'
import { prepareKafka } from '#test/support/kafka-home.ts'
import { skipWithout } from '#test/support/optional-tool.ts'
import { WEIR } from '#test/support/running-service.ts'

const home = await prepareKafka()
const KILLS = 5
const RATE = 300

describe('processes and broker, killed at random moments under load', { skip: skipWithout(home) }, () => {
  let figures: ChaosFigures

  test('the run comes to its end', async () => {
    assert.ok(existsSync(WEIR), 'build first: npm run build')
    const config = defaultConfig(tmpdir())
    const lean = { ...config, path: { ...config.path, spec: 'lean' as const } }
    figures = await benchChaos({ config: lean, program: [WEIR], kills: KILLS, seed: 1, rate: RATE })
  })

  test('every kind of process was hit, and work went on under new terms', () => {
    for (const [victim, kills] of Object.entries(figures.kills)) assert.ok(kills > 0, `no ${victim} was killed`)
    assert.ok(figures.terms > 1, `the journal knows ${figures.terms} term`)
  })

  test('nothing is lost, nothing is there twice, and a replay gives the same state', () => {
    assert.deepEqual(figures.problems, [])
    assert.ok(figures.accepted > RATE, `only ${figures.accepted} transactions were taken`)
    assert.equal(figures.decisions, figures.accepted)
    assert.equal(figures.rows, figures.decisions)
    assert.ok(figures.flagged > 0, 'nothing was flagged')
    assert.equal(figures.alerts, figures.flagged)
    assert.ok(figures.checkpoints > 0)
  })

  test('no process ended by itself, but where its tables were killed while it opened them', () => {
    assert.deepEqual(
      figures.ended.filter((end) => !end.includes('STORE_UNAVAILABLE')),
      [],
    )
  })
})
