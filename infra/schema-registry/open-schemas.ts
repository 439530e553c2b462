import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Config } from '#schemas/config.ts'
import { WeirError } from '#schemas/errors.ts'
import { createFileSchemas, type SchemaSource, WIRE_TYPES, type WireTypeName } from '#schemas/schema-source.ts'
import { assetPath } from '../assets.ts'
import type { Clock } from '../clock.ts'
import type { Logger } from '../logger.ts'
import { createConfluentRegistry } from './confluent-registry.ts'
import { createFolderRegistry } from './folder-registry.ts'
import type { SchemaRegistry } from './registry.ts'
import { type EnsuredSchemas, type OwnSchema, RegistrySchemas } from './registry-schemas.ts'
import { type OwnSubject, ownSubjects } from './subjects.ts'

export interface OpenSchemasOptions {
  readonly config: Pick<Config, 'registry' | 'dataFolder' | 'topics'>
  readonly clock: Clock
  readonly logger: Logger
  /** Ends what is being asked of a server when the process is to stop. */
  readonly stop?: AbortSignal
}

/**
 * Schemas from where the settings say. With a registry, Weir's own are looked up, and registered where they are not there
 * and `registry.register` allows it; what others have registered is brought in by `ensure`.
 *
 * @throws WeirError REGISTRY_UNAVAILABLE, REGISTRY_REFUSED
 * @throws WeirError SCHEMA_INCOMPATIBLE when a subject does not take Weir's schema
 * @throws WeirError INPUT_NOT_FOUND when one is not registered and may not be
 */
export async function openSchemas(options: OpenSchemasOptions): Promise<EnsuredSchemas> {
  const { config, clock, logger } = options
  const shipped = createFileSchemas(assetPath('schemas/kafka'))
  const registry = openRegistry(options)
  if (registry === null) return withoutRegistry(shipped)
  const own = new Map<WireTypeName, OwnSchema>()
  for (const subject of ownSubjects(config.topics, shipped)) {
    const id = await idInRegistry(registry, subject, config.registry.register)
    own.set(subject.name, { id, json: shipped.own(subject.name).json, complete: subject.json })
  }
  logger.debug(
    { ids: Object.fromEntries([...own].map(([name, { id }]) => [name, id])) },
    `schemas of ${registry.place}`,
  )
  return new RegistrySchemas({ registry, own, clock, unknownIdMs: config.registry.unknownIdMs })
}

/** The registry of the settings; null when schemas are the built-in ones. */
export function openRegistry({ config, clock, logger, stop }: OpenSchemasOptions): SchemaRegistry | null {
  const { registry, dataFolder, topics } = config
  switch (registry.home) {
    case 'built-in':
      return null
    case 'folder': {
      const own = ownSubjects(topics, createFileSchemas(assetPath('schemas/kafka')))
      return createFolderRegistry({
        folder: registry.folder === '' ? join(dataFolder, 'schemas') : registry.folder,
        builtIn: new Map(own.map(({ name, json }) => [WIRE_TYPES[name], json])),
        clock,
      })
    }
    case 'server':
      return createConfluentRegistry({
        url: registry.url,
        authorization: () => authorizationOf(registry),
        timeoutMs: registry.timeoutMs,
        attemptsMax: registry.attemptsMax,
        ...(stop !== undefined && { stop }),
        retried: (fault) => logger.warn(fault, 'the schema registry did not answer; trying again'),
      })
  }
}

/**
 * Value of the Authorization header: basic with a user, a bearer token without; null when there is no password.
 *
 * @throws WeirError CONFIG_INVALID when the file cannot be read or holds what no header can carry
 */
export function authorizationOf(registry: Config['registry']): string | null {
  const { user, passwordFile } = registry
  const password = passwordFile === '' ? registry.password : readPassword(passwordFile)
  if (user !== '') return `Basic ${Buffer.from(`${user}:${password}`, 'utf8').toString('base64')}`
  if (password === '') return null
  if (/^[\x21-\x7e]+$/.test(password)) return `Bearer ${password}`
  throw new WeirError('CONFIG_INVALID', 'the token for the schema registry holds characters that no token has', {
    where: passwordFile === '' ? 'registry.password' : passwordFile,
    fix: 'Put the token alone into it, or name a user if it is a password.',
  })
}

function readPassword(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim()
  } catch {
    throw new WeirError('CONFIG_INVALID', 'the file with the password of the schema registry cannot be read', {
      where: file,
      fix: 'Correct registry.passwordFile, or make the file readable for this user.',
    })
  }
}

/** Nothing is ever missing: what these do not have does not exist. */
function withoutRegistry(shipped: SchemaSource): EnsuredSchemas {
  return {
    own: (name) => shipped.own(name),
    byId: (id) => shipped.byId(id),
    isKnown: () => true,
    ensure: async () => {},
  }
}

/** Looked up first: that needs no right to write, and most starts find everything there. */
async function idInRegistry(registry: SchemaRegistry, own: OwnSubject, mayRegister: boolean): Promise<number> {
  const found = await registry.lookUp(own.subject, own.json)
  if (found !== null) return found.id
  if (mayRegister) return await registry.register(own.subject, own.json)
  throw new WeirError('INPUT_NOT_FOUND', `the schema of ${own.name} records is not registered, and may not be`, {
    where: `${own.subject}, ${registry.place}`,
    fix: 'Register it with `weir schemas register`, or set registry.register to true.',
  })
}
