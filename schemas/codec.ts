import type avro from 'avsc'
import type { DeadLetter } from './dead-letter.ts'
import type { Alert, Decision } from './decision.ts'
import { avroType } from './evolution.ts'
import type { JournalLine } from './journal.ts'
import type { Label } from './label.ts'
import type { SchemaSource, WireTypeName } from './schema-source.ts'
import type { Transaction } from './transaction.ts'
import { WireType } from './wire-type.ts'

/** Everything that crosses the log, in both directions. */
export interface Codec {
  readonly transaction: WireType<Transaction>
  readonly label: WireType<Label>
  readonly decision: WireType<Decision>
  readonly alert: WireType<Alert>
  readonly deadLetter: WireType<DeadLetter>
  readonly journalLine: WireType<JournalLine>
}

export function createCodec(source: SchemaSource): Codec {
  const registry: Record<string, avro.Type> = {}
  function wire<T>(name: WireTypeName): WireType<T> {
    const { id, json } = source.own(name)
    return new WireType<T>(name, id, avroType(json, registry), source)
  }
  const transaction = wire<Transaction>('transaction')
  const label = wire<Label>('label')
  const decision = wire<Decision>('decision')
  return {
    transaction,
    label,
    decision,
    alert: wire<Alert>('alert'),
    deadLetter: wire<DeadLetter>('dead-letter'),
    journalLine: wire<JournalLine>('journal-line'),
  }
}
