/**
 * A schema with every type it names but does not define put in where it is first named, from `definitions`: what a
 * registry, or a program in another language, can read alone. Names that nobody defines stay as they are, and so do all
 * other properties (docs, defaults, logical types).
 *
 * @param json a schema
 * @param definitions schemas in which the missing types are defined, at any depth
 * @throws SyntaxError when one of them is not JSON, RangeError when one is nested too deeply to be walked through
 */
export function selfContained(json: string, definitions: readonly string[]): string {
  const found = new Map<string, Definition>()
  for (const text of definitions) collect(JSON.parse(text), '', found)
  return JSON.stringify(expand(JSON.parse(json), '', { found, written: new Set() }))
}

type Properties = Readonly<Record<string, unknown>>

interface Definition {
  readonly part: Properties
  /** Of the names within it that carry none. */
  readonly namespace: string
}

interface Expansion {
  readonly found: ReadonlyMap<string, Definition>
  /** Full names that stand in the result already: Avro defines a name once. */
  readonly written: Set<string>
}

const PRIMITIVES = ['null', 'boolean', 'int', 'long', 'float', 'double', 'bytes', 'string']
const NAMED = ['record', 'error', 'enum', 'fixed']

/** Every named type defined in a part, by full name; of two with one name the first counts. */
function collect(part: unknown, namespace: string, found: Map<string, Definition>): void {
  if (Array.isArray(part)) {
    for (const branch of part) collect(branch, namespace, found)
    return
  }
  if (!isObject(part)) return
  let inner = namespace
  if (isNamed(part)) {
    const fullName = fullNameOf(part, namespace)
    inner = namespaceOf(fullName)
    if (!found.has(fullName)) found.set(fullName, { part, namespace: inner })
  }
  for (const within of innerParts(part)) collect(within, inner, found)
}

function innerParts(part: Properties): unknown[] {
  const fields: unknown[] = Array.isArray(part['fields']) ? part['fields'] : []
  return [part['items'], part['values'], part['type'], ...fields.map((field) => isObject(field) && field['type'])]
}

function expand(part: unknown, namespace: string, into: Expansion): unknown {
  if (typeof part === 'string') return expandName(part, namespace, into)
  if (Array.isArray(part)) return part.map((branch) => expand(branch, namespace, into))
  if (!isObject(part)) return part
  let inner = namespace
  if (isNamed(part)) {
    const fullName = fullNameOf(part, namespace)
    // Brought in twice, by its name and within another.
    if (into.written.has(fullName)) return fullName
    inner = namespaceOf(fullName)
    into.written.add(fullName)
  }
  return Object.fromEntries(
    Object.entries(part).map(([key, value]) => {
      if (key === 'fields' && Array.isArray(value)) return [key, value.map((field) => expandField(field, inner, into))]
      const isType = key === 'items' || key === 'values' || (key === 'type' && !isNamed(part))
      return [key, isType ? expand(value, inner, into) : value]
    }),
  )
}

function expandField(field: unknown, namespace: string, into: Expansion): unknown {
  if (!isObject(field) || !('type' in field)) return field
  return { ...field, type: expand(field['type'], namespace, into) }
}

function expandName(name: string, namespace: string, into: Expansion): unknown {
  if (PRIMITIVES.includes(name)) return name
  const fullName = name.includes('.') || namespace === '' ? name : `${namespace}.${name}`
  const definition = into.found.get(fullName)
  if (into.written.has(fullName) || definition === undefined) return name
  // Moved to another place, where names without a namespace would mean something else.
  return expand({ ...definition.part, namespace: definition.namespace }, definition.namespace, into)
}

function fullNameOf(part: Properties, namespace: string): string {
  const name = String(part['name'])
  if (name.includes('.')) return name
  const own = typeof part['namespace'] === 'string' ? part['namespace'] : namespace
  return own === '' ? name : `${own}.${name}`
}

function namespaceOf(fullName: string): string {
  return fullName.includes('.') ? fullName.slice(0, fullName.lastIndexOf('.')) : ''
}

function isNamed(part: Properties): boolean {
  return NAMED.includes(String(part['type'])) && typeof part['name'] === 'string'
}

function isObject(part: unknown): part is Properties {
  return typeof part === 'object' && part !== null && !Array.isArray(part)
}
