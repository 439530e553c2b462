import { PAGE_BYTES, type Region, type StateMemory } from '#infra/state-memory.ts'

/**
 * Records of one size in state memory that never move, so that they can point to each other. Numbered from 1, 0 is none;
 * freed ones are linked through their first word.
 */
export class NodePool {
  private readonly words: number
  private readonly nodesPerPage: number
  private readonly region: Region
  private readonly metaRegion: Region
  /** [nodes ever made, first free node] */
  private meta!: Uint32Array

  /** @param words 32-bit words of a node, an even number */
  constructor(memory: StateMemory, name: string, words: number) {
    this.words = words
    this.nodesPerPage = Math.floor(PAGE_BYTES / 4 / words)
    this.region = memory.region(`${name}.nodes`)
    this.metaRegion = memory.region(`${name}.nodes-meta`)
    this.metaRegion.addChunk()
    this.attach()
    memory.onRestore(() => this.attach())
  }

  allocate(): number {
    this.metaRegion.touch(0, 0, 8)
    const free = this.meta[1]!
    if (free !== 0) {
      this.meta[1] = this.get(free, 0)
      return free
    }
    const node = ++this.meta[0]!
    if (this.pageOf(node) === this.region.chunks.length) this.region.addChunk()
    return node
  }

  free(node: number): void {
    this.metaRegion.touch(0, 0, 8)
    this.set(node, 0, this.meta[1]!)
    this.meta[1] = node
  }

  get(node: number, word: number): number {
    return this.region.views.u32[this.slabOf(node)]![this.wordOf(node) + word]!
  }

  set(node: number, word: number, value: number): void {
    this.touch(node)
    this.region.views.u32[this.slabOf(node)]![this.wordOf(node) + word] = value
  }

  /** The double at this even word. */
  getDouble(node: number, word: number): number {
    return this.region.views.f64[this.slabOf(node)]![(this.wordOf(node) + word) >>> 1]!
  }

  setDouble(node: number, word: number, value: number): void {
    this.touch(node)
    this.region.views.f64[this.slabOf(node)]![(this.wordOf(node) + word) >>> 1] = value
  }

  private touch(node: number): void {
    this.region.touch(this.pageOf(node), ((node - 1) % this.nodesPerPage) * this.words * 4, this.words * 4)
  }

  private pageOf(node: number): number {
    return ((node - 1) / this.nodesPerPage) | 0
  }

  private slabOf(node: number): number {
    return this.region.slabOf[this.pageOf(node)]!
  }

  /** Its first word within its slab. */
  private wordOf(node: number): number {
    return this.region.firstWordOf[this.pageOf(node)]! + ((node - 1) % this.nodesPerPage) * this.words
  }

  private attach(): void {
    this.meta = this.metaRegion.chunks[0]!.u32()
  }
}
