import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { isDeclined } from '#schemas/transaction.ts'

const SCHEMAS = new URL('../../../schemas/', import.meta.url)
const text = (file: string): string => readFileSync(new URL(file, SCHEMAS), 'utf8')
const codesIn = (part: string): string[] => [...part.matchAll(/\b\d\d\b/g)].map(([code]) => code).sort()

test('schema, code, tables and manual agree on which response codes are approvals', () => {
  const every = Array.from({ length: 100 }, (_, n) => String(n).padStart(2, '0'))
  const approvals = every.filter((code) => !isDeclined(code))
  assert.deepEqual(approvals, ['00', '10', '85'])
  assert.equal(isDeclined(''), false)
  assert.equal(isDeclined('N7'), true)

  const { fields } = JSON.parse(text('kafka/transaction.avsc')) as { fields: { name: string; doc?: string }[] }
  const { doc } = fields.find(({ name }) => name === 'response_code')!
  assert.deepEqual(codesIn(doc!.replace('field 39', '')), approvals)

  const sql = /response_code NOT IN \(([^)]*)\)/.exec(text('clickhouse/0004_declined_by_issuer.sql'))![1]!
  assert.deepEqual(codesIn(sql), approvals)

  const row = /^\| 39 response code.*$/m.exec(text('README.md'))![0]
  assert.deepEqual(codesIn(row.replace('| 39', '')), approvals)
})
