import { mix32, type Random } from './random.ts'

/** No 0, o, 1, l: these ids are read aloud by people. */
const ALPHABET = 'abcdefghijkmnpqrstuvwxyz23456789'

/**
 * Ids that say nothing: drawn, never counted, one shape for each sort of thing whoever uses it. Every id has a lower-case
 * prefix with an underscore, so none can be taken for a card number.
 */
export class OpaqueIds {
  private readonly random: Random
  /** All 32,768 triples, so that an id is a few concatenations. */
  private readonly triples: readonly string[]

  constructor(random: Random) {
    this.random = random
    this.triples = Array.from(
      { length: 2 ** 15 },
      (_, i) => ALPHABET[i & 31]! + ALPHABET[(i >>> 5) & 31]! + ALPHABET[(i >>> 10) & 31]!,
    )
  }

  transaction(): string {
    return `t_${this.six()}${this.six()}${this.six()}`
  }

  card(): string {
    return `c_${this.six()}${this.six()}${this.six()}`
  }

  account(): string {
    return `a_${this.six()}${this.six()}`
  }

  merchant(): string {
    return `m_${this.six()}${this.six()}`
  }

  device(): string {
    return `d_${this.six()}${this.six()}`
  }

  email(): string {
    return `e_${this.six()}${this.six()}${this.six()}`
  }

  /** The token of a card in a wallet on a telephone. */
  token(): string {
    return `w_${this.six()}${this.six()}`
  }

  /** The same merchant at the same place always has the same terminal. */
  terminal(merchant: number, place: number): string {
    const word = mix32(merchant ^ mix32(place))
    return `p_${this.triples[word & 32767]!}${this.triples[(word >>> 15) & 32767]!}${this.triples[mix32(word ^ place) & 32767]!}`
  }

  private six(): string {
    const word = this.random.uint32()
    return this.triples[word & 32767]! + this.triples[(word >>> 15) & 32767]!
  }
}
