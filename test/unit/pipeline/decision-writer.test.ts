import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { DecisionWriter, inputHash } from '#pipeline/decision-writer.ts'
import { SliceBuffers } from '#pipeline/slice.ts'
import { type Decision, VERDICTS } from '#schemas/decision.ts'
import { FRAME_BYTES } from '#schemas/wire-type.ts'
import { TINY_LAYOUT } from '#test/support/layouts.ts'
import { anyTransaction, testCodec } from '#test/support/transactions.ts'

const codec = testCodec()
const ROWS_MAX = 5

const optionalFloat = fc.option(fc.float({ noNaN: true, noDefaultInfinity: true }))
const anyHits = fc.array(fc.string({ unit: 'binary', maxLength: 40 }), { maxLength: 4 })
const anyRow = fc.record({
  transaction: anyTransaction,
  amount_base: fc.integer({ min: 0, max: 1e13 }),
  score: optionalFloat,
  threshold: optionalFloat,
  verdict: fc.constantFrom(...VERDICTS),
  rule_hits: anyHits,
  shadow_hits: anyHits,
  list_hits: anyHits,
  explored: optionalFloat,
  hi: fc.nat(0xffff_ffff),
  lo: fc.nat(0xffff_ffff),
})
const anySlice = fc.record({
  line: fc.integer({ min: 0, max: 2 ** 52 }),
  clock: fc.integer({ min: 0, max: 4e12 }),
  modelVersion: fc.string({ maxLength: 20 }),
  rulesVersion: fc.string({ maxLength: 20 }),
  degraded: fc.constantFrom('', 'no_model', 'overload'),
  rows: fc.array(anyRow, { minLength: 1, maxLength: ROWS_MAX }),
})

test('decisions are written as their schema says, also behind a transaction that begins within its bytes', () => {
  const writer = new DecisionWriter(codec.decision.id, 'spec-hash')
  const slice = new SliceBuffers(ROWS_MAX, TINY_LAYOUT)
  fc.assert(
    fc.property(anySlice, ({ rows, ...rest }) => {
      Object.assign(slice, rest)
      for (const [row, r] of rows.entries()) {
        const framed = codec.transaction.encode(r.transaction)
        slice.body[row] = row % 2 === 0 ? framed : framed.subarray(FRAME_BYTES)
        slice.bodyAt[row] = row % 2 === 0 ? FRAME_BYTES : 0
        slice.events.amount_base[row] = r.amount_base
        slice.score[row] = r.score ?? Number.NaN
        slice.threshold[row] = r.threshold ?? Number.NaN
        slice.explored[row] = r.explored ?? Number.NaN
        slice.verdict[row] = VERDICTS.indexOf(r.verdict)
        slice.ruleHits[row] = r.rule_hits
        slice.shadowHits[row] = r.shadow_hits
        slice.listHits[row] = r.list_hits
        slice.features.inputHashHi[row] = r.hi
        slice.features.inputHashLo[row] = r.lo
      }
      writer.begin(slice)
      const written = rows.map((_, row) => writer.write(slice, row))
      for (const [row, { transaction, hi, lo, ...r }] of rows.entries()) {
        const digits = hi.toString(16).padStart(8, '0') + lo.toString(16).padStart(8, '0')
        assert.equal(inputHash(slice, row), digits)
        const expected: Decision = {
          transaction,
          ...r,
          line: rest.line,
          index: row,
          model_version: r.score === null ? '' : rest.modelVersion,
          rules_version: rest.rulesVersion,
          spec_hash: 'spec-hash',
          input_hash: r.score === null ? '' : digits,
          degraded: r.verdict === 'none' ? '' : rest.degraded,
          scored_at: rest.clock,
        }
        assert.deepEqual(written[row], codec.decision.encode(expected))
      }
    }),
    { numRuns: 300 },
  )
})

test('a decision that does not fit behind the others begins a new run of memory, and those before stay as they are', () => {
  const writer = new DecisionWriter(codec.decision.id, '')
  const slice = new SliceBuffers(1, TINY_LAYOUT)
  slice.score[0] = slice.threshold[0] = slice.explored[0] = Number.NaN
  writer.begin(slice)
  const written = ['a', 'b', 'c'].map((letter) => {
    slice.body[0] = Buffer.alloc(50_000, letter)
    return writer.write(slice, 0)
  })
  for (const [i, letter] of ['a', 'b', 'c'].entries()) {
    const body = written[i]!.subarray(FRAME_BYTES, FRAME_BYTES + 50_000)
    assert.ok(body.equals(Buffer.alloc(50_000, letter)))
  }
})
