import type { Store } from '#infra/clickhouse/store.ts'
import type { Decision } from '#schemas/decision.ts'
import type { Transaction } from '#schemas/transaction.ts'

/** The decision on a transaction that was decided long ago, from the tables; null when it is not there. */
export async function findDecision(store: Store, transactionId: string): Promise<Decision | null> {
  const { rows } = await store.query(
    `SELECT * REPLACE (
       toUnixTimestamp64Milli(event_time) AS event_time, toUnixTimestamp64Milli(scored_at) AS scored_at
     )
     FROM weir.scored_transactions WHERE transaction_id = {id:String} ORDER BY line, index LIMIT 1`,
    { id: transactionId },
  )
  const row = rows[0]
  if (row === undefined) return null
  const { line, index, amount_base, score, threshold, verdict, rule_hits, shadow_hits, list_hits, ...rest } = row
  const { model_version, rules_version, spec_hash, input_hash, degraded, explored, scored_at, ...transaction } = rest
  return {
    transaction: {
      ...transaction,
      event_time: Number(transaction['event_time']),
      amount: Number(transaction['amount']),
    } as unknown as Transaction,
    ...({
      line: Number(line),
      index: Number(index),
      amount_base: Number(amount_base),
      score: asWritten(score),
      threshold: asWritten(threshold),
      verdict,
    } as object),
    ...({ rule_hits, shadow_hits, list_hits, model_version, rules_version, spec_hash, input_hash } as object),
    ...({ degraded, explored: asWritten(explored), scored_at: Number(scored_at) } as object),
  } as Decision
}

/** The tables print the shortest digits that give the same 32-bit number back. */
function asWritten(value: unknown): number | null {
  return value === null || value === undefined ? null : Math.fround(Number(value))
}
