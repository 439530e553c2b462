import assert from 'node:assert/strict'
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { RunningService, WEIR, weir } from '#test/support/running-service.ts'
import { newTempFolder } from '#test/support/temp-folder.ts'

const SHIPPED = fileURLToPath(new URL('../../models/shipped', import.meta.url))
const STOP_MS_MAX = 5_000
const GOOD_RULES = 'version: 1\nrules: []\n'
const PAYMENT = {
  transaction_id: 'payment-1',
  event_time: '2025-03-03T10:00:00Z',
  card_id: 'card-1',
  account_id: 'account-1',
  merchant_id: 'merchant-1',
  amount: 12_50,
  currency: 'EUR',
  channel: 'ECOM',
  attributes: { shop: 'flowers' },
  signals: { basket: 3 },
}

const rulesOf = (condition: string): string => `version: 1
rules:
  - id: large
    when: ${condition}
    action: decline
    reason: LARGE_AMOUNT
    text: "{amount} is much"
    owner: tests
`

interface Scored {
  readonly transaction_id: string
  readonly verdict: string
  readonly input_hash: string
  readonly line: number
  readonly index: number
  readonly score: number | null
  readonly repeated: boolean
}

describe('the service, on a port', () => {
  const folder = newTempFolder()
  const data = join(folder.path, 'data')
  const rulesFile = join(folder.path, 'rules.yaml')
  const settings = [`rules.file=${rulesFile}`, 'recorder.intervalMs=200']
  let service: RunningService

  before(async () => {
    assert.ok(existsSync(WEIR), 'build first: npm run build')
    writeFileSync(rulesFile, GOOD_RULES)
    service = await RunningService.start(data, settings)
  })

  after(async () => {
    await service?.process.kill('SIGKILL')
    folder.remove()
  })

  const rowsOf = async (id: string): Promise<unknown[]> => {
    const { json } = await service.post('/v1/query', {
      sql: `SELECT verdict, input_hash FROM weir.scored_transactions WHERE transaction_id = '${id}'`,
    })
    return (json as { rows: unknown[] }).rows
  }

  /** Asks until the recorder has caught up. */
  async function recorded(id: string): Promise<unknown[]> {
    for (;;) {
      const rows = await rowsOf(id)
      if (rows.length > 0) return rows
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }

  let first: Scored

  test('decides a transaction', async () => {
    const answer = await service.post('/v1/score', PAYMENT)
    assert.equal(answer.status, 200, answer.text)
    first = answer.json as Scored
    assert.equal(first.transaction_id, 'payment-1')
    assert.equal(first.repeated, false)
    assert.notEqual(first.verdict, 'none')
  })

  test('gives the stored decision to the same transaction again, and 409 to another one of the same id', async () => {
    const again = await service.post('/v1/score', PAYMENT)
    assert.deepEqual([again.status, again.json], [200, { ...first, repeated: true }])
    const other = await service.post('/v1/score', { ...PAYMENT, amount: 12_51 })
    assert.equal(other.status, 409)
    assert.equal((other.json as { code: string }).code, 'CONFLICT')
  })

  test('tells what is wrong with a transaction, by field', async () => {
    const { transaction_id: _, ...withoutId } = PAYMENT
    for (const [body, field] of [
      [withoutId, /transaction_id/],
      [{ ...PAYMENT, transaction_id: 'x', amount: 'much' }, /amount/],
      [{ ...PAYMENT, transaction_id: 'y', event_time: 5 }, /event_time/],
      [{ ...PAYMENT, transaction_id: 'z', currency: 'XXX' }, /currency/],
    ] as const) {
      const { status, text } = await service.post('/v1/score', body)
      assert.equal(status, 422, text)
      assert.match(text, field)
    }
    assert.equal((await service.post('/v1/score', '{"transaction_id":')).status, 400)
  })

  test('takes nothing of a batch in which one event cannot be read', async () => {
    const batch = [{ ...PAYMENT, transaction_id: 'batch-1' }, { transaction_id: 'batch-2' }]
    const refused = await service.post('/v1/transactions', batch)
    assert.equal(refused.status, 422)
    assert.match(refused.text, /event 1/)
    const taken = await service.post('/v1/transactions', [batch[0]])
    assert.deepEqual(taken.json, { accepted: 1, repeated: 0, rejected: [] })
  })

  test('refuses whoever has no token, and whoever calls it by another name', async () => {
    assert.equal((await fetch(`${service.url}/v1/models`)).status, 401)
    assert.equal((await fetch(`${service.url}/metrics`)).status, 401)
    assert.equal((await fetch(`${service.url}/healthz`)).status, 200)
  })

  test('refuses a second process on the same data folder, and says which one holds it', async () => {
    const { exitCode, stderr } = await weir(['run', '--port', '0', '--data', data])
    assert.equal(exitCode, 2)
    assert.match(stderr, new RegExp(`in use by process ${service.process.child.pid} \\(weir run, since 2`))
    assert.equal((await service.get('/readyz')).status, 200)
  })

  test('ends when its port is taken or its rules are broken, and says so', async () => {
    const other = join(folder.path, 'other')
    const { port } = new URL(service.url)
    const taken = await weir(['run', '--port', port, '--data', other])
    assert.deepEqual([taken.exitCode, /port \d+ is taken/.test(taken.stderr)], [2, true], taken.stderr)
    const broken = join(folder.path, 'broken.yaml')
    writeFileSync(broken, rulesOf('amount >='))
    const third = join(folder.path, 'third')
    const refused = await weir(['run', '--port', '0', '--data', third, '--rules', broken])
    assert.deepEqual([refused.exitCode, /RULES_INVALID/.test(refused.stderr)], [2, true], refused.stderr)
    assert.equal(existsSync(join(third, 'log')), false)
    assert.equal((await service.get('/readyz')).status, 200)
  })

  test('answers queries of the command line while it runs', async () => {
    await recorded('payment-1')
    const { exitCode, stdout, stderr } = await weir([
      'query',
      '--json',
      '--data',
      data,
      '--sql',
      "SELECT input_hash FROM weir.scored_transactions WHERE transaction_id = 'payment-1'",
    ])
    assert.equal(exitCode, 0, stderr)
    assert.deepEqual((JSON.parse(stdout) as { rows: unknown }).rows, [{ input_hash: first.input_hash }])
    const bad = await weir(['query', '--data', data, '--sql', 'DROP TABLE weir.scored_transactions'])
    assert.equal(bad.exitCode, 2)
    assert.equal((await rowsOf('payment-1')).length, 1)
  })

  test('is in order, says the doctor beside it', async () => {
    const { exitCode, stdout } = await weir(['doctor', '--json', '--data', data])
    const report = JSON.parse(stdout) as { ok: boolean; checks: { name: string; status: string; detail: string }[] }
    assert.deepEqual(
      report.checks.filter(({ status }) => status === 'fail'),
      [],
    )
    assert.equal(exitCode, 0)
    assert.match(report.checks.find(({ name }) => name === 'service')!.detail, new RegExp(service.url))
  })

  test('takes new rules, and keeps those in force when the file is broken', async () => {
    writeFileSync(rulesFile, rulesOf('amount >= 900000'))
    const taken = await service.post('/v1/rules/reload')
    assert.equal(taken.status, 200, taken.text)
    writeFileSync(rulesFile, rulesOf('amount >='))
    const refused = await service.post('/v1/rules/reload')
    assert.equal(refused.status, 422, refused.text)
    assert.equal((refused.json as { code: string }).code, 'RULES_INVALID')
    const large = { ...PAYMENT, transaction_id: 'large-1', amount: 900_000_00 * 100 }
    const decided = (await service.post('/v1/score', large)).json as { verdict: string; rule_hits: string[] }
    assert.deepEqual([decided.verdict, decided.rule_hits], ['decline', ['large']])
  })

  test('refuses models that are not there or not whole, and keeps the one in charge', async () => {
    const championOf = async (): Promise<unknown> =>
      ((await service.get('/v1/models')).json as { version: string; champion: boolean }[]).find((m) => m.champion)
    const champion = await championOf()
    const missing = await service.post('/v1/models/promote', { version: 'no-such' })
    assert.equal(missing.status, 404, missing.text)
    assert.equal((await service.post('/v1/models/promote', { version: 7 })).status, 400)
    const broken = join(data, 'models', 'broken-1')
    mkdirSync(broken, { recursive: true })
    writeFileSync(join(broken, 'manifest.json'), '{}')
    const refused = await service.post('/v1/models/promote', { version: 'broken-1' })
    assert.ok([404, 422].includes(refused.status), refused.text)
    const foreign = await service.post('/v1/models/promote', { version: 'lean-1' })
    assert.equal(foreign.status, 422, foreign.text)
    const back = await service.post('/v1/models/rollback')
    assert.ok([404, 409, 422].includes(back.status), back.text)
    assert.deepEqual(await championOf(), champion)
    assert.equal((await service.post('/v1/score', { ...PAYMENT, transaction_id: 'after-models' })).status, 200)
  })

  test('takes another model into service and goes back to the one before', async () => {
    const modelOf = async (id: string): Promise<string> =>
      ((await service.post('/v1/score', { ...PAYMENT, transaction_id: id })).json as { model_version: string })
        .model_version
    const before = await modelOf('model-1')
    assert.equal(typeof before, 'string')
    const copy = join(data, 'models', 'copy-1')
    cpSync(join(SHIPPED, before), copy, { recursive: true })
    const manifest = readFileSync(join(copy, 'manifest.json'), 'utf8')
    writeFileSync(join(copy, 'manifest.json'), manifest.replace(`"version":"${before}"`, '"version":"copy-1"'))
    const promoted = await service.post('/v1/models/promote', { version: 'copy-1' })
    assert.deepEqual([promoted.status, promoted.json], [200, { champion: 'copy-1' }])
    assert.equal(await modelOf('model-2'), 'copy-1')
    const back = await service.post('/v1/models/rollback')
    assert.deepEqual([back.status, back.json], [200, { champion: before }])
    assert.equal(await modelOf('model-3'), before)
    assert.equal((await service.post('/v1/models/rollback')).status, 404)
  })

  test('ends within five seconds of SIGTERM with everything committed, and goes on where it stopped', async () => {
    writeFileSync(rulesFile, GOOD_RULES)
    const many = Array.from({ length: 300 }, (_, i) => ({ ...PAYMENT, transaction_id: `many-${i}`, card_id: `c${i}` }))
    const submitted = service.post('/v1/transactions', many)
    await submitted
    const startedMs = performance.now()
    const { exitCode, stderr } = await service.stop()
    const ms = performance.now() - startedMs
    assert.equal(exitCode, 0, stderr)
    assert.match(stderr, /everything is committed/)
    assert.ok(ms < STOP_MS_MAX, `it took ${ms} ms`)
    assert.equal(existsSync(join(data, 'service.json')), false)

    service = await RunningService.start(data, settings)
    const { json } = await service.post('/v1/query', {
      sql: "SELECT count() AS n FROM weir.scored_transactions WHERE transaction_id LIKE 'many-%'",
    })
    assert.deepEqual(
      (json as { rows: { n: unknown }[] }).rows.map(({ n }) => Number(n)),
      [300],
    )
  })

  test('finds the decision of before the restart in the tables', async () => {
    const again = await service.post('/v1/score', PAYMENT)
    assert.equal(again.status, 200, again.text)
    assert.deepEqual(again.json, { ...first, repeated: true })
    const other = await service.post('/v1/score', { ...PAYMENT, card_id: 'card-2' })
    assert.equal(other.status, 409)
  })

  test('ends with 0 at SIGINT too, and the doctor finds all in order', async () => {
    assert.equal((await service.process.kill('SIGINT')).exitCode, 0)
    const { exitCode } = await weir(['doctor', '--json', '--data', data])
    assert.equal(exitCode, 0)
  })
})
