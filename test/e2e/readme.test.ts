import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'

const ROOT = new URL('../..', import.meta.url).pathname
const COMMAND_MS_MAX = 300_000
/** Runs until it is told to stop; the word says that it is up. */
const ENDLESS: readonly (readonly [RegExp, RegExp])[] = [
  [/^make demo\b/, /page +http/],
  [/^npx weir demo(?!.*--exit)/, /page +http/],
  [/^npx weir run\b/, /Page: http/],
]

/** Commands of a document: its indented or fenced shell lines, continued ones joined, comments left out. */
function commandsOf(file: string): string[] {
  const commands: string[] = []
  let fence: string | null = null
  let open = ''
  for (const line of readFileSync(join(ROOT, file), 'utf8').split('\n')) {
    const fenced = /^```(\w*)/.exec(line)
    if (fenced !== null) {
      fence = fence === null ? fenced[1]! : null
      continue
    }
    const isShell =
      fence === null ? /^ {4}\S/.test(line) || (open !== '' && /^ {4}/.test(line)) : /^(sh|bash|console)$/.test(fence)
    if (!isShell) continue
    const text = open + line.trim().replace(/^\$ /, '')
    open = text.endsWith('\\') ? text.slice(0, -1) : ''
    if (open === '') commands.push(text.replace(/\s+#.*$/, ''))
  }
  return commands.filter((command) => /^(make|npx|curl|node|echo|cat) /.test(command))
}

describe('the README, typed as it stands', () => {
  let folder: string
  let running: ChildProcess | null = null

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'weir-readme-'))
  })
  after(async () => {
    await stop()
    rmSync(folder, { recursive: true })
  })

  /** A process group of its own, so that make and what it starts can be told to stop together. */
  function start(command: string): ChildProcess {
    // What README calls .weir is a temporary folder here, so that a developer's own data is left alone.
    const line = command.replaceAll('.weir/', `${folder}/`)
    return spawn('bash', ['-c', line], {
      cwd: ROOT,
      env: { ...process.env, WEIR_DATA_FOLDER: folder },
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
  }

  async function stop(): Promise<void> {
    if (running === null) return
    const child = running
    running = null
    const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
    process.kill(-child.pid!, 'SIGINT')
    await ended
  }

  async function runToEnd(command: string): Promise<void> {
    const child = start(command)
    let said = ''
    for (const stream of [child.stdout!, child.stderr!]) {
      stream.on('data', (chunk: Buffer) => {
        said = (said + chunk.toString()).slice(-4_000)
      })
    }
    const timer = setTimeout(() => process.kill(-child.pid!, 'SIGKILL'), COMMAND_MS_MAX)
    const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
    clearTimeout(timer)
    assert.equal(code, 0, `${command}\n${said}`)
  }

  async function runUntilUp(command: string, word: RegExp): Promise<void> {
    await stop()
    running = start(command)
    const child = running
    await new Promise<void>((resolve, reject) => {
      let said = ''
      const listen = (chunk: Buffer): void => {
        said += chunk.toString()
        if (word.test(said)) resolve()
      }
      child.stdout!.on('data', listen)
      child.stderr!.on('data', listen)
      child.once('exit', (code) => reject(new Error(`${command} ended with ${code}\n${said.slice(-4_000)}`)))
    })
  }

  const commands = commandsOf('README.md')

  test('begins with the demo and the tests', () => {
    assert.deepEqual(commands.slice(0, 2), ['make demo', 'make test'])
  })

  for (const command of commands) {
    // This test is one of those that `make test` runs.
    if (command === 'make test') continue
    test(command, async () => {
      const endless = ENDLESS.find(([pattern]) => pattern.test(command))
      // Two demos cannot share their folder.
      if (command.includes(' demo')) await stop()
      if (endless !== undefined) await runUntilUp(command, endless[1])
      else await runToEnd(command)
    })
  }

  test('what was left running stops when it is told to', async () => {
    assert.ok(running !== null && existsSync(join(folder, 'service.json')))
    await stop()
    assert.ok(!existsSync(join(folder, 'service.json')), 'it took its address away, so it stopped in good order')
  })
})
