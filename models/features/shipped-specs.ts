import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type FeatureSpec, parseFeatureSpec } from '#schemas/feature-spec.ts'
import { WeirError } from '#schemas/errors.ts'

export const SHIPPED_SPECS = ['default', 'lean'] as const

/**
 * A spec by its shipped name, or from a JSON file.
 *
 * @param folder where the shipped specs are
 * @throws WeirError SPEC_INVALID naming the file and the path within it
 */
export function loadFeatureSpec(nameOrFile: string, folder: string): FeatureSpec {
  const isShipped = (SHIPPED_SPECS as readonly string[]).includes(nameOrFile)
  const file = isShipped ? join(folder, `${nameOrFile}.json`) : nameOrFile
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch {
    throw new WeirError('SPEC_INVALID', `there is no feature spec ${nameOrFile}`, {
      where: file,
      fix: `Name a shipped one (${SHIPPED_SPECS.join(', ')}) or a JSON file.`,
    })
  }
  let input: unknown
  try {
    input = JSON.parse(text)
  } catch {
    throw new WeirError('SPEC_INVALID', 'not valid JSON', { where: file })
  }
  return parseFeatureSpec(input, file)
}
