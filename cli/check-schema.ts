import { type BothWays, compareBothWays, demandsOf, isTransitive, told } from '#infra/schema-registry/compatibility.ts'
import type { CompatibilityLevel, SchemaRegistry } from '#infra/schema-registry/registry.ts'
import { avroType, type EvolutionProblem, evolutionProblems } from '#schemas/evolution.ts'
import type { OwnSubject } from '#infra/schema-registry/subjects.ts'

/** A schema that is meant for a subject. */
export interface Candidate {
  readonly subject: string
  readonly json: string
  /** What Weir reads the records of this subject with; null where it reads none. */
  readonly weir: OwnSubject | null
  /** Weir's own, or one that was given. */
  readonly isOwn: boolean
}

/** How a schema stands to its subject, as `weir schemas check` tells it. */
export interface CheckedSubject {
  readonly subject: string
  /** The registry takes it, the level allows it, and Weir reads what is written with it. */
  readonly ok: boolean
  readonly level: CompatibilityLevel | null
  /** What keeps this version of Weir from reading records written with it; null for a subject Weir does not read. */
  readonly weirReads: readonly EvolutionProblem[] | null
  /** Why the registry itself would not take it. */
  readonly refusedBecause: readonly string[]
  /** Newest first. */
  readonly versions: readonly ComparedVersion[]
}

interface ComparedVersion extends BothWays {
  readonly version: number
  readonly id: number
  /** Exactly this schema. */
  readonly isSame: boolean
  /** Which ways must be free of problems. */
  readonly asked: { readonly backward: boolean; readonly forward: boolean }
}

export async function checkSubject(registry: SchemaRegistry | null, candidate: Candidate): Promise<CheckedSubject> {
  const { subject, json, weir, isOwn } = candidate
  const weirReads = weir === null || isOwn ? null : evolutionProblems(avroType(weir.json), json)
  const readable = weirReads === null || weirReads.length === 0
  if (registry === null) return { subject, ok: readable, level: null, weirReads, refusedBecause: [], versions: [] }
  const level = await registry.compatibilityOf(subject)
  const versions = await compareAll(registry, candidate, level)
  const refusedBecause = versions.some(({ isSame }) => isSame) ? [] : await refusal(registry, subject, json)
  const allowed = versions.every(isAllowed)
  return { subject, ok: readable && allowed && refusedBecause.length === 0, level, weirReads, refusedBecause, versions }
}

/** For people: one line a version, and the fields below it. */
export function describeChecked(checked: CheckedSubject): string {
  const { subject, ok, level, weirReads, refusedBecause, versions } = checked
  const lines = [`${subject}${level === null ? '' : `  (${level})`}: ${ok ? 'ok' : 'NOT OK'}`]
  if (weirReads !== null) lines.push(...way('Weir reads its records', 'Weir cannot read its records', weirReads))
  if (level !== null && versions.length === 0) lines.push('  nothing is registered yet')
  for (const version of versions) lines.push(...describeVersion(version))
  if (refusedBecause.length > 0)
    lines.push('  the registry would refuse it', ...refusedBecause.map((why) => `      ${why}`))
  return `${lines.join('\n')}\n`
}

function describeVersion({ version, id, isSame, asked, backward, forward }: ComparedVersion): string[] {
  const title = `  version ${version}, id ${id}`
  if (isSame) return [`${title}: the same schema`]
  const unasked = (isAsked: boolean): string => (isAsked ? '' : ' (not asked for)')
  return [
    `${title}:`,
    ...way('  its records can be read', `  its records cannot be read${unasked(asked.backward)}`, backward),
    ...way(
      '  its readers can read new records',
      `  its readers cannot read new records${unasked(asked.forward)}`,
      forward,
    ),
  ]
}

function way(good: string, bad: string, problems: readonly EvolutionProblem[]): string[] {
  return problems.length === 0 ? [`  ${good}`] : [`  ${bad}`, ...problems.map((problem) => `      ${told(problem)}`)]
}

/**
 * The level says what is asked of the latest version, or of all. Weir reads the records of its own subjects, so it must
 * be able to read the latest whatever the level is.
 */
async function compareAll(
  registry: SchemaRegistry,
  { subject, json, isOwn }: Candidate,
  level: CompatibilityLevel,
): Promise<ComparedVersion[]> {
  const demands = demandsOf(level)
  const same = await registry.lookUp(subject, json)
  const newestFirst = [...((await registry.versions(subject)) ?? [])].reverse()
  const compared: ComparedVersion[] = []
  for (const [age, number] of newestFirst.entries()) {
    const found = await registry.version(subject, number)
    if (found === null) continue
    compared.push({
      version: number,
      id: found.id,
      isSame: same?.version === number,
      asked: {
        backward: (demands.backward && (age === 0 || isTransitive(level))) || (isOwn && age === 0),
        forward: demands.forward && (age === 0 || isTransitive(level)),
      },
      ...compareBothWays(json, found.json),
    })
  }
  return compared
}

async function refusal(registry: SchemaRegistry, subject: string, json: string): Promise<readonly string[]> {
  const { isCompatible, reasons } = await registry.checkCompatible(subject, json)
  if (isCompatible) return []
  return reasons.length > 0 ? reasons : ['it does not say why']
}

function isAllowed({ isSame, asked, backward, forward }: ComparedVersion): boolean {
  return isSame || ((!asked.backward || backward.length === 0) && (!asked.forward || forward.length === 0))
}
