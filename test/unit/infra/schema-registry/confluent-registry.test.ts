import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { createConfluentRegistry } from '#infra/schema-registry/confluent-registry.ts'
import type { SchemaRegistry } from '#infra/schema-registry/registry.ts'
import type { RegistryHttpOptions } from '#infra/schema-registry/registry-http.ts'
import { WeirError } from '#schemas/errors.ts'
import { avroType } from '#schemas/evolution.ts'
import { type FakeRegistry, type Fault, startFakeRegistry } from '#test/support/fake-registry.ts'

const V1 = record([{ name: 'id', type: 'string' }])
const V2 = record([
  { name: 'id', type: 'string' },
  { name: 'note', type: 'string', default: '' },
])
const BROKEN = record([
  { name: 'id', type: 'string' },
  { name: 'must', type: 'int' },
])

function record(fields: readonly unknown[], name = 'Payment'): string {
  return JSON.stringify({ type: 'record', name, namespace: 'bank', fields })
}

function codeOf(code: string): (error: unknown) => boolean {
  return (error) => error instanceof WeirError && error.code === code
}

describe('a registry with the Confluent API', () => {
  let fake: FakeRegistry
  let waits: number[]
  let problems: string[]

  before(async () => {
    fake = await startFakeRegistry()
  })
  after(async () => {
    await fake.close()
  })
  beforeEach(() => {
    waits = []
    problems = []
    fake.requests.length = 0
    fake.authorizations.length = 0
  })

  function client(over: Partial<RegistryHttpOptions> = {}): SchemaRegistry {
    return createConfluentRegistry({
      url: fake.url,
      authorization: () => null,
      timeoutMs: 5_000,
      attemptsMax: 4,
      retried: ({ problem }) => problems.push(problem),
      sleep: async (ms) => void waits.push(ms),
      random: () => 1,
      ...over,
    })
  }

  test('gives a schema by its id, and null for an id that definitely does not exist', async () => {
    const id = fake.put('by-id-value', V1)
    assert.equal(await client().schemaById(id), V1)
    assert.equal(await client().schemaById(4_711), null)
    assert.deepEqual(waits, [])
  })

  test('does not ask for ids that no registry can have', async () => {
    assert.equal(await client().schemaById(2 ** 31), null)
    assert.equal(await client().schemaById(2 ** 32 - 1), null)
    assert.deepEqual(fake.requests, [])
  })

  test('registers once, finds it again, lists and gives versions', async () => {
    const registry = client()
    assert.equal(await registry.versions('new/one-value'), null)
    assert.equal(await registry.version('new/one-value', 'latest'), null)
    assert.equal(await registry.lookUp('new/one-value', V1), null)
    const id = await registry.register('new/one-value', V1)
    assert.equal(await registry.register('new/one-value', V1), id)
    const second = await registry.register('new/one-value', V2)
    assert.deepEqual(await registry.versions('new/one-value'), [1, 2])
    assert.deepEqual(await registry.lookUp('new/one-value', V2), { version: 2, id: second })
    assert.equal(await registry.lookUp('new/one-value', BROKEN), null)
    assert.deepEqual(await registry.version('new/one-value', 1), { subject: 'new/one-value', version: 1, id, json: V1 })
    assert.equal((await registry.version('new/one-value', 'latest'))?.id, second)
    assert.equal(await registry.version('new/one-value', 9), null)
    assert.ok((await registry.subjects()).includes('new/one-value'))
  })

  test('says what is incompatible before and while registering', async () => {
    const registry = client()
    fake.put('strict-value', V1)
    assert.deepEqual(await registry.checkCompatible('strict-value', V2), { isCompatible: true, reasons: [] })
    assert.deepEqual(await registry.checkCompatible('unheard-of-value', V2), { isCompatible: true, reasons: [] })
    const checked = await registry.checkCompatible('strict-value', BROKEN)
    assert.equal(checked.isCompatible, false)
    assert.match(checked.reasons.join(), /must/)
    await assert.rejects(registry.register('strict-value', BROKEN), codeOf('SCHEMA_INCOMPATIBLE'))
  })

  test('refuses what is no schema as bad input', async () => {
    const registry = client()
    await assert.rejects(registry.register('a-value', '{"type":"nonsense"}'), codeOf('INPUT_INVALID'))
    await assert.rejects(registry.checkCompatible('a-value', 'text'), codeOf('INPUT_INVALID'))
  })

  test("gives a subject's level, or what holds for all, and sets it", async () => {
    const registry = client()
    fake.put('level-value', V1)
    assert.equal(await registry.compatibilityOf('level-value'), 'BACKWARD')
    await registry.setCompatibility('level-value', 'FULL')
    assert.equal(await registry.compatibilityOf('level-value'), 'FULL')
  })

  test('puts in what a schema refers to in other subjects, through several steps', async () => {
    fake.put('money-value', JSON.stringify({ type: 'enum', name: 'Currency', namespace: 'bank', symbols: ['EUR'] }))
    fake.put('amount-value', record([{ name: 'currency', type: 'bank.Currency' }], 'Amount'), {
      references: [{ name: 'bank.Currency', subject: 'money-value', version: 1 }],
    })
    const id = fake.put('order-value', record([{ name: 'total', type: 'Amount' }], 'Order'), {
      references: [{ name: 'bank.Amount', subject: 'amount-value', version: 1 }],
    })
    const json = await client().schemaById(id)
    const type = avroType(json!)
    assert.equal(
      type.toString(type.fromBuffer(type.toBuffer({ total: { currency: 'EUR' } }))),
      '{"total":{"currency":"EUR"}}',
    )
  })

  test('passes a schema on as it is when what it refers to is gone', async () => {
    const text = record([{ name: 'total', type: 'bank.Gone' }], 'Lost')
    const id = fake.put('lost-value', text, { references: [{ name: 'bank.Gone', subject: 'gone-value', version: 1 }] })
    assert.deepEqual(JSON.parse((await client().schemaById(id))!), JSON.parse(text))
  })

  const FAULTS: readonly { readonly what: string; readonly fault: Fault; readonly problem: RegExp }[] = [
    { what: 'a 500', fault: { kind: 'status', status: 500, body: '{"error_code":50001}' }, problem: /status 500/ },
    { what: 'a 503 from a proxy', fault: { kind: 'status', status: 503, body: '<html>' }, problem: /status 503/ },
    { what: 'a 429', fault: { kind: 'status', status: 429 }, problem: /status 429/ },
    {
      what: 'a 404 that is not of the registry',
      fault: { kind: 'status', status: 404, body: '<html>' },
      problem: /404/,
    },
    {
      what: 'a redirect',
      fault: { kind: 'status', status: 302, headers: { location: 'http://elsewhere/' } },
      problem: /302/,
    },
    {
      what: 'garbage instead of JSON',
      fault: { kind: 'status', status: 200, body: '{"schema":' },
      problem: /not JSON/,
    },
    { what: 'a connection cut in mid-answer', fault: { kind: 'reset' }, problem: /connection|broke/ },
  ]
  for (const { what, fault, problem } of FAULTS) {
    test(`tries again after ${what}`, async () => {
      const id = fake.put('faults-value', V1)
      fake.faults.push(fault, fault)
      assert.equal(await client().schemaById(id), V1)
      assert.equal(problems.length, 2)
      for (const said of problems) assert.match(said, problem)
    })
  }

  test('tries again after silence', async () => {
    const id = fake.put('silence-value', V1)
    fake.faults.push({ kind: 'silence' })
    assert.equal(await client({ timeoutMs: 400 }).schemaById(id), V1)
    assert.equal(problems[0], 'no answer within 400 ms')
  })

  test('gives up after so many attempts, with pauses that double, and says where', async () => {
    fake.faults.push(...Array.from({ length: 4 }, (): Fault => ({ kind: 'status', status: 500 })))
    await assert.rejects(
      client().schemaById(1),
      (error: unknown) =>
        error instanceof WeirError &&
        error.code === 'REGISTRY_UNAVAILABLE' &&
        error.retryable &&
        error.message.includes('status 500 (4 attempts)') &&
        error.where === `${fake.url}/schemas/ids/1`,
    )
    assert.deepEqual(waits, [200, 400, 800])
    assert.equal(fake.faults.length, 0)
  })

  test('waits as long as a busy server asks, up to a limit', async () => {
    const id = fake.put('busy-value', V1)
    fake.faults.push(
      { kind: 'status', status: 429, headers: { 'retry-after': '2' } },
      { kind: 'status', status: 429, headers: { 'retry-after': '86400' } },
    )
    assert.equal(await client().schemaById(id), V1)
    assert.deepEqual(waits, [2_000, 5_000])
  })

  test('is unavailable where nobody listens', async () => {
    const gone = await startFakeRegistry()
    await gone.close()
    await assert.rejects(
      client({ url: gone.url, attemptsMax: 2 }).schemaById(1),
      (error: unknown) => codeOf('REGISTRY_UNAVAILABLE')(error) && /ECONNREFUSED/.test((error as Error).message),
    )
    assert.equal(waits.length, 1)
  })

  for (const [what, body] of [
    ['a schema that is no text', '{"schema":7}'],
    ['a list', '[]'],
    ['null', 'null'],
  ]) {
    test(`is unavailable, not wrong, when it sends ${what}`, async () => {
      fake.faults.push({ kind: 'status', status: 200, body: body! })
      await assert.rejects(client().schemaById(1), codeOf('REGISTRY_UNAVAILABLE'))
    })
  }

  test('stops at once, without a new attempt, when the process is to stop', async () => {
    const stop = new AbortController()
    fake.faults.push({ kind: 'status', status: 500 })
    const asking = client({ stop: stop.signal, sleep: async () => stop.abort(new Error('stopping')) }).schemaById(1)
    await assert.rejects(asking, /stopping/)
    assert.equal(fake.requests.length, 1)
  })

  test('sends the credentials it is given, anew for every attempt', async () => {
    const id = fake.put('auth-value', V1)
    const given = ['Basic YTpi', 'Bearer second']
    fake.faults.push({ kind: 'status', status: 500 })
    await client({ authorization: () => given.shift()! }).schemaById(id)
    assert.deepEqual(fake.authorizations, ['Basic YTpi', 'Bearer second'])
  })

  for (const status of [401, 403]) {
    test(`does not try again after a ${status}, and never tells the credentials`, async () => {
      const body = '{"error_code":401,"message":"secret-token is not welcome"}'
      fake.faults.push({ kind: 'status', status, body })
      await assert.rejects(client({ authorization: () => 'Bearer secret-token' }).schemaById(1), (error: unknown) => {
        assert.ok(error instanceof WeirError && error.code === 'REGISTRY_REFUSED' && error.exitCode === 2)
        assert.ok(!JSON.stringify([error.message, error.where, error.fix, error.cause]).includes('secret-token'))
        return true
      })
      assert.equal(fake.requests.length, 1)
    })
  }

  test('does not tell user and password that stand in the address', async () => {
    const url = fake.url.replace('http://', 'http://user:pass-word@')
    fake.faults.push({ kind: 'status', status: 500 })
    await assert.rejects(client({ url, attemptsMax: 1 }).subjects(), (error: unknown) => {
      assert.ok(error instanceof WeirError)
      assert.ok(!JSON.stringify([error.message, error.where, error.fix]).includes('pass-word'))
      return true
    })
  })
})
