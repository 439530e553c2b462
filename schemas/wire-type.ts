import type avro from 'avsc'
import type { DeadLetterReason } from './dead-letter.ts'
import { messageOf, WeirError } from './errors.ts'
import { avroType, evolutionProblems, resolverOf } from './evolution.ts'
import type { SchemaSource } from './schema-source.ts'

/** Magic byte and 4-byte schema id before the Avro body (Confluent wire format). */
export const FRAME_BYTES = 5

export interface DecodeFailure {
  readonly reason: DeadLetterReason
  readonly field: string
  /** One sentence; never holds a value of the record. */
  readonly detail: string
}

/**
 * One record type on the wire. Resolvers are built once per writer's schema id and kept: the number of ids a registry hands
 * out for a topic is small; beyond a limit they are built again for every record.
 */
export class WireType<T> {
  readonly id: number
  readonly name: string
  readonly type: avro.Type
  /** Why the last `tryDecode` gave null. */
  failure: DecodeFailure = { reason: 'NOT_DECODABLE', field: '', detail: '' }
  private readonly source: SchemaSource
  private readonly resolvers = new Map<number, ResolverOf | DecodeFailure>()

  constructor(name: string, id: number, type: avro.Type, source: SchemaSource) {
    this.name = name
    this.id = id
    this.type = type
    this.source = source
  }

  /** Framed bytes of a value of the current schema. */
  encode(value: T): Buffer {
    const body = this.type.toBuffer(value)
    const framed = Buffer.allocUnsafe(FRAME_BYTES + body.length)
    writeFrame(framed, 0, this.id)
    body.copy(framed, FRAME_BYTES)
    return framed
  }

  /** True when the record was written with exactly the current schema, so that its body can be copied as it is. */
  isCurrent(value: Uint8Array): boolean {
    return value.length > FRAME_BYTES && value[0] === 0 && readId(value) === this.id
  }

  /** The value, or null with `failure` saying why. Never throws for what the bytes are. */
  tryDecode(value: Buffer): T | null {
    if (value.length < FRAME_BYTES || value[0] !== 0) {
      return this.fail('NOT_DECODABLE', '', 'the record does not begin with magic byte 0 and a schema id')
    }
    const id = readId(value)
    const resolver = id === this.id ? null : this.resolverFor(id)
    if (resolver !== null && 'reason' in resolver) {
      this.failure = resolver
      return null
    }
    try {
      const decoded = this.type.decode(value, FRAME_BYTES, resolver === null ? undefined : resolver.resolver)
      if (decoded.offset < 0) return this.fail('NOT_DECODABLE', '', 'the bytes end in the middle of a field')
      if (decoded.offset < value.length) {
        return this.fail('TRAILING_BYTES', '', `${value.length - decoded.offset} bytes follow the record`)
      }
      return decoded.value as T
    } catch {
      // What the library says may quote the bytes, so it is not passed on.
      return this.fail('NOT_DECODABLE', '', `the bytes are not a ${this.name} of schema ${id}`)
    }
  }

  /**
   * For what Weir itself wrote: decisions, alerts, journal lines.
   *
   * @throws WeirError INPUT_INVALID when the bytes cannot be read
   */
  decode(value: Buffer): T {
    const decoded = this.tryDecode(value)
    if (decoded === null) {
      throw new WeirError('INPUT_INVALID', `not a readable ${this.name}: ${this.failure.detail}`, { where: this.name })
    }
    return decoded
  }

  private resolverFor(id: number): ResolverOf | DecodeFailure {
    const known = this.resolvers.get(id)
    if (known !== undefined) return known
    const json = this.source.byId(id)
    // Not remembered here: the id may be registered later, and it is the source's to know until when it holds.
    if (json === null) return { reason: 'UNKNOWN_SCHEMA_ID', field: '', detail: `no schema has the id ${id}` }
    const made = this.makeResolver(id, json)
    if (this.resolvers.size < RESOLVERS_MAX) this.resolvers.set(id, made)
    return made
  }

  private makeResolver(id: number, json: string): ResolverOf | DecodeFailure {
    const problem = evolutionProblems(this.type, json)[0]
    if (problem !== undefined) {
      const where = problem.field === '' ? '' : `field ${problem.field}: `
      return {
        reason: 'INCOMPATIBLE_SCHEMA',
        field: problem.field,
        detail: `schema ${id} cannot be read as ${this.name}: ${where}${problem.problem}`,
      }
    }
    try {
      return { resolver: resolverOf(this.type, avroType(json)) }
    } catch (error) {
      return { reason: 'INCOMPATIBLE_SCHEMA', field: '', detail: messageOf(error) }
    }
  }

  private fail(reason: DeadLetterReason, field: string, detail: string): null {
    this.failure = { reason, field, detail }
    return null
  }
}

interface ResolverOf {
  readonly resolver: ReturnType<avro.Type['createResolver']>
}

const RESOLVERS_MAX = 1_000

export function writeFrame(target: Buffer, at: number, id: number): void {
  target[at] = 0
  target.writeUInt32BE(id, at + 1)
}

/** The writer's schema id of framed bytes; -1 where they do not begin with a frame. */
export function writerIdOf(value: Uint8Array): number {
  return value.length < FRAME_BYTES || value[0] !== 0 ? -1 : readId(value)
}

function readId(value: Uint8Array): number {
  return ((value[1]! << 24) | (value[2]! << 16) | (value[3]! << 8) | value[4]!) >>> 0
}
