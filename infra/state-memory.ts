import { createHash } from 'node:crypto'
import { WeirError } from '#schemas/errors.ts'
import { ReadAhead } from './read-ahead.ts'
import { type Chunk, Slabs, type SlabViews } from './slabs.ts'

/** Pages are the unit a snapshot copies: small enough not to be felt between two slices. */
export const PAGE_BYTES = 65_536

/**
 * A growable run of memory that holds state: chunks that are never moved once added, so typed-array views on them stay
 * valid. Everything that belongs to the folded state lives in regions, nothing beside them; a snapshot of all regions,
 * put back, is the state again, bit for bit.
 *
 * Whoever writes calls `touch` first: during a snapshot it saves the pages that were not copied yet.
 */
export class Region {
  readonly name: string
  readonly chunkBytes: number
  readonly chunks: Chunk[] = []
  /** The slabs' views, and by chunk its slab and its first word there, for those who read and write many places. */
  readonly views: SlabViews
  slabOf = new Int32Array(1)
  firstWordOf = new Int32Array(1)
  private readonly slabs: Slabs
  private snapshot: PendingRegion | null = null

  /** `chunkBytes` is a multiple of PAGE_BYTES. */
  constructor(name: string, chunkBytes: number, slabs: Slabs) {
    if (chunkBytes <= 0 || chunkBytes % PAGE_BYTES !== 0) {
      throw new RangeError(`chunkBytes of region ${name} must be a multiple of ${PAGE_BYTES}, got ${chunkBytes}`)
    }
    this.name = name
    this.chunkBytes = chunkBytes
    this.slabs = slabs
    this.views = slabs.views
  }

  get byteLength(): number {
    return this.chunks.length * this.chunkBytes
  }

  /** A chunk more, of zeros. */
  addChunk(): Chunk {
    const chunk = this.slabs.take(this.chunkBytes)
    const n = this.chunks.push(chunk)
    if (n > this.slabOf.length) {
      this.slabOf = doubled(this.slabOf)
      this.firstWordOf = doubled(this.firstWordOf)
    }
    this.slabOf[n - 1] = chunk.slab
    this.firstWordOf[n - 1] = chunk.firstWord
    return chunk
  }

  /** To be called before `length` bytes from `offset` of a chunk are written. */
  touch(chunk: number, offset: number, length: number): void {
    if (this.snapshot !== null) this.snapshot.save(chunk, offset, length)
  }

  /**
   * Gives all chunks back and takes so many new ones, of zeros (a table that is rehashed). A pending snapshot first saves
   * what it has not copied.
   */
  replace(chunkCount: number): void {
    if (this.snapshot !== null) this.snapshot.saveAll()
    for (const chunk of this.chunks.splice(0)) this.slabs.giveBack(chunk)
    while (this.chunks.length < chunkCount) this.addChunk()
  }

  beginSnapshot(): PendingRegion {
    const snapshot: PendingRegion = new PendingRegion(this, () => {
      if (this.snapshot === snapshot) this.snapshot = null
    })
    this.snapshot = snapshot
    return snapshot
  }
}

function doubled(from: Int32Array): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(from.length * 2)
  larger.set(from)
  return larger
}

/** The pages of one region as they were when the snapshot began, handed out one by one. */
class PendingRegion {
  readonly name: string
  readonly chunkBytes: number
  readonly pageCount: number
  private readonly chunks: readonly Chunk[]
  private readonly saved = new Map<number, Uint8Array>()
  private readonly end: () => void
  private next = 0

  constructor(region: Region, end: () => void) {
    this.name = region.name
    this.chunkBytes = region.chunkBytes
    this.chunks = [...region.chunks]
    this.pageCount = region.byteLength / PAGE_BYTES
    this.end = end
  }

  /** Copies the next page into `target`; false when there is none left. */
  copyNext(target: Uint8Array): boolean {
    if (this.next >= this.pageCount) return false
    const page = this.next++
    const saved = this.saved.get(page)
    target.set(saved ?? this.view(page))
    if (saved !== undefined) this.saved.delete(page)
    if (this.next === this.pageCount) this.end()
    return true
  }

  save(chunk: number, offset: number, length: number): void {
    const base = chunk * this.chunkBytes + offset
    const last = Math.min(Math.floor((base + length - 1) / PAGE_BYTES), this.pageCount - 1)
    for (let page = Math.max(Math.floor(base / PAGE_BYTES), this.next); page <= last; page++) this.savePage(page)
  }

  saveAll(): void {
    for (let page = this.next; page < this.pageCount; page++) this.savePage(page)
  }

  cancel(): void {
    this.next = this.pageCount
    this.saved.clear()
    this.end()
  }

  private savePage(page: number): void {
    if (!this.saved.has(page)) this.saved.set(page, this.view(page).slice())
  }

  private view(page: number): Uint8Array {
    const at = page * PAGE_BYTES
    return this.chunks[Math.floor(at / this.chunkBytes)]!.bytes(at % this.chunkBytes, PAGE_BYTES)
  }
}

/** A consistent picture of every region, taken at one moment and copied out piece by piece. */
export interface StateSnapshot {
  readonly regions: readonly { readonly name: string; readonly chunkBytes: number; readonly pageCount: number }[]
  /** Copies the next page, in region order, into `target` (PAGE_BYTES); false when all were copied. */
  copyNext(target: Uint8Array): boolean
  cancel(): void
}

/** All regions of the folded state, by name. */
export class StateMemory {
  /** Reads what will be needed soon. */
  readonly ahead: ReadAhead
  private readonly slabs = new Slabs(PAGE_BYTES)
  private readonly byName = new Map<string, Region>()
  private readonly restoreHooks: (() => void)[] = []

  constructor() {
    this.ahead = new ReadAhead(this.slabs.views)
  }

  /** Makes a region; names are unique. */
  region(name: string, chunkBytes: number = PAGE_BYTES): Region {
    if (this.byName.has(name)) throw new RangeError(`state region ${name} exists already`)
    const region = new Region(name, chunkBytes, this.slabs)
    this.byName.set(name, region)
    return region
  }

  /** Takes a region out of the state for good; its owner must not touch it again. */
  drop(name: string): void {
    this.byName.get(name)?.replace(0)
    this.byName.delete(name)
  }

  /** By name, so that it does not matter in which order they came to be. */
  get regions(): readonly Region[] {
    return [...this.byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  get byteLength(): number {
    let total = 0
    for (const region of this.byName.values()) total += region.byteLength
    return total
  }

  /** Begins a snapshot; call between two slices. Only one may be under way. */
  beginSnapshot(): StateSnapshot {
    const pending = this.regions.map((region) => region.beginSnapshot())
    let current = 0
    return {
      regions: pending.map(({ name, chunkBytes, pageCount }) => ({ name, chunkBytes, pageCount })),
      copyNext(target) {
        while (current < pending.length) {
          if (pending[current]!.copyNext(target)) return true
          current++
        }
        return false
      },
      cancel() {
        for (const region of pending) region.cancel()
        current = pending.length
      },
    }
  }

  /** Called after a restore has filled the regions: owners rebuild their views and cached scalars from them. */
  onRestore(hook: () => void): void {
    this.restoreHooks.push(hook)
  }

  /**
   * Fills every region from a snapshot taken by the same build and spec.
   *
   * @param regions what the snapshot said of its regions, in order
   * @param nextPage writes the next page into the view it is given
   * @throws WeirError CHECKPOINT_DAMAGED when the regions are not those of this state
   */
  restore(regions: StateSnapshot['regions'], nextPage: (target: Uint8Array) => void): void {
    const own = this.regions
    const fits =
      own.length === regions.length &&
      own.every((region, i) => region.name === regions[i]!.name && region.chunkBytes === regions[i]!.chunkBytes)
    if (!fits) {
      throw new WeirError('CHECKPOINT_DAMAGED', 'the checkpoint holds other state regions than this build and spec', {
        where: regions.map((region) => region.name).join(', '),
        fix: 'Remove the checkpoint; the state is then rebuilt from the journal.',
      })
    }
    for (const [i, region] of own.entries()) {
      const chunkCount = (regions[i]!.pageCount * PAGE_BYTES) / region.chunkBytes
      region.replace(chunkCount)
      for (const chunk of region.chunks) {
        for (let at = 0; at < region.chunkBytes; at += PAGE_BYTES) nextPage(chunk.bytes(at, PAGE_BYTES))
      }
    }
    for (const hook of this.restoreHooks) hook()
  }

  /** SHA-256 over all regions: equal for equal folds, whatever checkpoints lay between. */
  hash(): string {
    const hash = createHash('sha256')
    for (const region of this.regions) {
      hash.update(`${region.name}:${region.byteLength}\n`)
      for (const chunk of region.chunks) hash.update(chunk.bytes())
    }
    return hash.digest('hex')
  }
}
