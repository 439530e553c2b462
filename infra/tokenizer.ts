import { createHmac, randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { findCardNumber, isCardNumber } from '#schemas/card-number.ts'
import { WeirError } from '#schemas/errors.ts'
import type { Label } from '#schemas/label.ts'
import { TEXT_FIELDS, type Transaction } from '#schemas/transaction.ts'

/** Replaces card numbers in the clear by keyed tokens at the door, before anything is appended or logged. */
export interface Tokenizer {
  /** The same object when it holds no card number, else a copy with tokens. */
  transaction(from: Transaction): Transaction
  label(from: Label): Label
  text(from: string): string
  /** A secret of its own for a purpose, in hexadecimal: the same for the same key, and no way back to it. */
  derive(purpose: string): string
  /** Card numbers replaced so far, by field: a field with many hits may hold numbers that merely look like cards. */
  readonly replaced: ReadonlyMap<string, number>
}

const KEY_BYTES = 32

/** `tk_` and 128 bits of HMAC-SHA-256 in base64url. */
export function cardToken(key: Buffer, digits: string): string {
  return `tk_${createHmac('sha256', key).update(digits).digest().subarray(0, 16).toString('base64url')}`
}

export function createTokenizer(key: Buffer): Tokenizer {
  const replaced = new Map<string, number>()

  function count(field: string): void {
    replaced.set(field, (replaced.get(field) ?? 0) + 1)
  }

  function clean(field: string, text: string): string {
    let found = text.length < 13 ? null : findCardNumber(text)
    if (found === null) return text
    let result = ''
    let from = 0
    while (found !== null) {
      result += text.slice(from, found.start) + cardToken(key, found.digits)
      from = found.end
      found = findCardNumber(text, from)
      count(field)
    }
    return result + text.slice(from)
  }

  return {
    replaced,
    text: (from) => clean('text', from),
    // Purposes are words: none is the digits of a card number, so no token is ever a derived secret.
    derive: (purpose) => createHmac('sha256', key).update(purpose).digest('hex'),
    transaction(from) {
      let changed: { -readonly [K in keyof Transaction]: Transaction[K] } | null = null
      for (const field of TEXT_FIELDS) {
        const text = from[field]
        if (text.length < 13) continue
        const cleaned = clean(field, text)
        if (cleaned !== text) {
          changed ??= { ...from }
          changed[field] = cleaned
        }
      }
      for (const name in from.attributes) {
        const text = from.attributes[name]!
        const cleaned = clean('attributes', text)
        const cleanedName = clean('attributes', name)
        if (cleaned !== text || cleanedName !== name) {
          changed ??= { ...from }
          const { [name]: _, ...others } = changed.attributes
          changed.attributes = { ...others, [cleanedName]: cleaned }
        }
      }
      for (const name in from.signals) {
        if (isCardNumber(String(from.signals[name]))) {
          // A token is no number: the signal is left out.
          changed ??= { ...from }
          const { [name]: _, ...others } = changed.signals
          changed.signals = others
          count('signals')
          continue
        }
        const cleanedName = clean('signals', name)
        if (cleanedName !== name) {
          changed ??= { ...from }
          const { [name]: value, ...others } = changed.signals
          changed.signals = { ...others, [cleanedName]: value! }
        }
      }
      return changed ?? from
    },
    label(from) {
      const transaction_id = clean('transaction_id', from.transaction_id)
      const card_id = clean('card_id', from.card_id)
      const merchant_id = clean('merchant_id', from.merchant_id)
      if (transaction_id === from.transaction_id && card_id === from.card_id && merchant_id === from.merchant_id) {
        return from
      }
      return { ...from, transaction_id, card_id, merchant_id }
    },
  }
}

/**
 * The key from its file (mode 0600), made at first use: the same card must have the same token for ever, so losing the
 * file means losing the link to the past.
 *
 * @throws WeirError CONFIG_INVALID when the file holds something else
 */
export function loadTokenKey(file: string): Buffer {
  if (!existsSync(file)) {
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, `${randomBytes(KEY_BYTES).toString('hex')}\n`, { mode: 0o600, flag: 'wx' })
  }
  const key = Buffer.from(readFileSync(file, 'utf8').trim(), 'hex')
  if (key.length !== KEY_BYTES) {
    throw new WeirError('CONFIG_INVALID', `the token key must be ${KEY_BYTES * 2} hex digits`, {
      where: file,
      fix: 'Restore the key from its backup; a new key breaks the link to every earlier token.',
    })
  }
  return key
}
