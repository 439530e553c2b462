import fc from 'fast-check'
import { createCodec, type Codec } from '#schemas/codec.ts'
import type { Label } from '#schemas/label.ts'
import { createFileSchemas } from '#schemas/schema-source.ts'
import {
  CHANNELS,
  ENTRY_MODES,
  TRANSACTION_DEFAULTS,
  TRANSACTION_KINDS,
  type Transaction,
} from '#schemas/transaction.ts'

/** The shipped schemas, from the source tree. */
export function testCodec(): Codec {
  return createCodec(createFileSchemas(new URL('../../schemas/kafka', import.meta.url).pathname))
}

/** A plain authorization; what a test is about is given. */
export function transactionOf(fields: Partial<Transaction> = {}): Transaction {
  return {
    ...TRANSACTION_DEFAULTS,
    transaction_id: 't1',
    event_time: Date.UTC(2026, 0, 15, 12),
    card_id: 'card-1',
    account_id: 'account-1',
    merchant_id: 'merchant-1',
    amount: 1_000,
    currency: 'EUR',
    channel: 'ECOM',
    entry_mode: 'ECOM',
    ...fields,
  }
}

export function labelOf(fields: Partial<Label> = {}): Label {
  return {
    transaction_id: 't1',
    card_id: 'card-1',
    merchant_id: 'merchant-1',
    event_time: Date.UTC(2026, 0, 15, 12),
    fraud: true,
    type: 'card_not_present',
    source: 'issuer_report',
    confidence: 1,
    known_at: Date.UTC(2026, 0, 20),
    ...fields,
  }
}

/** Any transaction that the schema allows. */
export const anyTransaction: fc.Arbitrary<Transaction> = fc.record(
  {
    transaction_id: fc.string({ minLength: 1 }),
    event_time: fc.integer({ min: 0, max: 4e12 }),
    card_id: fc.string({ minLength: 1 }),
    amount: fc.integer({ min: 0, max: 2 ** 52 }),
    currency: fc.constantFrom('EUR', 'USD', 'JPY'),
    kind: fc.constantFrom(...TRANSACTION_KINDS),
    original_id: fc.string(),
    account_id: fc.string(),
    merchant_id: fc.string(),
    terminal_id: fc.string(),
    merchant_category: fc.string(),
    channel: fc.constantFrom(...CHANNELS),
    entry_mode: fc.constantFrom(...ENTRY_MODES),
    country: fc.string(),
    merchant_country: fc.string(),
    latitude: fc.option(fc.double({ min: -90, max: 90, noNaN: true })),
    longitude: fc.option(fc.double({ min: -180, max: 180, noNaN: true })),
    device_id: fc.string(),
    ip_prefix: fc.string(),
    email_hash: fc.string(),
    bin: fc.string(),
    avs: fc.string(),
    cvv: fc.string(),
    three_ds: fc.string(),
    recurring: fc.boolean(),
    response_code: fc.string(),
    attributes: fc.dictionary(
      fc.string().filter((key) => key !== '__proto__'),
      fc.string(),
      { noNullPrototype: true },
    ),
    signals: fc.dictionary(
      fc.string().filter((key) => key !== '__proto__'),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      { noNullPrototype: true },
    ),
  },
  { noNullPrototype: true },
)
