#!/usr/bin/env -S node --v8-pool-size=1 --max-semi-space-size=4
import { CommanderError } from 'commander'
import { processIo } from './io.ts'
import { createProgram } from './program.ts'

// A reader that has seen enough (`weir query ... | head`) is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0)
  throw error
})

const EXIT_USAGE = 2
const io = processIo()
const argv = process.argv.slice(2)
const isJson = argv.includes('--json')

async function tell(error: unknown): Promise<number> {
  const { fail } = await import('./fail.ts')
  return fail(error, io, isJson)
}

process.on('uncaughtException', (error) => {
  void tell(error).then((exitCode) => process.exit(exitCode))
})

try {
  process.exitCode = 0
  const program = createProgram(io, (exitCode) => {
    process.exitCode = exitCode
  })
  await program.parseAsync(argv, { from: 'user' })
} catch (error) {
  if (!(error instanceof CommanderError)) process.exitCode = await tell(error)
  else if (error.exitCode === 0) process.exitCode = 0
  // Help that was not asked for, since a command is missing: it is told already.
  else process.exitCode = error.code === 'commander.help' ? EXIT_USAGE : await tell(error)
}
