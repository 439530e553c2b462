import { HashIndex } from '#infra/hash-index.ts'
import type { StateMemory } from '#infra/state-memory.ts'
import type { EntityStore } from './entity-store.ts'
import { NodePool } from './node-pool.ts'

/** Words of a node: owner, key, the node before and the one behind, and the time as a double. */
const OWNER = 0
const KEY = 1
const BEFORE = 2
const BEHIND = 3
const TIME = 4
const NODE_WORDS = 6
/** Most keys that are remembered of one entity; beyond them a count is a least one. */
const KEYS_MAX = 65_536

/**
 * The other parties that busy entities met lately, each once, in the order of their last meeting: a list through nodes
 * that a hash index finds. So the distinct parties of a window are counted as it slides, at the same cost whether the
 * window holds ten events or ten thousand, and rows may be merged without losing them.
 *
 * Of each entity the header keeps the newest node, and for each window, longest first, its oldest node and how many
 * there are from there on. Nodes are numbered from 1, 0 is none.
 */
export class RecentKeys {
  private readonly windowsMs: readonly number[]
  private readonly nodes: NodePool
  private readonly index: HashIndex
  /** Word of the header at which its own begin. */
  private readonly words: number

  /**
   * @param windowsMs longest first
   * @param words where its words begin in the header: see `headerWords`
   */
  constructor(memory: StateMemory, name: string, windowsMs: readonly number[], words: number) {
    this.windowsMs = windowsMs
    this.words = words
    this.nodes = new NodePool(memory, `${name}.recent`, NODE_WORDS)
    this.index = new HashIndex(memory, `${name}.recent`)
  }

  /** Words it needs in a header. */
  static headerWords(windows: number): number {
    return windows === 0 ? 0 : 1 + 2 * windows
  }

  /** Whether the open entity's parties are remembered here. */
  holds(store: EntityStore): boolean {
    return store.headerU32[store.headerU32At + this.words] !== 0
  }

  /** How many the window holds as of the newest meeting. */
  countIn(store: EntityStore, window: number): number {
    return store.headerU32[store.headerU32At + this.words + 2 + 2 * window]!
  }

  /** Lets go of what lies behind the windows that end at `nowMs`. */
  slide(store: EntityStore, nowMs: number): void {
    const { headerU32: u32 } = store
    for (let w = this.windowsMs.length - 1; w >= 0; w--) {
      const first = store.headerU32At + this.words + 1 + 2 * w
      const edgeMs = nowMs - this.windowsMs[w]!
      let node = u32[first]!
      if (node === 0 || this.timeOf(node) > edgeMs) continue
      store.touchHeader()
      while (node !== 0 && this.timeOf(node) <= edgeMs) {
        const behind = this.nodes.get(node, BEHIND)
        u32[first] = behind
        u32[first + 1]!--
        if (w === 0) this.drop(store, node)
        node = behind
      }
    }
  }

  /** Notes a meeting at `timeMs`, which may lie before others; windows end at `nowMs`, and have been slid there. */
  meet(store: EntityStore, key: number, timeMs: number, nowMs: number): void {
    if (timeMs <= nowMs - this.windowsMs[0]!) return
    const found = this.find(store, key)
    if (found !== 0 && this.timeOf(found) >= timeMs) return
    store.touchHeader()
    if (found !== 0) this.unlink(store, found, nowMs)
    const node = found === 0 ? this.create(store, key) : found
    this.link(store, node, timeMs, nowMs)
    if (this.countIn(store, 0) > KEYS_MAX) this.forgetOldest(store, nowMs)
  }

  /**
   * Takes a meeting back; `earlierMs` is the time of the last one before it that is known, -Infinity: none.
   */
  unmeet(store: EntityStore, key: number, timeMs: number, earlierMs: number, nowMs: number): void {
    const node = this.find(store, key)
    if (node === 0 || this.timeOf(node) !== timeMs) return
    store.touchHeader()
    this.unlink(store, node, nowMs)
    if (earlierMs > nowMs - this.windowsMs[0]!) this.link(store, node, earlierMs, nowMs)
    else this.destroy(node)
  }

  /** Frees all nodes of an entity, given by its header. */
  release(u32: Uint32Array, at: number): void {
    let node = u32[at + this.words + 1]!
    while (node !== 0) {
      const behind = this.nodes.get(node, BEHIND)
      this.destroy(node)
      node = behind
    }
  }

  private find(store: EntityStore, key: number): number {
    const { index } = this
    const lo = spread(store.slotNumber, key)
    for (let at = index.first(lo); at >= 0; at = index.next(lo, at + 1)) {
      const node = index.placeAt(at) + 1
      if (this.nodes.get(node, OWNER) === store.slotNumber) return node
    }
    return 0
  }

  private create(store: EntityStore, key: number): number {
    const node = this.nodes.allocate()
    this.nodes.set(node, OWNER, store.slotNumber)
    this.nodes.set(node, KEY, key)
    this.index.insert(node - 1, spread(store.slotNumber, key))
    return node
  }

  private destroy(node: number): void {
    this.index.remove(node - 1, spread(this.nodes.get(node, OWNER), this.nodes.get(node, KEY)))
    this.nodes.free(node)
  }

  /** Puts a node where its time belongs, behind those of the same time, and into the windows that it lies in. */
  private link(store: EntityStore, node: number, timeMs: number, nowMs: number): void {
    const { headerU32: u32 } = store
    const last = store.headerU32At + this.words
    let behind = 0
    let before = u32[last]!
    while (before !== 0 && this.timeOf(before) > timeMs) {
      behind = before
      before = this.nodes.get(before, BEFORE)
    }
    this.nodes.setDouble(node, TIME, timeMs)
    this.nodes.set(node, BEFORE, before)
    this.nodes.set(node, BEHIND, behind)
    this.join(before, node)
    if (behind === 0) u32[last] = node
    else this.nodes.set(behind, BEFORE, node)
    for (let w = 0; w < this.windowsMs.length; w++) {
      if (timeMs <= nowMs - this.windowsMs[w]!) continue
      const first = last + 1 + 2 * w
      if (u32[first] === behind) u32[first] = node
      u32[first + 1]!++
    }
  }

  private unlink(store: EntityStore, node: number, nowMs: number): void {
    const { headerU32: u32 } = store
    const last = store.headerU32At + this.words
    const timeMs = this.timeOf(node)
    const before = this.nodes.get(node, BEFORE)
    const behind = this.nodes.get(node, BEHIND)
    for (let w = 0; w < this.windowsMs.length; w++) {
      if (timeMs <= nowMs - this.windowsMs[w]!) continue
      const first = last + 1 + 2 * w
      if (u32[first] === node) u32[first] = behind
      u32[first + 1]!--
    }
    this.join(before, behind)
    if (behind === 0) u32[last] = before
    else this.nodes.set(behind, BEFORE, before)
  }

  private join(before: number, behind: number): void {
    if (before === 0) return
    this.nodes.set(before, BEHIND, behind)
  }

  /** Of the oldest node, whose count is already gone. */
  private drop(store: EntityStore, node: number): void {
    const behind = this.nodes.get(node, BEHIND)
    if (behind === 0) store.headerU32[store.headerU32At + this.words] = 0
    else this.nodes.set(behind, BEFORE, 0)
    this.destroy(node)
  }

  private forgetOldest(store: EntityStore, nowMs: number): void {
    const oldest = store.headerU32[store.headerU32At + this.words + 1]!
    this.unlink(store, oldest, nowMs)
    this.destroy(oldest)
  }

  private timeOf(node: number): number {
    return this.nodes.getDouble(node, TIME)
  }
}

/** A key's place in the index: one to one in the key for each owner. */
function spread(owner: number, key: number): number {
  return (key ^ Math.imul(owner + 1, 0x9e3779b1)) >>> 0
}
