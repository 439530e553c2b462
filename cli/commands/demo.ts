import type { Command } from 'commander'
import { wholeNumber } from '../arguments.ts'
import type { Start } from '../start.ts'

export interface DemoOptions {
  /** Events to run; undefined: without end, or the preset's whole span with `exit`. */
  readonly events?: number
  readonly exit?: boolean
  readonly seed: number
  readonly speed: number
  readonly keep?: boolean
  readonly port?: string
  readonly spec?: string
}

export function addDemo(program: Command, start: Start): void {
  program
    .command('demo')
    .summary('a live stream of simulated transactions, scored, with its page')
    .description(
      'Streams simulated card transactions through the whole path: features, model, rules, alerts, tables. Prints the address of a page that shows it live. The simulated fraud is known, so the summary can say what was found.',
    )
    .option('-n, --events <count>', 'stop the stream after so many events', wholeNumber(1, 1e9))
    .option('--exit', 'as fast as it goes and no page; print the summary, then end')
    .option('--seed <number>', 'another seed, another world', wholeNumber(0, 4_294_967_295), 1)
    .option('--speed <events/s>', 'pace of the live stream', wholeNumber(1, 1e6), 400)
    .option('--keep', 'go on with the data of the demo before, rather than begin anew')
    .option('-p, --port <port>', 'port of the page and the API, 0 for any (setting api.port)')
    .option('--spec <name>', 'features: default or lean (setting path.spec)')
    .addHelpText(
      'after',
      `
Examples:
  $ weir demo
  $ weir demo --speed 2000 --port 9000
  $ weir demo --events 200000 --exit --json
  $ weir demo --events 200000 --exit --spec lean --seed 7`,
    )
    .action(
      start(
        async (context, options: DemoOptions) => {
          const { runDemo } = await import('../demo.ts')
          return await runDemo(context, options)
        },
        { port: 'api.port', spec: 'path.spec' },
      ),
    )
}
