/**
 * The texts of one field, by row. Most of them are ids that are looked up by their hash and that nobody reads: so a text
 * that came in bytes is made into a string when it is asked for. The bytes must stay as they are until then.
 */
export class TextColumn {
  /** UTF-8 bytes of each text. */
  readonly bytes: Uint32Array
  private readonly texts: (string | null)[]
  private readonly source: readonly Buffer[]
  private readonly from: Uint32Array

  /** @param source by row what the texts of all fields came in */
  constructor(source: readonly Buffer[], capacity: number) {
    this.source = source
    this.texts = new Array<string | null>(capacity).fill('')
    this.bytes = new Uint32Array(capacity)
    this.from = new Uint32Array(capacity)
  }

  at(row: number): string {
    return this.texts[row] ?? this.make(row)
  }

  /** @param bytes that it has in UTF-8 */
  set(row: number, text: string, bytes: number): void {
    this.texts[row] = text
    this.bytes[row] = bytes
  }

  /** The ASCII text in bytes [from, to) of the row's source. */
  setBytes(row: number, from: number, to: number): void {
    this.texts[row] = null
    this.from[row] = from
    this.bytes[row] = to - from
  }

  private make(row: number): string {
    const from = this.from[row]!
    const text = this.source[row]!.toString('latin1', from, from + this.bytes[row]!)
    this.texts[row] = text
    return text
  }
}
