import { CommanderError } from 'commander'
import { maskCardNumbers } from '#schemas/card-number.ts'
import { ERRORS, WeirError } from '#schemas/errors.ts'
import type { Io } from './io.ts'

/** An error as people and programs are told of it. Nothing in it is a payload, a secret or a card number. */
export interface Failure {
  readonly exitCode: number
  readonly code: string
  readonly message: string
  readonly where: string
  readonly fix: string
}

/**
 * Tells of an error, on stderr for people and as the one JSON document on stdout with `--json`, and gives the exit code:
 * 2 what was asked for is wrong, 1 the world is broken, 70 Weir is.
 */
export function fail(error: unknown, io: Pick<Io, 'out' | 'err'>, isJson: boolean): number {
  const failure = failureOf(error)
  if (isJson) {
    const { code, message, where, fix } = failure
    io.out(`${JSON.stringify({ error: { code, message, where, fix } })}\n`)
  } else {
    io.err(textOf(failure))
  }
  return failure.exitCode
}

export function failureOf(error: unknown): Failure {
  const failure = classify(error)
  return {
    ...failure,
    message: maskCardNumbers(failure.message),
    where: maskCardNumbers(failure.where),
    fix: maskCardNumbers(failure.fix),
  }
}

function classify(error: unknown): Failure {
  if (error instanceof WeirError) {
    const { exitCode, code, message, where, fix } = error
    return { exitCode, code, message, where, fix }
  }
  if (error instanceof CommanderError) {
    const message = error.message.replace(/^error: /, '')
    return {
      exitCode: 2,
      code: 'USAGE',
      message,
      where: '',
      fix: '`weir --help` and `weir COMMAND --help` show what can be said.',
    }
  }
  if (isSystemError(error)) {
    return {
      exitCode: 1,
      code: error.code,
      message: `the system refused to ${error.syscall}: ${SYSTEM_CODES[error.code] ?? error.code}`,
      where: error.path ?? error.address ?? '',
      fix: 'Mend that, then try again.',
    }
  }
  return {
    exitCode: 70,
    code: 'INVARIANT',
    message: `Weir has met something it did not foresee (${error instanceof Error ? error.name : typeof error})`,
    where: placesOf(error),
    fix: 'This is a defect in Weir. Please report it with the lines above, the version and what you did.',
  }
}

function textOf({ exitCode, code, message, where, fix }: Failure): string {
  const [first, ...others] = message.split('\n')
  const lines = [`weir: ${first ?? ''}`, ...others.map((line) => `      ${line}`)]
  if (where !== '') lines.push(...where.split('\n').map((line, i) => (i === 0 ? `  at  ${line}` : `      ${line}`)))
  if (fix !== '') lines.push(`  fix ${fix}`)
  // What was typed wrongly explains itself; what went wrong in the world has a section for whoever is on duty.
  const more = exitCode !== 2 && code in ERRORS ? `, see RUNBOOK.md#${code.toLowerCase()}` : ''
  lines.push(`  (${code}${more})`)
  return `${lines.join('\n')}\n`
}

/** Where in the code it arose. The message of a foreign error is left out: it may quote what was being worked on. */
function placesOf(error: unknown): string {
  if (!(error instanceof Error)) return ''
  return (error.stack ?? '')
    .split('\n')
    .filter((line) => /^\s+at /.test(line) && !line.includes('node:internal'))
    .slice(0, 5)
    .map((line) => line.trim().replace(/^at /, ''))
    .join('\n')
}

interface SystemError extends Error {
  readonly code: string
  readonly syscall: string
  readonly path?: string
  readonly address?: string
}

function isSystemError(error: unknown): error is SystemError {
  return error instanceof Error && 'syscall' in error && 'code' in error && typeof error.code === 'string'
}

const SYSTEM_CODES: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  ENOENT: 'no such file or folder',
  ENOTDIR: 'not a folder',
  EISDIR: 'it is a folder',
  EROFS: 'the file system is read-only',
  ENOSPC: 'no space left on the disk',
  EMFILE: 'too many open files',
  EADDRINUSE: 'the address is in use',
  EADDRNOTAVAIL: 'this machine has no such address',
}
