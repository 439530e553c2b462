/**
 * A 64-bit hash in two 32-bit halves, for indexes, deduplication and input hashes. Not cryptographic: ids from outside
 * are bounded and a collision costs one shared entity, not money. Two murmur3-style lanes with different seeds; the
 * finaliser is murmur3's fmix32 (Appleby, public domain description). The lower half is never 0, which can stand for nothing.
 */
export class Hash64 {
  hi = 0
  lo = 0

  /** Hashes UTF-16 code units of `text`; `seed` keeps kinds of ids apart. */
  ofText(text: string, seed = 0): this {
    let a = (0x9747b28c ^ seed) | 0
    let b = (0x3c6ef372 + seed) | 0
    const length = text.length
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i)
      a = Math.imul(a ^ code, 0x5bd1e995)
      a ^= a >>> 15
      b = Math.imul(b ^ code, 0x1b873593)
      b = (b << 13) | (b >>> 19)
    }
    return this.finish(a ^ length, b ^ Math.imul(length, 0x85ebca6b))
  }

  /** As `ofText` of the characters that bytes [from, to) stand for; false, and no hash, when they are not ASCII. */
  ofAscii(bytes: Uint8Array, from: number, to: number): boolean {
    let a = 0x9747b28c | 0
    let b = 0x3c6ef372 | 0
    let seen = 0
    for (let i = from; i < to; i++) {
      const code = bytes[i]!
      seen |= code
      a = Math.imul(a ^ code, 0x5bd1e995)
      a ^= a >>> 15
      b = Math.imul(b ^ code, 0x1b873593)
      b = (b << 13) | (b >>> 19)
    }
    if (seen > 0x7f) return false
    const length = to - from
    this.finish(a ^ length, b ^ Math.imul(length, 0x85ebca6b))
    return true
  }

  /** Folds another pair of halves in, so that composite keys and chains can be hashed. */
  combine(hi: number, lo: number): this {
    return this.finish(this.hi ^ Math.imul(hi, 0xcc9e2d51), this.lo ^ Math.imul(lo, 0x1b873593) ^ Math.imul(hi, 5))
  }

  /** 16 lower-case hex digits. */
  toHex(): string {
    return (this.hi >>> 0).toString(16).padStart(8, '0') + (this.lo >>> 0).toString(16).padStart(8, '0')
  }

  private finish(a: number, b: number): this {
    let x = (a + b) | 0
    x = Math.imul(x ^ (x >>> 16), 0x85ebca6b)
    x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35)
    x ^= x >>> 16
    let y = (b + x) | 0
    y = Math.imul(y ^ (y >>> 16), 0x85ebca6b)
    y = Math.imul(y ^ (y >>> 13), 0xc2b2ae35)
    y ^= y >>> 16
    this.hi = x >>> 0
    this.lo = y >>> 0 || 1
    return this
  }
}
