import type { Command } from 'commander'
import { wholeNumber } from '../arguments.ts'
import type { Start } from '../start.ts'

export interface DeadLettersOptions {
  readonly last: number
  readonly reason?: string
}

export function addDeadLetters(program: Command, start: Start): void {
  program
    .command('dead-letters')
    .summary('records that could not be taken, and why')
    .description(
      'The newest records that were refused: where each stood, why, and its first bytes with digits masked. Reads the log beside a running service and changes nothing.',
    )
    .option('-n, --last <count>', 'how many of the newest', wholeNumber(1, 10_000), 20)
    .option('--reason <name>', 'only those with this reason, such as NOT_DECODABLE')
    .addHelpText(
      'after',
      `
Examples:
  $ weir dead-letters
  $ weir dead-letters --last 1000 --json | jq -r '.[].reason' | sort | uniq -c
  $ weir dead-letters --reason UNKNOWN_SCHEMA_ID --set log.home=kafka --set kafka.brokers=127.0.0.1:9092`,
    )
    .action(
      start(async (context, options: DeadLettersOptions) => {
        const { showDeadLetters } = await import('../dead-letters.ts')
        await showDeadLetters(context, options)
      }),
    )
}
