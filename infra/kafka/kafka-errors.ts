import { WeirError } from '#schemas/errors.ts'

/** What Weir knows of the protocol's error codes; the others are told by number. */
const NAMES: Readonly<Record<number, string>> = {
  [-1]: 'UNKNOWN_SERVER_ERROR',
  1: 'OFFSET_OUT_OF_RANGE',
  2: 'CORRUPT_MESSAGE',
  3: 'UNKNOWN_TOPIC_OR_PARTITION',
  5: 'LEADER_NOT_AVAILABLE',
  6: 'NOT_LEADER_OR_FOLLOWER',
  7: 'REQUEST_TIMED_OUT',
  9: 'REPLICA_NOT_AVAILABLE',
  10: 'MESSAGE_TOO_LARGE',
  14: 'COORDINATOR_LOAD_IN_PROGRESS',
  15: 'COORDINATOR_NOT_AVAILABLE',
  16: 'NOT_COORDINATOR',
  17: 'INVALID_TOPIC',
  18: 'RECORD_LIST_TOO_LARGE',
  19: 'NOT_ENOUGH_REPLICAS',
  20: 'NOT_ENOUGH_REPLICAS_AFTER_APPEND',
  29: 'TOPIC_AUTHORIZATION_FAILED',
  30: 'GROUP_AUTHORIZATION_FAILED',
  31: 'CLUSTER_AUTHORIZATION_FAILED',
  34: 'ILLEGAL_SASL_STATE',
  35: 'UNSUPPORTED_VERSION',
  43: 'UNSUPPORTED_FOR_MESSAGE_FORMAT',
  44: 'POLICY_VIOLATION',
  45: 'OUT_OF_ORDER_SEQUENCE_NUMBER',
  46: 'DUPLICATE_SEQUENCE_NUMBER',
  47: 'INVALID_PRODUCER_EPOCH',
  48: 'INVALID_TXN_STATE',
  49: 'INVALID_PRODUCER_ID_MAPPING',
  50: 'INVALID_TRANSACTION_TIMEOUT',
  51: 'CONCURRENT_TRANSACTIONS',
  53: 'TRANSACTIONAL_ID_AUTHORIZATION_FAILED',
  56: 'KAFKA_STORAGE_ERROR',
  59: 'UNKNOWN_PRODUCER_ID',
  74: 'FENCED_LEADER_EPOCH',
  75: 'UNKNOWN_LEADER_EPOCH',
  76: 'UNSUPPORTED_COMPRESSION_TYPE',
  78: 'OFFSET_NOT_AVAILABLE',
  87: 'INVALID_RECORD',
  90: 'PRODUCER_FENCED',
  100: 'UNKNOWN_TOPIC_ID',
}

export const CODE = {
  none: 0,
  offsetOutOfRange: 1,
  unknownTopicOrPartition: 3,
  coordinatorLoading: 14,
  coordinatorNotAvailable: 15,
  notCoordinator: 16,
  illegalSaslState: 34,
  concurrentTransactions: 51,
} as const

/** Nothing of these goes away by trying again; everything else is a fault of the moment. */
const LASTING: ReadonlySet<number> = new Set([10, 17, 18, 29, 30, 31, 35, 43, 44, 50, 53, 76, 87])
const REFUSALS: ReadonlySet<number> = new Set([29, 30, 31, 53])

/** A broker's answer of "no" to one request or one partition of it. */
export class KafkaError extends Error {
  readonly code: number

  constructor(code: number, doing: string) {
    super(`${nameOfCode(code)} while ${doing}`)
    this.name = 'KafkaError'
    this.code = code
  }
}

export function nameOfCode(code: number): string {
  return NAMES[code] ?? `error ${code}`
}

/** The protocol's code in an error of ours or of kafkajs; undefined for a lost connection and the like. */
export function codeOf(error: unknown): number | undefined {
  if (error instanceof KafkaError) return error.code
  const { name, code, cause } = error as { readonly name?: string; readonly code?: unknown; readonly cause?: unknown }
  if (name === 'KafkaJSProtocolError' && typeof code === 'number') return code
  return cause === undefined || cause === error ? undefined : codeOf(cause)
}

/** The error to give up with, or null where the same may work in a moment. */
export function lastingError(error: unknown, where: string): WeirError | null {
  if (error instanceof WeirError) return error
  const code = codeOf(error)
  if (code === undefined || !LASTING.has(code)) return null
  if (REFUSALS.has(code)) {
    return new WeirError('FORBIDDEN', `the Kafka cluster refuses: ${nameOfCode(code)}`, {
      where,
      fix: 'Give the user of Weir the rights that `weir topics` lists.',
    })
  }
  const isTooLarge = code === 10 || code === 18
  return new WeirError('LOG_REFUSED', `the Kafka cluster does not take what Weir writes: ${nameOfCode(code)}`, {
    where,
    fix: isTooLarge
      ? 'Raise max.message.bytes of the topic to 2 MiB or more.'
      : 'Compare the topic with what `weir topics create --dry-run` prints.',
  })
}

export function positionGone(topic: string, partition: number, offset: number, start: number): WeirError {
  return new WeirError('LOG_POSITION_GONE', `offset ${offset} is gone: the log now begins at ${start}`, {
    where: `${topic}/${partition}`,
    fix: "Raise the topic's retention (retention.ms, retention.bytes) above the age of the oldest checkpoint, or rebuild from what is left with a new data folder.",
  })
}

export function topicMissing(topic: string, partition?: number): WeirError {
  const what = partition === undefined ? 'the topic' : `partition ${partition} of the topic`
  return new WeirError('LOG_TOPIC_MISSING', `${what} is not on the Kafka cluster`, {
    where: partition === undefined ? topic : `${topic}/${partition}`,
    fix: 'Make it with `weir topics create`. If it was deleted while Weir ran, what was in it is gone: restore it, or start with a new journal and data folder.',
  })
}

/** One line for a log: what went wrong without what was sent. */
export function reasonOf(error: unknown): string {
  const code = codeOf(error)
  if (code !== undefined && !(error instanceof KafkaError)) return nameOfCode(code)
  return error instanceof Error ? error.message.slice(0, 200) : String(error).slice(0, 200)
}

/**
 * Why brokers that were reached will not talk to this process, or null when they just do not answer: a wrong password and
 * a certificate that is not trusted do not get better by waiting.
 */
export function refusedConnection(error: unknown, brokers: string): WeirError | null {
  for (let at: unknown = error; at instanceof Error; at = at.cause === at ? undefined : at.cause) {
    const { code } = at as { readonly code?: string | number }
    if (at.name === 'KafkaJSSASLAuthenticationError' || codeOf(at) === CODE.illegalSaslState) {
      return new WeirError('FORBIDDEN', `the Kafka cluster refuses to log in: ${reasonOf(at)}`, {
        where: brokers,
        fix: 'Check kafka.sasl: mechanism, user, password or token.',
      })
    }
    if (typeof code === 'string' && /CERT|_TLS_|SSL|SIGNATURE/.test(code)) {
      return new WeirError('CONFIG_INVALID', `TLS with the Kafka cluster fails: ${code}`, {
        where: brokers,
        fix: 'Check kafka.tls: the authority that signed the brokers, the name in their certificate, whether the port speaks TLS.',
      })
    }
  }
  return null
}
