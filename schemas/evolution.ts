import avro from 'avsc'
import { messageOf, WeirError } from './errors.ts'

interface AvroField {
  readonly name: string
  readonly type: unknown
  readonly default?: unknown
  readonly aliases?: readonly string[]
}

/** Builds Avro types: unions unwrapped, named types kept in `registry` so that schemas can refer to each other. */
export function avroType(json: string, registry: Record<string, avro.Type> = {}): avro.Type {
  return avro.Type.forSchema(JSON.parse(json) as avro.Schema, { registry, wrapUnions: 'never' })
}

export interface EvolutionProblem {
  readonly field: string
  readonly problem: string
}

/**
 * What keeps a reader from reading what a writer wrote, field by field; empty when it can read everything. Resolution
 * follows Avro 1.11 "Schema Resolution"; the verdict is avsc's, this finds the field to name.
 */
export function evolutionProblems(reader: avro.Type, writerJson: string): readonly EvolutionProblem[] {
  let writer: avro.Type
  try {
    writer = avroType(writerJson)
  } catch (error) {
    return [{ field: '', problem: `the writer's schema is not valid Avro: ${messageOf(error)}` }]
  }
  try {
    reader.createResolver(writer)
    return []
  } catch (error) {
    const problems = fieldProblems(reader, writerJson)
    return problems.length > 0 ? problems : [{ field: '', problem: messageOf(error) }]
  }
}

/**
 * @throws WeirError SCHEMA_INCOMPATIBLE naming the schema and every field that cannot be read
 */
export function checkEvolution(name: string, reader: avro.Type, writerJson: string): void {
  const problems = evolutionProblems(reader, writerJson)
  if (problems.length === 0) return
  const said = problems.map(({ field, problem }) => (field === '' ? problem : `field ${field}: ${problem}`)).join('; ')
  throw new WeirError('SCHEMA_INCOMPATIBLE', `${name} cannot be read by this version of Weir: ${said}`, {
    where: name,
    fix: 'Give the field a default, keep its type, or add an alias for its old name.',
  })
}

function fieldProblems(reader: avro.Type, writerJson: string): EvolutionProblem[] {
  const readerFields = fieldsOf(JSON.stringify(reader.schema({ exportAttrs: true })))
  const writerFields = new Map(fieldsOf(writerJson).map((field) => [field.name, field]))
  const problems: EvolutionProblem[] = []
  for (const field of readerFields) {
    const written = [field.name, ...(field.aliases ?? [])].map((name) => writerFields.get(name)).find((f) => f)
    if (written === undefined) {
      if (field.default === undefined)
        problems.push({ field: field.name, problem: 'is not written and has no default' })
      continue
    }
    try {
      avroType(JSON.stringify(field.type)).createResolver(avroType(JSON.stringify(written.type)))
    } catch (error) {
      problems.push({ field: field.name, problem: messageOf(error) })
    }
  }
  return problems
}

function fieldsOf(json: string): readonly AvroField[] {
  const schema = JSON.parse(json) as { readonly fields?: readonly AvroField[] }
  return schema.fields ?? []
}
