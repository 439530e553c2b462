import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { PAGE_BYTES, type Region, StateMemory, type StateSnapshot } from '#infra/state-memory.ts'

const CHUNK_BYTES = 2 * PAGE_BYTES

function bytesOf(region: Region, chunk: number): Uint8Array {
  return region.chunks[chunk]!.bytes()
}

/** Writes as every owner must: says so first. */
function write(region: Region, chunk: number, at: number, value: number): void {
  region.touch(chunk, at, 1)
  bytesOf(region, chunk)[at] = value
}

/** The first byte of each page that is left. */
function drain(snapshot: StateSnapshot): number[] {
  const page = new Uint8Array(PAGE_BYTES)
  const firsts: number[] = []
  while (snapshot.copyNext(page)) firsts.push(page[0]!)
  return firsts
}

function restoreFrom(snapshot: StateSnapshot, memory: StateMemory): void {
  memory.restore(snapshot.regions, (target) => assert.ok(snapshot.copyNext(target)))
  assert.deepEqual(drain(snapshot), [])
}

test('a chunk must be whole pages, and a name can be taken once until it is dropped', () => {
  const memory = new StateMemory()
  for (const chunkBytes of [0, -PAGE_BYTES, PAGE_BYTES + 1]) {
    assert.throws(() => memory.region('ring', chunkBytes), RangeError)
  }
  memory.region('ring')
  assert.throws(() => memory.region('ring'), RangeError)
  memory.drop('ring')
  assert.equal(memory.region('ring', CHUNK_BYTES).byteLength, 0)
})

test('memory grows by chunks that are zero, and the bytes of all regions are counted', () => {
  const memory = new StateMemory()
  const ring = memory.region('ring', CHUNK_BYTES)
  const index = memory.region('index')
  const first = ring.addChunk()
  ring.addChunk()
  index.addChunk()
  assert.equal(ring.chunks[0], first)
  assert.ok(bytesOf(ring, 1).every((byte) => byte === 0))
  assert.equal(memory.byteLength, 2 * CHUNK_BYTES + PAGE_BYTES)
})

test('the order in which regions came to be changes neither the hash nor the snapshot', () => {
  const memories = [
    ['a', 'b'],
    ['b', 'a'],
  ].map((names) => {
    const memory = new StateMemory()
    const regions = new Map(names.map((name) => [name, memory.region(name)]))
    for (const [name, region] of regions) {
      region.addChunk()
      write(region, 0, 0, name.charCodeAt(0))
    }
    return memory
  })
  assert.equal(memories[0]!.hash(), memories[1]!.hash())
  assert.deepEqual(drain(memories[0]!.beginSnapshot()), drain(memories[1]!.beginSnapshot()))
})

test('one changed byte, another name and a chunk more each give another hash', () => {
  const hashes = new Set<string>()
  for (const [name, chunks, value] of [
    ['a', 1, 0],
    ['a', 1, 1],
    ['a', 2, 0],
    ['b', 1, 0],
  ] as const) {
    const memory = new StateMemory()
    const region = memory.region(name)
    for (let i = 0; i < chunks; i++) region.addChunk()
    write(region, 0, 7, value)
    hashes.add(memory.hash())
  }
  assert.equal(hashes.size, 4)
})

test('a table that is replaced during a snapshot stays in it as it was', () => {
  const memory = new StateMemory()
  const table = memory.region('table', CHUNK_BYTES)
  table.addChunk()
  write(table, 0, 0, 1)
  write(table, 0, PAGE_BYTES, 2)
  const snapshot = memory.beginSnapshot()
  const page = new Uint8Array(PAGE_BYTES)
  assert.ok(snapshot.copyNext(page))
  assert.equal(page[0], 1)
  table.replace(2)
  // It may have got the memory of the old ones.
  write(table, 0, 0, 9)
  write(table, 1, 0, 5)
  assert.deepEqual(drain(snapshot), [2])
  assert.deepEqual(drain(memory.beginSnapshot()), [9, 0, 5, 0])
})

test('chunks and regions that are added during a snapshot are not in it', () => {
  const memory = new StateMemory()
  const ring = memory.region('ring')
  ring.addChunk()
  const snapshot = memory.beginSnapshot()
  ring.addChunk()
  write(ring, 1, 0, 3)
  memory.region('later').addChunk()
  assert.deepEqual(
    snapshot.regions.map(({ name, pageCount }) => [name, pageCount]),
    [['ring', 1]],
  )
  assert.deepEqual(drain(snapshot), [0])
})

test('a write over the edge of a page saves both pages', () => {
  const memory = new StateMemory()
  const ring = memory.region('ring', CHUNK_BYTES)
  ring.addChunk()
  const snapshot = memory.beginSnapshot()
  ring.touch(0, PAGE_BYTES - 1, 2)
  bytesOf(ring, 0).fill(8)
  assert.deepEqual(drain(snapshot), [0, 0])
})

test('a cancelled snapshot gives nothing more, and the next one is of the state as it is then', () => {
  const memory = new StateMemory()
  const ring = memory.region('ring')
  ring.addChunk()
  const snapshot = memory.beginSnapshot()
  write(ring, 0, 0, 1)
  snapshot.cancel()
  assert.deepEqual(drain(snapshot), [])
  write(ring, 0, 0, 2)
  assert.deepEqual(drain(memory.beginSnapshot()), [2])
})

test('whatever is written while a snapshot is copied, what is put back is the state at its beginning', () => {
  const act = fc.oneof(
    { weight: 6, arbitrary: fc.record({ kind: fc.constant('write' as const), at: fc.nat(), value: fc.nat(255) }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('copy' as const) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('grow' as const, 'replace' as const), at: fc.nat() }) },
  )
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 10 }), fc.array(act), (before, acts) => {
      const { memory, regions } = twoRegions(2)
      const writeAt = (n: number, value: number): void => {
        const region = regions[n % 2]!
        write(region, n % region.chunks.length, n % CHUNK_BYTES, value)
      }
      for (const [at, value] of before) writeAt(at, value)
      const expected = memory.hash()
      const snapshot = memory.beginSnapshot()
      const pages: Uint8Array[] = []
      const copyOne = (): boolean => {
        const page = new Uint8Array(PAGE_BYTES)
        const isCopied = snapshot.copyNext(page)
        if (isCopied) pages.push(page)
        return isCopied
      }
      for (const a of acts) {
        if (a.kind === 'write') writeAt(a.at, a.value)
        else if (a.kind === 'copy') copyOne()
        else if (a.kind === 'grow') regions[a.at % 2]!.addChunk()
        else regions[a.at % 2]!.replace(1)
      }
      while (copyOne());
      const back = twoRegions(0).memory
      back.restore(snapshot.regions, (target) => target.set(pages.shift()!))
      assert.equal(back.hash(), expected)
      assert.equal(pages.length, 0)
    }),
    { numRuns: 60 },
  )
})

test('what is put back takes the place of what was there, and then the owners are told', () => {
  const { memory, regions } = twoRegions(1)
  write(regions[0], 0, 3, 77)
  const other = twoRegions(3)
  write(other.regions[1], 2, 0, 1)
  const seen: number[] = []
  other.memory.onRestore(() => seen.push(bytesOf(other.regions[0], 0)[3]!))
  restoreFrom(memory.beginSnapshot(), other.memory)
  assert.deepEqual(seen, [77])
  assert.equal(other.memory.hash(), memory.hash())
})

test('a snapshot of other regions is refused, and nothing is changed', () => {
  const source = twoRegions(1).memory
  const others: ((memory: StateMemory) => unknown)[] = [
    (memory) => memory.region('a', CHUNK_BYTES),
    (memory) => [memory.region('a', CHUNK_BYTES), memory.region('c', CHUNK_BYTES)],
    (memory) => [memory.region('a', CHUNK_BYTES), memory.region('b', PAGE_BYTES)],
  ]
  for (const make of others) {
    const memory = new StateMemory()
    make(memory)
    memory.regions[0]!.addChunk()
    const before = memory.hash()
    const snapshot = source.beginSnapshot()
    assert.throws(() => restoreFrom(snapshot, memory), { code: 'CHECKPOINT_DAMAGED' })
    snapshot.cancel()
    assert.equal(memory.hash(), before)
  }
})

function twoRegions(chunks: number): { memory: StateMemory; regions: readonly [Region, Region] } {
  const memory = new StateMemory()
  const regions = [memory.region('a', CHUNK_BYTES), memory.region('b', CHUNK_BYTES)] as const
  for (const region of regions) for (let i = 0; i < chunks; i++) region.addChunk()
  return { memory, regions }
}
