/** What a schema must keep to, compared with earlier ones of its subject; the words are those of the Confluent API. */
export const COMPATIBILITY_LEVELS = [
  'NONE',
  'BACKWARD',
  'BACKWARD_TRANSITIVE',
  'FORWARD',
  'FORWARD_TRANSITIVE',
  'FULL',
  'FULL_TRANSITIVE',
] as const
export type CompatibilityLevel = (typeof COMPATIBILITY_LEVELS)[number]

export interface SubjectVersion {
  readonly subject: string
  /** From 1, within the subject. */
  readonly version: number
  /** The same for the same schema under every subject. */
  readonly id: number
  /** Avro as JSON text, complete in itself: types of other subjects it refers to are put in. */
  readonly json: string
}

export interface Compatibility {
  readonly isCompatible: boolean
  /** Why not, as the registry words it; may be empty all the same. */
  readonly reasons: readonly string[]
}

/**
 * Schemas by id and by subject, on a server or in a folder. What is definitely not there is a value, null; that nobody
 * can be asked is a fault.
 *
 * Every method throws WeirError REGISTRY_UNAVAILABLE when the registry cannot be reached or gives no usable answer (it
 * can be tried again), and REGISTRY_REFUSED when it refuses to answer (credentials, rights, a request it does not take).
 */
export interface SchemaRegistry {
  /** What it is and where, for people. */
  readonly place: string
  /** Text of a schema, complete in itself; null when there is definitely no such id. */
  schemaById(id: number): Promise<string | null>
  subjects(): Promise<readonly string[]>
  /** Version numbers, ascending; null when there is no such subject. */
  versions(subject: string): Promise<readonly number[] | null>
  version(subject: string, version: number | 'latest'): Promise<SubjectVersion | null>
  /** Version and id of exactly this schema under the subject; null when it is not registered there. */
  lookUp(subject: string, json: string): Promise<{ readonly version: number; readonly id: number } | null>
  /**
   * The schema's id; the one it has when it is registered there already.
   *
   * @throws WeirError SCHEMA_INCOMPATIBLE, and INPUT_INVALID when it is no schema
   */
  register(subject: string, json: string): Promise<number>
  /** Whether the subject would take this schema, by its latest version and level. A new subject takes any. */
  checkCompatible(subject: string, json: string): Promise<Compatibility>
  /** The level in force: the subject's own, or what holds where it has none. */
  compatibilityOf(subject: string): Promise<CompatibilityLevel>
  setCompatibility(subject: string, level: CompatibilityLevel): Promise<void>
}
