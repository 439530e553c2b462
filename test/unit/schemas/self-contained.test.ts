import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { avroType } from '#schemas/evolution.ts'
import { createFileSchemas, WIRE_TYPES, type WireTypeName } from '#schemas/schema-source.ts'
import { selfContained } from '#schemas/self-contained.ts'
import { decisionOf } from '#test/support/decisions.ts'
import { testCodec } from '#test/support/transactions.ts'

const shipped = createFileSchemas(new URL('../../../schemas/kafka', import.meta.url).pathname)
const NAMES = Object.keys(WIRE_TYPES) as WireTypeName[]
const ALL = NAMES.map((name) => shipped.own(name).json)

describe('a self-contained schema', () => {
  for (const name of NAMES) {
    test(`of ${name} stands alone and writes the same bytes`, () => {
      const type = avroType(selfContained(shipped.own(name).json, ALL))
      assert.ok(type.name?.startsWith('weir.'))
    })
  }

  test('writes the same bytes as the one that names types of others', () => {
    const decision = decisionOf({ rule_hits: ['a'], score: 0.25 })
    const alone = avroType(selfContained(shipped.own('decision').json, ALL))
    assert.deepEqual(alone.toBuffer(decision), testCodec().decision.type.toBuffer(decision))
  })

  test('keeps one that lacks nothing as it is, docs and defaults included', () => {
    const { json } = shipped.own('transaction')
    assert.deepEqual(JSON.parse(selfContained(json, ALL)), JSON.parse(json))
  })

  test('defines a type once, where it is first named, and finds it through namespaces', () => {
    const inner = { type: 'enum', name: 'E', symbols: ['A'] }
    const definitions = [
      JSON.stringify({ type: 'record', name: 'Box', namespace: 'a.b', fields: [{ name: 'e', type: inner }] }),
    ]
    const json = JSON.stringify({
      type: 'record',
      name: 'T',
      namespace: 'a.b',
      fields: [
        { name: 'one', type: ['null', 'E'] },
        { name: 'many', type: { type: 'array', items: 'a.b.E' } },
        { name: 'box', type: { type: 'map', values: 'Box' } },
      ],
    })
    const text = selfContained(json, definitions)
    assert.equal(text.split('"symbols"').length - 1, 1)
    const type = avroType(text)
    const value = { one: 'A', many: ['A', 'A'], box: { x: { e: 'A' } } }
    assert.equal(JSON.stringify(type.fromBuffer(type.toBuffer(value))), JSON.stringify(value))
  })

  test('leaves names that nobody defines', () => {
    assert.equal(selfContained('{"type":"array","items":"x.Unknown"}', []), '{"type":"array","items":"x.Unknown"}')
  })
})
