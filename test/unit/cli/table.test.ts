import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decimal, moment, pairs, wholeNumber } from '#cli/arguments.ts'
import { formatTable } from '#cli/table.ts'

test('a table aligns words to the left and numbers to the right, and cuts what is long', () => {
  assert.equal(
    formatTable(
      ['name', 'n'],
      [
        ['a', 5],
        ['b\nc'.repeat(10), 1_000],
        [null, null],
      ],
      8,
    ),
    'name         n\n--------  ----\na            5\nb cb cb…  1000\n\n',
  )
  assert.equal(formatTable(['empty'], []), 'empty\n-----\n')
})

test('numbers in options may be grouped with underscores and must lie within bounds', () => {
  assert.equal(wholeNumber(1, 1e6)('200_000'), 200_000)
  for (const text of ['', ' ', '1.5', 'x', '-1', '1e9', '_1', '1__0'])
    assert.throws(() => wholeNumber(1, 1e6)(text), text)
  assert.equal(decimal(0, 1)('0.25'), 0.25)
  for (const text of ['', '2', 'NaN', 'Infinity']) assert.throws(() => decimal(0, 1)(text), text)
})

test('days and moments are taken as UTC unless they say otherwise', () => {
  assert.equal(moment('2026-01-31'), Date.UTC(2026, 0, 31))
  assert.equal(moment('2026-01-31T12:00'), Date.UTC(2026, 0, 31, 12))
  assert.equal(moment('2026-01-31T12:00:00+02:00'), Date.UTC(2026, 0, 31, 10))
  for (const text of ['', '31.1.2026', '2026-13-01', '2026', 'now']) assert.throws(() => moment(text), text)
})

test('pairs are gathered, and a value may hold an equals sign', () => {
  assert.deepEqual(pairs('b=2=3', pairs('a=1')), { a: '1', b: '2=3' })
  assert.throws(() => pairs('a'))
  assert.throws(() => pairs('=a'))
})
