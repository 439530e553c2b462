import assert from 'node:assert/strict'
import { appendFileSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { openAuditTrail } from '#infra/audit-trail.ts'
import { WeirError } from '#schemas/errors.ts'
import { inTempFolder } from '#test/support/temp-folder.ts'

const clockAt = (ms: number) => ({ now: () => ms })
const entry = (what: string) => ({ who: 'api.token', what, detail: '{}' })

test('entries are numbered without a gap, over a restart too, and each is on disk when it was taken', async () => {
  await inTempFolder(async (folder) => {
    const file = join(folder, 'new', 'audit.jsonl')
    const first = await openAuditTrail(file, clockAt(5))
    await Promise.all(['a', 'b', 'c'].map((what) => first.append(entry(what))))
    assert.equal(readFileSync(file, 'utf8').split('\n').length, 4)
    assert.equal(statSync(file).mode & 0o777, 0o600)
    await first.close()
    const second = await openAuditTrail(file, clockAt(6))
    await second.append(entry('d'))
    assert.deepEqual(
      second.entries().map(({ number, at, what }) => [number, at, what]),
      [
        [1, 5, 'a'],
        [2, 5, 'b'],
        [3, 5, 'c'],
        [4, 6, 'd'],
      ],
    )
    second.taken(3)
    assert.deepEqual(
      second.entries().map(({ what }) => what),
      ['d'],
    )
    const seen = second.entries()
    await second.append(entry('late'))
    assert.equal(seen.at(-1)?.number, 4)
    second.taken(seen.at(-1)!.number)
    assert.deepEqual(
      second.entries().map(({ what }) => what),
      ['late'],
    )
    second.taken(5)
    await second.append(entry('e'))
    assert.equal(second.entries()[0]?.number, 6)
    await second.close()
  })
})

test('a last line that is not whole was never acknowledged and is cut off; the next one stands alone', async () => {
  await inTempFolder(async (folder) => {
    const file = join(folder, 'audit.jsonl')
    const first = await openAuditTrail(file, clockAt(5))
    await first.append(entry('ä'))
    await first.close()
    appendFileSync(file, '{"number":2,"at":5,"who":"ap')
    const second = await openAuditTrail(file, clockAt(6))
    await second.append(entry('b'))
    await second.close()
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n')
    assert.deepEqual(
      lines.map((line) => (JSON.parse(line) as { what: string }).what),
      ['ä', 'b'],
    )
  })
})

test('a line that cannot be read is named, and nothing is appended behind it', async () => {
  await inTempFolder(async (folder) => {
    const file = join(folder, 'audit.jsonl')
    writeFileSync(file, 'not json\n')
    await assert.rejects(
      openAuditTrail(file, clockAt(5)),
      (error: unknown) => error instanceof WeirError && error.code === 'STORE_FAILED' && error.where === `${file}:1`,
    )
    assert.equal(readFileSync(file, 'utf8'), 'not json\n')
  })
})
