import type { Command } from 'commander'
import type { Start } from '../start.ts'

export interface DoctorOptions {
  readonly settings?: boolean
}

export function addDoctor(program: Command, start: Start): void {
  program
    .command('doctor')
    .summary('is everything in order, and where does each setting come from')
    .description(
      'Checks the machine, the data folder, the log with its checkpoints, the model, ClickHouse and what training and models run on; with log.home=kafka also brokers, topics, who is active and the keys that standbys share. Says what to do about whatever is not right, and changes nothing, but that a ClickHouse server gets its empty database `weir`. Ends with 1 when something failed.',
    )
    .option('--settings', 'every setting with its meaning and what is allowed')
    .addHelpText(
      'after',
      `
Examples:
  $ weir doctor
  $ weir doctor --settings | less
  $ weir doctor --data /var/lib/weir --json
  $ weir doctor --set log.home=kafka --set kafka.brokers=127.0.0.1:9092`,
    )
    .action(
      start(async (context, options: DoctorOptions) => {
        const { runDoctor } = await import('../doctor.ts')
        return await runDoctor(context, options)
      }),
    )
}
