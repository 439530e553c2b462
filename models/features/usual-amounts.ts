import type { EntityStore } from './entity-store.ts'
import { selectMedian } from './median.ts'

/** Amounts that say what is usual: the newest so many before the event. */
export const USUAL_MAX = 32
/** Words in the card's header: how many amounts stand there, how many rows back the oldest of them is, and they, sorted. */
export const USUAL_WORDS = 2 + USUAL_MAX
const AMOUNT_MAX = 2 ** 32 - 1

/**
 * The median of a card's newest amounts. They stand sorted in its header as long as events come in order, so that the
 * middle is at hand; where one came late or was taken back, they are read from the rows and sorted anew. 0 amounts in the
 * header say that nothing is known. Cards whose rows stand for minutes, and amounts beyond 32 bits, are never kept.
 */
export class UsualAmounts {
  private readonly words: number
  private readonly read = new Float64Array(USUAL_MAX)

  /** @param words where its words begin in the header */
  constructor(words: number) {
    this.words = words
  }

  /** Middle of the newest amounts above zero before row `end` of the open card; NaN when there are none. */
  median(card: EntityStore, end: number): number {
    if (end !== card.count || card.isTiled) return this.readMedian(card, end)
    const u32 = card.headerU32
    const at = card.headerU32At + this.words
    if (u32[at] === 0) this.learn(card)
    const n = u32[at]!
    if (n === 0) return this.readMedian(card, end)
    const upper = at + 2 + (n >> 1)
    return (n & 1) === 1 ? u32[upper]! : (u32[upper - 1]! + u32[upper]!) / 2
  }

  /** To be called before the card takes the event in. */
  take(card: EntityStore, timeMs: number, amount: number): void {
    const { headerU32: u32 } = card
    const at = card.headerU32At + this.words
    if (u32[at] === 0 || card.isTiled) return
    card.touchHeader()
    if (timeMs < card.newestMs || amount > AMOUNT_MAX) {
      u32[at] = 0
      return
    }
    const edgeMs = timeMs - card.horizonMs
    let oldest = card.count - u32[at + 1]!
    while (oldest < card.count && card.timeOf(oldest) < edgeMs) this.takeOut(u32, at, card.amountOf(oldest++))
    if (amount > 0) {
      if (u32[at] === USUAL_MAX) {
        while (card.amountOf(oldest) === 0) oldest++
        this.takeOut(u32, at, card.amountOf(oldest++))
      }
      this.putIn(u32, at, amount)
    }
    u32[at + 1] = card.count - oldest + 1
  }

  /** The open card's rows change in the middle. */
  forget(card: EntityStore): void {
    card.touchHeader()
    card.headerU32[card.headerU32At + this.words] = 0
  }

  private readMedian(card: EntityStore, end: number): number {
    const n = card.amountsBefore(end, this.read)
    return n === 0 ? Number.NaN : selectMedian(this.read, n)
  }

  private learn(card: EntityStore): void {
    const n = card.amountsBefore(card.count, this.read)
    if (n === 0) return
    const amounts = this.read.subarray(0, n).sort()
    if (amounts[n - 1]! > AMOUNT_MAX) return
    let oldest = card.count
    for (let left = n; left > 0; ) if (card.amountOf(--oldest) > 0) left--
    card.touchHeader()
    const at = card.headerU32At + this.words
    card.headerU32[at] = n
    card.headerU32[at + 1] = card.count - oldest
    card.headerU32.set(amounts, at + 2)
  }

  private putIn(u32: Uint32Array, at: number, amount: number): void {
    const first = at + 2
    let i = first + u32[at]!++
    for (; i > first && u32[i - 1]! > amount; i--) u32[i] = u32[i - 1]!
    u32[i] = amount
  }

  private takeOut(u32: Uint32Array, at: number, amount: number): void {
    if (amount === 0) return
    const end = at + 2 + --u32[at]!
    let i = at + 2
    while (u32[i]! < amount) i++
    for (; i < end; i++) u32[i] = u32[i + 1]!
  }
}
