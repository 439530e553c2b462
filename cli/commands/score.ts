import { type Command, Option } from 'commander'
import type { Start } from '../start.ts'

export const INPUT_FORMATS = ['jsonl', 'csv', 'avro'] as const
export type InputFormat = (typeof INPUT_FORMATS)[number]

export interface ScoreOptions {
  /** Undefined: by the file's ending, JSON lines for stdin. */
  readonly format?: InputFormat
  readonly labels?: string
  readonly model?: string
  readonly flagged?: boolean
  readonly spec?: string
  readonly rules?: string
}

export function addScore(program: Command, start: Start): void {
  program
    .command('score')
    .argument('<file>', 'transactions as JSON lines, CSV or Avro; - for stdin')
    .summary('transactions in, decisions out; nothing is kept')
    .description(
      'Reads transactions in order of time, begins with empty histories, and writes one decision a line to stdout, a line for each record that cannot be taken, and a summary to stderr. The data folder is not touched.',
    )
    .addOption(
      new Option('-f, --format <format>', 'format of the input, if its name does not say').choices(INPUT_FORMATS),
    )
    .option('--labels <file>', 'labels as JSON lines, taken in when they became known')
    .option('-m, --model <version>', 'model version rather than the champion; `none` for rules alone')
    .option('--flagged', 'only decisions other than approve')
    .option('--spec <name>', 'features: default or lean (setting path.spec)')
    .option('--rules <file>', 'rules file (setting rules.file)')
    .addHelpText(
      'after',
      `
Examples:
  $ weir score transactions.jsonl > decisions.jsonl
  $ weir simulate --events 1000 --to jsonl | weir score - --flagged
  $ weir score transactions.csv --model none --rules my-rules.yaml
  $ weir score transactions.jsonl --json          one document: decisions, rejected, summary`,
    )
    .action(
      start(
        async (context, file: string, options: ScoreOptions) => {
          const { runScore } = await import('../score.ts')
          return await runScore(context, file, options)
        },
        { spec: 'path.spec', rules: 'rules.file' },
      ),
    )
}
