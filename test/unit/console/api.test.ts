import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { InjectOptions, LightMyRequestResponse } from 'fastify'
import { createApi } from '#console/server/app.ts'
import type { ServicePorts } from '#console/server/ports.ts'
import { WeirError } from '#schemas/errors.ts'
import { TEXT_FIELDS } from '#schemas/transaction.ts'
import { decisionOf, fakePorts } from '#test/support/fake-ports.ts'
import { labelOf, transactionOf } from '#test/support/transactions.ts'

const PAN = '4111111111111111'
const AUTH = { authorization: 'Bearer secret', host: '127.0.0.1:8787' }

async function call(request: InjectOptions, ports: Partial<ServicePorts> = {}): Promise<LightMyRequestResponse> {
  const app = await createApi({
    ports: fakePorts(ports),
    token: 'secret',
    tokenName: 'api.token',
    webFolder: null,
    scoreTimeoutMs: 100,
    bodyBytesMax: 1_000_000,
    hosts: [],
  })
  try {
    return await app.inject({ headers: AUTH, ...request })
  } finally {
    await app.close()
  }
}

const score = (payload: object, ports: Partial<ServicePorts> = {}) =>
  call({ method: 'POST', url: '/v1/score', payload }, ports)

test('everything but health asks for the token', async () => {
  for (const url of ['/v1/queries', '/v1/models', '/metrics', '/v1/live']) {
    for (const authorization of ['', 'Bearer wrong', 'Bearer secre', 'Basic secret']) {
      assert.equal((await call({ url, headers: { host: 'localhost', authorization } })).statusCode, 401)
    }
  }
  for (const url of ['/healthz', '/readyz']) {
    assert.equal((await call({ url, headers: { host: 'localhost' } })).statusCode, 200)
  }
})

test('a foreign host name is refused, so that a rebound name reaches nothing', async () => {
  assert.equal((await call({ url: '/healthz', headers: { host: 'evil.example' } })).statusCode, 421)
  assert.equal((await call({ url: '/healthz', headers: { host: '[::1]:8787' } })).statusCode, 200)
})

test('a decided transaction is answered with its decision, without the transaction', async () => {
  const answer = await score(transactionOf())
  assert.equal(answer.statusCode, 200)
  const { transaction: _, ...decision } = decisionOf()
  assert.deepEqual(answer.json(), { transaction_id: 't1', ...decision, repeated: false })
})

test('a transaction without an event_time happens now', async () => {
  let seen = 0
  const { event_time: _, ...rest } = transactionOf()
  await score(rest, {
    now: () => 1_234,
    score: async (transaction) => {
      seen = transaction.event_time
      return { kind: 'late' }
    },
  })
  assert.equal(seen, 1_234)
})

test('every other answer has its own status', async () => {
  const statusOf = async (answer: Awaited<ReturnType<ServicePorts['score']>>) =>
    (await score(transactionOf(), { score: async () => answer })).statusCode
  assert.equal(await statusOf({ kind: 'conflict' }), 409)
  assert.equal(await statusOf({ kind: 'busy' }), 429)
  assert.equal(await statusOf({ kind: 'late' }), 504)
  assert.equal(
    await statusOf({ kind: 'rejected', reason: 'ID_EMPTY', field: 'card_id', detail: 'card_id is empty' }),
    422,
  )
})

test('a wrong field is named, and no value comes back', async () => {
  const answer = await score({ ...transactionOf(), amount: PAN })
  assert.equal(answer.statusCode, 422)
  assert.match(answer.json<{ message: string }>().message, /field amount/)
  assert.ok(!answer.body.includes(PAN))
})

test('a card number in any field, name or broken body never comes back', async () => {
  const bodies: object[] = TEXT_FIELDS.map((field) => ({ ...transactionOf(), [field]: PAN, amount: 'x' }))
  bodies.push({ ...transactionOf(), [PAN]: 1 }, { ...transactionOf(), attributes: { [PAN]: 1 } })
  for (const body of bodies) assert.ok(!(await score(body)).body.includes(PAN))
  for (const payload of [`{"card_id": "${PAN}`, `[${PAN}`, PAN]) {
    const answer = await call({
      method: 'POST',
      url: '/v1/transactions',
      headers: { ...AUTH, 'content-type': 'application/x-ndjson' },
      payload,
    })
    assert.ok(answer.statusCode >= 400 && !answer.body.includes(PAN))
  }
  const planted = await call(
    { method: 'POST', url: '/v1/query', payload: { sql: 'select 1' } },
    {
      query: async () => {
        throw new WeirError('STORE_FAILED', `cannot parse ${PAN}`, { where: PAN, fix: PAN, cause: new Error(PAN) })
      },
    },
  )
  assert.equal(planted.statusCode, 503)
  assert.ok(!planted.body.includes(PAN))
})

test('transactions and labels are taken as one object, an array or a line each', async () => {
  const post = (url: string, payload: string, type = 'application/json') =>
    call({ method: 'POST', url, headers: { ...AUTH, 'content-type': type }, payload })
  const one = JSON.stringify(transactionOf())
  assert.equal((await post('/v1/transactions', one)).json<{ accepted: number }>().accepted, 1)
  assert.equal((await post('/v1/transactions', `[${one},${one}]`)).json<{ accepted: number }>().accepted, 2)
  const lines = await post('/v1/transactions', `${one}\n${one}\n\n`, 'application/x-ndjson')
  assert.equal(lines.json<{ accepted: number }>().accepted, 2)
  assert.equal((await post('/v1/labels', JSON.stringify(labelOf()))).json<{ accepted: number }>().accepted, 1)
  const wrong = await post('/v1/labels', JSON.stringify([labelOf(), { ...labelOf(), fraud: 'yes' }]))
  assert.equal(wrong.statusCode, 422)
  assert.deepEqual(wrong.json<{ where: string }>().where, 'event 1')
})

test('errors keep their code and get a fitting status', async () => {
  const promote = (error: unknown) =>
    call(
      { method: 'POST', url: '/v1/models/promote', payload: { version: 'm9' } },
      {
        promote: async () => {
          throw error
        },
      },
    )
  const missing = await promote(new WeirError('MODEL_NOT_FOUND', 'there is no model m9'))
  assert.deepEqual([missing.statusCode, missing.json<{ code: string }>().code], [404, 'MODEL_NOT_FOUND'])
  const unexpected = await promote(new Error(`secret ${PAN}`))
  assert.equal(unexpected.statusCode, 500)
  assert.ok(!unexpected.body.includes('secret'))
})

test('an unready service says so', async () => {
  const answer = await call({ url: '/readyz' }, { health: () => ({ ok: false, problems: ['ClickHouse is away'] }) })
  assert.deepEqual([answer.statusCode, answer.json<{ problems: string[] }>().problems], [503, ['ClickHouse is away']])
})

test('a provisional answer says that it is one', async () => {
  const decision = {
    transaction_id: 't1',
    amount_base: 1_000,
    verdict: 'review',
    rule_hits: ['big'],
    shadow_hits: [],
    list_hits: [],
    rules_version: 'r1',
  } as const
  const answer = await score(transactionOf(), { score: async () => ({ kind: 'provisional', decision }) })
  assert.equal(answer.statusCode, 200)
  assert.deepEqual(answer.json(), { ...decision, score: null, provisional: true })
})

test('the rules in force are told with what came of them', async () => {
  const rule = {
    name: 'big',
    mode: 'live',
    action: 'review',
    reason: 'BIG',
    owner: 'desk',
    expires: null,
    state: 'warming',
    hits: 3,
    unknown: 1,
    warming: 7,
  } as const
  const answer = await call({ url: '/v1/rules' }, { rules: () => ({ version: 'r7', rules: [rule] }) })
  assert.deepEqual(answer.json(), { version: 'r7', rules: [rule] })
})

test('a promotion and a rollback carry their reason, without card numbers', async () => {
  const seen: string[][] = []
  const ports: Partial<ServicePorts> = {
    promote: async (...given) => void seen.push(given),
    rollback: async (...given) => {
      seen.push(given)
      return 'm0'
    },
  }
  const post = (url: string, payload: object) => call({ method: 'POST', url, payload }, ports)
  await post('/v1/models/promote', { version: 'm1', reason: `better than ${PAN}` })
  await post('/v1/models/promote', { version: 'm1' })
  await post('/v1/models/rollback', { reason: 'worse' })
  await call({ method: 'POST', url: '/v1/models/rollback' }, ports)
  assert.ok(!JSON.stringify(seen).includes(PAN))
  assert.match(seen[0]![1]!, /^better than /)
  assert.deepEqual(seen.slice(1), [['m1', 'over the API'], ['worse'], ['over the API']])
  for (const [url, payload] of [
    ['/v1/models/promote', { version: 'm1', reason: 7 }],
    ['/v1/models/rollback', { reason: 'x'.repeat(501) }],
    ['/v1/models/rollback', { version: 'm1' }],
  ] as const) {
    assert.equal((await post(url, payload)).statusCode, 400)
  }
})

test('who asked for a change is in the audit trail before it is made, and so is that it failed', async () => {
  const order: string[] = []
  const ports: Partial<ServicePorts> = {
    audit: async ({ who, what, detail }) => void order.push(`${who} ${what} ${detail}`),
    promote: async (version) => {
      order.push('promoting')
      if (version !== 'm1') throw new WeirError('MODEL_NOT_FOUND', 'there is none')
    },
    reloadRules: async () => {
      order.push('reloading')
      return { version: 'r2', rules: 1 }
    },
  }
  const post = (url: string, payload?: object) => call({ method: 'POST', url, ...(payload && { payload }) }, ports)
  await post('/v1/models/promote', { version: 'm1', reason: 'why' })
  await post('/v1/rules/reload')
  assert.equal((await post('/v1/models/promote', { version: PAN })).statusCode, 404)
  assert.deepEqual(order.slice(0, 4), [
    'api.token models.promote {"version":"m1","reason":"why"}',
    'promoting',
    'api.token rules.reload {}',
    'reloading',
  ])
  assert.match(order.at(-1)!, /^api\.token models\.promote\.failed .*"code":"MODEL_NOT_FOUND"/)
  assert.ok(!order.join().includes(PAN))
})

test('what cannot be audited is not done', async () => {
  let done = false
  const answer = await call(
    { method: 'POST', url: '/v1/rules/reload' },
    {
      audit: async () => {
        throw new WeirError('STORE_FAILED', 'the disk is full')
      },
      reloadRules: async () => {
        done = true
        return { version: 'r2', rules: 1 }
      },
    },
  )
  assert.equal(answer.statusCode, 503)
  assert.equal(done, false)
})

test('reading is no change and leaves nothing in the audit trail', async () => {
  const seen: unknown[] = []
  for (const url of ['/v1/rules', '/v1/models', '/v1/queries']) {
    await call({ url }, { audit: async (entry) => void seen.push(entry) })
  }
  assert.deepEqual(seen, [])
})
