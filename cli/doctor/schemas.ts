import { assetPath } from '#infra/assets.ts'
import { openRegistry } from '#infra/schema-registry/open-schemas.ts'
import { ownSubjects } from '#infra/schema-registry/subjects.ts'
import { createFileSchemas } from '#schemas/schema-source.ts'
import type { CommandContext } from '../context.ts'
import { bad, type Finding, ok } from './finding.ts'

/** That the registry answers, and has Weir's schemas or would take them; nothing is registered. */
export async function checkSchemaRegistry({ config, logger, io }: CommandContext): Promise<Finding> {
  const registry = openRegistry({ config, clock: io, logger })
  if (registry === null) return ok('built in; no registry is used (registry.home)')
  const missing: string[] = []
  for (const { subject, json } of ownSubjects(config.topics, createFileSchemas(assetPath('schemas/kafka')))) {
    if ((await registry.lookUp(subject, json)) !== null) continue
    const { isCompatible } = await registry.checkCompatible(subject, json)
    if (!isCompatible) {
      return bad(
        `${registry.place} would not take the schema of ${subject}`,
        '`weir schemas check` says why, by field.',
      )
    }
    missing.push(subject)
  }
  if (missing.length === 0) return ok(`${registry.place} has the schemas of all topics`)
  if (config.registry.register) return ok(`${registry.place} answers; registered at start: ${missing.join(', ')}`)
  return bad(
    `${registry.place} lacks ${missing.join(', ')}, and registry.register is false`,
    'Register them with `weir schemas register`.',
  )
}
