import { LINES, SUBSCRIPTION } from './lines.ts'
import type { Random } from './random.ts'

const FAVOURITES_MIN = 15
const FAVOURITES_MAX = 40
/** Lines in which everybody has at least one. */
const EVERYDAY_SHARE = 1.5

/** The merchants an account goes back to: 15 to 40, spread over the lines as what is bought there. */
export class Favourites {
  private readonly number: Uint8Array
  private readonly merchants: Int32Array
  /** For each number of favourites, where those of each line begin. */
  private readonly offsets = lineOffsets()
  private readonly stride = Math.max(...this.offsets.map((offsets) => offsets[LINES.length]!))
  private last = 0

  constructor(accounts: number) {
    this.number = new Uint8Array(accounts)
    this.merchants = new Int32Array(accounts * this.stride)
  }

  drawNumber(account: number, random: Random): void {
    this.number[account] = random.whole(FAVOURITES_MIN, FAVOURITES_MAX)
  }

  /** Chooses all anew, or those in stores only. */
  choose(account: number, andOnline: boolean, drawMerchant: (line: number) => number): void {
    const offsets = this.offsets[this.number[account]!]!
    for (let line = 0; line < LINES.length; line++) {
      if (LINES[line]!.online && !andOnline) continue
      for (let at = offsets[line]!; at < offsets[line + 1]!; at++) {
        this.merchants[account * this.stride + at] = drawMerchant(line)
      }
    }
  }

  /** The first of a line are the most visited. -1 when the account has none in this line. */
  draw(account: number, line: number, random: Random): number {
    const offsets = this.offsets[this.number[account]!]!
    const from = offsets[line]!
    const count = offsets[line + 1]! - from
    if (count === 0) return -1
    this.last = account * this.stride + from + Math.floor(random.unit() ** 1.5 * count)
    return this.merchants[this.last]!
  }

  /** Puts another merchant in the place of the one that was drawn last. */
  replaceLast(merchant: number): void {
    this.merchants[this.last] = merchant
  }
}

function lineOffsets(): Uint8Array[] {
  return Array.from({ length: FAVOURITES_MAX + 1 }, (_, favourites) => {
    const offsets = new Uint8Array(LINES.length + 1)
    LINES.forEach((line, i) => {
      const wanted = i === SUBSCRIPTION ? 0 : Math.round((favourites * line.share) / 100)
      const least = i !== SUBSCRIPTION && line.share >= EVERYDAY_SHARE ? 1 : 0
      offsets[i + 1] = offsets[i]! + Math.max(least, wanted)
    })
    return offsets
  })
}
