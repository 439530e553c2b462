import { Command } from 'commander'
import { pairs } from './arguments.ts'
import { addBench } from './commands/bench.ts'
import { addDeadLetters } from './commands/dead-letters.ts'
import { addDemo } from './commands/demo.ts'
import { addDoctor } from './commands/doctor.ts'
import { addModels } from './commands/models.ts'
import { addQuery } from './commands/query.ts'
import { addRecord } from './commands/record.ts'
import { addReplay } from './commands/replay.ts'
import { addRetrain } from './commands/retrain.ts'
import { addRun } from './commands/run.ts'
import { addSchemas } from './commands/schemas.ts'
import { addScore } from './commands/score.ts'
import { addSimulate } from './commands/simulate.ts'
import { addTopics } from './commands/topics.ts'
import { addTrain } from './commands/train.ts'
import type { Io } from './io.ts'
import { createStart, type Start } from './start.ts'
import { WEIR_VERSION } from './version.ts'

/**
 * All commands with their options and help. What a command does is loaded when it is called, so that help is there at
 * once. Commander's own ends (help, version, wrong usage) are thrown as CommanderError.
 */
export function createProgram(io: Io, ended: (exitCode: number) => void): Command {
  const program = new Command('weir')
  program
    .description(
      'Weir scores card transactions as they stream by: exact features, an LSTM and rules decide each one, and what was decided stays on record with its reasons.',
    )
    .version(WEIR_VERSION, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show help')
    .exitOverride()
    .showSuggestionAfterError(true)
    .configureOutput({
      writeOut: io.out,
      writeErr: io.err,
      // Told once, by cli/fail.ts.
      outputError: () => {},
      getOutHelpWidth: () => io.columns,
      getErrHelpWidth: () => io.columns,
      getOutHasColors: () => io.isOutTerminal && io.env['NO_COLOR'] === undefined,
    })
    .configureHelp({
      showGlobalOptions: true,
      styleTitle: (title) => `\u001B[1m${title}\u001B[22m`,
      styleCommandText: (name) => `\u001B[36m${name}\u001B[39m`,
      styleSubcommandText: (name) => `\u001B[36m${name}\u001B[39m`,
    })
    .option('-c, --config <file>', 'settings in YAML (default: weir.yaml in the working folder, if there is one)')
    .option('-d, --data <folder>', 'data folder: log, tables, models, keys (default: .weir)')
    .option('-s, --set <key=value>', 'one setting, may be repeated; `weir doctor` lists them', pairs)
    .option('--json', 'one JSON document on stdout and nothing else; logs go to stderr')
    .option('-q, --quiet', 'warnings and errors only, no progress')
    .option('--log-level <level>', 'trace, debug, info, warn, error, fatal or silent (default: info)')
    .addHelpText('after', PROGRAM_HELP)

  const start = createStart(io, ended)
  for (const [heading, adders] of GROUPS) {
    program.commandsGroup(heading)
    for (const add of adders) add(program, start)
  }
  program.addHelpCommand(
    new Command('help').argument('[command]').description('show help for a command').helpGroup(GROUPS.at(-1)![0]),
  )
  return program
}

type Add = (program: Command, start: Start) => void

const GROUPS: readonly (readonly [heading: string, adders: readonly Add[]])[] = [
  ['See it and run it:', [addDemo, addRun, addRecord]],
  ['Data:', [addSimulate, addScore, addReplay, addSchemas, addTopics]],
  ['Models:', [addTrain, addRetrain, addModels]],
  ['Look into it:', [addQuery, addDeadLetters, addDoctor, addBench]],
]

const PROGRAM_HELP = `
Begin here:
  $ weir demo                                  a live stream, scored, with its page
  $ weir demo --events 200000 --exit           the same as fast as it goes, with a summary
  $ weir query queue_today                     what waits for an analyst
  $ weir doctor                                is everything in order, and why not

Exit codes: 0 done, 1 the world is broken (disk, service), 2 something given is wrong, 70 a defect in Weir.`
