import type { Command } from 'commander'
import type { Start } from '../start.ts'

export interface RetrainOptions {
  readonly spec?: string
  readonly backend?: string
  readonly seed?: string
  readonly dryRun?: boolean
  readonly force?: boolean
}

export function addRetrain(program: Command, start: Start): void {
  program
    .command('retrain')
    .summary('train, compare with the champion and the rules, promote only if better')
    .description(
      'Replays the log, trains a candidate, and compares it with the champion and with the rules alone on the newest mature days. It takes charge only if it is better; otherwise the reason is told and nothing changes.',
    )
    .option('--spec <name>', 'features: default or lean (setting path.spec)')
    .option('--backend <name>', 'auto, native or wasm (setting model.trainingBackend)')
    .option('--seed <number>', 'same data, seed and backend: same model (setting retrain.seed)')
    .option('--dry-run', 'compare and tell, but change nothing')
    .option('--force', 'do not wait for the cooldown (setting retrain.cooldownHours)')
    .addHelpText(
      'after',
      `
Examples:
  $ weir retrain
  $ weir retrain --dry-run --json
  $ weir run --set retrain.enabled=true          by itself, every night`,
    )
    .action(
      start(
        async (context, options: RetrainOptions) => {
          const { runRetrain } = await import('../retrain.ts')
          return await runRetrain(context, options)
        },
        { spec: 'path.spec', backend: 'model.trainingBackend', seed: 'retrain.seed' },
      ),
    )
}
