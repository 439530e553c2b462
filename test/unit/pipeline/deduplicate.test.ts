import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { PAGE_BYTES, StateMemory } from '#infra/state-memory.ts'
import { SeenIds } from '#pipeline/deduplicate.ts'

/** Obvious twin: a list of the last ids. */
class SlowSeen {
  private readonly ids: string[] = []
  private readonly capacity: number

  constructor(capacity: number) {
    this.capacity = capacity
  }

  add(id: string): boolean {
    if (this.ids.includes(id)) return false
    this.ids.push(id)
    if (this.ids.length > this.capacity) this.ids.shift()
    return true
  }
}

test('the last ids are known and older ones forgotten, whatever collides', () => {
  // few distinct low halves, so that probe runs are long and removals shift
  const operation = fc.tuple(fc.integer({ min: 0, max: 3 }), fc.constantFrom(0, 1, 2, 7, 15, 16, 31))
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 12 }), fc.array(operation, { maxLength: 300 }), (capacity, operations) => {
      const seen = new SeenIds(new StateMemory(), capacity)
      const slow = new SlowSeen(capacity)
      for (const [hi, lo] of operations) assert.equal(seen.add(hi, lo), slow.add(`${hi}/${lo}`))
    }),
  )
})

test('a restored table goes on exactly where the saved one stood', () => {
  const memory = new StateMemory()
  const seen = new SeenIds(memory, 100)
  for (let i = 0; i < 150; i++) seen.add(i, Math.imul(i, 0x9e3779b1) >>> 0)
  const snapshot = memory.beginSnapshot()
  const hash = memory.hash()
  for (let i = 150; i < 200; i++) seen.add(i, Math.imul(i, 0x9e3779b1) >>> 0)

  const other = new StateMemory()
  const restored = new SeenIds(other, 100)
  other.restore(snapshot.regions, (target) => {
    const page = new Uint8Array(PAGE_BYTES)
    assert.ok(snapshot.copyNext(page))
    target.set(page)
  })
  assert.equal(other.hash(), hash)
  for (let i = 150; i < 200; i++) restored.add(i, Math.imul(i, 0x9e3779b1) >>> 0)
  assert.equal(other.hash(), memory.hash())
})
