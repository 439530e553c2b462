/**
 * A 64-bit hash over the bits of a model's input, so that a replay can be compared with what was scored. Four lanes that
 * take a word each (one to one in every word, so no single change is lost) keep the processor busy; they are folded
 * with murmur3's finaliser (fmix32, Appleby, public domain description). Not cryptographic.
 */
export class InputHash {
  hi = 0
  lo = 0
  private a = 0
  private b = 0
  private c = 0
  private d = 0

  begin(seed: number): void {
    this.a = 0x9747b28c ^ seed
    this.b = 0x3c6ef372
    this.c = 0x5bd1e995
    this.d = 0x2545f491
  }

  /** Words [from, to). */
  add(words: Uint32Array, from: number, to: number): void {
    let { a, b, c, d } = this
    let i = from
    for (; i + 4 <= to; i += 4) {
      a = Math.imul(a ^ words[i]!, 0xcc9e2d51)
      b = Math.imul(b ^ words[i + 1]!, 0x1b873593)
      c = Math.imul(c ^ words[i + 2]!, 0x85ebca6b)
      d = Math.imul(d ^ words[i + 3]!, 0xc2b2ae35)
      a = (a << 15) | (a >>> 17)
      b = (b << 13) | (b >>> 19)
      c = (c << 16) | (c >>> 16)
      d = (d << 11) | (d >>> 21)
    }
    for (; i < to; i++) {
      a = Math.imul(a ^ words[i]!, 0xcc9e2d51)
      a = (a << 15) | (a >>> 17)
    }
    this.a = a
    this.b = b
    this.c = c
    this.d = d
  }

  end(): void {
    const hi = mix(this.a + mix(this.b))
    this.lo = mix(hi + mix(this.c) + mix(this.d ^ 0x27d4eb2f)) >>> 0
    this.hi = mix(hi ^ mix(this.d)) >>> 0
  }
}

function mix(value: number): number {
  let x = value | 0
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b)
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35)
  return x ^ (x >>> 16)
}
