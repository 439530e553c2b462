/** Why a record was refused. A refused record changes no state. */
export const DEAD_LETTER_REASONS = [
  'EMPTY_RECORD',
  'RECORD_TOO_LARGE',
  'NOT_DECODABLE',
  'TRAILING_BYTES',
  'UNKNOWN_SCHEMA_ID',
  'INCOMPATIBLE_SCHEMA',
  'WRONG_TYPE',
  'ID_EMPTY',
  'ID_TOO_LONG',
  'AMOUNT_OUT_OF_RANGE',
  'TIME_OUT_OF_RANGE',
  'UNKNOWN_CURRENCY',
] as const
export type DeadLetterReason = (typeof DEAD_LETTER_REASONS)[number]

export interface DeadLetter {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly reason: DeadLetterReason
  readonly field: string
  readonly detail: string
  readonly masked: Buffer
  readonly size_bytes: number
  readonly refused_at: number
}
