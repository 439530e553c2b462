import type { Tokenizer } from '#infra/tokenizer.ts'
import type { Codec } from '#schemas/codec.ts'
import { WeirError } from '#schemas/errors.ts'
import { parseLabel } from '#schemas/json-input.ts'
import type { Label } from '#schemas/label.ts'

/** A label that was accepted once, as the path read it: framed or plain JSON, without card numbers. */
export function createLabelReader(codec: Codec, tokenizer: Tokenizer): (value: Buffer) => Label {
  return (value) => {
    const framed = codec.label.tryDecode(value)
    if (framed !== null) return tokenizer.label(framed)
    const parsed = parseLabel(JSON.parse(value.toString('utf8')))
    if (!parsed.ok) throw new WeirError('INVARIANT', `an accepted label cannot be read: ${parsed.problem}`)
    return tokenizer.label(parsed.value)
  }
}
