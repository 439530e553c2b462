import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { COLUMNS, writeAlert, writeControl, writeDecision, writeLabel, writeProgress } from '#pipeline/record/rows.ts'
import { readRows, rowBytes } from '#test/support/clickhouse-rows.ts'
import { alertOf, anyDecision, decisionOf } from '#test/support/decisions.ts'
import { labelOf } from '#test/support/transactions.ts'

/** Whatever could be taken for a separator, a quote or an escape, and text of other scripts. */
const nasty = fc
  .array(fc.oneof(fc.constantFrom('\t', '\n', '\\', '\0', "'", '\\N', ',', ']', '}', 'ü', '€', '🂡'), fc.string()), {
    maxLength: 12,
  })
  .map((parts) => parts.join(''))

test('any decision comes back from its row', () => {
  fc.assert(
    fc.property(anyDecision, (decision) => {
      const bytes = rowBytes((rows) => writeDecision(rows, decision))
      const { transaction, ...decided } = decision
      const { attributes, signals } = transaction
      const expected = { ...transaction, attributes: { ...attributes }, signals: { ...signals }, ...decided }
      assert.deepEqual(readRows(COLUMNS['weir.scored_transactions'], bytes), [expected])
    }),
  )
})

test('any label and any alert comes back from its row', () => {
  fc.assert(
    fc.property(nasty, nasty, fc.array(nasty, { maxLength: 4 }), (id, card, texts) => {
      const label = labelOf({ transaction_id: id, card_id: card })
      const place = { line: 3, topic_partition: 1, topic_offset: 7 }
      const labels = rowBytes((rows) => writeLabel(rows, label, place))
      assert.deepEqual(readRows(COLUMNS['weir.labels'], labels), [{ ...label, ...place }])
      const reasons = texts.map((text, i) => ({ source: 'rule' as const, code: text, text, weight: i }))
      const alert = alertOf({ transaction_id: id, card_id: card, reasons })
      const [row] = readRows(
        COLUMNS['weir.alerts'],
        rowBytes((rows) => writeAlert(rows, alert)),
      )
      const { reasons: _reasons, history, current, ...plain } = alert
      assert.deepEqual(row, {
        ...plain,
        history: history.toString('base64'),
        current: current.toString('base64'),
        reason_sources: texts.map(() => 'rule'),
        reason_codes: texts,
        reason_texts: texts,
        reason_weights: texts.map((_, i) => i),
      })
    }),
  )
})

test('a control line keeps its value by the letter', () => {
  fc.assert(
    fc.property(nasty, (inside) => {
      const value = JSON.stringify({ inside })
      const control = { type: 'rules' as const, value, sha256: 'ab' }
      const line = { line: 5, term: 2, clock: 1_001, pieces: [], control, alerts: 0 }
      const bytes = rowBytes((rows) => writeControl(rows, line))
      assert.deepEqual(readRows(COLUMNS['weir.control_lines'], bytes), [
        { line: 5, term: 2, clock: 1_001, type: 'rules', value, sha256: 'ab' },
      ])
    }),
  )
})

test('progress that does not say an offset says -1', () => {
  const progress = {
    line: 7,
    rows: 3,
    journal_offset: 8,
    decisions_offset: -1,
    alerts_offset: -1,
    rows_max: 5_000,
    clock_ms: 1_000,
  }
  const bytes = rowBytes((rows) => writeProgress(rows, progress))
  assert.deepEqual(readRows(COLUMNS['weir.recorder_progress'], bytes), [progress])
})

test('what is not known is null, not empty and not zero', () => {
  const decision = decisionOf({ score: null, threshold: null, explored: 0 })
  const [row] = readRows(
    COLUMNS['weir.scored_transactions'],
    rowBytes((rows) => writeDecision(rows, decision)),
  )
  assert.deepEqual([row!['score'], row!['threshold'], row!['latitude'], row!['explored']], [null, null, null, 0])
})
