/**
 * A seeded generator of random numbers: sfc32 (Chris Doty-Humphrey, PractRand), 128 bits of state, about 3 ns a draw.
 * Same seed, same numbers on every platform whose Math functions round alike; `fork` gives independent streams, so that
 * one part of the world can draw more or less without moving the others.
 */
export class Random {
  private a = 0
  private b = 0
  private c = 0
  private d = 1
  private readonly seed: number
  private spare = Number.NaN

  constructor(seed: number) {
    this.seed = seed
    const low = seed >>> 0
    const high = Math.floor(seed / 2 ** 32) >>> 0
    this.a = mix32(low ^ 0x9e3779b9)
    this.b = mix32(high ^ 0x243f6a88)
    this.c = mix32(low + 0x85a308d3)
    for (let i = 0; i < 16; i++) this.uint32()
  }

  /** A stream of its own for one purpose; the same purpose always gets the same stream. */
  fork(purpose: string): Random {
    let hash = 0x811c9dc5
    for (let i = 0; i < purpose.length; i++) hash = Math.imul(hash ^ purpose.charCodeAt(i), 0x01000193)
    return new Random(mix32(hash) * 2 ** 20 + mix32((this.seed ^ hash) + 0x13198a2e) / 2 ** 12 + (this.seed >>> 0))
  }

  /** A whole number of 0 to 2^32 - 1. */
  uint32(): number {
    const t = (this.a + this.b + this.d) | 0
    this.d = (this.d + 1) | 0
    this.a = this.b ^ (this.b >>> 9)
    this.b = (this.c + (this.c << 3)) | 0
    this.c = (this.c << 21) | (this.c >>> 11)
    this.c = (this.c + t) | 0
    return t >>> 0
  }

  /** Uniform on [0, 1). */
  unit(): number {
    return this.uint32() * 2.3283064365386963e-10
  }

  /** Uniform on [low, high). */
  between(low: number, high: number): number {
    return low + (high - low) * this.unit()
  }

  /** A whole number of 0 to `count` - 1. */
  below(count: number): number {
    return Math.floor(this.unit() * count)
  }

  /** A whole number from `low` to `high`, both included. */
  whole(low: number, high: number): number {
    return low + Math.floor(this.unit() * (high - low + 1))
  }

  chance(probability: number): boolean {
    return this.unit() < probability
  }

  pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.unit() * list.length)]!
  }

  exponential(mean: number): number {
    return -Math.log(1 - this.unit()) * mean
  }

  /** Standard normal: Marsaglia's polar method, two at a time. */
  normal(): number {
    const spare = this.spare
    if (spare === spare) {
      this.spare = Number.NaN
      return spare
    }
    let u = 0
    let v = 0
    let s = 0
    do {
      u = 2 * this.unit() - 1
      v = 2 * this.unit() - 1
      s = u * u + v * v
    } while (s >= 1 || s === 0)
    const scale = Math.sqrt((-2 * Math.log(s)) / s)
    this.spare = v * scale
    return u * scale
  }

  /** `sigma` is the deviation of the logarithm. */
  lognormal(median: number, sigma: number): number {
    return median * Math.exp(sigma * this.normal())
  }

  /** Marsaglia and Tsang (2000); shapes under 1 by their boost. */
  gamma(shape: number, scale: number): number {
    if (shape < 1) return this.gamma(shape + 1, scale) * (1 - this.unit()) ** (1 / shape)
    const d = shape - 1 / 3
    const c = 1 / Math.sqrt(9 * d)
    for (;;) {
      const x = this.normal()
      const v = (1 + c * x) ** 3
      if (v > 0 && Math.log(1 - this.unit()) < 0.5 * x * x + d - d * v + d * Math.log(v)) return d * v * scale
    }
  }

  /** Knuth's product below 30, the rounded normal above: counts here are small or need no exact tail. */
  poisson(mean: number): number {
    if (mean > 30) return Math.max(0, Math.round(mean + Math.sqrt(mean) * this.normal()))
    const limit = Math.exp(-mean)
    let count = 0
    for (let product = this.unit(); product > limit; product *= this.unit()) count++
    return count
  }

  /** Shares that sum to 1 around `base`, the closer the larger `concentration` (the sum of all alphas). */
  dirichlet(base: readonly number[], concentration: number): number[] {
    const total = base.reduce((sum, share) => sum + share, 0)
    const draws = base.map((share) => (share > 0 ? this.gamma((concentration * share) / total, 1) : 0))
    const sum = draws.reduce((all, draw) => all + draw, 0)
    return draws.map((draw) => draw / sum)
  }
}

/** Draws an index with a probability in proportion to its weight, in constant time (Walker 1977, Vose 1991). */
export class AliasTable {
  private readonly probability: Float64Array
  private readonly alias: Int32Array

  /** Weights: none negative, at least one positive. */
  constructor(weights: ArrayLike<number>) {
    const count = weights.length
    this.probability = new Float64Array(count).fill(1)
    this.alias = new Int32Array(count)
    let total = 0
    for (let i = 0; i < count; i++) total += weights[i]!
    const scaled = new Float64Array(count)
    const small: number[] = []
    const large: number[] = []
    for (let i = 0; i < count; i++) {
      scaled[i] = (weights[i]! * count) / total
      if (scaled[i]! < 1) small.push(i)
      else large.push(i)
    }
    while (small.length > 0 && large.length > 0) {
      const low = small.pop()!
      const high = large.pop()!
      this.probability[low] = scaled[low]!
      this.alias[low] = high
      scaled[high] = scaled[high]! + scaled[low]! - 1
      if (scaled[high] < 1) small.push(high)
      else large.push(high)
    }
  }

  draw(random: Random): number {
    const at = random.unit() * this.probability.length
    const index = Math.floor(at)
    return at - index < this.probability[index]! ? index : this.alias[index]!
  }
}

/** Weights 1, 2^-s, 3^-s, ... of `count` ranks. */
export function zipfWeights(count: number, exponent: number): Float64Array {
  return Float64Array.from({ length: count }, (_, rank) => (rank + 1) ** -exponent)
}

/** murmur3's finaliser: a 32-bit hash of a 32-bit word. */
export function mix32(word: number): number {
  let x = word | 0
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b)
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35)
  return (x ^ (x >>> 16)) >>> 0
}
