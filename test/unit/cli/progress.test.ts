import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createProgress } from '#cli/progress.ts'
import { fakeIo } from '#test/support/fake-io.ts'

test('away from a terminal, long work is told in a line every few seconds, and at its end', async () => {
  let nowMs = 0
  const io = fakeIo({ now: () => nowMs })
  const progress = await createProgress(io, { title: 'scoring', total: 2_000, unit: 'events', isSilent: false })
  for (let done = 100; done <= 2_000; done += 100) {
    nowMs += 1_000
    progress.update(done, '100 events/s')
  }
  progress.finish()
  progress.finish()
  progress.update(1)
  assert.deepEqual(io.stderr().trimEnd().split('\n'), [
    'scoring: 500 of 2,000 events, 25 %, 100 events/s',
    'scoring: 1,000 of 2,000 events, 50 %, 100 events/s',
    'scoring: 1,500 of 2,000 events, 75 %, 100 events/s',
    'scoring: 2,000 of 2,000 events, 100 %, 100 events/s',
    'scoring: 2,000 of 2,000 events, 100 %, done',
  ])
})

test('work of unknown length is told without a share, and short work not at all', async () => {
  let nowMs = 0
  const io = fakeIo({ now: () => nowMs })
  const short = await createProgress(io, { title: 'reading', total: 0, unit: 'rows', isSilent: false })
  short.update(12)
  short.finish('end of file')
  assert.equal(io.stderr(), '')
  const long = await createProgress(io, { title: 'reading', total: 0, unit: 'rows', isSilent: false })
  nowMs = 6_000
  long.update(12)
  long.finish('end of file')
  assert.equal(io.stderr(), 'reading: 12 rows\nreading: 12 rows, end of file\n')
})
