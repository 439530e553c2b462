import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { inTempFolder } from '#test/support/temp-folder.ts'

const WEIR = fileURLToPath(new URL('../../dist/weir.js', import.meta.url))

interface Ended {
  readonly exitCode: number | null
  readonly stdout: string
  readonly stderr: string
}

function weir(argv: readonly string[], options: { cwd?: string; env?: NodeJS.ProcessEnv } = {}): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [WEIR, ...argv], {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
    })
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    child.on('error', reject)
    child.on('close', (exitCode) => resolve({ exitCode, stdout, stderr }))
  })
}

describe('the built command line', () => {
  before(() => assert.ok(existsSync(WEIR), 'build first: npm run build'))

  test('shows its help and ends with 0', async () => {
    const { exitCode, stdout, stderr } = await weir(['--help'])
    assert.equal(exitCode, 0)
    assert.match(stdout, /Usage: weir/)
    assert.match(stdout, /weir demo --events 200000 --exit/)
    assert.equal(stderr, '')
  })

  test('without a command shows its help, and ends with 2', async () => {
    const { exitCode, stderr } = await weir([])
    assert.equal(exitCode, 2)
    assert.match(stderr, /^Usage: weir/)
  })

  test('meets a slip with what was meant, and ends with 2', async () => {
    const { exitCode, stdout, stderr } = await weir(['docter'])
    assert.equal(exitCode, 2)
    assert.equal(stdout, '')
    assert.match(stderr, /^weir: unknown command 'docter'\n {6}\(Did you mean doctor\?\)/)
  })

  test('names the key, the value, the line and what is allowed of a bad setting, and ends with 2', () =>
    inTempFolder(async (folder) => {
      writeFileSync(join(folder, 'weir.yaml'), 'path:\n  spec: huge\n')
      const { exitCode, stdout, stderr } = await weir(['doctor', '--json'], { cwd: folder })
      assert.equal(exitCode, 2)
      assert.equal(stderr, '')
      const { error } = JSON.parse(stdout) as { error: { code: string; message: string } }
      assert.equal(error.code, 'CONFIG_INVALID')
      assert.match(
        error.message,
        /^path\.spec is "huge" \(.*weir\.yaml:2\); allowed: default, lean, or the path of a file that ends in \.json\./,
      )
    }))

  test('checks the machine without leaving anything behind', () =>
    inTempFolder(async (folder) => {
      const { exitCode, stdout } = await weir(['doctor', '--json'], { cwd: folder, env: { WEIR_API_PORT: '9100' } })
      const report = JSON.parse(stdout) as {
        ok: boolean
        checks: { name: string; status: string; detail: string }[]
        settings: { key: string; value: string; source: string }[]
      }
      assert.deepEqual(
        report.checks.filter(({ status }) => status === 'fail'),
        [],
      )
      assert.equal(exitCode, 0)
      assert.match(report.checks.find(({ name }) => name === 'ClickHouse')!.detail, /embedded, version \d/)
      assert.deepEqual(
        report.settings.find(({ key }) => key === 'api.port'),
        { key: 'api.port', value: '9100', source: 'environment WEIR_API_PORT' },
      )
      assert.equal(existsSync(join(folder, '.weir')), false)
    }))

  test('lists models as one JSON document', () =>
    inTempFolder(async (folder) => {
      const { exitCode, stdout } = await weir(['models', 'list', '--json'], { cwd: folder })
      assert.equal(exitCode, 0)
      assert.ok(Array.isArray((JSON.parse(stdout) as { models: unknown[] }).models))
    }))

  test('refuses a model that is not there by name, and changes nothing', () =>
    inTempFolder(async (folder) => {
      const { exitCode, stderr } = await weir(['models', 'promote', 'no-such'], { cwd: folder })
      assert.equal(exitCode, 2)
      assert.match(stderr, /There is no model version no-such/)
      assert.equal(existsSync(join(folder, '.weir')), false)
    }))

  test('never repeats a card number it was given', async () => {
    for (const argv of [
      ['--4111111111111111'],
      ['query', '--param', '4111111111111111'],
      ['models', 'show', '4111111111111111'],
      ['doctor', '--set', '4111111111111111=1'],
      ['doctor', '--config', '4111111111111111.yaml'],
    ]) {
      for (const json of [[], ['--json']]) {
        const { exitCode, stdout, stderr } = await weir([...argv, ...json])
        assert.equal(exitCode, 2, argv.join(' '))
        assert.doesNotMatch(stdout + stderr, /4111111111111111/)
      }
    }
  })

  test('does not mind a reader that has seen enough', async () => {
    const child = spawn('sh', ['-c', `"${process.execPath}" "${WEIR}" doctor --settings | head -1`])
    let stderr = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    await new Promise((resolve) => child.on('close', resolve))
    assert.equal(stderr, '')
  })
})
