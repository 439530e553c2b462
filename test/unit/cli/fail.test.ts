import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import { fail, failureOf } from '#cli/fail.ts'
import { ERRORS, type ErrorCode, WeirError } from '#schemas/errors.ts'
import { fakeIo } from '#test/support/fake-io.ts'

const CARD = '4111111111111111'

test('an error says what, where and what to do, and its code gives the exit code', () => {
  const io = fakeIo()
  const error = new WeirError('RULES_INVALID', 'unknown field amunt', {
    where: 'rules.yaml:4',
    fix: 'Did you mean amount?',
  })
  assert.equal(fail(error, io, false), 2)
  assert.equal(io.stdout(), '')
  assert.equal(
    io.stderr(),
    'weir: unknown field amunt\n  at  rules.yaml:4\n  fix Did you mean amount?\n  (RULES_INVALID)\n',
  )
})

test('an error of the world names its section of the runbook', () => {
  const io = fakeIo()
  assert.equal(fail(new WeirError('LOG_DAMAGED', 'damaged'), io, false), 1)
  assert.equal(io.stderr(), 'weir: damaged\n  (LOG_DAMAGED, see RUNBOOK.md#log_damaged)\n')
})

test('with --json the error is the one document on stdout', () => {
  const io = fakeIo()
  assert.equal(fail(new WeirError('STORE_FAILED', 'no'), io, true), 1)
  assert.deepEqual(JSON.parse(io.stdout()), { error: { code: 'STORE_FAILED', message: 'no', where: '', fix: '' } })
  assert.equal(io.stderr(), '')
})

test('what was not foreseen ends with 70, says where in the code, and tells nothing of what was worked on', () => {
  const io = fakeIo()
  assert.equal(fail(new TypeError(`cannot read ${CARD} of secret row`), io, false), 70)
  assert.match(io.stderr(), /TypeError/)
  assert.match(io.stderr(), /fail\.test\.ts/)
  assert.doesNotMatch(io.stderr(), /secret row|4111/)
  assert.equal(fail('thrown text', fakeIo(), false), 70)
  assert.equal(fail(undefined, fakeIo(), false), 70)
})

test('what the system refuses is no defect of ours', () => {
  const failure = failureOf(thrownBy(() => readFileSync('/no/such/file')))
  assert.equal(failure.exitCode, 1)
  assert.equal(failure.message, 'the system refused to open: no such file or folder')
  assert.equal(failure.where, '/no/such/file')
})

test('no card number gets out, in whatever part of whatever error it stands', () => {
  const codes = Object.keys(ERRORS) as ErrorCode[]
  fc.assert(
    fc.property(
      fc.constantFrom(...codes),
      fc.constantFrom(CARD, '5500 0000 0000 0004', '3714-496353-98431'),
      (code, card) => {
        for (const isJson of [true, false]) {
          const io = fakeIo()
          const text = `before ${card} after`
          fail(new WeirError(code, text, { where: text, fix: text, cause: new Error(text) }), io, isJson)
          assert.ok(!(io.stdout() + io.stderr()).includes(card))
          assert.ok((io.stdout() + io.stderr()).includes('before ****'))
        }
      },
    ),
  )
})

function thrownBy(work: () => unknown): unknown {
  try {
    work()
  } catch (error) {
    return error
  }
  return assert.fail('nothing was thrown')
}
