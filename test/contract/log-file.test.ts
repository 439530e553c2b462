import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { wallClock } from '#infra/clock.ts'
import { openFileLog } from '#infra/log/file-log.ts'
import { logContract } from './log-suite.ts'

// Small segments, so that every test crosses several files; with room reserved in them and without.
for (const reserveBytes of [0, 5_000]) {
  logContract(reserveBytes === 0 ? 'file' : 'file with reserve', { offsets: 'dense' }, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'weir-log-'))
    return {
      open: () => openFileLog({ folder, segmentBytesMax: 20_000, retentionMs: 0, reserveBytes, clock: wallClock }),
      dispose: () => rm(folder, { recursive: true }),
    }
  })
}
