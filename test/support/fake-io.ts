import { Readable } from 'node:stream'
import type { Io } from '#cli/io.ts'

export interface FakeIo extends Io {
  readonly stdout: () => string
  readonly stderr: () => string
}

/** A terminal-less process whose output is kept. */
export function fakeIo(over: Partial<Io> = {}): FakeIo {
  const out: string[] = []
  const err: string[] = []
  return {
    out: (text) => void out.push(text),
    outBytes: async (bytes) => void out.push(Buffer.from(bytes).toString()),
    err: (text) => void err.push(text),
    isErrTerminal: false,
    isOutTerminal: false,
    columns: 100,
    input: Readable.from([]),
    env: {},
    folder: '/nowhere',
    now: () => 0,
    stdout: () => out.join(''),
    stderr: () => err.join(''),
    ...over,
  }
}
