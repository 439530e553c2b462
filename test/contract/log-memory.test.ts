import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createMemoryLog } from '#infra/log/memory-log.ts'
import { logContract } from './log-suite.ts'

logContract('memory', { offsets: 'dense' }, async () => ({
  open: async () => createMemoryLog(),
  dispose: async () => {},
}))

test('a position that retention has passed is an error, never a silent reset', async () => {
  const log = createMemoryLog()
  await log.append([1, 2, 3].map(() => ({ topic: 't', partition: 0, key: null, value: Buffer.from('x') })))
  await log.retain([{ topic: 't', partition: 0, offset: 2 }])
  await assert.rejects(log.reader({ topic: 't', partition: 0, offset: 1 }).read(1), { code: 'LOG_POSITION_GONE' })
  assert.equal((await log.reader({ topic: 't', partition: 0, offset: 2 }).read(5)).length, 1)
})
