import assert from 'node:assert/strict'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, describe, test } from 'node:test'
import { failureOf } from '#cli/fail.ts'
import { createProgram } from '#cli/program.ts'
import { type FakeRegistry, startFakeRegistry } from '#test/support/fake-registry.ts'
import { fakeIo } from '#test/support/fake-io.ts'
import { newTempFolder } from '#test/support/temp-folder.ts'

interface Ended {
  readonly stdout: string
  readonly exitCode: number
  /** Of a failure. */
  readonly message: string
  readonly code: string
}

const TRANSACTION = new URL('../../../schemas/kafka/transaction.avsc', import.meta.url).pathname
const DECISION = new URL('../../../schemas/kafka/decision.avsc', import.meta.url).pathname

async function weir(folder: string, ...argv: string[]): Promise<Ended> {
  const io = fakeIo({ folder })
  let exitCode = 0
  const program = createProgram(io, (code) => (exitCode = code))
  try {
    await program.parseAsync(['schemas', ...argv], { from: 'user' })
    return { stdout: io.stdout(), exitCode, message: '', code: '' }
  } catch (error) {
    return { stdout: io.stdout(), ...failureOf(error) }
  }
}

describe('weir schemas', () => {
  let fake: FakeRegistry
  let home: ReturnType<typeof newTempFolder>
  before(async () => {
    fake = await startFakeRegistry()
  })
  after(async () => {
    await fake.close()
  })
  beforeEach(() => {
    home = newTempFolder()
  })
  afterEach(() => {
    home.remove()
  })

  /** The transaction's schema with other fields, as a file; its path. */
  function transactionWith(change: (fields: Record<string, unknown>[]) => unknown[], more: object = {}): string {
    const schema = JSON.parse(readFileSync(TRANSACTION, 'utf8')) as { fields: Record<string, unknown>[] }
    const file = join(home.path, 'given.avsc')
    writeFileSync(file, JSON.stringify({ ...schema, ...more, fields: change(schema.fields) }))
    return file
  }

  test('lists what is built in where there is no registry', async () => {
    const { stdout, exitCode } = await weir(home.path, 'list')
    assert.equal(exitCode, 0)
    assert.match(stdout, /^built into Weir/)
    assert.match(stdout, /^transactions-value +1 +Weir's transaction$/m)
  })

  test('says with a dry run what would be registered, and does nothing', async () => {
    const { stdout } = await weir(home.path, 'register', '--folder', 'reg', '--dry-run', '--json', '--level', 'FULL')
    const { dryRun, subjects } = JSON.parse(stdout) as {
      dryRun: boolean
      subjects: { action: string; level: unknown }[]
    }
    assert.equal(dryRun, true)
    assert.deepEqual([...new Set(subjects.map(({ action }) => action))], ['first'])
    assert.deepEqual(subjects[0]!.level, { from: 'BACKWARD', to: 'FULL' })
    assert.equal(existsSync(join(home.path, 'reg')), false)
  })

  for (const where of ['a folder', 'a server'] as const) {
    test(`registers, keeps, lists and checks Weir's own in ${where}`, async () => {
      const place = where === 'a folder' ? ['--folder', 'reg'] : ['--url', fake.url]
      const registered = await weir(home.path, 'register', ...place, '--level', 'FULL')
      assert.equal(registered.exitCode, 0)
      assert.match(registered.stdout, /decisions-value +first of its subject +1 +3 +BACKWARD -> FULL/)
      assert.match((await weir(home.path, 'register', ...place)).stdout, /decisions-value +is there +1 +3\n/)
      const { schemas } = JSON.parse((await weir(home.path, 'list', ...place, '--json')).stdout) as {
        schemas: unknown[]
      }
      assert.equal(schemas.length, 6)
      assert.deepEqual(schemas[1], {
        subject: 'decisions-value',
        version: 1,
        id: 3,
        level: 'FULL',
        weir: "Weir's decision",
      })
      const checked = await weir(home.path, 'check', ...place)
      assert.equal(checked.exitCode, 0)
      assert.match(checked.stdout, /transactions-value {2}\(FULL\): ok\n {2}version 1, id 1: the same schema/)
    })
  }

  test('explains by field, both ways, why a file is not taken, and ends with 2', async () => {
    await weir(home.path, 'register', '--folder', 'reg', '--level', 'FULL')
    const file = transactionWith((fields) => [
      ...fields.filter(({ name }) => name !== 'amount'),
      { name: 'must', type: 'int' },
    ])
    const checked = await weir(home.path, 'check', file, '--subject', 'transactions-value', '--folder', 'reg')
    assert.equal(checked.exitCode, 2)
    assert.match(
      checked.stdout,
      /NOT OK\n {2}Weir cannot read its records\n {6}field amount: is not written and has no default\n {2}version 1, id 1:\n {4}its records cannot be read\n {6}field must: is not written and has no default\n {4}its readers cannot read new records\n {6}field amount/,
    )
    const refused = await weir(home.path, 'register', file, '--subject', 'transactions-value', '--folder', 'reg')
    assert.equal(refused.code, 'SCHEMA_INCOMPATIBLE')
    assert.equal(refused.exitCode, 2)
    assert.match(refused.message, /nothing was registered\ntransactions-value: version 1: .*field must/)
    const dry = await weir(
      home.path,
      'register',
      file,
      '--subject',
      'transactions-value',
      '--folder',
      'reg',
      '--dry-run',
    )
    assert.equal(dry.exitCode, 2)
    assert.match(dry.stdout, /REFUSED/)
  })

  test('takes a file that fits, from another package, and shows what only the level does not ask for', async () => {
    await weir(home.path, 'register', '--folder', 'reg')
    const file = transactionWith((fields) => fields.filter(({ name }) => name !== 'signals'), { namespace: 'com.bank' })
    const argv = [file, '--subject', 'transactions-value', '--folder', 'reg']
    const checked = await weir(home.path, 'check', ...argv)
    assert.equal(checked.exitCode, 0)
    assert.match(checked.stdout, /ok\n {2}Weir reads its records\n {2}version 1, id 1:\n/)
    assert.match((await weir(home.path, 'register', ...argv)).stdout, /transactions-value +new version +2 +7/)
    const own = await weir(home.path, 'check', '--folder', 'reg')
    assert.match(own.stdout, /version 2, id 7:\n {4}its records can be read/)
  })

  test("finds that producers write what Weir cannot read, whatever the subject's level", async () => {
    const file = transactionWith((fields) => fields.filter(({ name }) => name !== 'card_id'))
    await weir(home.path, 'register', file, '--subject', 'transactions-value', '--folder', 'reg', '--level', 'NONE')
    const checked = await weir(home.path, 'check', '--folder', 'reg')
    assert.equal(checked.exitCode, 2)
    assert.match(
      checked.stdout,
      /transactions-value {2}\(NONE\): NOT OK\n.*\n {4}its records cannot be read\n {6}field card_id/,
    )
  })

  test('compares a file with what Weir reads where there is no registry', async () => {
    const good = await weir(home.path, 'check', DECISION, '--subject', 'decisions-value')
    assert.equal(good.exitCode, 0)
    const bad = await weir(home.path, 'check', TRANSACTION, '--subject', 'labels-value')
    assert.equal(bad.exitCode, 2)
  })

  for (const [argv, code, message] of [
    [['register'], 'NOT_AVAILABLE', /no schema registry is used/],
    [['check'], 'NOT_AVAILABLE', /no schema registry is used/],
    [['check', TRANSACTION, '--subject', 'others-value'], 'NOT_AVAILABLE', /no schema registry is used/],
    [['check', TRANSACTION], 'USAGE', /needs the subject/],
    [['check', '--subject', 'a-value'], 'USAGE', /goes with a file/],
    [['list', '--url', 'http://127.0.0.1:1', '--folder', 'x'], 'USAGE', /two registries/],
    [['list', '--url', 'nonsense'], 'CONFIG_INVALID', /registry\.url/],
    [['register', '--level', 'SOME'], 'USAGE', /Allowed choices are NONE, BACKWARD/],
    [['check', 'none.avsc', '--subject', 'a-value', '--folder', 'x'], 'INPUT_NOT_FOUND', /cannot be read/],
    [['check', import.meta.filename, '--subject', 'a-value', '--folder', 'x'], 'INPUT_INVALID', /not a schema in Avro/],
  ] as const) {
    test(`\`weir schemas ${argv.map((word) => word.split('/').at(-1)).join(' ')}\` says what is wrong and ends with 2`, async () => {
      const ended = await weir(home.path, ...argv)
      assert.equal(ended.exitCode, 2)
      assert.equal(ended.code, code)
      assert.match(ended.message, message)
    })
  }
})
