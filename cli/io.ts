import type { Readable } from 'node:stream'

/** What a command may touch of the process, handed in so that tests can stand in for it. */
export interface Io {
  /** Results, and nothing else. */
  readonly out: (text: string) => void
  /** Results in bulk; resolves when there is room for more. */
  readonly outBytes: (bytes: Uint8Array) => Promise<void>
  /** Logs, progress, errors. */
  readonly err: (text: string) => void
  readonly isErrTerminal: boolean
  readonly isOutTerminal: boolean
  readonly columns: number
  readonly input: Readable
  readonly env: Readonly<Record<string, string | undefined>>
  readonly folder: string
  /** Epoch milliseconds. */
  readonly now: () => number
}

export function processIo(): Io {
  return {
    out: (text) => void process.stdout.write(text),
    outBytes: (bytes) =>
      new Promise((resolve, reject) => {
        process.stdout.write(bytes, (error) => (error ? reject(error) : resolve()))
      }),
    err: (text) => void process.stderr.write(text),
    isErrTerminal: process.stderr.isTTY,
    isOutTerminal: process.stdout.isTTY,
    columns: process.stdout.columns || 100,
    input: process.stdin,
    env: process.env,
    folder: process.cwd(),
    now: () => Date.now(),
  }
}
