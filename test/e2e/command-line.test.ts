import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { wallClock } from '#infra/clock.ts'
import { openFileLog } from '#infra/log/file-log.ts'
import { writeServiceAddress } from '#infra/service-address.ts'
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

  test('simulates the same bytes for the same seed, in whole files only', () =>
    inTempFolder(async (folder) => {
      for (const name of ['a', 'b']) {
        const { exitCode } = await weir(
          ['simulate', '-n', '500', '--to', 'csv', '-o', `${name}.csv`, '--truth', `${name}.truth.csv`, '--quiet'],
          { cwd: folder },
        )
        assert.equal(exitCode, 0)
      }
      assert.deepEqual(readFileSync(join(folder, 'a.csv')), readFileSync(join(folder, 'b.csv')))
      assert.equal(readFileSync(join(folder, 'a.csv'), 'utf8').trimEnd().split('\n').length, 501)
      const bad = await weir(['simulate', '-n', '500', '-o', 'c.jsonl', '--labels', 'nowhere/l.jsonl'], { cwd: folder })
      assert.notEqual(bad.exitCode, 0)
      assert.deepEqual(readdirSync(folder).sort(), ['a.csv', 'a.truth.csv', 'b.csv', 'b.truth.csv'])
    }))

  test('streams simulated events to stdout, one a line', async () => {
    const { exitCode, stdout } = await weir(['simulate', '-n', '25', '--seed', '9'])
    assert.equal(exitCode, 0)
    const lines = stdout.trimEnd().split('\n')
    assert.equal(lines.length, 25)
    for (const line of lines) assert.ok('card_id' in (JSON.parse(line) as object))
  })

  test('appends simulated events to the log, and says so', () =>
    inTempFolder(async (folder) => {
      const { exitCode, stdout } = await weir(['simulate', '-n', '300', '--to', 'log', '--json'], { cwd: folder })
      assert.equal(exitCode, 0)
      assert.equal((JSON.parse(stdout) as { transactions: number }).transactions, 300)
      const log = await openFileLog({
        folder: join(folder, '.weir/log'),
        segmentBytesMax: 1_000_000_000,
        retentionMs: 1_000_000_000_000,
        clock: wallClock,
      })
      const range = (await log.ranges()).find(({ topic }) => topic === 'transactions')
      assert.equal(range?.end, 300)
      await log.close()
    }))

  test('asks the running service, with its token, and shows what it says', () =>
    inTempFolder(async (folder) => {
      const asked: string[] = []
      const server = createServer((request, response) => {
        asked.push(`${request.method} ${request.url} ${request.headers.authorization ?? ''}`)
        const answers: Readonly<Record<string, object>> = {
          '/healthz': { ok: true, version: '0' },
          '/v1/query': { columns: [{ name: 'n', type: 'UInt64' }], rows: [{ n: 7 }], truncated: false },
        }
        const answer = answers[request.url ?? '']
        response.statusCode = answer === undefined ? 404 : 200
        response.end(JSON.stringify(answer ?? { code: 'MODEL_NOT_FOUND', message: 'There is no such version' }))
      })
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      try {
        const { port } = server.address() as AddressInfo
        const tokenFile = join(folder, 'api.token')
        writeFileSync(tokenFile, 'the-token')
        writeServiceAddress(folder, {
          pid: process.pid,
          url: `http://127.0.0.1:${port}`,
          tokenFile,
          command: 'run',
          startedAt: 0,
        })
        const told = await weir(['query', '--sql', 'SELECT 7 AS n', '--data', folder])
        assert.equal(told.exitCode, 0)
        assert.equal(told.stdout, 'n\n-\n7\n1 row\n')
        assert.ok(asked.includes('POST /v1/query Bearer the-token'))
        const refused = await weir(['models', 'promote', 'x', '--data', folder])
        assert.equal(refused.exitCode, 2)
        assert.match(refused.stderr, /There is no such version/)
      } finally {
        server.close()
      }
    }))

  test('does not mind a reader that has seen enough', async () => {
    const child = spawn('sh', ['-c', `"${process.execPath}" "${WEIR}" doctor --settings | head -1`])
    let stderr = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    await new Promise((resolve) => child.on('close', resolve))
    assert.equal(stderr, '')
  })
})
