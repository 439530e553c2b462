import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  alertRow,
  COLUMNS,
  controlRow,
  decisionRow,
  labelRow,
  type RecordedTable,
  text,
} from '#pipeline/record/rows.ts'
import { alertOf, decisionOf } from '#test/support/decisions.ts'
import { anyTransaction, labelOf } from '#test/support/transactions.ts'

/** Whatever could be taken for a separator, a quote or an escape, and text of other scripts. */
const nasty = fc
  .array(
    fc.oneof(
      fc.constantFrom('\t', '\n', '\r', '\\', '\0', '\b', '\f', "'", '"', '\\N', ',', ']', '}', ':', 'ü', '€', '🂡'),
      fc.string(),
    ),
    {
      maxLength: 12,
    },
  )
  .map((parts) => parts.join(''))

test('any text comes back from a field as it was', () => {
  fc.assert(
    fc.property(nasty, nasty, (a, b) => {
      const fields = splitLines(`${text(a)}\t${text(b)}\n`)
      assert.deepEqual(
        fields.map((line) => line.map(unescape)),
        [[a, b]],
      )
      assert.doesNotMatch(text(a), /[\t\n\r\0]/)
    }),
  )
})

test('any transaction comes back from its row, whatever its texts hold', () => {
  fc.assert(
    fc.property(anyTransaction, nasty, nasty, fc.array(nasty), (transaction, id, merchant, hits) => {
      const of = {
        ...transaction,
        transaction_id: id,
        merchant_id: merchant,
        attributes: { ...transaction.attributes, [id]: merchant },
      }
      const decision = decisionOf({ rule_hits: hits, shadow_hits: [...hits].reverse() }, of)
      const row = rowOf('weir.scored_transactions', decisionRow(decision))
      const { event_time, attributes, signals, ...plain } = of
      assert.equal(Math.round(Number(row['event_time']) * 1_000), event_time)
      assert.deepEqual(parseMap(row['attributes']!, parseQuoted), attributes)
      assert.deepEqual(parseMap(row['signals']!, parseBare), withPlainZeros(signals))
      for (const [name, value] of Object.entries(plain)) {
        if (value === null) assert.equal(row[name], null, name)
        else if (typeof value === 'number') assert.equal(Number(row[name]), value + 0, name)
        else assert.equal(row[name], String(value), name)
      }
      assert.deepEqual(parseArray(row['rule_hits']!), hits)
      assert.deepEqual(parseArray(row['shadow_hits']!), [...hits].reverse())
    }),
  )
})

test('any label and any alert comes back from its row', () => {
  fc.assert(
    fc.property(nasty, nasty, fc.array(nasty, { maxLength: 4 }), (id, card, texts) => {
      const label = rowOf('weir.labels', labelRow(labelOf({ transaction_id: id, card_id: card }), 3, 1, 7))
      assert.deepEqual([label['transaction_id'], label['card_id']], [id, card])
      assert.deepEqual([label['line'], label['topic_partition'], label['topic_offset']], ['3', '1', '7'])
      const reasons = texts.map((reason, i) => ({ source: 'rule' as const, code: reason, text: reason, weight: i }))
      const alert = rowOf('weir.alerts', alertRow(alertOf({ transaction_id: id, card_id: card, reasons })))
      assert.deepEqual([alert['transaction_id'], alert['card_id']], [id, card])
      assert.deepEqual(parseArray(alert['reason_texts']!), texts)
      assert.deepEqual(parseArray(alert['reason_codes']!), texts)
      assert.equal(alert['reason_weights'], `[${texts.map((_, i) => i).join(',')}]`)
    }),
  )
})

test('frozen inputs are written in base64', () => {
  const row = rowOf('weir.alerts', alertRow(alertOf()))
  assert.deepEqual([...new Float32Array(new Uint8Array(Buffer.from(row['history']!, 'base64')).buffer)], [1, 2])
  assert.deepEqual([...new Float32Array(new Uint8Array(Buffer.from(row['current']!, 'base64')).buffer)], [3, 4])
})

test('a control line keeps its value by the letter', () => {
  fc.assert(
    fc.property(nasty, (inside) => {
      const value = JSON.stringify({ inside })
      const control = { type: 'rules' as const, value, sha256: 'ab' }
      const row = rowOf('weir.control_lines', controlRow({ line: 5, term: 2, clock: 1_001, pieces: [], control }))
      assert.deepEqual(row, { line: '5', term: '2', clock: '0000000001.001', type: 'rules', value, sha256: 'ab' })
    }),
  )
})

test('times have ten digits of seconds and three of milliseconds', () => {
  for (const [ms, written] of [
    [0, '0000000000.000'],
    [9, '0000000000.009'],
    [99, '0000000000.099'],
    [999, '0000000000.999'],
    [1_768_478_400_010, '1768478400.010'],
  ] as const) {
    assert.equal(rowOf('weir.labels', labelRow(labelOf({ known_at: ms }), 0, 0, 0))['known_at'], written)
  }
})

test('what is not known is null, not empty and not zero', () => {
  const row = rowOf('weir.scored_transactions', decisionRow(decisionOf({ score: null, threshold: null, explored: 0 })))
  assert.deepEqual([row['score'], row['threshold'], row['latitude'], row['explored']], [null, null, null, '0'])
})

/** One row by its columns' names. */
function rowOf(table: RecordedTable, tsv: string): Record<string, string | null> {
  const lines = splitLines(tsv)
  assert.equal(lines.length, 1)
  const columns: readonly string[] = COLUMNS[table]
  assert.equal(lines[0]!.length, columns.length)
  return Object.fromEntries(
    columns.map((name, i) => {
      const field = lines[0]![i]!
      if (field === '\\N') return [name, null]
      return [name, CONTAINERS.test(name) ? field : unescape(field)]
    }),
  )
}

/** Arrays and maps: the quoted texts in them are escaped, the field as a whole is not. */
const CONTAINERS = /^(attributes|signals|(rule|shadow|list)_hits|reason_\w+)$/

/** Tab-separated text as ClickHouse reads it, fields still escaped. */
function splitLines(tsv: string): string[][] {
  assert.ok(tsv.endsWith('\n'))
  return tsv
    .slice(0, -1)
    .split('\n')
    .map((line) => line.split('\t'))
}

function unescape(field: string): string {
  return field.replace(/\\(.)/gs, (_, char: string) => UNESCAPED[char] ?? char)
}

const UNESCAPED: Readonly<Record<string, string>> = { t: '\t', n: '\n', r: '\r', '0': '\0', b: '\b', f: '\f' }

type Part<T> = readonly [value: T, next: number]

function parseArray(field: string): string[] {
  const values: string[] = []
  let at = 1
  while (field[at] !== ']') {
    const [value, next] = parseQuoted(field, at)
    values.push(value)
    at = field[next] === ',' ? next + 1 : next
  }
  assert.equal(at, field.length - 1)
  return values
}

function parseMap<T>(field: string, parseValue: (field: string, at: number) => Part<T>): Record<string, T> {
  const entries: [string, T][] = []
  let at = 1
  while (field[at] !== '}') {
    const [key, colon] = parseQuoted(field, at)
    assert.equal(field[colon], ':')
    const [value, next] = parseValue(field, colon + 1)
    entries.push([key, value])
    at = field[next] === ',' ? next + 1 : next
  }
  assert.equal(at, field.length - 1)
  return Object.fromEntries(entries)
}

function parseQuoted(field: string, at: number): Part<string> {
  assert.equal(field[at], "'")
  let end = at + 1
  while (field[end] !== "'") end += field[end] === '\\' ? 2 : 1
  return [unescape(field.slice(at + 1, end)), end + 1]
}

function parseBare(field: string, at: number): Part<number> {
  const end = field.slice(at).search(/[,}]/) + at
  return [Number(field.slice(at, end)), end]
}

/** Text has no negative zero that stays one. */
function withPlainZeros(values: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, value + 0]))
}
