import { inputHash } from '#pipeline/decision-writer.ts'
import type { SliceBuffers } from '#pipeline/slice.ts'
import { VERDICTS } from '#schemas/decision.ts'

/** The decision on a row, as JSON lines show it. */
export function decisionJson(slice: SliceBuffers, row: number): Record<string, unknown> {
  const score = slice.score[row]!
  const threshold = slice.threshold[row]!
  const isScored = !Number.isNaN(score)
  const alert = slice.alerts.find(({ index }) => index === row)
  return {
    transaction_id: slice.events.text.transaction_id.at(row),
    verdict: VERDICTS[slice.verdict[row]!],
    score: isScored ? score : null,
    threshold: Number.isNaN(threshold) ? null : threshold,
    rule_hits: slice.ruleHits[row],
    shadow_hits: slice.shadowHits[row],
    list_hits: slice.listHits[row],
    model_version: isScored ? slice.modelVersion : '',
    input_hash: isScored ? inputHash(slice, row) : '',
    ...(alert === undefined ? {} : { reasons: alert.reasons.map(({ source, text }) => ({ source, text })) }),
  }
}
