import type { Command } from 'commander'
import type { Start } from '../start.ts'

export interface RunOptions {
  readonly port?: string
  readonly host?: string
  readonly spec?: string
  readonly provider?: string
  readonly rules?: string
}

export function addRun(program: Command, start: Start): void {
  program
    .command('run')
    .summary('the service: decides what arrives over the API and the log')
    .description(
      'Runs the service on real input. It goes on where it stopped, serves the API and the page, and ends within five seconds of SIGINT or SIGTERM with everything committed. One service a data folder.',
    )
    .option('-p, --port <port>', 'port of the API, 0 for any (setting api.port)')
    .option('--host <address>', 'address to listen on (setting api.host)')
    .option('--spec <name>', 'features: default or lean (setting path.spec)')
    .option('--provider <name>', 'where models run: auto, cpu or cuda (setting model.provider)')
    .option('--rules <file>', 'rules file (setting rules.file)')
    .addHelpText(
      'after',
      `
Examples:
  $ weir run
  $ weir run --config weir.yaml --data /var/lib/weir
  $ weir run --set retrain.enabled=true --set retrain.schedule="0 2 * * 0"

Then, from another terminal:
  $ curl -H "Authorization: Bearer $(cat .weir/api.token)" -H "Content-Type: application/json" \\
      -d '{"transaction_id":"t1","card_id":"c1","amount":1250,"currency":"EUR"}' http://127.0.0.1:8787/v1/score`,
    )
    .action(
      start(
        async (context, options: RunOptions) => {
          const { runService } = await import('../run.ts')
          return await runService(context, options)
        },
        { port: 'api.port', host: 'api.host', spec: 'path.spec', provider: 'model.provider', rules: 'rules.file' },
      ),
    )
}
