import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { wallClock } from '#infra/clock.ts'
import { openFileLog } from '#infra/log/file-log.ts'
import { logContract } from './log-suite.ts'

// Small segments, so that every test crosses several files.
logContract('file', { offsets: 'dense' }, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'weir-log-'))
  return {
    open: () => openFileLog({ folder, segmentBytesMax: 20_000, retentionMs: 0, clock: wallClock }),
    dispose: () => rm(folder, { recursive: true }),
  }
})
