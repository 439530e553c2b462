import { type Alert, type Reason, VERDICTS } from '#schemas/decision.ts'
import type { SliceBuffers } from '../slice.ts'
import type { AlertBook } from './alert-book.ts'
import type { Policy } from './decide.ts'

/** The alert of a flagged row, with its evidence as it is now; model reasons are added by the explain stage. */
export function alertOf(slice: SliceBuffers, row: number, policy: Policy, book: AlertBook, specHash: string): Alert {
  const { text, event_time, amount_base } = slice.events
  const alertId = `${slice.line}-${row}`
  const score = slice.score[row]!
  const threshold = slice.threshold[row]!
  const { openAlertId, incidentId } = book.take({
    alertId,
    cardId: text.card_id.at(row),
    merchantId: text.merchant_id.at(row),
    deviceId: text.device_id.at(row),
    ipPrefix: text.ip_prefix.at(row),
    verdict: VERDICTS[slice.verdict[row]!]!,
    clock: slice.clock,
  })
  const { history, current, length } = frozenInput(slice, row)
  return {
    alert_id: alertId,
    open_alert_id: openAlertId,
    incident_id: incidentId,
    line: slice.line,
    index: row,
    transaction_id: text.transaction_id.at(row),
    event_time: event_time[row]!,
    card_id: text.card_id.at(row),
    account_id: text.account_id.at(row),
    merchant_id: text.merchant_id.at(row),
    device_id: text.device_id.at(row),
    ip_prefix: text.ip_prefix.at(row),
    amount_base: amount_base[row]!,
    score: Number.isNaN(score) ? null : score,
    threshold: Number.isNaN(threshold) ? null : threshold,
    verdict: VERDICTS[slice.verdict[row]!]!,
    expected_loss: Number.isNaN(score) ? amount_base[row]! : score * amount_base[row]!,
    reasons: reasonsOf(slice, row, policy),
    explained: false,
    history,
    history_length: length,
    current,
    model_version: Number.isNaN(score) ? '' : slice.modelVersion,
    rules_version: slice.rulesVersion,
    spec_hash: specHash,
    scored_at: slice.clock,
  }
}

function reasonsOf(slice: SliceBuffers, row: number, policy: Policy): Reason[] {
  const lists = slice.listHits[row]!.map((hit): Reason => {
    const [list, field] = hit.split(':') as [string, string]
    return { source: 'list', code: hit, text: `${field.replace('_', ' ')} is on the ${list} list`, weight: 0 }
  })
  const rules = slice.ruleHits[row]!.map((id): Reason => {
    const rule = policy.rules.rules.find((candidate) => candidate.id === id)!
    return { source: 'rule', code: rule.reason, text: rule.say(slice, row), weight: 0 }
  })
  return [...lists, ...rules]
}

/** Copies of the exact floats that were scored, little-endian. */
function frozenInput(slice: SliceBuffers, row: number): { history: Buffer; current: Buffer; length: number } {
  const { features, capacity } = slice
  const historySize = features.history.length / capacity
  const currentSize = features.current.length / capacity
  return {
    history: bytesOf(features.history, row * historySize, historySize),
    current: bytesOf(features.current, row * currentSize, currentSize),
    length: features.historyLength[row]!,
  }
}

function bytesOf(numbers: Float32Array, from: number, count: number): Buffer {
  return Buffer.from(Buffer.from(numbers.buffer, numbers.byteOffset + from * 4, count * 4))
}
