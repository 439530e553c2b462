import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The built program. */
export const WEIR = fileURLToPath(new URL('../../dist/weir.js', import.meta.url))

export interface Ended {
  readonly exitCode: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface Answer {
  readonly status: number
  /** As it came, and as JSON where it is JSON. */
  readonly text: string
  readonly json: unknown
}

/** A started `weir`, and what it has said so far. */
export class WeirProcess {
  readonly child: ChildProcess
  readonly ended: Promise<Ended>
  stdout = ''
  stderr = ''
  private watchers: (() => void)[] = []

  constructor(argv: readonly string[], options: { readonly cwd?: string; readonly input?: string } = {}) {
    this.child = spawn(process.execPath, [WEIR, ...argv], {
      cwd: options.cwd,
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    this.child.stdin!.on('error', () => {})
    this.child.stdin!.end(options.input ?? '')
    this.child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text
      this.wake()
    })
    this.child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text
      this.wake()
    })
    this.ended = new Promise((resolve) => {
      this.child.on('close', (exitCode, signal) => {
        resolve({ exitCode, signal, stdout: this.stdout, stderr: this.stderr })
        this.wake()
      })
    })
  }

  /** Resolves with the match when the process has said it; null when it ended without. */
  async said(what: RegExp): Promise<RegExpExecArray | null> {
    for (;;) {
      const found = what.exec(this.stderr)
      if (found !== null || this.child.exitCode !== null || this.child.signalCode !== null) return found
      await new Promise<void>((resolve) => this.watchers.push(resolve))
    }
  }

  kill(signal: NodeJS.Signals): Promise<Ended> {
    this.child.kill(signal)
    return this.ended
  }

  private wake(): void {
    for (const watcher of this.watchers.splice(0)) watcher()
  }
}

export function weir(
  argv: readonly string[],
  options: { readonly cwd?: string; readonly input?: string } = {},
): Promise<Ended> {
  return new WeirProcess(argv, options).ended
}

/** `weir run` on a data folder, on any free port. */
export class RunningService {
  readonly process: WeirProcess
  readonly url: string
  private readonly token: string

  private constructor(started: WeirProcess, url: string, token: string) {
    this.process = started
    this.url = url
    this.token = token
  }

  static spawn(dataFolder: string, settings: readonly string[] = []): WeirProcess {
    return new WeirProcess(['run', '--port', '0', '--data', dataFolder, ...settings.flatMap((set) => ['--set', set])])
  }

  /** Null when the process ended before it listened. */
  static async listening(started: WeirProcess, dataFolder: string): Promise<RunningService | null> {
    const found = await started.said(/listening on (http:\/\/[\d.:]+)/)
    if (found === null) return null
    return new RunningService(started, found[1]!, readFileSync(join(dataFolder, 'api.token'), 'utf8').trim())
  }

  static async start(dataFolder: string, settings: readonly string[] = []): Promise<RunningService> {
    const started = RunningService.spawn(dataFolder, settings)
    const service = await RunningService.listening(started, dataFolder)
    assert.ok(service, `the service did not start: ${started.stderr}`)
    return service
  }

  /** A text is sent as it is. */
  async send(method: 'GET' | 'POST', path: string, body?: unknown, contentType = 'application/json'): Promise<Answer> {
    const response = await fetch(`${this.url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${this.token}`,
        ...(body === undefined ? {} : { 'content-type': contentType }),
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      signal: AbortSignal.timeout(REQUEST_MS_MAX),
    })
    const text = await response.text()
    return { status: response.status, text, json: parsed(text) }
  }

  get(path: string): Promise<Answer> {
    return this.send('GET', path)
  }

  post(path: string, body?: unknown): Promise<Answer> {
    return this.send('POST', path, body)
  }

  stop(): Promise<Ended> {
    return this.process.kill('SIGTERM')
  }
}

const REQUEST_MS_MAX = 30_000

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return null
  }
}
