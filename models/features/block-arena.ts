import type { SlabViews } from '#infra/slabs.ts'
import { PAGE_BYTES, type Region, type StateMemory } from '#infra/state-memory.ts'

/** Words kept of each chunk: its blocks in use, and the chunk of its class before it, plus one. */
const CHUNK_WORDS = 2
const USED = 0
const PREVIOUS = 1
const CHUNKS_PER_META = PAGE_BYTES / 4 / CHUNK_WORDS
/** A block's number is that of its chunk and its place in there, of which there are fewer than this. */
const PLACE_BITS = 16
const PLACE_MASK = (1 << PLACE_BITS) - 1

/**
 * Blocks of a few sizes in one run of state memory, without holes: a freed block's place is taken by the last one of its
 * size, whose owner is told, and a chunk that runs empty serves any size again. So entities that grow from size to size
 * together leave nothing behind.
 */
export class BlockArena {
  /** Of the memory that blocks lie in: see `slabOf` and `wordOf`. */
  readonly views: SlabViews
  /** Told when an owner's block has moved. */
  onMove: (owner: number, block: number) => void = () => {}
  private readonly blockWords: readonly number[]
  private readonly blocksPerChunk: readonly number[]
  private readonly region: Region
  private readonly chunkRegion: Region
  private readonly headRegion: Region
  private chunkMeta: Uint32Array[] = []
  /** By class its last chunk, plus one; then the first chunk that serves nobody, plus one. */
  private heads!: Uint32Array

  /**
   * @param words 32-bit words of a block, by class; each at most a chunk less one word
   * @param chunkPages pages of a chunk
   */
  constructor(memory: StateMemory, name: string, words: readonly number[], chunkPages: number) {
    const chunkBytes = chunkPages * PAGE_BYTES
    // One more, the last, for the owner; an even number, so that doubles are aligned.
    this.blockWords = words.map((n) => n + 2 - (n & 1))
    this.blocksPerChunk = this.blockWords.map((n) => Math.min(Math.floor(chunkBytes / 4 / n), PLACE_MASK))
    this.region = memory.region(`${name}.blocks`, chunkBytes)
    this.views = this.region.views
    this.chunkRegion = memory.region(`${name}.chunks`)
    this.headRegion = memory.region(`${name}.heads`)
    this.headRegion.addChunk()
    this.attach()
    memory.onRestore(() => this.attach())
  }

  /** Pages of a chunk that holds a block of so many words. */
  static pagesFor(words: number): number {
    return Math.ceil(((words + 2) * 4) / PAGE_BYTES)
  }

  get byteLength(): number {
    return this.region.byteLength
  }

  /** A block of a class; its content is whatever was there before. */
  allocate(cls: number, owner: number): number {
    let chunk = this.heads[cls]! - 1
    if (chunk < 0 || this.metaOf(chunk)[this.metaAt(chunk) + USED] === this.blocksPerChunk[cls])
      chunk = this.extend(cls)
    const meta = this.touchedMeta(chunk)
    const block = chunk * (PLACE_MASK + 1) + meta[this.metaAt(chunk) + USED]!
    meta[this.metaAt(chunk) + USED]!++
    this.touch(cls, block)
    this.views.u32[this.slabOf(block)]![this.wordOf(cls, block) + this.blockWords[cls]! - 1] = owner
    return block
  }

  free(cls: number, block: number): void {
    const chunk = this.heads[cls]! - 1
    const meta = this.touchedMeta(chunk)
    const at = this.metaAt(chunk)
    const last = chunk * (PLACE_MASK + 1) + meta[at + USED]! - 1
    if (last !== block) this.move(cls, last, block)
    meta[at + USED]!--
    if (meta[at + USED]! > 0) return
    this.headRegion.touch(0, 0, this.heads.byteLength)
    const spare = this.blockWords.length
    this.heads[cls] = meta[at + PREVIOUS]!
    meta[at + PREVIOUS] = this.heads[spare]!
    this.heads[spare] = chunk + 1
  }

  /** To be called before a block is written. */
  touch(cls: number, block: number): void {
    const words = this.blockWords[cls]!
    this.region.touch(block >>> PLACE_BITS, (block & PLACE_MASK) * words * 4, words * 4)
  }

  slabOf(block: number): number {
    return this.region.slabOf[block >>> PLACE_BITS]!
  }

  /** First word of the block within its slab; an even number. */
  wordOf(cls: number, block: number): number {
    return this.region.firstWordOf[block >>> PLACE_BITS]! + (block & PLACE_MASK) * this.blockWords[cls]!
  }

  private move(cls: number, from: number, to: number): void {
    this.touch(cls, to)
    const source = this.views.u32[this.slabOf(from)]!
    const target = this.views.u32[this.slabOf(to)]!
    const words = this.blockWords[cls]!
    const first = this.wordOf(cls, from)
    target.set(source.subarray(first, first + words), this.wordOf(cls, to))
    this.onMove(source[first + words - 1]!, to)
  }

  /** A chunk more for a class, empty. */
  private extend(cls: number): number {
    this.headRegion.touch(0, 0, this.heads.byteLength)
    const spare = this.blockWords.length
    let chunk = this.heads[spare]! - 1
    if (chunk >= 0) {
      this.heads[spare] = this.metaOf(chunk)[this.metaAt(chunk) + PREVIOUS]!
    } else {
      chunk = this.region.chunks.length
      this.region.addChunk()
      if (chunk % CHUNKS_PER_META === 0) this.chunkMeta.push(this.chunkRegion.addChunk().u32())
    }
    const meta = this.touchedMeta(chunk)
    meta[this.metaAt(chunk) + USED] = 0
    meta[this.metaAt(chunk) + PREVIOUS] = this.heads[cls]!
    this.heads[cls] = chunk + 1
    return chunk
  }

  private metaOf(chunk: number): Uint32Array {
    return this.chunkMeta[(chunk / CHUNKS_PER_META) | 0]!
  }

  private metaAt(chunk: number): number {
    return (chunk % CHUNKS_PER_META) * CHUNK_WORDS
  }

  private touchedMeta(chunk: number): Uint32Array {
    this.chunkRegion.touch((chunk / CHUNKS_PER_META) | 0, this.metaAt(chunk) * 4, CHUNK_WORDS * 4)
    return this.metaOf(chunk)
  }

  private attach(): void {
    this.heads = this.headRegion.chunks[0]!.u32().subarray(0, this.blockWords.length + 1)
    this.chunkMeta = this.chunkRegion.chunks.map((chunk) => chunk.u32())
  }
}
