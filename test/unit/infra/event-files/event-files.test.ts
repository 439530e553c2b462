import assert from 'node:assert/strict'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { describe, test } from 'node:test'
import avro from 'avsc'
import fc from 'fast-check'
import { EVENT_FORMATS, type EventFormat, formatOfFile, type ReadEvent } from '#infra/event-files/event-format.ts'
import { createLabelWriter, createTransactionWriter, type EventWriter } from '#infra/event-files/event-writer.ts'
import { openEventFile, readEvents } from '#infra/event-files/read-events.ts'
import { createCodec } from '#schemas/codec.ts'
import { FRAUD_TYPES, LABEL_SOURCES, type Label } from '#schemas/label.ts'
import { createFileSchemas } from '#schemas/schema-source.ts'
import {
  CHANNELS,
  ENTRY_MODES,
  TRANSACTION_DEFAULTS,
  TRANSACTION_KINDS,
  type Transaction,
} from '#schemas/transaction.ts'
import { inTempFolder } from '#test/support/temp-folder.ts'

const codec = createCodec(createFileSchemas(new URL('../../../../schemas/kafka', import.meta.url).pathname))

const id = fc.string({ minLength: 1, maxLength: 20 }).filter((text) => text.trim() === text && text !== '')
const timeMs = fc.integer({ min: 946_684_800_000, max: 2_000_000_000_000 })
const transactions: fc.Arbitrary<Transaction> = fc.record({
  transaction_id: id,
  event_time: timeMs,
  card_id: id,
  amount: fc.integer({ min: 0, max: 1e12 }),
  currency: fc.constantFrom('EUR', 'JPY'),
  kind: fc.constantFrom(...TRANSACTION_KINDS),
  original_id: fc.constantFrom('', 'o1'),
  account_id: fc.string(),
  merchant_id: fc.constantFrom('', 'a,b', 'say "no"', 'line\nbreak', '00123'),
  terminal_id: fc.constant(''),
  merchant_category: fc.constantFrom('', '0742'),
  channel: fc.constantFrom(...CHANNELS),
  entry_mode: fc.constantFrom(...ENTRY_MODES),
  country: fc.constantFrom('', 'NO'),
  merchant_country: fc.constantFrom('', 'DE'),
  latitude: fc.constantFrom(null, 0, -12.5),
  longitude: fc.constantFrom(null, 0, 179.25),
  device_id: fc.constant(''),
  ip_prefix: fc.constantFrom('', '10.0.0.0/24'),
  email_hash: fc.constant(''),
  bin: fc.constantFrom('', '411111'),
  avs: fc.constantFrom('', 'N'),
  cvv: fc.constantFrom('', '1'),
  three_ds: fc.constant(''),
  recurring: fc.boolean(),
  response_code: fc.constantFrom('', '05'),
  attributes: fc.constantFrom({}, { segment: 'a, "b"' }),
  signals: fc.constantFrom({}, { risk: 0.25 }),
})
const labels: fc.Arbitrary<Label> = fc.record({
  transaction_id: id,
  card_id: id,
  merchant_id: fc.constantFrom('', 'm1'),
  event_time: timeMs,
  fraud: fc.boolean(),
  type: fc.constantFrom(...FRAUD_TYPES),
  source: fc.constantFrom(...LABEL_SOURCES),
  confidence: fc.constantFrom(0, 0.5, 1),
  known_at: timeMs,
})

async function written<T>(
  create: (options: {
    format: EventFormat
    codec: typeof codec
    write: (bytes: Buffer) => Promise<void>
  }) => EventWriter<T>,
  format: EventFormat,
  events: readonly T[],
): Promise<Buffer> {
  const parts: Buffer[] = []
  const writer = create({ format, codec, write: async (bytes) => void parts.push(bytes) })
  for (const [i, event] of events.entries()) {
    // Some blocks in between, as large files have them.
    if (writer.add(event) || i % 7 === 6) await writer.flush()
  }
  await writer.finish()
  return Buffer.concat(parts)
}

/** The bytes arrive in pieces of `pieceBytes`, cut wherever that falls. */
async function read(format: EventFormat, bytes: Uint8Array, pieceBytes = 64): Promise<ReadEvent[]> {
  const pieces: Buffer[] = []
  for (let at = 0; at < bytes.length; at += pieceBytes) pieces.push(Buffer.from(bytes.subarray(at, at + pieceBytes)))
  const events: ReadEvent[] = []
  const input = Readable.from(pieces, { objectMode: false })
  for await (const batch of readEvents({ input, format, name: 'events', codec })) events.push(...batch)
  return events
}

/** The same values without the classes that libraries make of records. */
function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value))
}

function readText(format: EventFormat, text: string): Promise<ReadEvent[]> {
  return read(format, Buffer.from(text), 65_536)
}

describe('what was written is read again, however the bytes arrive', () => {
  for (const format of EVENT_FORMATS) {
    test(`as ${format}`, async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(transactions, { maxLength: 20 }),
          fc.integer({ min: 1, max: 200 }),
          async (events, piece) => {
            const back = await read(format, await written(createTransactionWriter, format, events), piece)
            assert.deepEqual(
              plain(back.map((event) => (event.kind === 'transaction' ? event.transaction : event))),
              plain(events),
            )
          },
        ),
        { numRuns: 40 },
      )
      await fc.assert(
        fc.asyncProperty(fc.array(labels, { maxLength: 20 }), async (events) => {
          const back = await read(format, await written(createLabelWriter, format, events))
          assert.deepEqual(plain(back.map((event) => (event.kind === 'label' ? event.label : event))), plain(events))
        }),
        { numRuns: 20 },
      )
    })
  }
})

const PLAIN = { transaction_id: 't1', event_time: 1_700_000_000_000, card_id: 'c1', amount: 100, currency: 'EUR' }

describe('a record that cannot be taken stands in its place with line and field, and the rest goes on', () => {
  test('in JSON lines', async () => {
    const lines = [
      JSON.stringify(PLAIN),
      '{"transaction_id": 4111111111111111',
      '',
      JSON.stringify({ ...PLAIN, amount: '4111111111111111' }),
      JSON.stringify(PLAIN),
    ]
    const events = await readText('jsonl', lines.join('\n'))
    assert.deepEqual(
      events.map(({ kind, where }) => `${kind} ${where}`),
      ['transaction line 1', 'problem line 2', 'problem line 4', 'transaction line 5'],
    )
    assert.equal(events[2]!.kind === 'problem' && events[2]!.field, 'amount')
    assert.doesNotMatch(JSON.stringify(events), /4111111111111111/)
  })

  test('in CSV, whose numbers, times and map columns are understood', async () => {
    const events = await readText(
      'csv',
      '\uFEFFtransaction_id,event_time,card_id,amount,currency,attributes.segment,signals.risk,merchant_id\r\n' +
        '007,2026-01-31T00:00:00Z,c1,100,EUR,gold,0.5,00123\r\n' +
        't2,1700000000000,c1,a lot,EUR,,,\r\n',
    )
    assert.deepEqual(events[0], {
      kind: 'transaction',
      where: 'line 2',
      transaction: {
        ...TRANSACTION_DEFAULTS,
        transaction_id: '007',
        event_time: Date.UTC(2026, 0, 31),
        card_id: 'c1',
        amount: 100,
        currency: 'EUR',
        merchant_id: '00123',
        attributes: { segment: 'gold' },
        signals: { risk: 0.5 },
      },
    })
    assert.deepEqual(
      { ...events[1], problem: '' },
      { kind: 'problem', field: 'amount', problem: '', where: 'line 3', ok: false },
    )
  })

  test('in frames', async () => {
    const bytes = await written(createTransactionWriter, 'frames', [
      { ...TRANSACTION_DEFAULTS, ...PLAIN } as Transaction,
    ])
    const foreign = Buffer.from(bytes)
    foreign.writeUInt32BE(77, 5)
    const events = await read('frames', Buffer.concat([foreign, bytes]))
    assert.deepEqual(
      events.map(({ kind, where }) => `${kind} ${where}`),
      ['problem record 1', 'transaction record 2'],
    )
  })
})

describe('a file that is not what it should be is refused with its name and the place', () => {
  for (const [what, format, bytes, message, where] of [
    [
      'CSV without the columns that must be there',
      'csv',
      'amount,currency\n1,EUR\n',
      /lacks transaction_id and event_time and card_id/,
      'events line 1',
    ],
    [
      'CSV with a column twice',
      'csv',
      'transaction_id,event_time,card_id,card_id\n',
      /names card_id twice/,
      'events line 1',
    ],
    [
      'CSV with a short line',
      'csv',
      'transaction_id,event_time,card_id\na,1,b\na,1\n',
      /another number of cells/,
      'events line 3',
    ],
    [
      'CSV with an open quote',
      'csv',
      'transaction_id,event_time,card_id\na,1,"b\n',
      /quote is not closed/,
      /events line/,
    ],
    ['a line without end', 'jsonl', 'x'.repeat(1_100_000), /longer than/, 'events line 1'],
    ['a container that is none', 'avro', 'transaction_id,event_time\n'.repeat(10), /does not begin like one/, 'events'],
    ['frames that are none', 'frames', 'transaction_id', /is announced/, 'events record 1'],
    ['frames that end too early', 'frames', '\0\0\0\u0010abc', /middle of a record/, 'events record 1'],
  ] as const) {
    test(what, async () => {
      await assert.rejects(readText(format, bytes), { code: 'INPUT_INVALID', message, where })
    })
  }

  test('a container that was cut off, wherever that was', async () => {
    const events = fc.sample(transactions, { seed: 2, numRuns: 3 })
    const bytes = await written(createTransactionWriter, 'avro', events)
    const header = (await written(createTransactionWriter, 'avro', [])).length
    for (let end = 0; end < bytes.length; end += end < header ? 97 : 3) {
      // Between two blocks the file is whole, as far as anybody can see.
      if (end === header) continue
      await assert.rejects(read('avro', bytes.subarray(0, end), 1_000), { code: 'INPUT_INVALID' }, `cut at ${end}`)
    }
  })

  test('a container whose bytes were changed', async () => {
    const bytes = await written(createTransactionWriter, 'avro', [{ ...TRANSACTION_DEFAULTS, ...PLAIN } as Transaction])
    bytes[bytes.length - 1]! ^= 1
    await assert.rejects(read('avro', bytes), { code: 'INPUT_INVALID', message: /a block is damaged/ })
  })

  test('a container in a schema that cannot be read, with the field', async () => {
    const bytes = await written(createTransactionWriter, 'avro', [{ ...TRANSACTION_DEFAULTS, ...PLAIN } as Transaction])
    const other = Buffer.from(bytes.toString('latin1').replace('"name":"amount"', '"name":"amoont"'), 'latin1')
    await assert.rejects(read('avro', other), { code: 'SCHEMA_INCOMPATIBLE', message: /amount/ })
  })

  test('one that is not there', () =>
    inTempFolder((folder) => {
      assert.throws(() => openEventFile(join(folder, 'none.csv')), { code: 'INPUT_NOT_FOUND' })
      assert.throws(() => openEventFile(folder), { code: 'INPUT_NOT_FOUND' })
    }))
})

test('a container that another program deflated is read', async () => {
  const events = fc.sample(transactions, { seed: 3, numRuns: 5 })
  const encoder = new avro.streams.BlockEncoder(codec.transaction.type, { codec: 'deflate' })
  for (const event of events) encoder.write(event)
  encoder.end()
  const bytes = Buffer.concat((await encoder.toArray()) as Buffer[])
  const back = await read('avro', bytes, 10)
  assert.deepEqual(plain(back.map((event) => event.kind === 'transaction' && event.transaction)), plain(events))
})

test('equal data is equal bytes, in every format', async () => {
  for (const format of EVENT_FORMATS) {
    const events = fc.sample(transactions, { seed: 1, numRuns: 10 })
    assert.deepEqual(
      await written(createTransactionWriter, format, events),
      await written(createTransactionWriter, format, events),
    )
  }
})

test('the name of a file says what it holds', () => {
  assert.equal(formatOfFile('a/b.JSONL'), 'jsonl')
  assert.equal(formatOfFile('x.ndjson'), 'jsonl')
  assert.equal(formatOfFile('x.csv'), 'csv')
  assert.throws(() => formatOfFile('x.txt'), { code: 'USAGE' })
  assert.throws(() => formatOfFile('x'), { code: 'USAGE' })
})
