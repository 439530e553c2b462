import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import * as fc from 'fast-check'
import { CheckpointWriter, readNewestCheckpoint } from '#infra/checkpoint.ts'
import { PAGE_BYTES, StateMemory } from '#infra/state-memory.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'weir-checkpoint-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

const metaOf = (line: number) => ({
  line,
  term: 1,
  clock: 5,
  specHash: 's',
  positions: [{ topic: 't', partition: 0, offset: 9 }],
  extra: { a: 1 },
})

function memoryOf(chunks: number): StateMemory {
  const memory = new StateMemory()
  for (const name of ['b', 'a']) {
    const region = memory.region(name, PAGE_BYTES * 2)
    for (let i = 0; i < chunks; i++) region.addChunk()
  }
  return memory
}

function restored(): { memory: StateMemory; line: number } | null {
  const found = readNewestCheckpoint(folder, () => true)
  if (found === null) return null
  const memory = memoryOf(0)
  found.restoreInto(memory)
  return { memory, line: found.meta.line }
}

test('writes made while a checkpoint is written never change what it holds', async () => {
  const write = fc.record({
    region: fc.constantFrom('a', 'b'),
    chunk: fc.nat(2),
    at: fc.nat(PAGE_BYTES * 2 - 8),
    value: fc.integer({ min: 1, max: 255 }),
  })
  const steps = fc.array(
    fc.record({ pages: fc.integer({ min: 1, max: 4 }), writes: fc.array(write, { maxLength: 4 }), grow: fc.boolean() }),
    { maxLength: 12 },
  )
  await fc.assert(
    fc.asyncProperty(fc.array(write, { maxLength: 20 }), steps, async (before, during) => {
      const memory = memoryOf(3)
      const apply = (w: { region: string; chunk: number; at: number; value: number }): void => {
        const region = memory.regions.find(({ name }) => name === w.region)!
        region.touch(w.chunk, w.at, 8)
        region.chunks[w.chunk]!.bytes().fill(w.value, w.at, w.at + 8)
      }
      before.forEach(apply)
      const hash = memory.hash()
      const writer = new CheckpointWriter({ folder, keep: 2 })
      writer.begin(metaOf(7), memory.beginSnapshot())
      for (const { pages, writes, grow } of during) {
        const stepping = writer.step(pages)
        writes.forEach(apply)
        if (grow) memory.regions[0]!.addChunk()
        if (await stepping) break
      }
      await writer.finishNow()
      const back = restored()!
      assert.equal(back.line, 7)
      assert.equal(back.memory.hash(), hash)
    }),
    { numRuns: 30 },
  )
})

test('the newest two are kept, and a damaged newest gives way to the one before', async () => {
  const memory = memoryOf(1)
  memory.regions[0]!.chunks[0]!.bytes().fill(3)
  for (const line of [5, 9, 12]) {
    const writer = new CheckpointWriter({ folder, keep: 2 })
    writer.begin(metaOf(line), memory.beginSnapshot())
    await writer.finishNow()
  }
  assert.deepEqual(readdirSync(folder), ['checkpoint-000000000009.bin', 'checkpoint-000000000012.bin'])
  assert.deepEqual(readNewestCheckpoint(folder, () => true)!.meta, metaOf(12))
  const newest = join(folder, 'checkpoint-000000000012.bin')
  const bytes = readFileSync(newest)
  for (const damage of [
    bytes.subarray(0, bytes.length - 1),
    flipped(bytes, 40),
    flipped(bytes, bytes.length - 2),
    Buffer.alloc(0),
  ]) {
    writeFileSync(newest, damage)
    const found = readNewestCheckpoint(folder, () => true)!
    assert.equal(found.meta.line, 9)
    assert.match(found.warnings[0]!, /000012\.bin is damaged/)
  }
  assert.equal(
    readNewestCheckpoint(folder, ({ line }) => line < 9),
    null,
  )
})

test('a checkpoint of other regions is refused', async () => {
  const writer = new CheckpointWriter({ folder, keep: 2 })
  writer.begin(metaOf(1), memoryOf(1).beginSnapshot())
  await writer.finishNow()
  const other = new StateMemory()
  other.region('c')
  assert.throws(() => readNewestCheckpoint(folder, () => true)!.restoreInto(other), { code: 'CHECKPOINT_DAMAGED' })
})

test('an aborted checkpoint leaves nothing, and the next one works', async () => {
  const memory = memoryOf(2)
  const writer = new CheckpointWriter({ folder, keep: 2 })
  writer.begin(metaOf(1), memory.beginSnapshot())
  await writer.step(1)
  await writer.abort()
  assert.deepEqual(readdirSync(folder), [])
  writer.begin(metaOf(2), memory.beginSnapshot())
  await writer.finishNow()
  assert.equal(restored()!.line, 2)
})

function flipped(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes)
  copy[at]! ^= 1
  return copy
}
