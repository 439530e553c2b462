import assert from 'node:assert/strict'
import { chmodSync, existsSync, mkdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { checkCheckpoints, readCheckpoints } from '#cli/doctor/checkpoints.ts'
import { checkClock, checkDataFolder, checkDisk, checkNode, checkPlatform } from '#cli/doctor/machine.ts'
import { checkTokenKey } from '#cli/doctor/token-key.ts'
import { CheckpointWriter } from '#infra/checkpoint.ts'
import { StateMemory } from '#infra/state-memory.ts'
import { loadTokenKey } from '#infra/tokenizer.ts'
import { newTempFolder } from '#test/support/temp-folder.ts'

const NOW_MS = Date.UTC(2026, 5, 1)
const GIB = 1024 ** 3

describe('doctor: the machine and the data folder', () => {
  let home: ReturnType<typeof newTempFolder>
  beforeEach(() => {
    home = newTempFolder()
  })
  afterEach(() => {
    home.remove()
  })

  test('Node and the platform', () => {
    assert.equal(checkNode('20.18.0').status, 'fail')
    assert.equal(checkNode('20.19.0').status, 'ok')
    assert.equal(checkPlatform('linux', 'x64', undefined).status, 'fail')
    assert.equal(checkPlatform('linux', 'arm64', '2.36').status, 'ok')
  })

  test('a clock that stands still in the past fails', () => {
    assert.equal(checkClock(0, home.path).status, 'fail')
    assert.equal(checkClock(NOW_MS, join(home.path, 'not-there')).status, 'ok')
  })

  test('a clock behind the files of the data folder is told', () => {
    mkdirSync(join(home.path, 'log'))
    const file = join(home.path, 'log', 'segment-00000001.log')
    writeFileSync(file, '')
    utimesSync(home.path, NOW_MS / 1_000, NOW_MS / 1_000)
    utimesSync(file, NOW_MS / 1_000, NOW_MS / 1_000)
    assert.equal(checkClock(NOW_MS, home.path).status, 'ok')
    utimesSync(file, NOW_MS / 1_000 + 90, NOW_MS / 1_000 + 90)
    const { status, detail } = checkClock(NOW_MS, home.path)
    assert.equal(status, 'warn')
    assert.match(detail, /1 min later/)
  })

  test('a disk has room for two checkpoints, or it is told', () => {
    assert.equal(checkDisk(3 * GIB, 0, '/data').status, 'ok')
    assert.equal(checkDisk(3 * GIB, 2 * GIB, '/data').status, 'warn')
    assert.equal(checkDisk(GIB, 0, '/data').status, 'warn')
    assert.equal(checkDisk(GIB / 10, 0, '/data').status, 'fail')
    assert.match(checkDataFolder(join(home.path, 'new'), 0).detail, /made at first start/)
  })

  test('a token key is known by a fingerprint that does not hold it', () => {
    const file = join(home.path, 'token.key')
    assert.equal(checkTokenKey({ file, isShared: false, isBegun: false }).detail, 'made at first start')
    assert.equal(checkTokenKey({ file, isShared: true, isBegun: true }).status, 'fail')
    assert.ok(!existsSync(file), 'looking makes no key')
    loadTokenKey(file)
    const { status, detail } = checkTokenKey({ file, isShared: true, isBegun: true })
    assert.equal(status, 'ok')
    const fingerprint = /fingerprint ([0-9a-f]{12});/.exec(detail)?.[1]
    assert.ok(fingerprint !== undefined && !readFileSync(file, 'utf8').includes(fingerprint))
    assert.equal(checkTokenKey({ file, isShared: true, isBegun: true }).detail, detail, 'the same for the same key')
    chmodSync(file, 0o644)
    assert.equal(checkTokenKey({ file, isShared: false, isBegun: false }).status, 'warn')
  })

  describe('checkpoints', () => {
    const folder = (): string => join(home.path, 'checkpoints')

    async function write(line: number, specHash = 'spec'): Promise<string> {
      const writer = new CheckpointWriter({ folder: folder(), keep: 10 })
      const meta = { line, term: 1, clock: NOW_MS, specHash, positions: [], extra: null }
      writer.begin(meta, new StateMemory().beginSnapshot())
      await writer.finishNow()
      return join(folder(), `checkpoint-${String(line).padStart(12, '0')}.bin`)
    }
    const found = () => checkCheckpoints(readCheckpoints(folder()), 'spec', Date.now())

    test('need not be there', () => {
      assert.equal(found().status, 'ok')
    })

    test('are counted, with the age of the newest', async () => {
      await write(5)
      await write(9)
      assert.match(found().detail, /^2, the newest of journal line 9, \d+ (ms|s) old$/)
    })

    test('that are damaged are told', async () => {
      await write(5)
      const file = await write(9)
      const bytes = readFileSync(file)
      bytes[bytes.length - 1]! ^= 1
      writeFileSync(file, bytes)
      const { status, detail } = found()
      assert.equal(status, 'warn')
      assert.match(detail, /1 of 2 are damaged; a start goes back to an earlier one/)
    })

    test('of another feature spec fail', async () => {
      await write(5, 'other')
      assert.equal(found().status, 'fail')
    })
  })
})
