import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface, type Interface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Optional } from './optional-tool.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const FOLDER = join(ROOT, '.kafka/python')
const REQUIREMENTS = join(ROOT, 'test/support/python-requirements.txt')
const SCRIPT = join(ROOT, 'test/support/confluent_client.py')
const INSTALL_MS_MAX = 300_000

/**
 * A Python with Confluent's client library, in `.kafka/python`: made once, from PyPI, and again when the list of packages
 * changes. Gives the path of its interpreter.
 */
export async function prepareConfluentPython(): Promise<Optional<string>> {
  const python = join(FOLDER, 'bin/python')
  const wanted = createHash('sha256').update(readFileSync(REQUIREMENTS)).digest('hex')
  const stamp = join(FOLDER, `.ready-${wanted.slice(0, 16)}`)
  if (existsSync(stamp)) return { tool: python, missing: null }
  const run = promisify(execFile)
  try {
    mkdirSync(join(ROOT, '.kafka'), { recursive: true })
    await run('python3', ['-m', 'venv', FOLDER], { timeout: INSTALL_MS_MAX })
    const install = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', REQUIREMENTS]
    await run(python, install, { timeout: INSTALL_MS_MAX })
    writeFileSync(stamp, '')
    return { tool: python, missing: null }
  } catch (error) {
    const said = error instanceof Error ? (error.message.trim().split('\n').at(-1) ?? '') : ''
    return { tool: null, missing: `no Python with confluent-kafka (python3, venv, PyPI): ${said}` }
  }
}

export interface WriteRequest {
  readonly topic: string
  readonly schema: string
  readonly values: readonly unknown[]
  /** Types of other subjects; their texts, in the same order, are registered first. */
  readonly references?: readonly { readonly name: string; readonly subject: string; readonly version: number }[]
  readonly referred?: readonly string[]
}

/** Confluent's serializer and deserializer for Python, in a process of their own. */
export class ConfluentClient {
  private readonly child: ChildProcess
  private readonly lines: Interface
  private readonly waiting: { resolve(answer: unknown): void; reject(error: Error): void }[] = []
  private stderr = ''

  constructor(python: string, registryUrl: string) {
    this.child = spawn(python, [SCRIPT, registryUrl], { stdio: ['pipe', 'pipe', 'pipe'] })
    this.child.stderr!.setEncoding('utf8').on('data', (text: string) => (this.stderr += text))
    this.lines = createInterface({ input: this.child.stdout! })
    this.lines.on('line', (line) => this.waiting.shift()?.resolve(JSON.parse(line)))
    this.child.on('close', () => {
      for (const asked of this.waiting.splice(0)) asked.reject(new Error(`Python has ended: ${this.stderr}`))
    })
  }

  async write(request: WriteRequest): Promise<Buffer[]> {
    const { records } = (await this.ask({ do: 'write', ...request })) as { readonly records: readonly string[] }
    return records.map((record) => Buffer.from(record, 'base64'))
  }

  async read(topic: string, records: readonly Buffer[]): Promise<unknown[]> {
    const request = { do: 'read', topic, records: records.map((record) => record.toString('base64')) }
    return ((await this.ask(request)) as { readonly values: unknown[] }).values
  }

  close(): void {
    this.child.kill('SIGKILL')
  }

  private async ask(request: unknown): Promise<object> {
    const answer = await new Promise<unknown>((resolve, reject) => {
      this.waiting.push({ resolve, reject })
      this.child.stdin!.write(`${JSON.stringify(request)}\n`)
    })
    if (typeof answer === 'object' && answer !== null && 'error' in answer) throw new Error(String(answer.error))
    return answer as object
  }
}
