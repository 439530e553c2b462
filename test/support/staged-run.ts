import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import type { DataPaths } from '#infra/data-folder.ts'
import { readServiceAddress } from '#infra/service-address.ts'

/** What a process of several does: one is active at a time. */
export type Role = 'starting' | 'standby' | 'active'

export interface RunEnd {
  readonly exitCode: number | null
  readonly signal: NodeJS.Signals | null
}

const LINES_KEPT = 400
const REQUEST_MS_MAX = 10_000

/** A `weir run` in a process of its own, and what it has said so far. */
export class StagedRun {
  readonly name: string
  readonly paths: DataPaths
  readonly pid: number
  readonly ended: Promise<RunEnd>
  end: RunEnd | null = null
  /** As far as it has told. */
  role: Role = 'starting'
  /** What it has logged, the newest lines. */
  readonly lines: string[] = []
  private readonly child: ChildProcess
  private watchers: (() => void)[] = []

  constructor(name: string, paths: DataPaths, argv: readonly string[]) {
    this.name = name
    this.paths = paths
    this.child = spawn(process.execPath, argv, { stdio: ['ignore', 'ignore', 'pipe'] })
    this.pid = this.child.pid ?? 0
    let rest = ''
    this.child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop() ?? ''
      this.lines.push(...lines)
      for (const line of lines) this.role = roleTold(line) ?? this.role
      if (this.lines.length > LINES_KEPT) this.lines.splice(0, this.lines.length - LINES_KEPT)
      this.wake()
    })
    this.ended = new Promise((resolve) => {
      this.child.once('close', (exitCode, signal) => {
        this.end = { exitCode, signal }
        resolve(this.end)
        this.wake()
      })
    })
  }

  get isRunning(): boolean {
    return this.end === null
  }

  hasSaid(what: RegExp): boolean {
    return this.lines.some((line) => what.test(line))
  }

  /**
   * Resolves when it has logged a line like this.
   *
   * @throws Error when it ended without, or not within so long; with what it said last
   */
  async said(what: RegExp, withinMs: number): Promise<void> {
    await this.waitFor(`said ${String(what)}`, withinMs, () => this.hasSaid(what))
  }

  /** @throws Error as `said` */
  async becomes(role: Role, withinMs: number): Promise<void> {
    await this.waitFor(`became ${role}`, withinMs, () => this.role === role)
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal)
  }

  kill(signal: NodeJS.Signals): Promise<RunEnd> {
    this.child.kill(signal)
    return this.ended
  }

  /** Prometheus text of its API. @throws Error when it does not answer */
  async metrics(): Promise<string> {
    const address = readServiceAddress(this.paths.folder)
    if (address === null || address.pid !== this.pid) throw new Error(`${this.name} does not listen`)
    const token = readFileSync(address.tokenFile, 'utf8').trim()
    const answer = await fetch(`${address.url}/metrics`, {
      headers: { authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(REQUEST_MS_MAX),
    })
    return await answer.text()
  }

  private async waitFor(what: string, withinMs: number, isSo: () => boolean): Promise<void> {
    const late = AbortSignal.timeout(withinMs)
    while (!isSo()) {
      if (this.end !== null || late.aborted) {
        const how = this.end === null ? `within ${withinMs} ms` : `before it ended with ${endText(this.end)}`
        throw new Error(`weir run on ${this.name} never ${what} ${how}\n${this.lines.slice(-20).join('\n')}`)
      }
      await new Promise<void>((resolve) => {
        this.watchers.push(resolve)
        late.addEventListener('abort', () => resolve(), { once: true })
      })
    }
  }

  private wake(): void {
    for (const watcher of this.watchers.splice(0)) watcher()
  }
}

function endText({ exitCode, signal }: RunEnd): string {
  return String(signal ?? exitCode)
}

function roleTold(line: string): Role | null {
  if (/"taking over"/.test(line)) return 'active'
  return /standing by; |this one gives its state up and stands by/.test(line) ? 'standby' : null
}
