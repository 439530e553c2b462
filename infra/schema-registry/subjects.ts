import type { Config } from '#schemas/config.ts'
import { WIRE_TYPES, type SchemaSource, type WireTypeName } from '#schemas/schema-source.ts'
import { selfContained } from '#schemas/self-contained.ts'

/** One of Weir's own schemas, as a registry gets it. */
export interface OwnSubject {
  readonly name: WireTypeName
  readonly topic: string
  /** `<topic>-value`, the naming every client of the Confluent API uses unless told otherwise. */
  readonly subject: string
  /** Complete in itself. */
  readonly json: string
}

/** Weir's own schemas with the subjects of their topics, those first that others refer to. */
export function ownSubjects(topics: Config['topics'], shipped: SchemaSource): OwnSubject[] {
  const names = Object.keys(WIRE_TYPES) as WireTypeName[]
  const definitions = names.map((name) => shipped.own(name).json)
  return names.map((name) => {
    const topic = topics[TOPIC_OF[name]]
    return { name, topic, subject: `${topic}-value`, json: selfContained(shipped.own(name).json, definitions) }
  })
}

const TOPIC_OF = {
  transaction: 'transactions',
  label: 'labels',
  decision: 'decisions',
  alert: 'alerts',
  'dead-letter': 'deadLetters',
  'journal-line': 'journal',
} as const satisfies Record<WireTypeName, keyof Config['topics']>
