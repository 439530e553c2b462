import assert from 'node:assert/strict'
import { type Columns, RowBuffer } from '#infra/clickhouse/row-binary.ts'
import type { Store } from '#infra/clickhouse/store.ts'
import { columnNames, headerOf, writeDecision, type WrittenTable } from '#pipeline/record/rows.ts'
import type { Decision } from '#schemas/decision.ts'

/** What the recorder would send. */
export function rowBytes(write: (rows: RowBuffer) => void): Buffer {
  const rows = new RowBuffer()
  write(rows)
  return rows.done()
}

export function decisionBytes(decisions: readonly Decision[]): Buffer {
  return rowBytes((rows) => {
    for (const decision of decisions) writeDecision(rows, decision)
  })
}

/** Inserts rows the way the recorder does. */
export async function insertRows(store: Store, table: WrittenTable, bytes: Buffer, token: string): Promise<void> {
  await store.insert(table, columnNames(table), [headerOf(table), bytes], token, 'RowBinaryWithNamesAndTypes')
}

/** RowBinary as ClickHouse reads it, by the types of its columns. */
export function readRows(columns: Columns, bytes: Buffer): Record<string, unknown>[] {
  const cursor = { at: 0 }
  const rows: Record<string, unknown>[] = []
  while (cursor.at < bytes.length) {
    rows.push(
      Object.fromEntries(
        Object.entries(columns).map(([name, type]) => [name, readValue(type, bytes, cursor)] as const),
      ),
    )
  }
  assert.equal(cursor.at, bytes.length)
  return rows
}

interface Cursor {
  at: number
}

function readValue(type: string, bytes: Buffer, cursor: Cursor): unknown {
  const [, outer, inner] = /^(\w+)\((.*)\)$/.exec(type) ?? [type, type, '']
  const take = (length: number): number => (cursor.at += length) - length
  switch (outer) {
    case 'LowCardinality':
    case 'String': {
      const length = readVarint(bytes, cursor)
      const from = take(length)
      assert.ok(cursor.at <= bytes.length, 'a text is cut off')
      return bytes.toString('utf8', from, cursor.at)
    }
    case 'Bool':
      return bytes[take(1)] === 1
    case 'UInt8':
      return bytes[take(1)]
    case 'UInt32':
      return bytes.readUInt32LE(take(4))
    case 'UInt64':
      return Number(bytes.readBigUInt64LE(take(8)))
    case 'Int64':
    case 'DateTime64':
      return Number(bytes.readBigInt64LE(take(8)))
    case 'Float32':
      return bytes.readFloatLE(take(4))
    case 'Float64':
      return bytes.readDoubleLE(take(8))
    case 'Nullable':
      return bytes[take(1)] === 1 ? null : readValue(inner, bytes, cursor)
    case 'Array':
      return Array.from({ length: readVarint(bytes, cursor) }, () => readValue(inner, bytes, cursor))
    case 'Map': {
      const comma = inner.lastIndexOf(',')
      const [key, value] = [inner.slice(0, comma).trim(), inner.slice(comma + 1).trim()]
      const entries = Array.from({ length: readVarint(bytes, cursor) }, () => [
        readValue(key, bytes, cursor),
        readValue(value, bytes, cursor),
      ])
      return Object.fromEntries(entries) as unknown
    }
    default:
      return assert.fail(`no way to read ${type}`)
  }
}

function readVarint(bytes: Buffer, cursor: Cursor): number {
  let value = 0
  for (let scale = 1; ; scale *= 128) {
    const byte = bytes[cursor.at++]
    assert.ok(byte !== undefined, 'a number is cut off')
    value += (byte & 0x7f) * scale
    if (byte <= 0x7f) return value
  }
}
