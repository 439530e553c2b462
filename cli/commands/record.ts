import type { Command } from 'commander'
import type { Start } from '../start.ts'

export function addRecord(program: Command, start: Start): void {
  program
    .command('record')
    .summary('fill the tables of ClickHouse in a process of its own')
    .description(
      'Reads what was committed and fills the tables, apart from the service: on Kafka from anywhere, on the file log beside the process that writes it. The service then runs with recorder.inService false. Ends within ten seconds of SIGINT or SIGTERM; whatever was not finished is sent again and counts once.',
    )
    .option('-p, --port <port>', 'port for /metrics, /healthz and /readyz, 0 for any (setting recorder.port)')
    .addHelpText(
      'after',
      `
Examples:
  $ weir record --config weir.yaml
  $ weir record --set clickhouse.home=server --set clickhouse.url=https://clickhouse:8443
  $ WEIR_CLICKHOUSE_PASSWORD=... weir record --config weir.yaml`,
    )
    .action(
      start(
        async (context) => {
          const { runRecord } = await import('../record.ts')
          return await runRecord(context)
        },
        { port: 'recorder.port' },
      ),
    )
}
