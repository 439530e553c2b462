import { PAGE_BYTES, type Region, type StateMemory } from '#infra/state-memory.ts'

/** Words kept of each chunk. */
const CHUNK_WORDS = 6
const CLASS = 0
const USED = 1
const FREE = 2
const MADE = 3
const NEXT = 4
const PREVIOUS = 5
const CHUNKS_PER_META = Math.floor(PAGE_BYTES / 4 / CHUNK_WORDS)

/**
 * Blocks of a few sizes in one run of state memory. A chunk serves one size at a time and goes back to all when its last
 * block is freed: entities that grow together leave no trail of small blocks behind. A block never moves, so its number
 * is good for as long as it is held.
 */
export class BlockArena {
  u32: Uint32Array[] = []
  f64: Float64Array[] = []
  f32: Float32Array[] = []
  private readonly blockWords: readonly number[]
  private readonly blocksPerChunk: readonly number[]
  private readonly region: Region
  private readonly chunkRegion: Region
  private readonly headRegion: Region
  private chunkMeta: Uint32Array[] = []
  /** By class: first chunk with a free block, plus one; then the first chunk that serves nobody, plus one. */
  private heads!: Uint32Array

  /**
   * @param words 32-bit words of a block, by class; each at most a chunk
   * @param chunkPages pages of a chunk
   */
  constructor(memory: StateMemory, name: string, words: readonly number[], chunkPages: number) {
    const chunkBytes = chunkPages * PAGE_BYTES
    this.blockWords = words.map((n) => n + (n & 1))
    this.blocksPerChunk = this.blockWords.map((n) => Math.floor(chunkBytes / 4 / n))
    this.region = memory.region(`${name}.blocks`, chunkBytes)
    this.chunkRegion = memory.region(`${name}.chunks`)
    this.headRegion = memory.region(`${name}.heads`)
    this.headRegion.addChunk()
    this.attach()
    memory.onRestore(() => this.attach())
  }

  get byteLength(): number {
    return this.region.byteLength
  }

  /** A block of a class; its content is whatever was there before. */
  allocate(cls: number): number {
    let chunk = this.heads[cls]! - 1
    if (chunk < 0) chunk = this.serve(cls)
    const { view, at } = this.metaOf(chunk)
    let place: number
    if (view[at + FREE]! !== 0) {
      place = view[at + FREE]! - 1
      view[at + FREE] = this.u32[chunk]![place * this.blockWords[cls]!]!
    } else {
      place = view[at + MADE]!++
    }
    view[at + USED]!++
    if (view[at + USED] === this.blocksPerChunk[cls]) this.unlink(cls, chunk)
    return chunk * MAX_BLOCKS + place
  }

  free(cls: number, block: number): void {
    const chunk = this.chunkOf(block)
    const { view, at } = this.metaOf(chunk)
    const wasFull = view[at + USED] === this.blocksPerChunk[cls]
    this.touch(cls, block)
    this.u32[chunk]![this.wordOf(cls, block)] = view[at + FREE]!
    view[at + FREE] = (block % MAX_BLOCKS) + 1
    view[at + USED]!--
    if (wasFull) this.link(cls, chunk)
    if (view[at + USED] === 0) {
      this.unlink(cls, chunk)
      view[at + NEXT] = this.heads[this.blockWords.length]!
      this.heads[this.blockWords.length] = chunk + 1
    }
  }

  /** To be called before a block is written. */
  touch(cls: number, block: number): void {
    this.region.touch(this.chunkOf(block), this.wordOf(cls, block) * 4, this.blockWords[cls]! * 4)
  }

  chunkOf(block: number): number {
    return block >>> 16
  }

  /** First word of the block within its chunk. */
  wordOf(cls: number, block: number): number {
    return (block & 0xffff) * this.blockWords[cls]!
  }

  /** A chunk that now serves this class, with all its blocks free. */
  private serve(cls: number): number {
    const spare = this.blockWords.length
    let chunk = this.heads[spare]! - 1
    if (chunk >= 0) {
      this.heads[spare] = this.metaOf(chunk).view[this.metaOf(chunk).at + NEXT]!
    } else {
      chunk = this.u32.length
      this.addViews(this.region.addChunk())
      if (chunk % CHUNKS_PER_META === 0) this.chunkMeta.push(new Uint32Array(this.chunkRegion.addChunk()))
    }
    const { view, at } = this.metaOf(chunk)
    view[at + CLASS] = cls
    view[at + USED] = 0
    view[at + FREE] = 0
    view[at + MADE] = 0
    this.link(cls, chunk)
    return chunk
  }

  private link(cls: number, chunk: number): void {
    const { view, at } = this.metaOf(chunk)
    const first = this.heads[cls]!
    view[at + NEXT] = first
    view[at + PREVIOUS] = 0
    if (first !== 0) {
      const next = this.metaOf(first - 1)
      next.view[next.at + PREVIOUS] = chunk + 1
    }
    this.heads[cls] = chunk + 1
  }

  private unlink(cls: number, chunk: number): void {
    const { view, at } = this.metaOf(chunk)
    const next = view[at + NEXT]!
    const previous = view[at + PREVIOUS]!
    if (previous === 0) this.heads[cls] = next
    else {
      const before = this.metaOf(previous - 1)
      before.view[before.at + NEXT] = next
    }
    if (next !== 0) {
      const after = this.metaOf(next - 1)
      after.view[after.at + PREVIOUS] = previous
    }
  }

  /** Metadata changes with nearly every call, so its pages are saved first without asking which. */
  private metaOf(chunk: number): { view: Uint32Array; at: number } {
    const page = (chunk / CHUNKS_PER_META) | 0
    const at = (chunk % CHUNKS_PER_META) * CHUNK_WORDS
    this.chunkRegion.touch(page, at * 4, CHUNK_WORDS * 4)
    this.headRegion.touch(0, 0, 4 * (this.blockWords.length + 1))
    return { view: this.chunkMeta[page]!, at }
  }

  private attach(): void {
    this.heads = new Uint32Array(this.headRegion.chunks[0]!)
    this.chunkMeta = this.chunkRegion.chunks.map((chunk) => new Uint32Array(chunk))
    this.u32 = []
    this.f64 = []
    this.f32 = []
    for (const chunk of this.region.chunks) this.addViews(chunk)
  }

  private addViews(chunk: ArrayBuffer): void {
    this.u32.push(new Uint32Array(chunk))
    this.f64.push(new Float64Array(chunk))
    this.f32.push(new Float32Array(chunk))
  }
}

/** Blocks of a chunk are numbered below this: a chunk of the smallest blocks (2 words) holds fewer. */
const MAX_BLOCKS = 65_536
