import type { Command } from 'commander'
import type { Start } from '../start.ts'

export interface ModelsOptions {
  readonly spec?: string
  readonly reason?: string
}

export function addModels(program: Command, start: Start): void {
  const models = program
    .command('models')
    .summary('model versions: list, show, promote, rollback')
    .description(
      'Model versions, who is in charge, and changing that. A running service changes over between two slices.',
    )
    .addHelpText(
      'after',
      `
Examples:
  $ weir models list
  $ weir models show default-20260131T020000 --json
  $ weir models promote default-20260131T020000 --reason "better on January"
  $ weir models rollback`,
    )
  models
    .command('list')
    .description('every version, newest first; * is in charge of its features')
    .action(
      start(async (context) => {
        const { listModels } = await import('../models.ts')
        await listModels(context)
      }),
    )
  models
    .command('show')
    .argument('<version>')
    .description('all that is known of one version')
    .action(
      start(async (context, version: string) => {
        const { showModel } = await import('../models.ts')
        await showModel(context, version)
      }),
    )
  models
    .command('promote')
    .argument('<version>')
    .description('put a version in charge')
    .option('--reason <text>', 'why, for the history', 'by hand')
    .action(
      start(async (context, version: string, options: ModelsOptions) => {
        const { promoteModel } = await import('../models.ts')
        await promoteModel(context, version, options.reason ?? 'by hand')
      }),
    )
  models
    .command('rollback')
    .description('put the version before back in charge')
    .option('--spec <name>', 'features: default or lean (setting path.spec)')
    .option('--reason <text>', 'why, for the history', 'by hand')
    .action(
      start(
        async (context, options: ModelsOptions) => {
          const { rollbackModel } = await import('../models.ts')
          await rollbackModel(context, options.reason ?? 'by hand')
        },
        { spec: 'path.spec' },
      ),
    )
}
