import type avro from 'avsc'
import type { DeadLetter } from './dead-letter.ts'
import type { Alert, Decision } from './decision.ts'
import { avroType } from './evolution.ts'
import type { JournalLine } from './journal.ts'
import type { Label } from './label.ts'
import type { SchemaSource, WireTypeName } from './schema-source.ts'
import type { Transaction } from './transaction.ts'
import { WireType } from './wire-type.ts'

/** What follows the transaction in a decision record: a record that begins with a record is its bytes, then the rest. */
export type DecisionTail = Omit<Decision, 'transaction'>

/** Everything that crosses the log, in both directions. */
export interface Codec {
  readonly transaction: WireType<Transaction>
  readonly label: WireType<Label>
  readonly decision: WireType<Decision>
  readonly decisionTail: avro.Type
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
    decisionTail: tailType(source.own('decision').json, registry),
    alert: wire<Alert>('alert'),
    deadLetter: wire<DeadLetter>('dead-letter'),
    journalLine: wire<JournalLine>('journal-line'),
  }
}

/** The decision's schema without its first field; the Verdict enum is already known by name. */
function tailType(decisionJson: string, registry: Record<string, avro.Type>): avro.Type {
  const schema = JSON.parse(decisionJson) as { name: string; fields: { name: string; type: unknown }[] }
  const fields = schema.fields
    .slice(1)
    .map((field) => (field.name === 'verdict' ? { ...field, type: 'weir.Verdict' } : field))
  return avroType(JSON.stringify({ ...schema, name: 'DecisionTail', fields }), registry)
}
