/** Slabs grow from small ones, so that little state costs little, to ones of which a machine full has a few hundred. */
const FIRST_SLAB_BYTES = 1_048_576
const LAST_SLAB_BYTES = 67_108_864

/** A run of memory that stays where it is, within a slab. */
export class Chunk {
  /** Number of its slab. */
  readonly slab: number
  /** Its first 32-bit word within the slab. */
  readonly firstWord: number
  readonly byteLength: number
  private readonly buffer: ArrayBuffer

  constructor(slab: number, buffer: ArrayBuffer, byteOffset: number, byteLength: number) {
    this.slab = slab
    this.buffer = buffer
    this.firstWord = byteOffset / 4
    this.byteLength = byteLength
  }

  /** Views of it; each call makes a new one. */
  bytes(from = 0, length: number = this.byteLength): Uint8Array {
    return new Uint8Array(this.buffer, this.firstWord * 4 + from, length)
  }

  u32(): Uint32Array {
    return new Uint32Array(this.buffer, this.firstWord * 4, this.byteLength / 4)
  }

  f64(): Float64Array {
    return new Float64Array(this.buffer, this.firstWord * 4, this.byteLength / 8)
  }
}

/** Views of each slab as a whole, by its number. */
export interface SlabViews {
  readonly u32: Uint32Array[]
  readonly f32: Float32Array[]
  readonly f64: Float64Array[]
}

/**
 * Memory for chunks of any owner, in few large runs: whoever knows slab and word of something reaches it through a view
 * that many share, which stays in the processor's cache. The system backs a slab with real memory only where something was
 * written. Chunks that are given back are used again for others of their size.
 */
export class Slabs {
  readonly views: SlabViews = { u32: [], f32: [], f64: [] }
  private readonly pageBytes: number
  private readonly spare = new Map<number, Chunk[]>()
  private buffer = new ArrayBuffer(0)
  private used = 0

  /** @param pageBytes what the size of every chunk is a multiple of */
  constructor(pageBytes: number) {
    this.pageBytes = pageBytes
  }

  /** A chunk of zeros. */
  take(byteLength: number): Chunk {
    const spare = this.spare.get(byteLength)?.pop()
    if (spare !== undefined) {
      spare.bytes().fill(0)
      return spare
    }
    if (this.used + byteLength > this.buffer.byteLength) this.addSlab(byteLength)
    return this.cut(byteLength)
  }

  giveBack(chunk: Chunk): void {
    const same = this.spare.get(chunk.byteLength)
    if (same === undefined) this.spare.set(chunk.byteLength, [chunk])
    else same.push(chunk)
  }

  private cut(byteLength: number): Chunk {
    const chunk = new Chunk(this.views.u32.length - 1, this.buffer, this.used, byteLength)
    this.used += byteLength
    return chunk
  }

  /** What is left of the slab before becomes chunks of one page. */
  private addSlab(atLeastBytes: number): void {
    while (this.used < this.buffer.byteLength) this.giveBack(this.cut(this.pageBytes))
    const next = Math.min(LAST_SLAB_BYTES, Math.max(FIRST_SLAB_BYTES, this.buffer.byteLength * 2))
    this.buffer = new ArrayBuffer(Math.max(next, atLeastBytes))
    this.used = 0
    this.views.u32.push(new Uint32Array(this.buffer))
    this.views.f32.push(new Float32Array(this.buffer))
    this.views.f64.push(new Float64Array(this.buffer))
  }
}
