import type { KafkaConfig } from '#infra/kafka/client.ts'

/** What the process that makes the load is told when it starts. */
export interface LoadOrder {
  readonly kafka: KafkaConfig
  readonly topic: string
  readonly partitions: number
  readonly accounts: number
  readonly merchants: number
  /** Different events that are sent over and over, each time under a new id and time. */
  readonly pool: number
  /** Four letters or digits that ids begin with. */
  readonly prefix: string
  /** Events that happen together leave together: what a producer lingers, milliseconds. */
  readonly lingerMs: number
  /** Time of the first event, epoch milliseconds: the others follow as in the simulated world. Null: each happens when it is made. */
  readonly startMs: number | null
}

/** What an ordinary account does in a day, as in the simulator's default world. */
export const EVENTS_PER_ACCOUNT_DAY = 0.8

export type LoadCommand = { readonly rate: number; readonly upTo: number } | { readonly stop: true }

/** Told several times a second, and once more at the end. */
export interface LoadReport {
  /** Made so far, and confirmed by the brokers: always the first so many. */
  readonly made: number
  readonly acked: number
  readonly isOver: boolean
}

export const ID_DIGITS = 8
export const ID_BASE = 36

/** The id of event number n. */
export function loadId(prefix: string, n: number): string {
  return prefix + n.toString(ID_BASE).padStart(ID_DIGITS, '0')
}
