import assert from 'node:assert/strict'
import { execFile, execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { createProgram } from '#cli/program.ts'
import { createSilentLogger } from '#infra/logger.ts'
import { openRegistry, openSchemas, type OpenSchemasOptions } from '#infra/schema-registry/open-schemas.ts'
import type { SchemaRegistry } from '#infra/schema-registry/registry.ts'
import { createCodec } from '#schemas/codec.ts'
import { defaultConfig } from '#schemas/config.ts'
import { WeirError } from '#schemas/errors.ts'
import { avroType } from '#schemas/evolution.ts'
import { FRAME_BYTES, writeFrame } from '#schemas/wire-type.ts'
import { prepareApicurio, type RunningApicurio, startApicurio } from '#test/support/apicurio.ts'
import { fakeIo } from '#test/support/fake-io.ts'
import { type FakeRegistry, startFakeRegistry } from '#test/support/fake-registry.ts'
import { type Optional, skipWithout } from '#test/support/optional-tool.ts'
import { newTempFolder } from '#test/support/temp-folder.ts'
import { transactionOf } from '#test/support/transactions.ts'

const TRANSACTION = readFileSync(new URL('../../schemas/kafka/transaction.avsc', import.meta.url), 'utf8')

const MAIN = new URL('../../cli/main.ts', import.meta.url).pathname

const apicurio = await prepareApicurio()
const certificate = makeCertificate()

describe('a registry that others have written', { skip: skipWithout(apicurio) }, () => {
  let running: RunningApicurio
  let registry: SchemaRegistry

  before(async () => {
    running = await startApicurio(apicurio.tool!)
    registry = openRegistry(options())!
  })
  after(async () => {
    await running.close()
  })

  function options(topicPrefix = ''): OpenSchemasOptions {
    const config = defaultConfig('/nowhere')
    const topics = Object.fromEntries(Object.entries(config.topics).map(([key, name]) => [key, topicPrefix + name]))
    return {
      config: {
        ...config,
        topics: topics as typeof config.topics,
        registry: { ...config.registry, home: 'server', url: running.url },
      },
      clock: { now: () => 0 },
      logger: createSilentLogger(),
    }
  }

  function record(fields: readonly unknown[], name = 'Payment'): string {
    return JSON.stringify({ type: 'record', name, namespace: 'bank', fields })
  }

  test('says definitely what is not there', async () => {
    assert.equal(await registry.schemaById(1_000_000), null)
    assert.equal(await registry.versions('never-value'), null)
    assert.equal(await registry.version('never-value', 'latest'), null)
    assert.equal(await registry.lookUp('never-value', TRANSACTION), null)
  })

  test('registers, finds, gives and checks as ours understands it', async () => {
    const first = record([{ name: 'id', type: 'string' }])
    const second = record([
      { name: 'id', type: 'string' },
      { name: 'note', type: 'string', default: '' },
    ])
    const broken = record([{ name: 'other', type: 'int' }])
    const id = await registry.register('payments-value', first)
    assert.equal(await registry.register('payments-value', first), id)
    assert.deepEqual(JSON.parse((await registry.schemaById(id))!), JSON.parse(first))
    await registry.setCompatibility('payments-value', 'BACKWARD')
    assert.equal(await registry.compatibilityOf('payments-value'), 'BACKWARD')
    assert.equal((await registry.checkCompatible('payments-value', second)).isCompatible, true)
    assert.equal((await registry.checkCompatible('payments-value', broken)).isCompatible, false)
    await assert.rejects(
      registry.register('payments-value', broken),
      (error: unknown) => error instanceof WeirError && error.code === 'SCHEMA_INCOMPATIBLE',
    )
    await assert.rejects(
      registry.register('payments-value', '{"type":"nonsense"}'),
      (error: unknown) => error instanceof WeirError && error.code === 'INPUT_INVALID',
    )
    const newer = await registry.register('payments-value', second)
    assert.deepEqual(await registry.versions('payments-value'), [1, 2])
    assert.equal((await registry.version('payments-value', 'latest'))?.id, newer)
    assert.deepEqual(await registry.lookUp('payments-value', first), { version: 1, id })
    assert.ok((await registry.subjects()).includes('payments-value'))
  })

  test('gives Weir its ids, and the same ones at the next start, which may not register', async () => {
    const first = await openSchemas(options('cell.'))
    const base = options('cell.')
    const readOnly = { ...base.config.registry, register: false }
    const again = await openSchemas({ ...base, config: { ...base.config, registry: readOnly } })
    for (const name of ['transaction', 'label', 'decision', 'alert', 'dead-letter', 'journal-line'] as const) {
      assert.equal(again.own(name).id, first.own(name).id)
    }
  })

  test("brings in a producer's older schema, so that its records are read", async () => {
    const schema = JSON.parse(TRANSACTION) as { fields: { name: string }[] }
    const older = { ...schema, namespace: 'com.bank', fields: schema.fields.slice(0, 5) }
    const id = await registry.register('older-value', JSON.stringify(older))
    const schemas = await openSchemas(options())
    const codec = createCodec(schemas)
    const written = Buffer.concat([
      Buffer.alloc(FRAME_BYTES),
      avroType(JSON.stringify(older)).toBuffer(transactionOf({ amount: 7 })),
    ])
    writeFrame(written, 0, id)
    assert.equal(schemas.isKnown(id), false)
    await schemas.ensure([id, 999_999])
    assert.equal(codec.transaction.tryDecode(written)?.amount, 7)
    writeFrame(written, 0, 999_999)
    assert.equal(codec.transaction.tryDecode(written), null)
    assert.equal(codec.transaction.failure.reason, 'UNKNOWN_SCHEMA_ID')
  })

  test('is listed, checked and filled from the command line', async () => {
    const weir = async (...argv: string[]): Promise<{ exitCode: number; stdout: string }> => {
      const io = fakeIo()
      let exitCode = 0
      const program = createProgram(io, (code) => (exitCode = code))
      await program.parseAsync(['schemas', ...argv, '--url', running.url, '--set', 'topics.alerts=flagged'], {
        from: 'user',
      })
      return { exitCode, stdout: io.stdout() }
    }
    assert.match((await weir('register', '--dry-run')).stdout, /flagged-value +first of its subject/)
    assert.match(
      (await weir('register', '--level', 'FULL_TRANSITIVE')).stdout,
      /flagged-value .*NONE -> FULL_TRANSITIVE/,
    )
    assert.match((await weir('list')).stdout, /flagged-value +1 +\d+ +FULL_TRANSITIVE +Weir's alert/)
    const checked = await weir('check')
    assert.equal(checked.exitCode, 0)
    assert.match(checked.stdout, /flagged-value {2}\(FULL_TRANSITIVE\): ok/)
  })
})

describe('a registry behind TLS with a private authority', { skip: skipWithout(certificate) }, () => {
  let fake: FakeRegistry
  let folder: ReturnType<typeof newTempFolder>
  before(async () => {
    folder = newTempFolder()
    fake = await startFakeRegistry(certificate.tool!)
    writeFileSync(join(folder.path, 'authority.pem'), certificate.tool!.cert)
    writeFileSync(join(folder.path, 'password'), 'hidden\n', { mode: 0o600 })
  })
  after(async () => {
    await fake.close()
    folder.remove()
  })

  function weir(env: NodeJS.ProcessEnv): Promise<{ exitCode: number; stdout: string; stderr: string }> {
    const argv = [
      '--import',
      'tsx',
      MAIN,
      'schemas',
      'list',
      '--url',
      fake.url,
      '--json',
      '--set',
      'registry.attemptsMax=1',
    ]
    const credentials = { WEIR_REGISTRY_USER: 'weir', WEIR_REGISTRY_PASSWORD_FILE: join(folder.path, 'password') }
    return new Promise((resolve) => {
      execFile(process.execPath, argv, { env: { ...process.env, ...credentials, ...env } }, (error, stdout, stderr) => {
        resolve({ exitCode: typeof error?.code === 'number' ? error.code : 0, stdout, stderr })
      })
    })
  }

  test('is trusted by NODE_EXTRA_CA_CERTS, and gets the credentials', async () => {
    const { exitCode, stdout } = await weir({ NODE_EXTRA_CA_CERTS: join(folder.path, 'authority.pem') })
    assert.equal(exitCode, 0, stdout)
    assert.equal(fake.authorizations[0], `Basic ${Buffer.from('weir:hidden').toString('base64')}`)
  })

  test('is not trusted without, gets nothing, and the reason is told', async () => {
    fake.authorizations.length = 0
    const { exitCode, stdout, stderr } = await weir({})
    assert.equal(exitCode, 1)
    const { error } = JSON.parse(stdout) as { error: { code: string; message: string } }
    assert.equal(error.code, 'REGISTRY_UNAVAILABLE')
    assert.match(error.message, /SELF_SIGNED/)
    assert.deepEqual(fake.authorizations, [])
    assert.ok(!`${stdout}${stderr}`.includes('hidden'))
  })
})

/** A certificate for 127.0.0.1 that only itself vouches for, made for this run. */
function makeCertificate(): Optional<{ readonly key: string; readonly cert: string }> {
  const argv = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2']
  const names = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', '-', '-out', '-']
  try {
    const text = execFileSync('openssl', [...argv, ...names], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
    const [key, cert] = text.split(/(?=-----BEGIN CERTIFICATE-----)/)
    return { tool: { key: key!, cert: cert! }, missing: null }
  } catch {
    return { tool: null, missing: 'no openssl to make a certificate with' }
  }
}
