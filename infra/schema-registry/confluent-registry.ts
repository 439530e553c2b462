import { WeirError } from '#schemas/errors.ts'
import { selfContained } from '#schemas/self-contained.ts'
import {
  type Compatibility,
  COMPATIBILITY_LEVELS,
  type CompatibilityLevel,
  type SchemaRegistry,
  type SubjectVersion,
} from './registry.ts'
import { createRegistryHttp, property, type RegistryAnswer, type RegistryHttpOptions } from './registry-http.ts'

/**
 * A server with the Confluent Schema Registry REST API, version 7 (Confluent, Apicurio under /apis/ccompat/v7, Karapace,
 * Redpanda). TLS is Node's: a private authority is named in NODE_EXTRA_CA_CERTS.
 */
export function createConfluentRegistry(options: RegistryHttpOptions): SchemaRegistry {
  const send = createRegistryHttp(options)

  async function register(subject: string, json: string): Promise<number> {
    const answer = await send('POST', `/subjects/${encodeURIComponent(subject)}/versions`, { schema: json })
    if (answer.ok) return idOf(property(answer.body, 'id'))
    if (answer.status === 409) {
      throw new WeirError('SCHEMA_INCOMPATIBLE', `the registry does not take the schema: ${answer.message}`, {
        where: subject,
        fix: '`weir schemas check` says which fields are in the way.',
      })
    }
    throw answer.errorCode === INVALID_SCHEMA ? notASchema(subject, answer.message) : refused(subject, answer)
  }

  async function version(subject: string, number: number | 'latest'): Promise<SubjectVersion | null> {
    const answer = await send('GET', `/subjects/${encodeURIComponent(subject)}/versions/${number}`)
    if (!answer.ok) return absent(subject, answer, [NO_SUBJECT, NO_VERSION])
    return {
      subject,
      version: wholeNumberOf(property(answer.body, 'version'), 'version'),
      id: idOf(property(answer.body, 'id')),
      json: await complete(answer.body),
    }
  }

  /** The schema's text, with what it refers to in other subjects put in. */
  async function complete(body: unknown): Promise<string> {
    const json = property(body, 'schema')
    if (typeof json !== 'string') throw unusable('a schema without its text')
    const type = property(body, 'schemaType') ?? 'AVRO'
    // JSON Schema and Protobuf: whoever reads the text as Avro finds that it is none.
    if (type !== 'AVRO') return json
    const definitions = await referred(body)
    try {
      return definitions.length === 0 ? json : selfContained(json, definitions)
    } catch {
      return json
    }
  }

  /** Texts of the schemas that are referred to, directly or by those. One that is gone leaves its name unresolved. */
  async function referred(body: unknown): Promise<string[]> {
    const texts: string[] = []
    const seen = new Set<string>()
    const open = referencesOf(body)
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      if (seen.has(next)) continue
      seen.add(next)
      if (seen.size > REFERENCES_MAX) throw unusable(`a schema with more than ${REFERENCES_MAX} references`)
      const answer = await send('GET', next)
      if (!answer.ok) {
        absent(next, answer, [NO_SUBJECT, NO_VERSION])
        continue
      }
      const text = property(answer.body, 'schema')
      if (typeof text === 'string') texts.push(text)
      open.push(...referencesOf(answer.body))
    }
    return texts
  }

  return {
    place: `the registry at ${new URL(options.url).host}`,
    async schemaById(id) {
      // Ids are positive and 32 bits with a sign; anything else can only come from bytes that are no record.
      if (id > ID_MAX) return null
      const answer = await send('GET', `/schemas/ids/${id}`)
      return answer.ok ? await complete(answer.body) : absent(`schema ${id}`, answer, [NO_SCHEMA])
    },
    async subjects() {
      const answer = await send('GET', '/subjects')
      if (!answer.ok) throw refused('subjects', answer)
      return listOf(answer.body, (item) => typeof item === 'string', 'subjects')
    },
    async versions(subject) {
      const answer = await send('GET', `/subjects/${encodeURIComponent(subject)}/versions`)
      if (!answer.ok) return absent(subject, answer, [NO_SUBJECT])
      return listOf(answer.body, (item) => typeof item === 'number', 'versions').sort((a, b) => a - b)
    },
    version,
    async lookUp(subject, json) {
      const answer = await send('POST', `/subjects/${encodeURIComponent(subject)}`, { schema: json })
      if (!answer.ok) {
        if (answer.errorCode === INVALID_SCHEMA) throw notASchema(subject, answer.message)
        return absent(subject, answer, [NO_SUBJECT, NO_SCHEMA])
      }
      const { body } = answer
      return { version: wholeNumberOf(property(body, 'version'), 'version'), id: idOf(property(body, 'id')) }
    },
    register,
    async checkCompatible(subject, json): Promise<Compatibility> {
      const path = `/compatibility/subjects/${encodeURIComponent(subject)}/versions/latest?verbose=true`
      const answer = await send('POST', path, { schema: json })
      if (!answer.ok) {
        if (answer.errorCode === INVALID_SCHEMA) throw notASchema(subject, answer.message)
        absent(subject, answer, [NO_SUBJECT, NO_VERSION])
        return { isCompatible: true, reasons: [] }
      }
      const isCompatible = property(answer.body, 'is_compatible')
      if (typeof isCompatible !== 'boolean') throw unusable('a compatibility check without its result')
      const messages = property(answer.body, 'messages')
      const reasons = Array.isArray(messages) ? messages.filter((item) => typeof item === 'string') : []
      return { isCompatible, reasons }
    },
    async compatibilityOf(subject) {
      const own = await send('GET', `/config/${encodeURIComponent(subject)}`)
      if (own.ok) return levelOf(own.body)
      absent(subject, own, [NO_SUBJECT, NO_LEVEL])
      const all = await send('GET', '/config')
      if (!all.ok) throw refused('config', all)
      return levelOf(all.body)
    },
    async setCompatibility(subject, level) {
      const answer = await send('PUT', `/config/${encodeURIComponent(subject)}`, { compatibility: level })
      if (!answer.ok) throw refused(subject, answer)
    },
  }
}

/** Codes with which the API says that something definitely is not there. */
const NO_SUBJECT = 40_401
const NO_VERSION = 40_402
const NO_SCHEMA = 40_403
const NO_LEVEL = 40_408
const INVALID_SCHEMA = 42_201

const ID_MAX = 2 ** 31 - 1
const REFERENCES_MAX = 100

type Refusal = Extract<RegistryAnswer, { ok: false }>

function absent(where: string, answer: Refusal, codes: readonly number[]): null {
  if (codes.includes(answer.errorCode)) return null
  throw refused(where, answer)
}

function refused(where: string, answer: Refusal): WeirError {
  return new WeirError(
    'REGISTRY_REFUSED',
    `the schema registry refused the request with code ${answer.errorCode}: ${answer.message}`,
    { where, fix: 'What it says is its own; see its documentation and log.' },
  )
}

function notASchema(subject: string, message: string): WeirError {
  return new WeirError('INPUT_INVALID', `the registry does not take this as a schema: ${message}`, {
    where: subject,
    fix: 'Give a schema in Avro, as JSON.',
  })
}

/** An answer of the right status and the wrong content: what is in between, or a registry that is not itself. */
function unusable(what: string): WeirError {
  return new WeirError('REGISTRY_UNAVAILABLE', `the schema registry sent ${what}`, {
    fix: 'Is registry.url the address of a registry with the Confluent REST API?',
  })
}

function referencesOf(body: unknown): string[] {
  const references = property(body, 'references')
  if (!Array.isArray(references)) return []
  return references.map((reference: unknown) => {
    const subject = property(reference, 'subject')
    const version = wholeNumberOf(property(reference, 'version'), 'version')
    if (typeof subject !== 'string') throw unusable('a reference without its subject')
    return `/subjects/${encodeURIComponent(subject)}/versions/${version}`
  })
}

function listOf<T>(body: unknown, isItem: (item: unknown) => item is T, what: string): T[] {
  if (!Array.isArray(body) || !body.every(isItem)) throw unusable(`something that is not a list of ${what}`)
  return [...body]
}

function levelOf(body: unknown): CompatibilityLevel {
  const said = property(body, 'compatibilityLevel') ?? property(body, 'compatibility')
  const level = COMPATIBILITY_LEVELS.find((known) => known === said)
  if (level === undefined) throw unusable('a compatibility level that is not known')
  return level
}

function idOf(value: unknown): number {
  const id = wholeNumberOf(value, 'id')
  if (id > ID_MAX) throw unusable('an id of more than 31 bits')
  return id
}

function wholeNumberOf(value: unknown, what: string): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0) return value
  throw unusable(`a ${what} that is not a whole number`)
}
