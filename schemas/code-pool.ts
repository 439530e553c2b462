import { Hash64 } from './hash64.ts'

/** A power of two, well above the codes in use. */
const PLACES = 1_024
/** A code fits into a word. */
export const CODE_BYTES_MAX = 4

/**
 * Currencies, countries, categories, results of checks: codes of up to four ASCII characters that come again and again,
 * each made into a string once. A place for each, where the newest takes over; bounded whatever comes.
 */
export class CodePool {
  /** Of the code that was taken last, as `Hash64.ofText` gives it. */
  readonly hash = new Hash64()
  private readonly codes: string[] = new Array<string>(PLACES).fill('')
  private readonly words = new Int32Array(PLACES)
  private readonly hi = new Uint32Array(PLACES)
  private readonly lo = new Uint32Array(PLACES)

  /** The code in bytes [from, to), one to four of them; '' when they are not ASCII. */
  take(bytes: Buffer, from: number, to: number): string {
    let word = 0
    for (let i = from; i < to; i++) word = (word << 8) | bytes[i]!
    const place = Math.imul(word, 0x9e3779b1) >>> 22
    const known = this.codes[place]!
    if (this.words[place] !== word || known.length !== to - from) return this.learn(place, word, bytes, from, to)
    this.hash.hi = this.hi[place]!
    this.hash.lo = this.lo[place]!
    return known
  }

  private learn(place: number, word: number, bytes: Buffer, from: number, to: number): string {
    if (!this.hash.ofAscii(bytes, from, to)) return ''
    const code = asName(bytes.toString('latin1', from, to))
    this.codes[place] = code
    this.words[place] = word
    this.hi[place] = this.hash.hi
    this.lo[place] = this.hash.lo
    return code
  }
}

/** The same text as the engine keeps it for names, of which it holds one copy: comparing two of them is comparing pointers. */
function asName(text: string): string {
  return Object.keys({ [text]: 0 })[0]!
}
