import assert from 'node:assert/strict'
import { test } from 'node:test'
import { plainStoreError, storeError } from '#infra/clickhouse/store-errors.ts'
import type { ErrorCode } from '#schemas/errors.ts'

const errors: readonly (readonly [name: string, own: ErrorCode, analyst: ErrorCode])[] = [
  ['AUTHENTICATION_FAILED', 'STORE_REFUSED', 'STORE_REFUSED'],
  ['UNKNOWN_USER', 'STORE_REFUSED', 'STORE_REFUSED'],
  ['ACCESS_DENIED', 'STORE_REFUSED', 'QUERY_INVALID'],
  ['READONLY', 'STORE_REFUSED', 'QUERY_INVALID'],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', 'STORE_REFUSED', 'STORE_REFUSED'],
  ['UNKNOWN_TABLE', 'STORE_MISMATCH', 'QUERY_INVALID'],
  ['INCORRECT_DATA', 'STORE_MISMATCH', 'QUERY_INVALID'],
  ['NOT_ENOUGH_SPACE', 'STORE_FULL', 'STORE_FULL'],
  ['ENOSPC', 'STORE_FULL', 'STORE_FULL'],
  ['ECONNREFUSED', 'STORE_UNAVAILABLE', 'STORE_UNAVAILABLE'],
  ['TIMEOUT', 'STORE_UNAVAILABLE', 'STORE_UNAVAILABLE'],
  ['HTTP_503', 'STORE_UNAVAILABLE', 'STORE_UNAVAILABLE'],
  ['MEMORY_LIMIT_EXCEEDED', 'STORE_FAILED', 'STORE_FAILED'],
  ['TOO_MANY_SIMULTANEOUS_QUERIES', 'STORE_FAILED', 'STORE_FAILED'],
  ['UNKNOWN_IDENTIFIER', 'STORE_FAILED', 'QUERY_INVALID'],
  ['SYNTAX_ERROR', 'STORE_FAILED', 'QUERY_INVALID'],
]
for (const [name, own, analyst] of errors) {
  test(`${name} is ${own}, and ${analyst} where a person asked`, () => {
    const error = { code: name, message: 'something' }
    assert.equal(storeError(error, false).code, own)
    assert.equal(storeError(error, true).code, analyst)
  })
}

test('what another try cannot mend is not tried again and says what to do', () => {
  for (const [name, own] of errors) {
    const error = storeError({ code: name, message: 'x' }, false)
    const isForGood = own === 'STORE_REFUSED' || own === 'STORE_MISMATCH'
    assert.equal(error.retryable, !isForGood)
    if (isForGood) assert.ok(error.fix.length > 0)
  }
})

test('a disk that fills up in the middle of a write is told by the system’s text', () => {
  const error = { code: 'CANNOT_WRITE_TO_FILE_DESCRIPTOR', message: 'errno: 28, strerror: No space left on device' }
  assert.equal(storeError(error, false).code, 'STORE_FULL')
  assert.equal(storeError({ ...error, message: 'errno: 5, strerror: Input/output error' }, false).code, 'STORE_FAILED')
})

test('of an engine’s error only its first sentence is kept, without card numbers and long texts', () => {
  const { code, message } = plainStoreError({
    type: 'INCORRECT_DATA',
    message: `Cannot read 4111111111111111 and '${'x'.repeat(80)}'\nrow: secret`,
  })
  assert.equal(code, 'INCORRECT_DATA')
  assert.doesNotMatch(message, /4111111111111111|xxx|secret/)
})
