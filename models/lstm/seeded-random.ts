/** Uniform numbers in [0, 1) from a seed: the same seed gives the same numbers on every machine. */
export class SeededRandom {
  #state: number

  constructor(seed: number) {
    // One round of mixing keeps neighbouring seeds apart.
    this.#state = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) | 0
  }

  /** Weyl sequence and a murmur-style finaliser; 32 bits of state are plenty for weights and shuffles. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let x = this.#state
    x = Math.imul(x ^ (x >>> 15), x | 1)
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61)
    return ((x ^ (x >>> 14)) >>> 0) / 4294967296
  }

  /** Fisher and Yates, in place. */
  shuffle(values: Int32Array): void {
    for (let i = values.length - 1; i > 0; i--) {
      const j = Math.floor(this.next() * (i + 1))
      const held = values[i]!
      values[i] = values[j]!
      values[j] = held
    }
  }
}
