import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'

import { createRegistry, type Registry } from '#models/registry.ts'
import { type ErrorCode, WeirError } from '#schemas/errors.ts'
import { tinyLayout, tinyManifest, writeTinyFolder } from '#test/support/tiny-onnx.ts'

describe('the model registry', () => {
  const layout = tinyLayout(2, 2, 3)
  const bytes = Uint8Array.from({ length: 100 }, (_, i) => i)
  let root = ''
  let folder = ''
  let shippedFolder = ''
  let now = 1000
  let registry: Registry

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'weir-registry-'))
    folder = join(root, 'models')
    shippedFolder = join(root, 'shipped')
    now = 1000
    registry = open()
  })
  afterEach(async () => {
    await rm(root, { recursive: true })
  })

  const open = () => createRegistry({ folder, shippedFolder, clock: { now: () => now++ } })
  const parts = (version: string, specName = 'tiny') => ({
    manifest: tinyManifest({ layout: { ...layout, specName }, model: bytes, version, over: { createdAt: now++ } }),
    model: bytes,
    report: '<html></html>',
  })
  const failsWith = (code: ErrorCode) => (error: unknown) => error instanceof WeirError && error.code === code

  it('is empty, and has no champion, before the first model', async () => {
    assert.deepEqual(await registry.list(), [])
    assert.equal(await registry.champion('tiny'), null)
    await assert.rejects(registry.show('v1'), failsWith('MODEL_NOT_FOUND'))
  })

  it('publishes a version whole, and shows what was published', async () => {
    const published = await registry.publish(parts('v1'))
    assert.deepEqual((await readdir(join(folder, 'v1'))).sort(), ['manifest.json', 'model.onnx', 'report.html'])
    assert.deepEqual(await open().show('v1'), published)
    assert.deepEqual(await readdir(folder), ['v1'])
  })

  it('never overwrites a version', async () => {
    await registry.publish(parts('v1'))
    await assert.rejects(registry.publish(parts('v1')), failsWith('MODEL_INVALID'))
  })

  it('publishes nothing when the manifest speaks of another file', async () => {
    await assert.rejects(registry.publish({ ...parts('v1'), model: bytes.subarray(1) }), failsWith('MODEL_INVALID'))
    assert.deepEqual(await registry.list(), [])
  })

  it('lets one of several publishers of the same version win', async () => {
    const outcomes = await Promise.allSettled([1, 2, 3, 4].map(() => open().publish(parts('v1'))))
    assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1)
    assert.deepEqual(await readdir(folder), ['v1'])
  })

  it('promotes a version and remembers it', async () => {
    await registry.publish(parts('v1'))
    await registry.publish(parts('v2'))
    await registry.promote('v1', 'first')
    const promotion = await registry.promote('v2', 'better')
    assert.equal(promotion.previous, 'v1')
    assert.equal((await open().champion('tiny'))?.version, 'v2')
    assert.deepEqual(
      (await open().history('tiny')).map(({ number, kind, version, reason }) => [number, kind, version, reason]),
      [
        [1, 'promote', 'v1', 'first'],
        [2, 'promote', 'v2', 'better'],
      ],
    )
  })

  it('keeps one champion for each feature spec', async () => {
    await registry.publish(parts('v1', 'lean'))
    await registry.publish(parts('v2', 'default'))
    await registry.promote('v1', '')
    await registry.promote('v2', '')
    assert.equal((await registry.champion('lean'))?.version, 'v1')
    assert.equal((await registry.champion('default'))?.version, 'v2')
    assert.deepEqual(
      (await registry.list()).map(({ version, champion }) => [version, champion]),
      [
        ['v2', true],
        ['v1', true],
      ],
    )
  })

  it('rolls back step by step, and goes forward again', async () => {
    for (const version of ['v1', 'v2', 'v3']) {
      await registry.publish(parts(version))
      await registry.promote(version, '')
    }
    assert.equal((await registry.rollback('tiny', 'worse')).version, 'v2')
    assert.equal((await registry.rollback('tiny', 'worse still')).version, 'v1')
    await assert.rejects(registry.rollback('tiny', ''), failsWith('MODEL_NOT_FOUND'))
    assert.equal((await registry.champion('tiny'))?.version, 'v1')
    await registry.promote('v3', '')
    assert.equal((await registry.rollback('tiny', '')).version, 'v1')
  })

  it('does not count the same promotion twice when it rolls back', async () => {
    for (const version of ['v1', 'v2']) await registry.publish(parts(version))
    for (const version of ['v1', 'v2', 'v2']) await registry.promote(version, '')
    assert.equal((await registry.rollback('tiny', '')).version, 'v1')
  })

  it('falls back to the newest shipped model, and rolls back to it', async () => {
    await writeTinyFolder(shippedFolder, { layout, model: bytes, version: 'shipped-1', over: { createdAt: 1 } })
    await writeTinyFolder(shippedFolder, { layout, model: bytes, version: 'shipped-2', over: { createdAt: 2 } })
    assert.equal((await registry.champion('tiny'))?.version, 'shipped-2')
    await registry.publish(parts('v1'))
    assert.equal((await registry.promote('v1', '')).previous, 'shipped-2')
    assert.equal((await registry.rollback('tiny', '')).version, null)
    const champion = await registry.champion('tiny')
    assert.equal(champion?.version, 'shipped-2')
    assert.equal(champion?.shipped, true)
    await registry.promote('shipped-1', 'the older one')
    assert.equal((await registry.champion('tiny'))?.version, 'shipped-1')
  })

  it('gives every one of several promoters a place of its own in the history', async () => {
    for (let i = 0; i < 6; i++) await registry.publish(parts(`v${i}`))
    await Promise.all([0, 1, 2, 3, 4, 5].map((i) => open().promote(`v${i}`, '')))
    const history = await registry.history('tiny')
    assert.deepEqual(
      history.map(({ number }) => number),
      [1, 2, 3, 4, 5, 6],
    )
    assert.deepEqual(new Set(history.map(({ version }) => version)).size, 6)
    assert.equal((await registry.champion('tiny'))?.version, history.at(-1)!.version)
  })

  it('is not disturbed by what a crash left half-written', async () => {
    await registry.publish(parts('v1'))
    await registry.promote('v1', '')
    await mkdir(join(folder, '.publish-abc', 'v2'), { recursive: true })
    await writeFile(join(folder, '.publish-abc', 'v2', 'model.onnx'), 'half')
    await mkdir(join(folder, 'champions', 'tiny', '.promotion-abc'))
    assert.deepEqual(
      (await registry.list()).map(({ version }) => version),
      ['v1'],
    )
    await registry.publish(parts('v2'))
    assert.equal((await registry.promote('v2', '')).number, 2)
  })

  it('sweeps away leftovers of publications a day later', async () => {
    await mkdir(join(folder, '.publish-abc'), { recursive: true })
    now = Date.now() + 90_000_000
    await registry.publish(parts('v1'))
    assert.deepEqual(await readdir(folder), ['v1'])
  })

  it('lists a damaged version with its problem, and never puts it in charge', async () => {
    await registry.publish(parts('v1'))
    await truncate(join(folder, 'v1', 'model.onnx'), 50)
    const [listed] = await registry.list()
    assert.equal(listed?.manifest, null)
    assert.match(listed?.problem ?? '', /model\.onnx/)
    await assert.rejects(registry.promote('v1', ''), failsWith('MODEL_INVALID'))
    assert.deepEqual(await registry.history('tiny'), [])
  })

  it('says so when the champion is damaged, rather than serve another', async () => {
    for (const version of ['v1', 'v2']) {
      await registry.publish(parts(version))
      await registry.promote(version, '')
    }
    await truncate(join(folder, 'v2', 'model.onnx'), 50)
    await assert.rejects(registry.champion('tiny'), failsWith('MODEL_INVALID'))
    assert.equal((await registry.rollback('tiny', 'v2 is damaged')).version, 'v1')
    assert.equal((await registry.champion('tiny'))?.version, 'v1')
  })

  it('says so when the shipped model is damaged, rather than have none', async () => {
    const shipped = await writeTinyFolder(shippedFolder, { layout, model: bytes, version: 'shipped-1' })
    assert.equal(await registry.champion('another-spec'), null)
    await truncate(join(shipped, 'model.onnx'), 50)
    await assert.rejects(registry.champion('tiny'), failsWith('MODEL_INVALID'))
  })

  it('takes no version name that leaves the folder', async () => {
    for (const version of ['../v1', 'champions', '.hidden', '', 'a/b']) {
      await assert.rejects(registry.show(version), failsWith('MODEL_INVALID'))
    }
  })
})
