import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { avroType, evolutionProblems, resolverOf } from '#schemas/evolution.ts'

function record(fields: readonly unknown[], name = 'T', namespace = 'weir'): string {
  return JSON.stringify({ type: 'record', name, namespace, fields })
}

function problems(reader: string, writer: string): string[] {
  return evolutionProblems(avroType(reader), writer).map(({ field, problem }) => `${field}: ${problem}`)
}

describe('what keeps a reader from reading', () => {
  test('is nothing where only the namespace differs: producers keep their classes in packages of their own', () => {
    const fields = [{ name: 'kind', type: { type: 'enum', name: 'Kind', symbols: ['A', 'B'] } }]
    const reader = avroType(record(fields))
    const writer = avroType(record(fields, 'T', 'com.bank.events'))
    assert.deepEqual(evolutionProblems(reader, record(fields, 'T', 'com.bank.events')), [])
    const read = reader.fromBuffer(writer.toBuffer({ kind: 'B' }), resolverOf(reader, writer))
    assert.equal(JSON.stringify(read), '{"kind":"B"}')
  })

  test('is told by field, as deep as it lies', () => {
    const item = (type: string): unknown => ({ type: 'record', name: 'Item', fields: [{ name: 'price', type }] })
    const of = (type: string): string =>
      record([
        { name: 'items', type: { type: 'array', items: item(type) } },
        { name: 'first', type: 'Item' },
        { name: 'by_name', type: { type: 'map', values: 'Item' } },
      ])
    assert.deepEqual(
      evolutionProblems(avroType(of('long')), of('string')).map(({ field }) => field),
      ['items[].price', 'first.price', 'by_name{}.price'],
    )
  })

  test('names the field without a default, the symbols that are not known, and the other type', () => {
    const kinds = (...symbols: string[]): unknown => ({ type: 'enum', name: 'Kind', symbols })
    assert.deepEqual(
      problems(
        record([
          { name: 'new_one', type: 'string' },
          { name: 'kind', type: kinds('A') },
          { name: 'amount', type: 'long' },
        ]),
        record([
          { name: 'kind', type: kinds('A', 'B', 'C') },
          { name: 'amount', type: 'double' },
        ]),
      ),
      [
        'new_one: is not written and has no default',
        'kind: has symbols not known: B, C',
        'amount: cannot read "double" as "long"',
      ],
    )
  })

  test('is nothing where an enum has a default, a field an alias, a number is widened, a field is more', () => {
    const reader = record([
      { name: 'kind', type: { type: 'enum', name: 'Kind', symbols: ['A', 'OTHER'], default: 'OTHER' } },
      { name: 'amount', aliases: ['sum'], type: 'double' },
    ])
    const writer = record([
      { name: 'extra', type: 'bytes' },
      { name: 'sum', type: 'int' },
      { name: 'kind', type: { type: 'enum', name: 'Kind', symbols: ['A', 'B'] } },
    ])
    assert.deepEqual(problems(reader, writer), [])
  })

  test('ends on types that hold themselves', () => {
    const tree = (type: string): string =>
      record([
        { name: 'value', type },
        { name: 'children', type: { type: 'array', items: 'T' } },
      ])
    assert.deepEqual(problems(tree('long'), tree('string'))[0], 'value: cannot read "string" as "long"')
  })

  test('is said in a sentence, not by quoting a whole schema', () => {
    const many = Array.from({ length: 500 }, (_, i) => ({ name: `field_${i}`, type: 'string' }))
    for (const problem of problems('"string"', record(many))) assert.ok(problem.length < 300)
  })
})
