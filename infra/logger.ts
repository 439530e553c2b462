import { type DestinationStream, type Logger as PinoLogger, pino } from 'pino'
import { maskCardNumbers } from '#schemas/card-number.ts'
import type { Config } from '#schemas/config.ts'
import { WeirError } from '#schemas/errors.ts'

/** Tells people and log collectors what happens. Fields first, then one sentence: `logger.info({ line }, 'caught up')`. */
export type Logger = PinoLogger

export interface LoggerOptions {
  readonly level: Config['logLevel']
  /** Lines for people rather than JSON. */
  readonly isForPeople: boolean
  /** Takes one line at a time, newline included. */
  readonly write: (line: string) => void
}

/**
 * A logger that never tells a payload: errors lose their cause (a store's may hold rows), and card numbers are masked in
 * whatever is left. It writes to stderr only, since stdout belongs to results.
 */
export function createLogger({ level, isForPeople, write }: LoggerOptions): Logger {
  const destination: DestinationStream = {
    write: (line) => write(isForPeople ? lineForPeople(line) : line),
  }
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: describeError, error: describeError },
      hooks: { streamWrite: maskLine },
    },
    destination,
  )
}

/** For code that wants a logger where nobody listens. */
export function createSilentLogger(): Logger {
  return createLogger({ level: 'silent', isForPeople: false, write: () => {} })
}

/** Code, sentence, place and fix of an error, and where in the code it arose; not its cause, nor what it was given. */
export function describeError(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { message: String(error) }
  const frames = framesOf(error, FRAMES_MAX)
  if (error instanceof WeirError) {
    const { code, message, where, fix } = error
    return { code, message, ...(where !== '' && { where }), ...(fix !== '' && { fix }), frames }
  }
  return { type: error.name, message: error.message, frames }
}

/** The places in a stack trace, innermost first, without the message above them. */
export function framesOf(error: Error, max: number): string[] {
  return (error.stack ?? '')
    .split('\n')
    .filter((line) => /^\s+at /.test(line))
    .slice(0, max)
    .map((line) => line.trim().slice('at '.length))
}

const FRAMES_MAX = 8

/** Masking can only break JSON where a bare number was a card number; that line is taken apart and put together again. */
function maskLine(line: string): string {
  const masked = maskCardNumbers(line)
  if (masked === line) return line
  return `${JSON.stringify(JSON.parse(line), (_key, value: unknown) =>
    typeof value === 'string' || typeof value === 'number' ? maskedValue(value) : value,
  )}\n`
}

function maskedValue(value: string | number): string | number {
  const text = String(value)
  const masked = maskCardNumbers(text)
  return masked === text ? value : masked
}

/** `12:03:04 warn  the disk is full where=...`: fields behind the sentence, an error on a line of its own. */
function lineForPeople(line: string): string {
  const { time, level, msg, err, error, ...fields } = JSON.parse(line) as PinoLine
  const colour = COLOURS[level]
  const shownLevel = colour === undefined ? level.padEnd(5) : `${colour}${level.padEnd(5)}${RESET}`
  const details = Object.entries(fields).map(([key, value]) => `${key}=${inWords(value)}`)
  const tail = details.length === 0 ? '' : ` ${DIM}${details.join(' ')}${RESET}`
  return `${time.slice(11, 19)} ${shownLevel} ${msg ?? ''}${tail}${errorLine(err ?? error)}\n`
}

interface PinoLine {
  /** ISO 8601. */
  readonly time: string
  readonly level: string
  readonly msg?: string
  readonly err?: ShownError
  readonly error?: ShownError
  readonly [field: string]: unknown
}

interface ShownError {
  readonly code?: string
  readonly type?: string
  readonly message?: string
  readonly where?: string
  readonly fix?: string
}

function errorLine(error: ShownError | undefined): string {
  if (error === undefined) return ''
  const { code, type = 'error', message = '', where, fix } = error
  return `\n         ${code ?? type}: ${message}${where === undefined ? '' : ` (${where})`}${fix === undefined ? '' : ` ${fix}`}`
}

function inWords(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? '')
}

const RESET = '\u001B[0m'
const DIM = '\u001B[2m'
const COLOURS: Readonly<Record<string, string>> = {
  warn: '\u001B[33m',
  error: '\u001B[31m',
  fatal: '\u001B[31m',
}
