import type { Command } from 'commander'
import { wholeNumber } from '../arguments.ts'
import type { Start } from '../start.ts'

export interface TrainOptions {
  /** Undefined: the log of the data folder. */
  readonly input?: string
  readonly labels?: string
  /** So many events of a simulated world, rather than the log. */
  readonly simulate?: number
  readonly spec?: string
  readonly backend?: string
  readonly seed?: string
  readonly epochs: number
  readonly units: number
  readonly batch: number
  readonly name?: string
  readonly out?: string
  readonly promote?: boolean
}

export function addTrain(program: Command, start: Start): void {
  program
    .command('train')
    .summary('train a model by replaying the stream')
    .description(
      'Replays the log through the live feature code, trains the LSTM on what its labels say, checks the exported model against the trained one, and registers the version. It takes charge only when told to.',
    )
    .option('-i, --input <file>', 'transactions to train on, rather than the log')
    .option('--labels <file>', 'labels that belong to --input')
    .option('--simulate <events>', 'learn from a simulated world of so many events', wholeNumber(10_000, 100_000_000))
    .option('--spec <name>', 'features: default or lean (setting path.spec)')
    .option('--backend <name>', 'auto, native or wasm (setting model.trainingBackend)')
    .option('--seed <number>', 'same data, seed and backend: same model (setting retrain.seed)')
    .option('--epochs <count>', 'at most so many passes; training stops early', wholeNumber(1, 1_000), 12)
    .option('--units <count>', 'width of the LSTM', wholeNumber(4, 512), 64)
    .option('--batch <rows>', 'rows a step', wholeNumber(16, 8_192), 512)
    .option('--name <version>', 'name of the version (default: spec and time)')
    .option('-o, --out <folder>', 'write the model there, rather than into the registry')
    .option('--promote', 'put it in charge, whatever the comparison says')
    .addHelpText(
      'after',
      `
Examples:
  $ weir train
  $ weir train --spec lean --epochs 20 --promote
  $ weir train --simulate 400000 --spec lean --name lean-1
  $ weir train --input year.jsonl --labels labels.jsonl --seed 3 --json`,
    )
    .action(
      start(
        async (context, options: TrainOptions) => {
          const { runTrain } = await import('../train.ts')
          return await runTrain(context, options)
        },
        { spec: 'path.spec', backend: 'model.trainingBackend', seed: 'retrain.seed' },
      ),
    )
}
