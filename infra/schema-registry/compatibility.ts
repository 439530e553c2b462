import { messageOf, WeirError } from '#schemas/errors.ts'
import { avroType, type EvolutionProblem, evolutionProblems } from '#schemas/evolution.ts'
import type { CompatibilityLevel } from './registry.ts'

/** How a schema and an earlier one get on with each other. */
export interface BothWays {
  /** What keeps readers with the new schema from records written with the old one. */
  readonly backward: readonly EvolutionProblem[]
  /** What keeps readers with the old schema from records written with the new one. */
  readonly forward: readonly EvolutionProblem[]
}

/** An old schema that is not readable itself can be neither read nor expected to read. */
export function compareBothWays(newJson: string, oldJson: string): BothWays {
  const newer = avroType(newJson)
  const backward = evolutionProblems(newer, oldJson)
  try {
    return { backward, forward: evolutionProblems(avroType(oldJson), newJson) }
  } catch (error) {
    return { backward, forward: [{ field: '', problem: `the old schema is not valid Avro: ${messageOf(error)}` }] }
  }
}

/** Whether a level asks for the newer schema to read the older, and the older to read the newer. */
export function demandsOf(level: CompatibilityLevel): { readonly backward: boolean; readonly forward: boolean } {
  return {
    backward: level.startsWith('BACKWARD') || level.startsWith('FULL'),
    forward: level.startsWith('FORWARD') || level.startsWith('FULL'),
  }
}

/** Whether a level speaks of all earlier versions rather than of the latest alone. */
export function isTransitive(level: CompatibilityLevel): boolean {
  return level.endsWith('_TRANSITIVE')
}

/** What of `both` the level does not allow. */
export function violationsOf(level: CompatibilityLevel, both: BothWays): readonly string[] {
  const demands = demandsOf(level)
  return [
    ...(demands.backward
      ? both.backward.map((problem) => `the new one cannot read the old one: ${told(problem)}`)
      : []),
    ...(demands.forward ? both.forward.map((problem) => `the old one cannot read the new one: ${told(problem)}`) : []),
  ]
}

/** `field amount: is not written and has no default`. */
export function told({ field, problem }: EvolutionProblem): string {
  return field === '' ? problem : `field ${field}: ${problem}`
}

/** @throws WeirError INPUT_INVALID when the text is no Avro schema */
export function checkIsSchema(json: string, where: string): void {
  try {
    avroType(json)
  } catch (error) {
    throw new WeirError('INPUT_INVALID', `this is not a schema in Avro: ${messageOf(error)}`, {
      where,
      fix: 'Give one schema as JSON, with all the types it names in it.',
    })
  }
}
