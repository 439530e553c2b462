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
      'Checks the machine, the data folder, the log, the model, ClickHouse and what training and models run on, and says what to do about whatever is not right. Nothing is changed.',
    )
    .option('--settings', 'every setting with its meaning and what is allowed')
    .addHelpText(
      'after',
      `
Examples:
  $ weir doctor
  $ weir doctor --settings | less
  $ weir doctor --data /var/lib/weir --json`,
    )
    .action(
      start(async (context, options: DoctorOptions) => {
        const { runDoctor } = await import('../doctor.ts')
        return await runDoctor(context, options)
      }),
    )
}
