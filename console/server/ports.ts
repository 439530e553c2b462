import type { ScoreAnswer, SubmitAnswer, InputEvent } from '#pipeline/gateway.ts'
import type { RuleFigures } from '#pipeline/decide/rule-tally.ts'
import type { Transaction } from '#schemas/transaction.ts'
import type { LiveFigures } from './live.ts'

export interface HealthPorts {
  readonly version: string
  /** Whether the process does its work, and what keeps it from it. */
  health(): { readonly ok: boolean; readonly problems: readonly string[] }
  metrics(): Promise<string>
}

/** What the running service offers to its API; wired by the command that starts it. */
export interface ServicePorts extends HealthPorts {
  readonly demo: boolean
  /** Milliseconds; what a transaction without an event_time gets. */
  now(): number
  score(transaction: Transaction, timeoutMs: number): Promise<ScoreAnswer>
  submit(events: readonly InputEvent[]): Promise<SubmitAnswer>
  /** @throws WeirError QUERY_INVALID, STORE_UNAVAILABLE */
  query(request: QueryRequest): Promise<QueryAnswer>
  listQueries(): readonly unknown[]
  models(): Promise<readonly unknown[]>
  /** @param reason for the history @throws WeirError MODEL_NOT_FOUND, MODEL_INVALID */
  promote(version: string, reason: string): Promise<void>
  /** Back to the champion before; gives its version. */
  rollback(reason: string): Promise<string>
  /** Rules of the file in force, and what came of each since the start. */
  rules(): { readonly version: string; readonly rules: readonly RuleFigures[] }
  /** @throws WeirError RULES_INVALID and leaves the rules in force as they are */
  reloadRules(): Promise<{ readonly version: string; readonly rules: number }>
  /** Resolves when it is on disk, before the change is made. @throws WeirError STORE_FAILED: then it must not be made */
  audit(entry: { readonly who: string; readonly what: string; readonly detail: string }): Promise<void>
  live(): LiveFigures
}

export type QueryRequest =
  | { readonly name: string; readonly params: Readonly<Record<string, unknown>> }
  | { readonly sql: string }

export interface QueryAnswer {
  readonly columns: readonly { readonly name: string; readonly type: string }[]
  readonly rows: readonly Readonly<Record<string, unknown>>[]
  readonly truncated: boolean
}
