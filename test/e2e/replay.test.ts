import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { openEmbeddedStore } from '#infra/clickhouse/embedded-store.ts'
import { inTempFolder } from '#test/support/temp-folder.ts'

const WEIR = fileURLToPath(new URL('../../dist/weir.js', import.meta.url))
const run = promisify(execFile)

interface Replayed {
  readonly lines: number
  readonly decisions: number
  readonly stateHash: string
}

test('a replay from the log, from the tables and from a checkpoint gives one state, and a row that is missing is told', () =>
  inTempFolder(async (folder) => {
    const weir = async (...argv: string[]): Promise<unknown> =>
      JSON.parse((await run(process.execPath, [WEIR, ...argv, '--json'])).stdout)
    await weir('demo', '--events', '30000', '--exit', '--data', folder)
    const data = join(folder, 'demo')
    const replay = async (...options: string[]): Promise<Replayed> =>
      (await weir('replay', '--hash', '--data', data, ...options)) as Replayed
    const fromLog = await replay()
    assert.ok(fromLog.decisions > 29_000)
    assert.deepEqual(await replay('--from', 'clickhouse'), fromLog)
    assert.equal((await replay('--checkpoint')).stateHash, fromLog.stateHash)

    const store = await openEmbeddedStore(join(data, 'clickhouse'))
    let line = ''
    try {
      const { rows } = await store.query('SELECT line, transaction_id FROM weir.scored_transactions LIMIT 1')
      line = String(rows[0]!['line'])
      await store.command(
        `DELETE FROM weir.scored_transactions WHERE transaction_id = '${String(rows[0]!['transaction_id'])}'`,
      )
    } finally {
      await store.close()
    }
    await assert.rejects(replay('--from', 'clickhouse'), (error: { code: number; stdout: string }) => {
      assert.equal(error.code, 70)
      const told = (JSON.parse(error.stdout) as { error: { code: string; where: string } }).error
      assert.equal(told.code, 'REPLAY_MISMATCH')
      assert.ok(told.where.startsWith(`journal line ${line}, `), told.where)
      return true
    })
  }))
