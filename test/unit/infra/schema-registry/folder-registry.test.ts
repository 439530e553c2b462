import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { createFolderRegistry } from '#infra/schema-registry/folder-registry.ts'
import { COMPATIBILITY_LEVELS, type SchemaRegistry } from '#infra/schema-registry/registry.ts'
import { WeirError } from '#schemas/errors.ts'
import { inTempFolder } from '#test/support/temp-folder.ts'

const V1 = record([{ name: 'id', type: 'string' }])
const V1_OTHER_TEXT = `{
  "namespace": "bank", "type": "record", "name": "Payment",
  "fields": [ { "type": "string", "name": "id" } ]
}`
const WITH_DEFAULT = record([
  { name: 'id', type: 'string' },
  { name: 'note', type: 'string', default: '' },
])
const WITHOUT_DEFAULT = record([
  { name: 'id', type: 'string' },
  { name: 'note', type: 'string' },
])
const LESS = record([{ name: 'other', type: 'string', default: '' }])

function record(fields: readonly unknown[]): string {
  return JSON.stringify({ type: 'record', name: 'Payment', namespace: 'bank', fields })
}

function open(folder: string, builtIn: ReadonlyMap<number, string> = new Map()): SchemaRegistry {
  return createFolderRegistry({ folder, builtIn, clock: { now: () => 0 } })
}

function codeOf(code: string): (error: unknown) => boolean {
  return (error) => error instanceof WeirError && error.code === code
}

describe('a folder as registry', () => {
  test('is empty at first, and made by the first schema', () =>
    inTempFolder(async (folder) => {
      const registry = open(join(folder, 'deep/er'))
      assert.deepEqual(await registry.subjects(), [])
      assert.equal(await registry.versions('a-value'), null)
      assert.equal(await registry.version('a-value', 'latest'), null)
      assert.equal(await registry.lookUp('a-value', V1), null)
      assert.equal(await registry.schemaById(1), null)
      assert.equal(existsSync(join(folder, 'deep')), false)
      assert.equal(await registry.register('a-value', V1), 1)
      assert.deepEqual(await registry.subjects(), ['a-value'])
    }))

  test('gives dense ids, one to a schema under whatever subject and in whatever layout', () =>
    inTempFolder(async (folder) => {
      const registry = open(folder)
      assert.equal(await registry.register('a-value', V1), 1)
      assert.equal(await registry.register('b-value', V1_OTHER_TEXT), 1)
      assert.equal(await registry.register('a-value', WITH_DEFAULT), 2)
      assert.equal(await registry.register('a-value', V1), 1)
      assert.deepEqual(await registry.versions('a-value'), [1, 2])
      assert.deepEqual(await registry.lookUp('a-value', WITH_DEFAULT), { version: 2, id: 2 })
      assert.deepEqual(JSON.parse((await registry.version('b-value', 'latest'))!.json), JSON.parse(V1))
      assert.deepEqual(readdirSync(join(folder, 'ids')).sort(), ['1.avsc', '2.avsc'])
    }))

  test('keeps the ids of what is built in', () =>
    inTempFolder(async (folder) => {
      const registry = open(
        folder,
        new Map([
          [1, '"string"'],
          [2, V1],
        ]),
      )
      assert.equal(await registry.schemaById(1), '"string"')
      assert.equal(await registry.register('a-value', WITH_DEFAULT), 3)
      assert.equal(await registry.register('b-value', V1), 2)
      assert.equal(readFileSync(join(folder, 'ids/2.avsc'), 'utf8').trim(), V1)
    }))

  test('names subjects by files, whatever their letters are', () =>
    inTempFolder(async (folder) => {
      const registry = open(folder)
      const subject = '../bank/pay ments.v2-value'
      await registry.register(subject, V1)
      assert.deepEqual(await registry.subjects(), [subject])
      assert.equal(readdirSync(join(folder, 'subjects')).length, 1)
    }))

  test('lets only one of many writers have an id, also from two places', () =>
    inTempFolder(async (folder) => {
      const places = [open(folder), open(folder)]
      const texts = Array.from({ length: 8 }, (_, i) => JSON.stringify({ type: 'fixed', name: `F${i}`, size: i + 1 }))
      const ids = await Promise.all(texts.map((text, i) => places[i % 2]!.register(`s${i}-value`, text)))
      assert.deepEqual(
        ids.sort((a, b) => a - b),
        [1, 2, 3, 4, 5, 6, 7, 8],
      )
      for (const [i, text] of texts.entries()) {
        assert.equal((await places[0]!.version(`s${i}-value`, 1))?.json.trim(), text)
      }
    }))

  test('takes up the id of a registration that was cut short', () =>
    inTempFolder(async (folder) => {
      const registry = open(folder)
      await registry.register('a-value', V1)
      writeFileSync(join(folder, 'ids/2.avsc'), WITH_DEFAULT)
      writeFileSync(join(folder, 'subjects/.half'), '{')
      assert.equal(await registry.register('a-value', WITH_DEFAULT), 2)
      assert.deepEqual(await registry.subjects(), ['a-value'])
    }))

  test('tells of a damaged file rather than begin anew', () =>
    inTempFolder(async (folder) => {
      const registry = open(folder)
      await registry.register('a-value', V1)
      writeFileSync(join(folder, 'subjects/a-value.json'), '{"versions":')
      await assert.rejects(registry.register('a-value', WITH_DEFAULT), codeOf('INPUT_INVALID'))
    }))

  test('refuses what is no schema', () =>
    inTempFolder(async (folder) => {
      await assert.rejects(open(folder).register('a-value', '{"type":"nonsense"}'), codeOf('INPUT_INVALID'))
      await assert.rejects(open(folder).register('a-value', 'syntax = "proto3";'), codeOf('INPUT_INVALID'))
    }))

  const TAKEN: Readonly<Record<string, readonly [withDefault: boolean, withoutDefault: boolean, less: boolean]>> = {
    NONE: [true, true, true],
    BACKWARD: [true, false, true],
    BACKWARD_TRANSITIVE: [true, false, true],
    FORWARD: [true, true, false],
    FORWARD_TRANSITIVE: [true, true, false],
    FULL: [true, false, false],
    FULL_TRANSITIVE: [true, false, false],
  }
  for (const level of COMPATIBILITY_LEVELS) {
    test(`takes under ${level} what that level allows`, () =>
      inTempFolder(async (folder) => {
        const registry = open(folder)
        await registry.register('a-value', V1)
        await registry.setCompatibility('a-value', level)
        assert.equal(await registry.compatibilityOf('a-value'), level)
        const taken: boolean[] = []
        for (const json of [WITH_DEFAULT, WITHOUT_DEFAULT, LESS]) {
          taken.push((await registry.checkCompatible('a-value', json)).isCompatible)
        }
        assert.deepEqual(taken, TAKEN[level])
        if (!TAKEN[level]![1])
          await assert.rejects(registry.register('a-value', WITHOUT_DEFAULT), codeOf('SCHEMA_INCOMPATIBLE'))
        assert.deepEqual(await registry.versions('a-value'), [1])
      }))
  }

  test('looks at all versions where the level is transitive, at the latest alone where it is not', () =>
    inTempFolder(async (folder) => {
      const registry = open(folder)
      await registry.register('a-value', V1)
      await registry.register('a-value', WITH_DEFAULT)
      assert.equal((await registry.checkCompatible('a-value', WITHOUT_DEFAULT)).isCompatible, true)
      await registry.setCompatibility('a-value', 'BACKWARD_TRANSITIVE')
      const { isCompatible, reasons } = await registry.checkCompatible('a-value', WITHOUT_DEFAULT)
      assert.equal(isCompatible, false)
      assert.match(reasons.join(), /version 1: the new one cannot read the old one: field note: is not written/)
    }))

  test('does not list a subject of which only the level was set', () =>
    inTempFolder(async (folder) => {
      const registry = open(folder)
      await registry.setCompatibility('a-value', 'FULL')
      assert.deepEqual(await registry.subjects(), [])
      assert.equal(await registry.versions('a-value'), null)
      assert.equal(await registry.compatibilityOf('a-value'), 'FULL')
    }))
})
