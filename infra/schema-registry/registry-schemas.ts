import { setTimeout as pause } from 'node:timers/promises'
import { WeirError } from '#schemas/errors.ts'
import type { SchemaSource, WireTypeName } from '#schemas/schema-source.ts'
import type { Clock } from '../clock.ts'
import type { SchemaRegistry } from './registry.ts'

/**
 * Schemas for decoding, which is synchronous: whoever has a batch first brings in what it needs, then decodes.
 *
 *     const unknown = unknownWriterIds(values, count, schemas.isKnown)
 *     if (unknown.length > 0) await schemas.ensure(unknown, signal)
 */
export interface EnsuredSchemas extends SchemaSource {
  /** True when `byId` has an answer that need not be asked for. May be passed on without its object. */
  readonly isKnown: (id: number) => boolean
  /**
   * Brings in the schemas of these ids; afterwards `byId` answers for each: its text, or null when there is definitely no
   * such id. What was fetched stays, also when another one fails.
   *
   * @throws WeirError REGISTRY_UNAVAILABLE (try again), REGISTRY_REFUSED; the signal's reason when it is aborted
   */
  ensure(ids: Iterable<number>, signal?: AbortSignal): Promise<void>
}

export interface RegistrySchemasOptions {
  readonly registry: Pick<SchemaRegistry, 'schemaById'>
  /** Weir's own, with the ids the registry has given them. */
  readonly own: ReadonlyMap<WireTypeName, OwnSchema>
  readonly clock: Clock
  /** How long a definite "no such id" is believed. */
  readonly unknownIdMs: number
  /** Pause before an id that is not there is asked for once more. */
  readonly confirmAfterMs?: number
  readonly idsMax?: number
}

export interface OwnSchema {
  readonly id: number
  /** As Weir's codec builds its types from it: it may name types of the others. */
  readonly json: string
  /** The same, complete in itself, as it is registered. */
  readonly complete: string
}

/** Schemas of a registry by id: those that exist are kept, those that do not are asked for again after a while. */
export class RegistrySchemas implements EnsuredSchemas {
  private readonly registry: Pick<SchemaRegistry, 'schemaById'>
  private readonly ownSchemas: ReadonlyMap<WireTypeName, OwnSchema>
  private readonly ownIds: ReadonlyMap<number, string>
  private readonly clock: Clock
  private readonly unknownIdMs: number
  private readonly confirmAfterMs: number
  private readonly idsMax: number
  private readonly texts = new Map<number, string>()
  /** Ids that are not there, until when that is believed (epoch milliseconds). */
  private readonly absent = new Map<number, number>()
  private readonly fetching = new Map<number, Promise<string | null>>()

  constructor(options: RegistrySchemasOptions) {
    this.registry = options.registry
    this.ownSchemas = options.own
    this.ownIds = new Map([...options.own.values()].map(({ id, complete }) => [id, complete]))
    this.clock = options.clock
    this.unknownIdMs = options.unknownIdMs
    this.confirmAfterMs = options.confirmAfterMs ?? CONFIRM_AFTER_MS
    this.idsMax = options.idsMax ?? IDS_MAX
  }

  own(name: WireTypeName): { readonly id: number; readonly json: string } {
    return this.ownSchemas.get(name)!
  }

  readonly isKnown = (id: number): boolean => {
    if (this.ownIds.has(id) || this.texts.has(id)) return true
    const untilMs = this.absent.get(id)
    return untilMs !== undefined && this.clock.now() < untilMs
  }

  /**
   * @throws WeirError INVARIANT when nobody has ensured the id: taking it for unknown would lose the record
   */
  byId(id: number): string | null {
    const text = this.ownIds.get(id) ?? this.texts.get(id)
    if (text !== undefined) return text
    if (this.absent.has(id)) return null
    throw new WeirError('INVARIANT', `schema ${id} was not brought in before its record was read`)
  }

  async ensure(ids: Iterable<number>, signal?: AbortSignal): Promise<void> {
    const open = [...new Set(ids)].filter((id) => !this.isKnown(id))
    if (open.length === 0) return
    const doubtful = await this.fetchAll(open, signal)
    if (doubtful.length === 0) return
    // A replica of the registry may lag behind the one that has just handed out the id: no record is to be lost to that.
    await unlessAborted(pause(this.confirmAfterMs), signal)
    const untilMs = this.clock.now() + this.unknownIdMs
    for (const id of await this.fetchAll(doubtful, signal)) remember(this.absent, id, untilMs, this.idsMax)
  }

  /** Some at a time, and no further ones after a failure: each has been tried often enough. Gives those that are not there. */
  private async fetchAll(ids: readonly number[], signal: AbortSignal | undefined): Promise<number[]> {
    const absent: number[] = []
    let next = 0
    let hasFailed = false
    const goesOn = (): boolean => next < ids.length && !hasFailed && signal?.aborted !== true
    const work = async (): Promise<void> => {
      while (goesOn()) {
        const id = ids[next++]!
        try {
          if ((await this.fetchOnce(id)) === null) absent.push(id)
        } catch (error) {
          hasFailed = true
          throw error
        }
      }
    }
    await unlessAborted(Promise.all(Array.from({ length: Math.min(ids.length, CONCURRENCY_MAX) }, work)), signal)
    return absent
  }

  /** Two who want the same id share one request. */
  private fetchOnce(id: number): Promise<string | null> {
    const running = this.fetching.get(id)
    if (running !== undefined) return running
    const started = this.fetch(id).finally(() => this.fetching.delete(id))
    this.fetching.set(id, started)
    return started
  }

  private async fetch(id: number): Promise<string | null> {
    const json = await this.registry.schemaById(id)
    if (json === null) return null
    this.absent.delete(id)
    remember(this.texts, id, json, this.idsMax)
    return json
  }
}

/** More than the records of any slice: what a batch needs is not pushed out by the batch itself. */
const IDS_MAX = 65_536
const CONFIRM_AFTER_MS = 250
/** Requests of one batch that run at the same time. */
const CONCURRENCY_MAX = 16

/** The oldest goes when there are too many. */
function remember<T>(map: Map<number, T>, id: number, value: T, max: number): void {
  map.delete(id)
  map.set(id, value)
  if (map.size <= max) return
  const [oldest] = map.keys()
  map.delete(oldest!)
}

/** The work goes on, for others may wait for it too; only this waiting ends. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return await work
  work.catch(() => {})
  signal.throwIfAborted()
  let onAbort = (): void => {}
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason as Error)
    signal.addEventListener('abort', onAbort, { once: true })
  })
  try {
    return await Promise.race([work, aborted])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
