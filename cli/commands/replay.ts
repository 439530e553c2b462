import { type Command, Option } from 'commander'
import { wholeNumber } from '../arguments.ts'
import type { Start } from '../start.ts'

export interface ReplayOptions {
  readonly hash?: boolean
  readonly from: 'log' | 'clickhouse'
  readonly toLine?: number
  readonly checkpoint?: boolean
  readonly decisions?: string
}

export function addReplay(program: Command, start: Start): void {
  program
    .command('replay')
    .summary('fold the log again as the journal says, and compare')
    .description(
      'Follows the journal from the start, or from a checkpoint, and compares what comes out with what was decided: accepted counts and input hashes to the bit, scores within 1e-6. A difference ends with exit code 70.',
    )
    .addOption(
      new Option(
        '--from <source>',
        'where the input is read: the log (files or Kafka), or the tables as far as they are complete and the log from there on, for when topics no longer hold it all',
      )
        .choices(['log', 'clickhouse'])
        .default('log'),
    )
    .option('--hash', 'print the hash of the state at the end')
    .option('--to-line <number>', 'stop after this journal line', wholeNumber(0, Number.MAX_SAFE_INTEGER))
    .option('--checkpoint', 'begin at the newest checkpoint rather than at the start')
    .option('--decisions <file>', 'write the decisions of the replay there, as JSON lines')
    .addHelpText(
      'after',
      `
Examples:
  $ weir replay --hash
  $ weir replay --hash --checkpoint              must print the same hash
  $ weir replay --hash --from clickhouse         and so must this
  $ weir replay --to-line 1200 --decisions replayed.jsonl --json`,
    )
    .action(
      start(async (context, options: ReplayOptions) => {
        const { runReplay } = await import('../replay.ts')
        return await runReplay(context, options)
      }),
    )
}
