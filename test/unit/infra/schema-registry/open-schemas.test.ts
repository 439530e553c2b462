import assert from 'node:assert/strict'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { createSilentLogger } from '#infra/logger.ts'
import { authorizationOf, openSchemas } from '#infra/schema-registry/open-schemas.ts'
import type { EnsuredSchemas } from '#infra/schema-registry/registry-schemas.ts'
import { createCodec } from '#schemas/codec.ts'
import { type Config, defaultConfig, loadConfig } from '#schemas/config.ts'
import { WeirError } from '#schemas/errors.ts'
import { decisionOf } from '#test/support/decisions.ts'
import { type FakeRegistry, startFakeRegistry } from '#test/support/fake-registry.ts'
import { inTempFolder } from '#test/support/temp-folder.ts'
import { testCodec } from '#test/support/transactions.ts'

function codeOf(code: string): (error: unknown) => boolean {
  return (error) => error instanceof WeirError && error.code === code
}

describe('schemas as the settings say', () => {
  let fake: FakeRegistry
  before(async () => {
    fake = await startFakeRegistry()
  })
  after(async () => {
    await fake.close()
  })

  function open(folder: string, over: Partial<Config['registry']>, topics?: Config['topics']): Promise<EnsuredSchemas> {
    const config = defaultConfig(folder)
    const registry = { ...config.registry, url: fake.url, attemptsMax: 1, ...over }
    return openSchemas({
      config: { ...config, registry, topics: topics ?? config.topics },
      clock: { now: () => 0 },
      logger: createSilentLogger(),
    })
  }

  /** Topics of their own for a test: subjects are the fake's for all of them. */
  function topicsOf(prefix: string): Config['topics'] {
    const { topics } = defaultConfig('/')
    return Object.fromEntries(
      Object.entries(topics).map(([key, name]) => [key, `${prefix}.${name}`]),
    ) as Config['topics']
  }

  test('are the built-in ones by default, and nothing is asked of anybody', () =>
    inTempFolder(async (folder) => {
      const schemas = await open(folder, {})
      assert.equal(schemas.own('decision').id, 3)
      assert.ok(schemas.isKnown(99))
      await schemas.ensure([99])
      assert.equal(schemas.byId(99), null)
      assert.deepEqual(fake.requests, [])
    }))

  test('have the same ids in a fresh folder as built in, so that what was written before stays readable', () =>
    inTempFolder(async (folder) => {
      const schemas = await open(folder, { home: 'folder' })
      assert.deepEqual(
        (['transaction', 'label', 'decision', 'alert', 'dead-letter', 'journal-line'] as const).map(
          (name) => schemas.own(name).id,
        ),
        [1, 2, 3, 4, 5, 6],
      )
      assert.ok(existsSync(join(folder, '.weir/schemas/subjects/transactions.dead-letter-value.json')))
      const again = await open(folder, { home: 'folder', register: false })
      assert.equal(again.own('journal-line').id, 6)
    }))

  test('are registered under the subjects of the topics, and found there the next time', () =>
    inTempFolder(async (folder) => {
      const topics = topicsOf('cell1')
      const first = await open(folder, { home: 'server' }, topics)
      fake.requests.length = 0
      const second = await open(folder, { home: 'server', register: false }, topics)
      assert.equal(second.own('decision').id, first.own('decision').id)
      assert.deepEqual(fake.requests, [
        'POST /subjects/cell1.transactions-value',
        'POST /subjects/cell1.labels-value',
        'POST /subjects/cell1.decisions-value',
        'POST /subjects/cell1.alerts-value',
        'POST /subjects/cell1.transactions.dead-letter-value',
        'POST /subjects/cell1.journal-value',
      ])
      const codec = createCodec(second)
      const bytes = codec.decision.encode(decisionOf())
      assert.equal(bytes.readUInt32BE(1), second.own('decision').id)
      assert.deepEqual(bytes.subarray(5), testCodec().decision.encode(decisionOf()).subarray(5))
    }))

  test('must be there where they may not be registered', () =>
    inTempFolder(async (folder) => {
      await assert.rejects(
        open(folder, { home: 'server', register: false }, topicsOf('cell2')),
        (error: unknown) =>
          codeOf('INPUT_NOT_FOUND')(error) && (error as WeirError).where.includes('cell2.transactions-value'),
      )
    }))

  test('are not begun with where a subject does not take one of them', () =>
    inTempFolder(async (folder) => {
      const other = {
        type: 'record',
        name: 'Transaction',
        namespace: 'weir',
        fields: [{ name: 'amount', type: 'string' }],
      }
      fake.put('cell3.transactions-value', JSON.stringify(other))
      await assert.rejects(open(folder, { home: 'server' }, topicsOf('cell3')), codeOf('SCHEMA_INCOMPATIBLE'))
    }))

  test('are not begun with where nobody answers', () =>
    inTempFolder(async (folder) => {
      fake.faults.push({ kind: 'status', status: 503 })
      await assert.rejects(open(folder, { home: 'server' }), codeOf('REGISTRY_UNAVAILABLE'))
    }))
})

describe('credentials', () => {
  const registry = (over: Partial<Config['registry']>): Config['registry'] => ({
    ...defaultConfig('/').registry,
    ...over,
  })

  test('are basic with a user, a bearer token without, and none where there is no password', () => {
    assert.equal(authorizationOf(registry({})), null)
    assert.equal(authorizationOf(registry({ password: 'tok.en' })), 'Bearer tok.en')
    const basic = authorizationOf(registry({ user: 'weir', password: 'pä:ss' }))
    assert.equal(Buffer.from(basic!.slice('Basic '.length), 'base64').toString(), 'weir:pä:ss')
  })

  test('may lie in a file, which is read anew each time', () =>
    inTempFolder((folder) => {
      const file = join(folder, 'token')
      writeFileSync(file, 'first\n')
      assert.equal(authorizationOf(registry({ passwordFile: file })), 'Bearer first')
      writeFileSync(file, 'second')
      assert.equal(authorizationOf(registry({ passwordFile: file })), 'Bearer second')
    }))

  test('that no header can carry are refused without being told', () => {
    assert.throws(
      () => authorizationOf(registry({ password: 'two\nlines-of-secret' })),
      (error: unknown) => codeOf('CONFIG_INVALID')(error) && !(error as WeirError).message.includes('secret'),
    )
    assert.throws(() => authorizationOf(registry({ passwordFile: '/no/such/file' })), codeOf('CONFIG_INVALID'))
  })

  test('come from the environment too, and are masked where settings are shown', () => {
    const { config, entries } = loadConfig({
      folder: '/',
      file: null,
      env: { WEIR_REGISTRY_PASSWORD: 'tok', WEIR_REGISTRY_HOME: 'server' },
      flags: [],
    })
    assert.equal(authorizationOf(config.registry), 'Bearer tok')
    assert.equal(entries.find(({ key }) => key === 'registry.password')?.shown, '********')
  })
})
