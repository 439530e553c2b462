import assert from 'node:assert/strict'
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { RunningService } from '#test/support/running-service.ts'
import { newTempFolder } from '#test/support/temp-folder.ts'

const SHIPPED = fileURLToPath(new URL('../../models/shipped', import.meta.url))
const DAY_MS = 86_400_000
const WAIT_MS_MAX = 30_000
const RULES = `version: 1
rules:
  - { id: large, when: amount > 10, action: review, reason: LARGE, text: much, owner: desk }
  - { id: risky, when: signals.risk > 0.5, action: review, reason: RISKY, text: risky, owner: desk, mode: shadow }
  - { id: often, when: "count(card_id, 1d) > 5", action: review, reason: OFTEN, text: often, owner: desk }
`

const payment = (id: string, fields: object = {}): object => ({
  transaction_id: id,
  card_id: `card-${id}`,
  merchant_id: 'merchant-1',
  amount: 12_50,
  currency: 'EUR',
  ...fields,
})

interface Answer {
  readonly transaction_id: string
  readonly verdict: string
  readonly explored: number | null
  readonly provisional?: boolean
}

async function rowsOf(service: RunningService, sql: string): Promise<readonly Record<string, unknown>[]> {
  const { status, text, json } = await service.post('/v1/query', { sql })
  assert.equal(status, 200, text)
  return (json as { rows: Record<string, unknown>[] }).rows
}

/** Rows, as soon as there are so many. */
async function rowsOnce(
  service: RunningService,
  sql: string,
  count: number,
): Promise<readonly Record<string, unknown>[]> {
  const deadline = AbortSignal.timeout(WAIT_MS_MAX)
  for (;;) {
    const rows = await rowsOf(service, sql)
    if (rows.length >= count || deadline.aborted) return rows
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

describe('what is noted of a running service', () => {
  const folder = newTempFolder()
  const rulesFile = join(folder.path, 'rules.yaml')
  const services: RunningService[] = []

  async function start(name: string, settings: readonly string[]): Promise<RunningService> {
    writeFileSync(rulesFile, RULES)
    const quick = ['recorder.intervalMs=100', `rules.file=${rulesFile}`]
    const service = await RunningService.start(join(folder.path, name), [...quick, ...settings])
    services.push(service)
    return service
  }

  after(async () => {
    for (const { process } of services) await process.kill('SIGKILL')
    folder.remove()
  })

  test('every rule with its state and what came of it, over the API and as metrics', async () => {
    const service = await start('rules', ['api.scoreTimeoutMs=30000'])
    await service.post('/v1/score', payment('a'))
    await service.post('/v1/score', payment('b', { amount: 5_00, signals: { risk: 0.9 } }))
    const { version, rules } = (await service.get('/v1/rules')).json as {
      version: string
      rules: Record<string, unknown>[]
    }
    assert.match(version, /^[0-9a-f]{12}$/)
    assert.deepEqual(
      rules.map(({ name, mode, state, hits, unknown, warming }) => [name, mode, state, hits, unknown, warming]),
      [
        ['large', 'live', 'live', 1, 0, 0],
        ['risky', 'shadow', 'live', 1, 1, 0],
        ['often', 'live', 'warming', 0, 0, 2],
      ],
    )
    const metrics = (await service.get('/metrics')).text
    assert.match(metrics, /^weir_rule_hits_total\{rule="large",mode="live"\} 1$/m)
    assert.match(metrics, /^weir_rule_unknown_total\{rule="risky",mode="shadow"\} 1$/m)
    assert.match(metrics, /^weir_rule_state\{rule="often",state="warming"\} 1$/m)
    await service.stop()
  })

  test('who changed what, why which model is in charge, and what the lists were, in the tables, over a kill too', async () => {
    const data = join(folder.path, 'changes')
    let service = await start('changes', [])
    const { model_version: shipped } = (await service.post('/v1/score', payment('a'))).json as { model_version: string }
    const copy = join(data, 'models', 'copy-1')
    cpSync(join(SHIPPED, shipped), copy, { recursive: true })
    const manifest = readFileSync(join(copy, 'manifest.json'), 'utf8')
    writeFileSync(join(copy, 'manifest.json'), manifest.replace(`"version":"${shipped}"`, '"version":"copy-1"'))
    assert.equal((await service.post('/v1/models/promote', { version: 'copy-1', reason: 'better in May' })).status, 200)
    assert.equal((await service.post('/v1/models/promote', { version: 'no-such' })).status, 404)
    await service.process.kill('SIGKILL')

    writeFileSync(join(data, 'lists.yaml'), 'entries:\n  - { list: watch, field: card_id, value: c1, author: ann }\n')
    service = await start('changes', [])
    assert.equal((await service.post('/v1/models/rollback', { reason: 'worse in June' })).status, 200)
    const audit = await rowsOnce(service, 'SELECT who, what, detail FROM weir.audit ORDER BY at, id', 4)
    assert.deepEqual(
      audit.map(({ who, what }) => [who, what]),
      ['models.promote', 'models.promote', 'models.promote.failed', 'models.rollback'].map((what) => [
        'api.token',
        what,
      ]),
    )
    assert.match(String(audit[0]!['detail']), /better in May/)
    const versions = await rowsOnce(
      service,
      "SELECT event, version, reason FROM weir.model_versions WHERE event != 'registered' ORDER BY at",
      2,
    )
    assert.deepEqual(versions, [
      { event: 'promoted', version: 'copy-1', reason: 'better in May' },
      { event: 'rolled_back', version: '', reason: 'worse in June' },
    ])
    const lists = await rowsOnce(service, 'SELECT list, field, value, author FROM weir.lists_now', 1)
    assert.deepEqual(lists, [{ list: 'watch', field: 'card_id', value: 'c1', author: 'ann' }])
    await service.stop()
  })

  test('a decision that is late is answered by rules and lists, and follows on the log', async () => {
    const service = await start('late', ['api.provisional=true', 'api.scoreTimeoutMs=1', 'api.overload=false'])
    const ids = Array.from({ length: 300 }, (_, n) => `late-${n}`)
    const answers = await Promise.all(ids.map((id) => service.post('/v1/score', payment(id))))
    assert.ok(answers.every(({ status }) => status === 200))
    const provisional = answers.map(({ json }) => json as Answer).filter((answer) => answer.provisional === true)
    assert.ok(provisional.length > 0)
    assert.ok(provisional.every(({ verdict }) => verdict === 'review'))
    const rows = await rowsOnce(service, 'SELECT transaction_id FROM weir.scored_transactions', ids.length)
    assert.equal(rows.length, ids.length)
    await service.stop()
  })

  test('what exploration lets through in a day stays within its limit, over a kill too', async () => {
    const settings = [
      'threshold.mode=fixed',
      'threshold.fixed.review=0',
      'threshold.fixed.decline=0',
      'exploration.declinedShare=0.1',
      'exploration.lossMaxPerDay=1250',
      'api.scoreTimeoutMs=30000',
    ]
    writeFileSync(rulesFile, RULES)
    const amount = 500
    let service = await start('explored', settings)
    const explored = async (from: number): Promise<number> => {
      const ids = Array.from({ length: 200 }, (_, n) => `x-${from + n}`)
      const answers = await Promise.all(ids.map((id) => service.post('/v1/score', payment(id, { amount }))))
      assert.ok(answers.every(({ status }) => status === 200))
      return answers.filter(({ json }) => (json as Answer).explored !== null).length
    }
    const day = Math.floor(Date.now() / DAY_MS)
    const first = await explored(0)
    await service.process.kill('SIGKILL')
    service = await start('explored', settings)
    const second = await explored(200)
    if (Math.floor(Date.now() / DAY_MS) === day) assert.deepEqual([first, second], [2, 0])
    await service.stop()
  })
})
