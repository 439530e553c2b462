import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { RegistrySchemas } from '#infra/schema-registry/registry-schemas.ts'
import { unknownWriterIds } from '#infra/schema-registry/writer-ids.ts'
import { createCodec } from '#schemas/codec.ts'
import { WeirError } from '#schemas/errors.ts'
import { createFileSchemas, WIRE_TYPES, type WireTypeName } from '#schemas/schema-source.ts'
import { selfContained } from '#schemas/self-contained.ts'
import { writeFrame } from '#schemas/wire-type.ts'
import { labelOf, testCodec, transactionOf } from '#test/support/transactions.ts'

const shipped = createFileSchemas(new URL('../../../../schemas/kafka', import.meta.url).pathname)
const NAMES = Object.keys(WIRE_TYPES) as WireTypeName[]

/** Weir's own have the ids 101 to 106 here. */
function own(): Map<WireTypeName, { id: number; json: string; complete: string }> {
  const definitions = NAMES.map((name) => shipped.own(name).json)
  return new Map(
    NAMES.map((name) => {
      const { json } = shipped.own(name)
      return [name, { id: 100 + WIRE_TYPES[name], json, complete: selfContained(json, definitions) }]
    }),
  )
}

/** A registry whose answers wait until they are let go; it counts what it is asked. */
function fixture(texts: Record<number, string> = {}, idsMax?: number) {
  const state = {
    asked: [] as number[],
    texts,
    nowMs: 1_000,
    failing: false,
    gate: Promise.resolve(),
  }
  const schemas = new RegistrySchemas({
    registry: {
      schemaById: async (id) => {
        state.asked.push(id)
        await state.gate
        if (state.failing) throw new WeirError('REGISTRY_UNAVAILABLE', 'down')
        return state.texts[id] ?? null
      },
    },
    own: own(),
    clock: { now: () => state.nowMs },
    unknownIdMs: 60_000,
    confirmAfterMs: 0,
    ...(idsMax !== undefined && { idsMax }),
  })
  return { state, schemas }
}

describe('schemas of a registry', () => {
  test("give Weir's own under the registry's ids, for reading and for writing", () => {
    const { schemas, state } = fixture()
    const codec = createCodec(schemas)
    const written = codec.transaction.encode(transactionOf())
    assert.deepEqual([...written.subarray(0, 5)], [0, 0, 0, 0, 101])
    assert.deepEqual(JSON.parse(JSON.stringify(codec.transaction.tryDecode(written))), transactionOf())
    assert.ok(schemas.isKnown(104))
    assert.match(schemas.byId(104)!, /"name":"Verdict"/)
    assert.deepEqual(state.asked, [])
  })

  test('bring in a writer once and for all', async () => {
    const { schemas, state } = fixture({ 7: shipped.own('label').json })
    assert.equal(schemas.isKnown(7), false)
    await schemas.ensure([7, 7])
    await schemas.ensure([7])
    state.nowMs += 1e12
    assert.ok(schemas.isKnown(7))
    assert.deepEqual(state.asked, [7])
    const codec = createCodec(schemas)
    const bytes = testCodec().label.encode(labelOf())
    writeFrame(bytes, 0, 7)
    assert.deepEqual(JSON.parse(JSON.stringify(codec.label.tryDecode(bytes))), labelOf())
  })

  test('share one request among all who want the same id at the same time', async () => {
    const { schemas, state } = fixture({ 7: '"string"', 8: '"string"' })
    let open = (): void => {}
    state.gate = new Promise((resolve) => (open = resolve))
    const all = Promise.all([schemas.ensure([7]), schemas.ensure([7, 8]), schemas.ensure([8])])
    open()
    await all
    assert.deepEqual(state.asked, [7, 8])
  })

  test('believe that an id does not exist after asking twice, for a limited time', async () => {
    const { schemas, state } = fixture()
    await schemas.ensure([7])
    assert.deepEqual(state.asked, [7, 7])
    assert.equal(schemas.byId(7), null)
    await schemas.ensure([7])
    assert.equal(state.asked.length, 2)
    state.nowMs += 60_000
    assert.equal(schemas.isKnown(7), false)
    assert.equal(schemas.byId(7), null, 'what was found out for a batch holds until it is decoded')
    state.texts[7] = '"string"'
    await schemas.ensure([7])
    assert.equal(schemas.byId(7), '"string"')
  })

  test('see a schema that a lagging replica did not have at first', async () => {
    const { schemas, state } = fixture()
    const ensured = schemas.ensure([7])
    void state.gate.then(() => (state.texts[7] = '"string"'))
    await ensured
    assert.equal(schemas.byId(7), '"string"')
  })

  test('let a record of an id that was registered later be read', async () => {
    const { schemas, state } = fixture()
    const codec = createCodec(schemas)
    const bytes = testCodec().label.encode(labelOf())
    writeFrame(bytes, 0, 7)
    await schemas.ensure([7])
    assert.equal(codec.label.tryDecode(bytes), null)
    assert.equal(codec.label.failure.reason, 'UNKNOWN_SCHEMA_ID')
    state.texts[7] = shipped.own('label').json
    state.nowMs += 60_000
    await schemas.ensure([7])
    assert.ok(codec.label.tryDecode(bytes) !== null)
  })

  test('pass a fault on, ask no further, and can be asked again', async () => {
    const { schemas, state } = fixture(Object.fromEntries(Array.from({ length: 100 }, (_, i) => [i + 1, '"string"'])))
    state.failing = true
    const ids = Array.from({ length: 100 }, (_, i) => i + 1)
    await assert.rejects(schemas.ensure(ids), (error: unknown) => error instanceof WeirError && error.retryable)
    assert.ok(state.asked.length <= 16, `${state.asked.length} requests to a registry that is down`)
    assert.equal(schemas.isKnown(1), false)
    state.failing = false
    await schemas.ensure(ids)
    assert.ok(ids.every((id) => schemas.byId(id) === '"string"'))
  })

  test('refuse to guess about an id that nobody asked for', () => {
    const { schemas } = fixture()
    assert.throws(
      () => schemas.byId(7),
      (error: unknown) => error instanceof WeirError && error.code === 'INVARIANT',
    )
  })

  test('end the waiting of whoever is told to stop, and of nobody else', async () => {
    const { schemas, state } = fixture({ 7: '"string"' })
    let open = (): void => {}
    state.gate = new Promise((resolve) => (open = resolve))
    const stop = new AbortController()
    const stopped = schemas.ensure([7], stop.signal)
    const other = schemas.ensure([7])
    stop.abort(new Error('stopping'))
    await assert.rejects(stopped, /stopping/)
    open()
    await other
    assert.equal(schemas.byId(7), '"string"')
    await assert.rejects(schemas.ensure([9], stop.signal), /stopping/)
  })

  test('forget the oldest when there are too many ids', async () => {
    const { schemas } = fixture({ 1: '"string"', 2: '"string"', 3: '"string"' }, 2)
    for (const id of [1, 2, 3]) await schemas.ensure([id])
    assert.deepEqual([1, 2, 3].map(schemas.isKnown), [false, true, true])
  })
})

describe('the writer ids of a batch', () => {
  const framed = (id: number): Buffer => {
    const bytes = Buffer.alloc(6)
    writeFrame(bytes, 0, id)
    return bytes
  }

  test('are those not known, each once, of framed values among the first so many', () => {
    const values = [framed(1), framed(2), framed(2), null, Buffer.from('{"a":1}'), framed(3), framed(2), framed(9)]
    assert.deepEqual(
      unknownWriterIds(values, 7, (id) => id === 1),
      [2, 3],
    )
    assert.deepEqual(
      unknownWriterIds(values, 7, () => true),
      [],
    )
    assert.deepEqual(
      unknownWriterIds([Buffer.from([0, 0, 0, 1]), Buffer.alloc(0)], 2, () => false),
      [],
    )
    assert.deepEqual(
      unknownWriterIds([framed(2 ** 32 - 1)], 1, () => false),
      [2 ** 32 - 1],
    )
  })

  test('are the same as a slow and obvious search finds', () => {
    fc.assert(
      fc.property(
        fc.array(fc.option(fc.oneof(fc.integer({ min: 0, max: 5 }).map(framed), fc.uint8Array({ maxLength: 8 })))),
        fc.nat(20),
        (values, count) => {
          const first = values.slice(0, count)
          const ids = first.flatMap((value) =>
            value !== null && value.length >= 5 && value[0] === 0 ? [Buffer.from(value).readUInt32BE(1)] : [],
          )
          const expected = [...new Set(ids.filter((id) => id % 2 === 0))]
          assert.deepEqual(
            unknownWriterIds(values, Math.min(count, values.length), (id) => id % 2 === 1),
            expected,
          )
        },
      ),
    )
  })
})
