import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { avroType, evolutionProblems } from '#schemas/evolution.ts'

/** What goes wrong with one request, before anything else is looked at. */
export type Fault =
  | {
      readonly kind: 'status'
      readonly status: number
      readonly body?: string
      readonly headers?: Record<string, string>
    }
  /** Never answers. */
  | { readonly kind: 'silence' }
  /** Cuts the connection in the middle of the answer. */
  | { readonly kind: 'reset' }

export interface FakeRegistry {
  readonly url: string
  /** `METHOD /path`, in order of arrival. */
  readonly requests: string[]
  /** Authorization headers, in order of arrival. */
  readonly authorizations: (string | undefined)[]
  /** Each request takes the first of them. */
  readonly faults: Fault[]
  /** Puts a schema there without asking anybody; gives its id. */
  put(
    subject: string,
    json: string,
    more?: { readonly schemaType?: string; readonly references?: readonly Reference[] },
  ): number
  close(): Promise<void>
}

interface Reference {
  readonly name: string
  readonly subject: string
  readonly version: number
}

interface Stored {
  readonly schema: string
  readonly schemaType: string
  readonly references: readonly Reference[]
}

interface State {
  /** Id is the place, from 1. */
  readonly schemas: Stored[]
  readonly subjects: Map<string, number[]>
  readonly levels: Map<string, string>
}

/**
 * Behaves like the Confluent Schema Registry REST API, version 7, on a loopback port, as far as clients of a topic use it:
 * error codes, media type, one id for one text, compatibility with the latest version for BACKWARD (the default), FORWARD, FULL and NONE.
 */
export async function startFakeRegistry(tls?: { readonly key: string; readonly cert: string }): Promise<FakeRegistry> {
  const state: State = { schemas: [], subjects: new Map(), levels: new Map() }
  const requests: string[] = []
  const authorizations: (string | undefined)[] = []
  const faults: Fault[] = []
  const listen = (request: IncomingMessage, response: ServerResponse): void => {
    requests.push(`${request.method} ${request.url}`)
    authorizations.push(request.headers.authorization)
    const fault = faults.shift()
    if (fault !== undefined) fail(fault, response)
    else void answer(state, request, response)
  }
  const server = tls === undefined ? createServer(listen) : createSecureServer(tls, listen)
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  return {
    url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    authorizations,
    faults,
    put: (subject, json, more = {}) =>
      add(state, subject, { schema: json, schemaType: 'AVRO', references: [], ...more }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function fail(fault: Fault, response: ServerResponse): void {
  if (fault.kind === 'status') response.writeHead(fault.status, fault.headers).end(fault.body ?? '')
  if (fault.kind !== 'reset') return
  response.writeHead(200, { 'content-type': MEDIA_TYPE, 'content-length': '1000' })
  response.write('{"schema":"', () => response.destroy())
}

async function answer(state: State, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  const text = Buffer.concat(chunks).toString()
  const [status, body] = route(
    state,
    request.method ?? '',
    request.url ?? '',
    text === '' ? {} : (JSON.parse(text) as Body),
  )
  response.writeHead(status, { 'content-type': MEDIA_TYPE }).end(JSON.stringify(body))
}

const MEDIA_TYPE = 'application/vnd.schemaregistry.v1+json'

interface Body {
  readonly schema?: string
  readonly schemaType?: string
  readonly references?: readonly Reference[]
  readonly compatibility?: string
}

type Answer = readonly [status: number, body: unknown]

function route(state: State, method: string, url: string, body: Body): Answer {
  const parts = new URL(url, 'http://fake').pathname
    .split('/')
    .filter((part) => part !== '')
    .map(decodeURIComponent)
  const path = parts.map((part, i) => (isName(parts, i) ? '*' : part)).join('/')
  const subject = parts[path.startsWith('compatibility') ? 2 : 1] ?? ''
  switch (`${method} ${path}`) {
    case 'GET subjects':
      return [200, [...state.subjects.keys()].sort()]
    case 'GET schemas/ids/*':
      return byId(state, Number(parts[2]))
    case 'GET subjects/*/versions': {
      const ids = state.subjects.get(subject)
      return ids === undefined ? NO_SUBJECT : [200, ids.map((_, i) => i + 1)]
    }
    case 'GET subjects/*/versions/*':
      return versionOf(state, subject, parts[3]!)
    case 'POST subjects/*':
      return lookUp(state, subject, body)
    case 'POST subjects/*/versions':
      return register(state, subject, body)
    case 'POST compatibility/subjects/*/versions/*': {
      const problems = problemsOf(state, subject, body)
      if (problems === null) return INVALID
      return [200, { is_compatible: problems.length === 0, messages: problems }]
    }
    case 'GET config':
      return [200, { compatibilityLevel: 'BACKWARD' }]
    case 'GET config/*': {
      const level = state.levels.get(subject)
      return level === undefined
        ? [404, { error_code: 40_408, message: 'no level of its own' }]
        : [200, { compatibilityLevel: level }]
    }
    case 'PUT config/*':
      state.levels.set(subject, body.compatibility ?? '')
      return [200, { compatibility: body.compatibility }]
    default:
      return [404, { error_code: 404, message: 'HTTP 404 Not Found' }]
  }
}

/** Whether the part of a path is a subject, a version or an id rather than a word of the API. */
function isName(parts: readonly string[], i: number): boolean {
  return (
    parts[i - 1] === 'subjects' ||
    parts[i - 1] === 'versions' ||
    parts[i - 1] === 'ids' ||
    (i === 1 && parts[0] === 'config')
  )
}

const NO_SUBJECT: Answer = [404, { error_code: 40_401, message: 'Subject not found.' }]
const NO_SCHEMA: Answer = [404, { error_code: 40_403, message: 'Schema not found' }]
const INVALID: Answer = [422, { error_code: 42_201, message: 'Invalid schema' }]

function byId(state: State, id: number): Answer {
  const stored = state.schemas[id - 1]
  return stored === undefined ? NO_SCHEMA : [200, shown(stored)]
}

/** As the real one: the type is named only where it is not Avro, references only where there are some. */
function shown({ schema, schemaType, references }: Stored): Record<string, unknown> {
  return { schema, ...(schemaType !== 'AVRO' && { schemaType }), ...(references.length > 0 && { references }) }
}

function versionOf(state: State, subject: string, version: string): Answer {
  const ids = state.subjects.get(subject)
  if (ids === undefined) return NO_SUBJECT
  const number = version === 'latest' ? ids.length : Number(version)
  const id = ids[number - 1]
  if (id === undefined) return [404, { error_code: 40_402, message: 'Version not found.' }]
  return [200, { subject, version: number, id, ...shown(state.schemas[id - 1]!) }]
}

function lookUp(state: State, subject: string, body: Body): Answer {
  const ids = state.subjects.get(subject)
  if (ids === undefined) return NO_SUBJECT
  const at = ids.findIndex((id) => isSame(state.schemas[id - 1]!, body))
  return at < 0 ? NO_SCHEMA : [200, { subject, version: at + 1, id: ids[at], schema: body.schema }]
}

function register(state: State, subject: string, body: Body): Answer {
  const problems = problemsOf(state, subject, body)
  if (problems === null) return INVALID
  const ids = state.subjects.get(subject) ?? []
  const known = ids.find((id) => isSame(state.schemas[id - 1]!, body))
  if (known !== undefined) return [200, { id: known }]
  if (problems.length > 0) return [409, { error_code: 409, message: `Schema is incompatible: ${problems.join('; ')}` }]
  const stored = { schema: body.schema!, schemaType: body.schemaType ?? 'AVRO', references: body.references ?? [] }
  return [200, { id: add(state, subject, stored) }]
}

function add(state: State, subject: string, stored: Stored): number {
  const at = state.schemas.findIndex((other) => isSame(other, stored))
  if (at < 0) state.schemas.push(stored)
  const id = at < 0 ? state.schemas.length : at + 1
  const ids = state.subjects.get(subject) ?? []
  state.subjects.set(subject, ids.includes(id) ? ids : [...ids, id])
  return id
}

function isSame(stored: Stored, body: Body): boolean {
  return normal(stored.schema) === normal(body.schema ?? '')
}

function normal(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text))
  } catch {
    return text
  }
}

/** Null where it is no schema. */
function problemsOf(state: State, subject: string, body: Body): string[] | null {
  const newer = body.schema ?? ''
  if ((body.references ?? []).length > 0) return []
  try {
    avroType(newer)
  } catch {
    return null
  }
  const latest = state.subjects.get(subject)?.at(-1)
  if (latest === undefined) return []
  const older = state.schemas[latest - 1]!.schema
  const level = state.levels.get(subject) ?? 'BACKWARD'
  const found = [
    ...(level === 'BACKWARD' || level === 'FULL' ? evolutionProblems(avroType(newer), older) : []),
    ...(level === 'FORWARD' || level === 'FULL' ? evolutionProblems(avroType(older), newer) : []),
  ]
  return found.map(({ field, problem }) => `${field} ${problem}`)
}
