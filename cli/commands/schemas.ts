import { type Command, Option } from 'commander'
import { COMPATIBILITY_LEVELS, type CompatibilityLevel } from '#infra/schema-registry/registry.ts'
import type { Start } from '../start.ts'

export interface SchemasOptions {
  readonly url?: string
  readonly folder?: string
  readonly subject?: string
  readonly dryRun?: boolean
  readonly level?: CompatibilityLevel
}

export function addSchemas(program: Command, start: Start): void {
  const schemas = program
    .command('schemas')
    .summary('the schema registry: list, check, register')
    .description(
      "Schemas of Weir's topics in a registry: a server with the Confluent REST API, or a folder.\nWhich one the settings registry.* say, or --url and --folder; credentials come from settings.",
    )
    .addHelpText(
      'after',
      `
Examples:
  $ weir schemas list --url http://127.0.0.1:8081
  $ weir schemas register --dry-run
  $ weir schemas register --level FULL_TRANSITIVE
  $ weir schemas check
  $ weir schemas check payment.avsc --subject transactions-value
  $ weir schemas register payment.avsc --subject transactions-value --folder schemas-of-ours`,
    )
  located(schemas.command('list'))
    .summary('subjects, versions, ids')
    .description(
      "Every subject with its versions and ids; Weir's own are marked. Without a registry, the built-in ones.",
    )
    .addHelpText('after', '\nExamples:\n  $ weir schemas list\n  $ weir schemas list --json')
    .action(
      start(async (context, options: SchemasOptions) => {
        const { listSchemas } = await import('../schemas.ts')
        await listSchemas(context, options)
      }, LOCATION_SETTINGS),
    )
  located(schemas.command('check').argument('[file]', "a schema in Avro (.avsc); without one, Weir's own"))
    .option('--subject <name>', 'the subject that the file is meant for')
    .summary('would it be taken, and who could read what')
    .description(
      "Compares Weir's schemas, or one in a file, with every version that is registered, both ways and\nfield by field. Ends with 2 when the subject's level does not allow it, or Weir could not\nread what is written with it.",
    )
    .addHelpText(
      'after',
      '\nExamples:\n  $ weir schemas check\n  $ weir schemas check payment.avsc --subject transactions-value --json',
    )
    .action(
      start(async (context, file: string | undefined, options: SchemasOptions) => {
        const { checkSchemas } = await import('../schemas.ts')
        return await checkSchemas(context, file, options)
      }, LOCATION_SETTINGS),
    )
  located(schemas.command('register').argument('[file]', "a schema in Avro (.avsc); without one, Weir's own"))
    .option('--subject <name>', 'the subject that the file is registered under')
    .option('--dry-run', 'only say what would change')
    .addOption(
      new Option('--level <level>', 'compatibility that the subjects keep to from now on').choices(
        COMPATIBILITY_LEVELS,
      ),
    )
    .summary('register what is not there yet')
    .description(
      "Registers Weir's schemas under the subjects of its topics, or one in a file under\n--subject. When one of them is not taken, nothing is registered.",
    )
    .addHelpText(
      'after',
      '\nExamples:\n  $ weir schemas register --dry-run\n  $ weir schemas register --level FULL_TRANSITIVE --url https://registry.example:8081',
    )
    .action(
      start(async (context, file: string | undefined, options: SchemasOptions) => {
        const { registerSchemas } = await import('../schemas.ts')
        return await registerSchemas(context, file, options)
      }, LOCATION_SETTINGS),
    )
}

const LOCATION_SETTINGS = { url: 'registry.url', folder: 'registry.folder' }

function located(command: Command): Command {
  return command
    .option('--url <address>', 'a server with the Confluent REST API (setting registry.url)')
    .option('--folder <folder>', 'a folder as registry (setting registry.folder)')
}
