import type { Command } from 'commander'
import { pairs } from '../arguments.ts'
import type { Start } from '../start.ts'

export interface QueryOptions {
  readonly sql?: string
  readonly param?: Readonly<Record<string, string>>
}

export function addQuery(program: Command, start: Start): void {
  program
    .command('query')
    .argument('[name]', 'a named query; without one, all are listed')
    .summary('ask the tables: a named query, or SQL')
    .description(
      "Runs one of the analysts' queries, or read-only SQL, on decisions, alerts and labels. The running service answers;\nwhere none runs, the tables are opened here.",
    )
    .option('-p, --param <name=value>', 'a parameter of the named query, may be repeated', pairs)
    .option('--sql <text>', 'read-only SQL instead of a named query')
    .addHelpText(
      'after',
      `
Examples:
  $ weir query
  $ weir query testing_now
  $ weir query merchant_watch --param rows=5 --json
  $ weir query --sql "SELECT verdict, count() FROM weir.scored_transactions GROUP BY verdict"`,
    )
    .action(
      start(async (context, name: string | undefined, options: QueryOptions) => {
        const { runQuery } = await import('../query.ts')
        await runQuery(context, name, options)
      }),
    )
}
