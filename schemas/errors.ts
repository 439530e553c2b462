/**
 * Every error Weir can end with. `exitCode` 2: what the user gave is wrong and nothing was changed; 1: the world is
 * broken (disk, broker, database), the work can be tried again; 70: a promise of Weir's own was broken, please report it.
 * Messages never hold a card number, a secret or a record's payload.
 */
export const ERRORS = {
  // what the user gave
  CONFIG_INVALID: { exitCode: 2, retryable: false },
  USAGE: { exitCode: 2, retryable: false },
  INPUT_INVALID: { exitCode: 2, retryable: false },
  INPUT_NOT_FOUND: { exitCode: 2, retryable: false },
  RULES_INVALID: { exitCode: 2, retryable: false },
  LISTS_INVALID: { exitCode: 2, retryable: false },
  SPEC_INVALID: { exitCode: 2, retryable: false },
  MODEL_INVALID: { exitCode: 2, retryable: false },
  MODEL_NOT_FOUND: { exitCode: 2, retryable: false },
  SCHEMA_INCOMPATIBLE: { exitCode: 2, retryable: false },
  QUERY_INVALID: { exitCode: 2, retryable: false },
  FORBIDDEN: { exitCode: 2, retryable: false },
  DATA_IN_USE: { exitCode: 2, retryable: false },
  NOT_AVAILABLE: { exitCode: 2, retryable: false },
  REGISTRY_REFUSED: { exitCode: 2, retryable: false },
  // the world
  LOG_DAMAGED: { exitCode: 1, retryable: false },
  LOG_DISK_FULL: { exitCode: 1, retryable: true },
  LOG_FSYNC_FAILED: { exitCode: 1, retryable: false },
  LOG_CLOSED: { exitCode: 1, retryable: false },
  LOG_POSITION_GONE: { exitCode: 1, retryable: false },
  LOG_TOPIC_MISSING: { exitCode: 1, retryable: false },
  LOG_UNREADABLE: { exitCode: 1, retryable: false },
  LOG_REFUSED: { exitCode: 1, retryable: false },
  LOG_FENCED: { exitCode: 1, retryable: false },
  STORE_FAILED: { exitCode: 1, retryable: true },
  STORE_UNAVAILABLE: { exitCode: 1, retryable: true },
  STORE_FULL: { exitCode: 1, retryable: true },
  STORE_REFUSED: { exitCode: 1, retryable: false },
  STORE_MISMATCH: { exitCode: 1, retryable: false },
  SERVICE_UNREACHABLE: { exitCode: 1, retryable: true },
  REGISTRY_UNAVAILABLE: { exitCode: 1, retryable: true },
  CHECKPOINT_DAMAGED: { exitCode: 1, retryable: false },
  SCORER_FAILED: { exitCode: 1, retryable: true },
  TRAINING_FAILED: { exitCode: 1, retryable: false },
  DEAD_LETTER_LIMIT: { exitCode: 1, retryable: false },
  STANDING_BY: { exitCode: 1, retryable: true },
  TIMEOUT: { exitCode: 1, retryable: true },
  // Weir itself
  REPLAY_MISMATCH: { exitCode: 70, retryable: false },
  INVARIANT: { exitCode: 70, retryable: false },
} as const satisfies Record<string, { readonly exitCode: 1 | 2 | 70; readonly retryable: boolean }>

export type ErrorCode = keyof typeof ERRORS

export interface ErrorDetails {
  /** Where: file, topic and partition and offset, table, config key, field path. */
  readonly where?: string
  /** What the reader can do about it, one sentence. */
  readonly fix?: string
  readonly cause?: unknown
}

/** An error with a code. Callers branch on `code`, never on the text. */
export class WeirError extends Error {
  readonly code: ErrorCode
  readonly where: string
  readonly fix: string

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.name = 'WeirError'
    this.code = code
    this.where = details.where ?? ''
    this.fix = details.fix ?? ''
  }

  get exitCode(): 1 | 2 | 70 {
    return ERRORS[this.code].exitCode
  }

  get retryable(): boolean {
    return ERRORS[this.code].retryable
  }
}

/** The text of anything thrown, for an error message that names its cause. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
