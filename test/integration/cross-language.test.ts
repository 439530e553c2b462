import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import { createSilentLogger } from '#infra/logger.ts'
import { openSchemas } from '#infra/schema-registry/open-schemas.ts'
import type { EnsuredSchemas } from '#infra/schema-registry/registry-schemas.ts'
import { ownSubjects } from '#infra/schema-registry/subjects.ts'
import { unknownWriterIds } from '#infra/schema-registry/writer-ids.ts'
import { type Codec, createCodec } from '#schemas/codec.ts'
import { type Config, defaultConfig } from '#schemas/config.ts'
import { createFileSchemas } from '#schemas/schema-source.ts'
import type { WireType } from '#schemas/wire-type.ts'
import { prepareApicurio, startApicurio } from '#test/support/apicurio.ts'
import { ConfluentClient, prepareConfluentPython } from '#test/support/confluent-client.ts'
import { decisionOf } from '#test/support/decisions.ts'
import { startFakeRegistry } from '#test/support/fake-registry.ts'
import { type Optional, skipWithout } from '#test/support/optional-tool.ts'
import { anyTransaction, labelOf, transactionOf } from '#test/support/transactions.ts'

const FOLDER = new URL('../../schemas/kafka/', import.meta.url).pathname
const config = defaultConfig('/nowhere')
const subjects = ownSubjects(config.topics, createFileSchemas(FOLDER))

interface Place {
  readonly name: string
  readonly needs: Optional<unknown>
  readonly start: () => Promise<{ readonly url: string; close(): Promise<void> }>
}

const python = await prepareConfluentPython()
const apicurio = await prepareApicurio()
const PLACES: readonly Place[] = [
  { name: 'a registry in this process', needs: python, start: startFakeRegistry },
  { name: 'Apicurio', needs: python.missing === null ? apicurio : python, start: () => startApicurio(apicurio.tool!) },
]

for (const place of PLACES) {
  describe(`with Confluent's Python client and ${place.name}`, { skip: skipWithout(place.needs) }, () => {
    let registry: Awaited<ReturnType<Place['start']>>
    let client: ConfluentClient
    let schemas: EnsuredSchemas
    let codec: Codec

    before(async () => {
      registry = await place.start()
      client = new ConfluentClient(python.tool!, registry.url)
      schemas = await open(registry.url)
      codec = createCodec(schemas)
    })
    after(async () => {
      client.close()
      await registry.close()
    })

    const transactions = [
      transactionOf(),
      transactionOf({
        kind: 'refund',
        amount: 2 ** 52,
        event_time: Date.UTC(2031, 5, 1) + 123,
        channel: 'ATM',
        merchant_id: 'Bäckerei 東京 🍞',
        latitude: -33.875,
        longitude: null,
        recurring: true,
        attributes: { segment: 'gold', '': '' },
        signals: { velocity: 0.1, risk: -1e300 },
      }),
      ...fc.sample(anyTransaction, { numRuns: 50, seed: 7 }),
    ]
    const labels = [labelOf(), labelOf({ fraud: false, source: 'chargeback', type: 'first_party', confidence: 0.5 })]
    const decisions = [
      decisionOf({ rule_hits: ['r1', 'r2'], list_hits: ['block:card_id'], explored: 0.0625 }, { channel: 'POS' }),
      decisionOf({ score: null, threshold: null, verdict: 'none', degraded: 'overload' }, { kind: 'reversal' }),
    ]

    test('transactions that Python wrote are read, bit for bit as Weir would write them', async () => {
      const records = await write('transaction', transactions)
      assert.deepEqual(read(codec.transaction, records), plain(transactions))
      assert.ok(records.every((record) => codec.transaction.isCurrent(record)))
      // Maps have no order of their own; the others are written the same to the last bit.
      const [first] = transactions
      assert.deepEqual(records[0], codec.transaction.encode(first!))
    })

    test('labels and decisions that Python wrote are read', async () => {
      assert.deepEqual(read(codec.label, await write('label', labels)), plain(labels))
      assert.deepEqual(read(codec.decision, await write('decision', decisions)), plain(decisions))
    })

    test('transactions, labels and decisions that Weir wrote are read by Python, with what it finds in the registry', async () => {
      const encode = <T>(type: WireType<T>, values: readonly T[]): Buffer[] => values.map((value) => type.encode(value))
      const { topics } = config
      assert.deepEqual(
        await client.read(topics.transactions, encode(codec.transaction, transactions)),
        plain(transactions),
      )
      assert.deepEqual(await client.read(topics.labels, encode(codec.label, labels)), plain(labels))
      assert.deepEqual(await client.read(topics.decisions, encode(codec.decision, decisions)), plain(decisions))
    })

    test("a producer's own schema is brought in by its id: other order, other package, less and more fields", async () => {
      const shipped = JSON.parse(readFileSync(`${FOLDER}/transaction.avsc`, 'utf8')) as { fields: { name: string }[] }
      const kept = shipped.fields.filter(({ name }) => !['signals', 'bin', 'latitude'].includes(name)).reverse()
      const schema = {
        ...shipped,
        namespace: 'com.bank.events',
        fields: [{ name: 'branch', type: 'string' }, ...kept],
      }
      const given = transactions.map((value) => ({ ...value, branch: 'north' }))
      const records = await client.write({ topic: 'other', schema: JSON.stringify(schema), values: given })
      const unknown = unknownWriterIds(records, records.length, schemas.isKnown)
      assert.equal(unknown.length, 1)
      await schemas.ensure(unknown)
      const expected = transactions.map((value) => ({ ...value, signals: {}, bin: '', latitude: null }))
      assert.deepEqual(read(codec.transaction, records), plain(expected))
    })

    test('a schema that refers to others in the registry is put together', async () => {
      const decision = readFileSync(`${FOLDER}/decision.avsc`, 'utf8')
      const records = await client.write({
        topic: 'referring',
        schema: JSON.stringify({ ...(JSON.parse(decision) as object), doc: 'Refers to its transaction.' }),
        references: [{ name: 'weir.Transaction', subject: 'weir.Transaction', version: 1 }],
        referred: [readFileSync(`${FOLDER}/transaction.avsc`, 'utf8')],
        values: decisions,
      })
      const unknown = unknownWriterIds(records, records.length, schemas.isKnown)
      assert.equal(unknown.length, 1)
      await schemas.ensure(unknown)
      assert.deepEqual(read(codec.decision, records), plain(decisions))
    })

    async function write(name: 'transaction' | 'label' | 'decision', values: readonly unknown[]): Promise<Buffer[]> {
      const { topic, json } = subjects.find((subject) => subject.name === name)!
      return await client.write({ topic, schema: json, values })
    }
  })
}

function open(url: string): Promise<EnsuredSchemas> {
  const registry: Config['registry'] = { ...config.registry, home: 'server', url }
  return openSchemas({ config: { ...config, registry }, clock: { now: () => 0 }, logger: createSilentLogger() })
}

function read<T>(type: WireType<T>, records: readonly Buffer[]): unknown {
  return plain(records.map((record) => type.tryDecode(record) ?? type.failure))
}

/** Without the library's classes. */
function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value))
}
