import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { acquireDataLock, dataLockHolder } from '#infra/folder-lock.ts'
import { inTempFolder } from '#test/support/temp-folder.ts'

const SELF = { pid: process.pid, command: 'run', since: Date.UTC(2026, 0, 31) }

test('a second process is refused with a sentence that names the first', () =>
  inTempFolder((folder) => {
    acquireDataLock(folder, SELF)
    assert.throws(() => acquireDataLock(folder, { ...SELF, command: 'demo' }), {
      code: 'DATA_IN_USE',
      message: `the data folder is in use by process ${process.pid} (weir run, since 2026-01-31T00:00:00.000Z)`,
    })
    assert.equal(dataLockHolder(folder)?.pid, process.pid)
  }))

test('a folder that was given free can be taken again, any number of times', () =>
  inTempFolder((folder) => {
    assert.equal(dataLockHolder(folder), null)
    for (let i = 0; i < 5; i++) {
      const lock = acquireDataLock(folder, SELF)
      lock.release()
      lock.release()
      assert.equal(dataLockHolder(folder), null)
    }
    assert.equal(readdirSync(join(folder, 'lock')).length, 1)
  }))

test('a process that died holds nothing, nor does another one that has its number now', () =>
  inTempFolder((folder) => {
    mkdirSync(join(folder, 'lock'))
    writeFileSync(join(folder, 'lock/7'), JSON.stringify({ ...SELF, identity: 'another boot/1', released: false }))
    assert.equal(dataLockHolder(folder), null)
    acquireDataLock(folder, SELF)
    assert.deepEqual(readdirSync(join(folder, 'lock')), ['8'])
  }))

test('a lock file that a loss of power cut short holds nothing', () =>
  inTempFolder((folder) => {
    mkdirSync(join(folder, 'lock'))
    writeFileSync(join(folder, 'lock/3'), '{"pid": 12')
    acquireDataLock(folder, SELF).release()
  }))
