import avro from 'avsc'
import { messageOf, WeirError } from './errors.ts'

/** Builds Avro types: unions unwrapped, named types kept in `registry` so that schemas can refer to each other. */
export function avroType(json: string, registry: Record<string, avro.Type> = {}): avro.Type {
  return avro.Type.forSchema(JSON.parse(json) as avro.Schema, { registry, wrapUnions: 'never' })
}

export interface EvolutionProblem {
  readonly field: string
  readonly problem: string
}

/**
 * What turns a writer's bytes into values of the reader. Names of records, enums and fixed types match without their
 * namespaces (Avro 1.11, "Schema Resolution"): other producers keep their classes in packages of their own.
 *
 * @throws Error saying what cannot be read
 */
export function resolverOf(reader: avro.Type, writer: avro.Type): ReturnType<avro.Type['createResolver']> {
  return reader.createResolver(writer, { ignoreNamespaces: true })
}

/**
 * What keeps a reader from reading what a writer wrote, field by field; empty when it can read everything. Resolution
 * follows Avro 1.11 "Schema Resolution"; the verdict is avsc's, this finds the fields to name, as deep as they lie:
 * `transaction.amount`, `pieces[].count`.
 */
export function evolutionProblems(reader: avro.Type, writerJson: string): readonly EvolutionProblem[] {
  let writer: avro.Type
  try {
    writer = avroType(writerJson)
  } catch (error) {
    return [{ field: '', problem: `the writer's schema is not valid Avro: ${clipped(messageOf(error))}` }]
  }
  return typeProblems(reader, writer, '', new Set())
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

function typeProblems(reader: avro.Type, writer: avro.Type, path: string, within: Set<avro.Type>): EvolutionProblem[] {
  let said: string
  try {
    resolverOf(reader, writer)
    return []
  } catch (error) {
    said = clipped(messageOf(error))
  }
  const inner = within.has(reader) ? [] : innerProblems(reader, writer, path, new Set([...within, reader]))
  return inner.length > 0 ? inner : [{ field: path, problem: said }]
}

/** Problems of what two types are made of; empty where there is nothing more to say than avsc did. */
function innerProblems(reader: avro.Type, writer: avro.Type, path: string, within: Set<avro.Type>): EvolutionProblem[] {
  if (isEnum(reader) && isEnum(writer)) {
    const unknown = writer.symbols.filter((symbol) => !reader.symbols.includes(symbol))
    if (unknown.length > 0) return [{ field: path, problem: clipped(`has symbols not known: ${unknown.join(', ')}`) }]
  }
  if (isRecord(reader) && isRecord(writer)) return recordProblems(reader, writer, path, within)
  if (isArray(reader) && isArray(writer)) return typeProblems(reader.itemsType, writer.itemsType, `${path}[]`, within)
  if (isMap(reader) && isMap(writer)) return typeProblems(reader.valuesType, writer.valuesType, `${path}{}`, within)
  return []
}

function recordProblems(
  reader: avro.types.RecordType,
  writer: avro.types.RecordType,
  path: string,
  within: Set<avro.Type>,
): EvolutionProblem[] {
  const written = new Map(writer.fields.map((field) => [field.name, field]))
  return reader.fields.flatMap((field) => {
    const at = path === '' ? field.name : `${path}.${field.name}`
    const found = [field.name, ...field.aliases].map((name) => written.get(name)).find((match) => match !== undefined)
    if (found !== undefined) return typeProblems(field.type, found.type, at, within)
    return field.defaultValue() === undefined ? [{ field: at, problem: 'is not written and has no default' }] : []
  })
}

function isRecord(type: avro.Type): type is avro.types.RecordType {
  return type.typeName === 'record'
}

function isEnum(type: avro.Type): type is avro.types.EnumType {
  return type.typeName === 'enum'
}

function isArray(type: avro.Type): type is avro.types.ArrayType {
  return type.typeName === 'array'
}

function isMap(type: avro.Type): type is avro.types.MapType {
  return type.typeName === 'map'
}

const SAID_CHARACTERS_MAX = 200

/** What avsc says may quote a whole schema. */
function clipped(text: string): string {
  return text.length > SAID_CHARACTERS_MAX ? `${text.slice(0, SAID_CHARACTERS_MAX - 1)}…` : text
}
