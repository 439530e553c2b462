import type { Command } from 'commander'
import type { CommandContext } from './context.ts'
import type { Io } from './io.ts'

/** The work of a command: gets its arguments and options as commander parsed them; may give an exit code. */
export type Body<Args extends readonly unknown[]> = (context: CommandContext, ...args: Args) => Promise<number | void>

/**
 * Makes the action of a command: reads the settings, then calls the body. `settings` says which options of the command
 * are settings, by option name, so that `--port 9000` wins over the file and `weir doctor` could say so.
 */
export type Start = <Args extends readonly unknown[]>(
  body: Body<Args>,
  settings?: Readonly<Record<string, string>>,
) => (...args: unknown[]) => Promise<void>

export function createStart(io: Io, ended: (exitCode: number) => void): Start {
  return <Args extends readonly unknown[]>(body: Body<Args>, settings: Readonly<Record<string, string>> = {}) =>
    async (...args: unknown[]) => {
      const command = args.at(-1) as Command
      const options = command.optsWithGlobals<Record<string, unknown>>()
      const flags = Object.entries(settings)
        .filter(([name]) => options[name] !== undefined)
        .map(([name, key]) => ({ key, value: String(options[name]), flag: flagOf(command, name) }))
      const { createContext } = await import('./context.ts')
      const context = createContext(io, options, flags)
      // Commander checked the arguments and gives them in the order in which they were declared, options last.
      const given = args.slice(0, -1) as unknown as Args
      ended((await body(context, ...given)) ?? 0)
    }
}

function flagOf(command: Command, name: string): string {
  return command.options.find((option) => option.attributeName() === name)?.long ?? `--${name}`
}
