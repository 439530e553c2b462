import type { SlabViews } from './slabs.ts'

/** Places that are noted of one slab before they are read. */
const NOTED_MAX = 4_096
/** Places that are read in one step of the loop. */
const STEP = 8

/**
 * Reads places of state memory that will be needed soon, so that the processor waits for many of them at once instead of
 * for one after the other. How many that are depends on how few loads stand between them: so places are noted first, and
 * then read in a loop that does nothing else.
 */
export class ReadAhead {
  private readonly views: SlabViews
  /** NOTED_MAX words of each slab. */
  private noted = new Int32Array(NOTED_MAX)
  private counts = new Int32Array(1)
  /** Takes what was read, so that it is not found useless and left out. */
  private readonly sink = new Int32Array(1)

  constructor(views: SlabViews) {
    this.views = views
  }

  /** Notes a word of a slab. */
  note(slab: number, word: number): void {
    if (slab >= this.counts.length) this.grow()
    const count = this.counts[slab]!
    this.noted[slab * NOTED_MAX + count] = word
    this.counts[slab] = count + 1
    if (count + 1 === NOTED_MAX) this.read(slab)
  }

  /** Reads all places that were noted. */
  run(): void {
    for (let slab = 0; slab < this.counts.length; slab++) if (this.counts[slab]! > 0) this.read(slab)
  }

  private read(slab: number): void {
    const words = this.views.u32[slab]!
    const { noted, counts } = this
    const from = slab * NOTED_MAX
    let to = from + counts[slab]!
    // Whole steps: the last place again and again.
    for (const last = noted[to - 1]!; (to - from) % STEP !== 0; to++) noted[to] = last
    let read = 0
    for (let i = from; i < to; i += STEP) {
      const a = words[noted[i]!]! ^ words[noted[i + 1]!]! ^ words[noted[i + 2]!]! ^ words[noted[i + 3]!]!
      const b = words[noted[i + 4]!]! ^ words[noted[i + 5]!]! ^ words[noted[i + 6]!]! ^ words[noted[i + 7]!]!
      read ^= a ^ b
    }
    this.sink[0] = read
    counts[slab] = 0
  }

  private grow(): void {
    const counts = new Int32Array(this.views.u32.length)
    const noted = new Int32Array(counts.length * NOTED_MAX)
    counts.set(this.counts)
    noted.set(this.noted)
    this.counts = counts
    this.noted = noted
  }
}
